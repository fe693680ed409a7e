// The modules of a model that is pushed as source: each is made a function, which runs once, when
// the module is first imported.

import { Failed } from "../belljar-guest/errors.js";

// The SDK by its name, and as a file of the project, where tests in node find it: both are the one
// that is in the base.
const SDK = ["belljar-guest", "sdk/belljar-guest/index", "sdk/belljar-guest/index.js"];

// What an import may leave out.
const ENDINGS = ["", ".js", ".mjs", ".ts", "/index.js", "/index.mjs", "/index.ts"];

// How much a message tells: of the files that are there, and of a line with a mistake.
const FILES_MAX = 8;
const LINE_CHARACTERS_MAX = 120;

export class Modules {
  #paths;
  #read;
  #transform;
  #sdk;
  #begun = new Map();

  /** Modules by their paths, of which `read` gives the text. `transform` is that of sucrase; what
   * `sdk` has is what imports of the SDK get. */
  constructor(paths, { read, transform, sdk }) {
    this.#paths = paths;
    this.#read = read;
    this.#transform = transform;
    this.#sdk = { ...sdk, __esModule: true };
  }

  /** What a module exports; in a cycle, what it has exported so far. */
  exportsOf(path) {
    const begun = this.#begun.get(path);
    if (begun) return begun.exports;
    const run = this.#compiled(path);
    const module = { exports: {} };
    this.#begun.set(path, module);
    run(module, module.exports, (specifier) => this.#imported(specifier, path));
    return module.exports;
  }

  /** The lines of a stack that are the model's own: the innermost first, each as file and line. */
  linesOf(stack) {
    return [...String(stack).matchAll(/([^\s@(]+):(\d+):\d+\)?$/gm)]
      .filter(([, path]) => this.#begun.has(path))
      .map(([, path, line]) => `${path}:${line}`);
  }

  #compiled(path) {
    const source = this.#read(path);
    const wrong = (message, line, column) => {
      const text = source.split("\n")[line - 1]?.trim().slice(0, LINE_CHARACTERS_MAX);
      return new Failed(`${[path, line, column].filter(Boolean).join(":")}: ${message}${text ? `: ${text}` : ""}`);
    };
    let code;
    try {
      code = this.#transform(source, {
        transforms: path.endsWith(".ts") ? ["imports", "typescript"] : ["imports"],
        // The engine has them.
        disableESTransforms: true,
      }).code;
    } catch (error) {
      throw wrong(error.message.replace(/ \(\d+:\d+\)$/, ""), error.loc?.line, error.loc?.column);
    }
    try {
      // What is called by another name than `eval` sees what is global, and nothing of this
      // function. No line is put before the code: each keeps its number.
      return (0, eval)(`(function (module, exports, require) {${code}\n})\n//# sourceURL=${path}`);
    } catch (error) {
      throw wrong(error.message, error.lineNumber);
    }
  }

  #imported(specifier, from) {
    const path = /^\.\.?(\/|$)/.test(specifier) ? joined(from, specifier) : undefined;
    if (SDK.includes(path ?? specifier)) return this.#sdk;
    const found = this.#found(path);
    if (found !== undefined) return this.exportsOf(found);
    const place = this.linesOf(new Error().stack)[0] ?? from;
    throw new Failed(`${place}: "${specifier}" is imported, and is not there: ${this.#missing(specifier, path)}`);
  }

  #found(path) {
    if (path === undefined) return undefined;
    const names = ENDINGS.map((ending) => path + ending);
    // Modules in TypeScript import one another by the names that a compiler would give them.
    if (path.endsWith(".js")) names.push(path.replace(/js$/, "ts"));
    return names.find((name) => this.#paths.has(name));
  }

  // Why nothing is there, and what to do.
  #missing(specifier, path) {
    if (/^\/|:/.test(specifier)) return "a model that is source imports belljar-guest, and its own files by ./ and ../";
    if (path === undefined) {
      return `nothing is installed for a model that is source; put it beside model.js, and import "./${specifier}.js"`;
    }
    return thereAre(this.#paths);
  }
}

/** Which files are there, in words. */
export function thereAre(paths) {
  return `there are: ${[...paths].slice(0, FILES_MAX).join(", ")}${paths.size > FILES_MAX ? ", …" : ""}`;
}

/** The path of what a module imports. A folder above the model's has no name, and stays `..`. */
function joined(from, specifier) {
  const parts = from.split("/").slice(0, -1);
  for (const part of specifier.split("/")) {
    if (part === ".." && parts.length && parts.at(-1) !== "..") parts.pop();
    else if (part && part !== ".") parts.push(part);
  }
  return parts.join("/");
}
