// Builds the component: node sdk/build.mjs WORLD. What model.js imports from files comes with it.

import { spawnSync } from "node:child_process";
import { statSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { resolve } from "node:path";

const WORLDS = { tensors: "tensor-model", text: "text-model", embeddings: "embedding-model" };

const world = process.argv[2];
const fail = (message) => {
  console.error(`model.js: ${message}`);
  process.exit(1);
};

// The engine says of a missing export that a function is undefined; this says which one, and what to
// do.
const source = await readFile("model.js", "utf8");
const there = [...source.matchAll(/^export\s+(?:const|let|var|function)\s+(\w+)/gm)].map(([, name]) => name);
there.push(
  ...[...source.matchAll(/^export\s*\{([^}]*)\}/gm)].flatMap(([, names]) =>
    names.split(",").map((name) => name.trim().split(/\s+as\s+/).at(-1)),
  ),
);
const has = Object.keys(WORLDS).filter((name) => there.includes(name));
const wanted = Object.keys(WORLDS).find((name) => WORLDS[name] === world);
if (wanted && !has.includes(wanted)) {
  const others = has.map((name) => `\`${name}\` (${WORLDS[name]})`).join(", ") || "none";
  fail(
    `the world ${world} wants \`export const ${wanted} = …\`, and there is no such export: write it, or ` +
      `build for another world in package.json; model.js has: ${others}`,
  );
}
if (wanted && !there.includes("lifecycle")) {
  fail(`the world ${world} wants \`export const lifecycle = defineLoad(() => { … })\`: write it, or build for plain-${world}`);
}

// What package-lock.json names, where it is not there or is older.
const changed = (file) => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
if (changed("node_modules/.package-lock.json") < changed("package-lock.json")) {
  const { status, error } = spawnSync("npm", ["ci", "--silent", "--no-audit", "--no-fund"], { stdio: "inherit" });
  if (status !== 0) fail(`npm ci failed${error ? `: ${error.message}` : ""}`);
}

try {
  const { componentize } = await import("@bytecodealliance/componentize-js");
  const { component } = await componentize({
    sourcePath: resolve("model.js"),
    witPath: resolve("wit"),
    worldName: world,
    // What they import, no server grants.
    disableFeatures: ["http", "fetch-event"],
  });
  await writeFile("model.wasm", component);
} catch (error) {
  fail(error.message);
}
