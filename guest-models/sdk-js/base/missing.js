// What is told of an import that finds nothing: why nothing is there, and what to do.

// What an import may leave out.
export const ENDINGS = ["", ".js", ".mjs", ".ts", "/index.js", "/index.mjs", "/index.ts"];

// What else code ends in, and does not run.
const OTHER_ENDINGS = [".cjs", ".cts", ".mts", ".jsx", ".tsx"];

// What a project has and is not pushed as source: these folders, and tests.
const FOLDERS = ["assets", "tests", "sdk", "wit", "target", "node_modules"];
const TEST = /^test_|\.test(\.\w+)?$/;

// Modules of node, by their names without `node:`.
const NODE = `
  assert async_hooks buffer child_process cluster console constants crypto dgram diagnostics_channel dns domain events
  fs http http2 https inspector module net os path perf_hooks process punycode querystring readline repl stream
  string_decoder sys timers tls trace_events tty url util v8 vm wasi worker_threads zlib
`.split(/\s+/).filter(Boolean);

// How many of the files that are there are told.
const FILES_MAX = 8;

/** Why nothing is at a specifier, which is that path of the model where it is one of its own. */
export function missing(specifier, path, paths) {
  const own = "a model that is source imports belljar-guest, and its own files by ./ and ../";
  if (/^node:/.test(specifier) || NODE.includes(specifier.split("/")[0])) return `it is a module of node; ${own}`;
  if (/^\/|:/.test(specifier)) return own;
  if (path === undefined) {
    return `nothing is installed for a model that is source; put it beside model.js, and import "./${specifier}.js"`;
  }
  return ofOtherEnding(path) ?? notPushed(path) ?? thereAre(paths);
}

function ofOtherEnding(path) {
  const ending = path.match(/\.\w+$/)?.[0];
  if (!ending || ENDINGS.includes(ending) || ending === ".test") return undefined;
  const pushed = "only files that end in .js, .mjs or .ts are pushed as source";
  if (OTHER_ENDINGS.includes(ending)) return `${pushed}: rename it`;
  const asset = path.startsWith("assets/") ? path.slice("assets/".length) : path.split("/").at(-1);
  const read = ending === ".json" ? `JSON.parse(assets.text("${asset}"))` : `assets.read("${asset}")`;
  return `${pushed}: put it into assets, and read it with ${read}`;
}

function notPushed(path) {
  const parts = path.split("/");
  if (!TEST.test(parts.at(-1)) && !parts.some((part) => FOLDERS.includes(part))) return undefined;
  return `tests are not pushed (test_*, *.test.js), nor are the folders ${FOLDERS.join(", ")}: give it another name`;
}

/** Which files are there, in words. */
export function thereAre(paths) {
  return `there are: ${[...paths].slice(0, FILES_MAX).join(", ")}${paths.size > FILES_MAX ? ", …" : ""}`;
}
