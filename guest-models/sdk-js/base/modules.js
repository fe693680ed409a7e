// The modules of a model that is pushed as source: each is made a function, which runs once, when
// the module is first imported.

import { Failed } from "../belljar-guest/errors.js";
import { ENDINGS, missing } from "./missing.js";

// The SDK by its name, and as a file of the project, where tests in node find it: both are the one
// that is in the base.
const SDK = ["belljar-guest", "sdk/belljar-guest/index", "sdk/belljar-guest/index.js"];

// How much a message tells of a line with a mistake.
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
    this.#sdk = named({ ...sdk, __esModule: true });
  }

  /** What a module exports; in a cycle, what it has exported so far. */
  exportsOf(path) {
    const begun = this.#begun.get(path);
    if (begun) return begun.exports;
    const run = this.#compiled(path);
    const module = { exports: {} };
    this.#begun.set(path, module);
    run(module, module.exports, (specifier) => this.#imported(specifier, path));
    nameDefault(module.exports, path);
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
    const isTyped = path.endsWith(".ts");
    let code;
    try {
      code = this.#transformed(source, isTyped);
    } catch (error) {
      // Sucrase adds the place to the message, where nothing is behind it.
      let message = error.message.replace(/ \(\d+:\d+\)$/, "");
      if (error.pos === undefined) throw wrong(message);
      const before = source.slice(0, error.pos).split("\n");
      if (error.pos >= source.trimEnd().length) message = message.replace(/ token/, " end of the file");
      if (!isTyped && this.#isTypeScript(source)) {
        message += ` (in TypeScript it would be right: rename it to ${path.replace(/\.\w+$/, ".ts")})`;
      }
      throw wrong(message, before.length, before.at(-1).length + 1);
    }
    try {
      // What is called by another name than `eval` sees what is global, and nothing of this
      // function. No line is put before the code: each keeps its number.
      return (0, eval)(`(function (module, exports, require) {${code}\n})\n//# sourceURL=${path}`);
    } catch (error) {
      throw wrong(error.message, error.lineNumber);
    }
  }

  // What sucrase makes of a source. What looks like a function with an arrow it reads once more as
  // something else where there is a mistake in it, and throws what it finds then, at the arrow: thrown
  // here is the error that is furthest on.
  #transformed(source, isTyped) {
    const { SyntaxError } = globalThis;
    const errors = [];
    globalThis.SyntaxError = function (message) {
      errors.push(new SyntaxError(message));
      return errors.at(-1);
    };
    try {
      return this.#transform(source, {
        transforms: isTyped ? ["imports", "typescript"] : ["imports"],
        // The engine has them.
        disableESTransforms: true,
      }).code;
    } catch (error) {
      if (!errors.includes(error)) throw error;
      throw errors.reduce((furthest, other) => (other.pos > furthest.pos ? other : furthest));
    } finally {
      globalThis.SyntaxError = SyntaxError;
    }
  }

  #isTypeScript(source) {
    try {
      return Boolean(this.#transformed(source, true));
    } catch {
      return false;
    }
  }

  #imported(specifier, from) {
    const path = /^\.\.?(\/|$)/.test(specifier) ? joined(from, specifier) : undefined;
    if (SDK.includes(path ?? specifier)) return this.#sdk;
    const found = this.#found(path);
    if (found !== undefined) return this.exportsOf(found);
    const place = this.linesOf(new Error().stack)[0] ?? from;
    throw new Failed(`${place}: "${specifier}" is imported, and is not there: ${missing(specifier, path, this.#paths)}`);
  }

  #found(path) {
    if (path === undefined) return undefined;
    const names = ENDINGS.map((ending) => path + ending);
    // Modules in TypeScript import one another by the names that a compiler would give them.
    if (path.endsWith(".js")) names.push(path.replace(/js$/, "ts"));
    return names.find((name) => this.#paths.has(name));
  }
}

// Exports of which one that is not there says so, where it is used. Behind those that are there, since
// what is found on the way to it costs nothing.
function named(exports) {
  const others = {};
  const get = (_, name) => {
    // What is waited for is asked for `then`.
    if (name in others || typeof name === "symbol" || name === "then") return others[name];
    throw notExported(name, "belljar-guest", exports);
  };
  return Object.setPrototypeOf(exports, new Proxy(others, { get }));
}

// The same for the default of a module that has none; for all names it would be wrong, since a module
// as a whole may be asked what it has.
function nameDefault(exports, path) {
  if (!exports?.__esModule || "default" in exports) return;
  const get = () => {
    throw notExported("default", path, exports);
  };
  Object.defineProperty(exports, "default", { get });
}

function notExported(name, from, exports) {
  const names = Object.keys(exports).filter((name) => name !== "__esModule");
  const none = name === "default" ? "has no default export" : `exports no \`${name}\``;
  return new TypeError(`${from} ${none}: it has ${names.map((name) => `\`${name}\``).join(", ") || "none"}`);
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
