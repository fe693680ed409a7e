// Write models for Belljar in JavaScript.
//
// A model is a module that exports what it can do, each made by a function of this file:
//
//     import { assets, defineLoad, defineTensors, Tensor } from "./sdk/belljar-guest/index.js";
//
//     let weights;
//     export const lifecycle = defineLoad(() => {
//       weights = assets.numbers("FP32", "weights.bin");
//     });
//     export const tensors = defineTensors(
//       { inputs: { x: ["FP32", [-1, 3]] }, outputs: { y: ["FP32", [-1, 3]] } },
//       ({ x }) => ({ y: x.like(x.values.map((value, i) => value * weights[i % 3])) }),
//     );
//
// `load` runs once. The memory that it leaves is where each request starts; what a request changes
// is gone after it.
//
// Nothing here needs a server when a model is tested: with `--import
// ./sdk/belljar-guest/node.mjs`, node reads the folder `assets` where it is started.

export * as assets from "./assets.js";
export * as log from "./log.js";
export { defineEmbeddings } from "./embeddings.js";
export { Failed, InvalidInput, Unsupported } from "./errors.js";
export { Tensor, defineTensors } from "./tensors.js";
export { defineText } from "./text.js";

import { calling, readied } from "./errors.js";
import { withoutNetwork } from "./network.js";

// A test in node has a network.
if (!globalThis.process) withoutNetwork(globalThis);

/** Makes `lifecycle` of a function that runs once, when a version is made ready. */
export function defineLoad(load) {
  return { load: () => calling(() => readied(load)) };
}
