// Builds the component: node sdk/build.mjs WORLD, of model.js and what it imports from files; or node
// sdk/build.mjs WORLD --base, of the base in sdk/base.

import { spawnSync } from "node:child_process";
import { statSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const WORLDS = { tensors: "tensor-model", text: "text-model", embeddings: "embedding-model" };

const [world, option] = process.argv.slice(2);
const isBase = option === "--base";
const wanted = Object.keys(WORLDS).find((name) => WORLDS[name] === world);
const fail = (message) => {
  console.error(`${isBase ? "base" : "model.js"}: ${message}`);
  process.exit(1);
};

if (isBase && !wanted) fail(`there is no base of the world ${world}; there are: ${Object.values(WORLDS).join(", ")}`);
if (!isBase) await checkExports();

// What package-lock.json names, where it is not there or is older.
const changed = (file) => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
if (changed("node_modules/.package-lock.json") < changed("package-lock.json")) {
  const { status, error } = spawnSync("npm", ["ci", "--silent", "--no-audit", "--no-fund"], { stdio: "inherit" });
  if (status !== 0) fail(`npm ci failed${error ? `: ${error.message}` : ""}`);
}

try {
  await (isBase ? bundled(`sdk/base/${wanted}.js`, component) : component(resolve("model.js")));
} catch (error) {
  fail(error.message);
}

async function component(sourcePath) {
  const { componentize } = await import("@bytecodealliance/componentize-js");
  const made = await componentize({
    sourcePath,
    witPath: resolve("wit"),
    worldName: world,
    // What they import, no server grants.
    disableFeatures: ["http", "fetch-event"],
  });
  await writeFile("model.wasm", made.component);
}

// One file of all that is imported, packages of npm included: componentize-js finds none of those.
async function bundled(entry, use) {
  const esbuild = await import("esbuild");
  const folder = await mkdtemp(join(tmpdir(), "belljar-"));
  try {
    // As stacks of models name it.
    const outfile = join(folder, "belljar-guest.js");
    await esbuild.build({ entryPoints: [entry], outfile, bundle: true, format: "esm", external: ["belljar:*"] });
    await use(outfile);
  } finally {
    await rm(folder, { recursive: true });
  }
}

// The engine says of a missing export that a function is undefined; this says which one, and what to
// do.
async function checkExports() {
  const source = await readFile("model.js", "utf8");
  const there = [...source.matchAll(/^export\s+(?:const|let|var|function)\s+(\w+)/gm)].map(([, name]) => name);
  there.push(
    ...[...source.matchAll(/^export\s*\{([^}]*)\}/gm)].flatMap(([, names]) =>
      names.split(",").map((name) => name.trim().split(/\s+as\s+/).at(-1)),
    ),
  );
  const has = Object.keys(WORLDS).filter((name) => there.includes(name));
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
}
