// The base of models over tensors.

import { Base } from "./base.js";

const base = new Base("tensors", (made) => typeof made?.infer === "function" && typeof made.metadata === "function");

export const { lifecycle } = base;
export const tensors = {
  // A base by itself is asked as well, when it is made ready.
  metadata: () => base.made?.metadata() ?? { inputs: [], outputs: [] },
  infer: (request) => base.model.infer(request),
};
