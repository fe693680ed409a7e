// Tests of the model, without a server: `npm test`.
import assert from "node:assert/strict";
import { before, test } from "node:test";

import { InvalidInput, Tensor } from "./sdk/belljar-guest/index.js";
import { infer, lifecycle } from "./model.js";

before(() => lifecycle.load());

const scores = (rows) => infer({ x: Tensor.of("FP32", [rows.length, 3], rows.flat()) }).probability.values;

test("rows are scored", () => {
  const [first, second] = scores([[1, 2, 3], [0, 0, 0]]);
  assert.ok(Math.abs(first - 0.98369747) < 1e-6, `${first}`);
  assert.ok(Math.abs(second - 0.52497919) < 1e-6, `${second}`);
});

test("no rows are the caller's fault", () => {
  assert.throws(() => scores([]), InvalidInput);
});
