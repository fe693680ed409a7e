// Tests of the model, without a server: `npm test`.
import assert from "node:assert/strict";
import { before, test } from "node:test";

import { Unsupported } from "./sdk/belljar-guest/index.js";
import { embed, lifecycle } from "./model.js";

before(() => lifecycle.load());

function likeness(one, other) {
  const [a, b] = embed([one, other]);
  return a.reduce((sum, number, place) => sum + number * b[place], 0);
}

test("vectors have length 1", () => {
  assert.ok(Math.abs(likeness("the bell rings", "the bell rings") - 1) < 1e-6);
});

test("what is alike is near", () => {
  assert.ok(likeness("bell", "sound") > 0.9);
  assert.ok(likeness("bell", "table") < 0.3);
});

test("another length is not to be had", () => {
  assert.throws(() => embed(["bell"], 7), Unsupported);
});
