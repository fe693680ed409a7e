// The base of models that make vectors of texts.

import { Base } from "./base.js";

const base = new Base("embeddings", (made) => typeof made?.embed === "function");

export const { lifecycle } = base;
export const embeddings = {
  embed: (inputs, dimensions) => base.model.embed(inputs, dimensions),
};
