// The base of models that write text.

import { defineText } from "../belljar-guest/index.js";
import { Base } from "./base.js";

// The same for all of them, and the one that the contract's resource is made of.
const { Generation } = defineText(() => []);

const base = new Base("text", (made) => made?.Generation === Generation);

export const { lifecycle } = base;
export const text = {
  Generation,
  start: (request) => base.model.start(request),
};
