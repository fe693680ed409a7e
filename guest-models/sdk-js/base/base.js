// A base: the engine and the SDK as a component, on which models are built that are pushed as source.
// `load` runs the model's code, which is among the assets; each request starts from what it leaves.

import { transform } from "sucrase";

import * as sdk from "../belljar-guest/index.js";
import { Failed, ModelError, Unsupported, calling, readied } from "../belljar-guest/errors.js";
import { sources } from "../belljar-guest/source.js";
import { thereAre } from "./missing.js";
import { Modules } from "./modules.js";

// How much of the memory is free when the model is run. Memory grows and never shrinks, and what is
// freed is used again: a model that needs less than this leaves a memory of the size that the base by
// itself leaves. The server then takes the code that it has compiled for the base, since nothing but
// data differs.
const HEADROOM_BYTES = 12 << 20;

const MODEL_FILES = ["model.js", "model.ts"];

// How many lines are told of those that led to where an exception was thrown.
const LINES_MAX = 8;

// What models export, each by the function of the SDK that makes it.
const KINDS = { tensors: "defineTensors", text: "defineText", embeddings: "defineEmbeddings" };

export class Base {
  #kind;
  #isMade;
  #made;

  /** A base of one of the kinds. `isMade` tells what the SDK has made of that kind. */
  constructor(kind, isMade) {
    this.#kind = kind;
    this.#isMade = isMade;
  }

  lifecycle = { load: () => calling(() => this.#load()) };

  /** What the model exports; undefined for a base by itself. */
  get made() {
    return this.#made;
  }

  /** What the model exports. A base by itself refuses. */
  get model() {
    return calling(() => {
      if (this.#made) return this.#made;
      throw new Unsupported("this is a base: models are built on it, and it answers nothing itself");
    });
  }

  #load() {
    // Moved into an empty buffer, it is free at once; dropped, it would be after a collection.
    new ArrayBuffer(HEADROOM_BYTES).transfer(0);
    const files = sources();
    if (!files.size) return;
    const [model, other] = MODEL_FILES.filter((file) => files.has(file));
    const paths = new Set(files.keys());
    if (!model) {
      throw new Failed(`there is no ${MODEL_FILES.join(" and no ")} among the source; ${thereAre(paths)}`);
    }
    if (other) throw new Failed(`there are ${model} and ${other}: one of them is the model, remove the other`);
    const modules = new Modules(paths, {
      read: (path) => sdk.assets.text(files.get(path)),
      transform,
      // What its `load` throws is told below.
      sdk: { ...sdk, defineLoad: (load) => ({ load }) },
    });
    try {
      this.#run(model, modules.exportsOf(model));
    } catch (error) {
      const [first, ...others] = modules.linesOf(error?.stack);
      if (error instanceof ModelError || !first) throw error;
      throw new Failed([`${first}: ${error}`, ...others.slice(0, LINES_MAX)].join(", from "));
    }
  }

  #run(model, exports) {
    const kind = this.#kind;
    const want = `\`export const ${kind} = ${KINDS[kind]}(…)\``;
    const made = exports[kind];
    if (made === undefined) {
      const there = Object.keys(KINDS).filter((other) => other in exports);
      const hint = there.length
        ? `it has \`${there.join("`, `")}\`: write the other, or name a base of that kind in model.toml`
        : "write it";
      throw new Failed(`the base is of ${kind}, and ${model} has no ${want}; ${hint}`);
    }
    if (!this.#isMade(made)) throw new Failed(`\`${kind}\` of ${model} is something else than ${want}`);
    const { lifecycle } = exports;
    if (lifecycle !== undefined && typeof lifecycle?.load !== "function") {
      throw new Failed(`\`lifecycle\` of ${model} is something else than \`defineLoad(() => { … })\``);
    }
    readied(() => lifecycle?.load());
    this.#made = made;
  }
}
