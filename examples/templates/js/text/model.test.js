// Tests of the model, without a server: `npm test`.
import assert from "node:assert/strict";
import { before, test } from "node:test";

import { InvalidInput } from "./sdk/belljar-guest/index.js";
import { goOn, lifecycle } from "./model.js";

before(() => lifecycle.load());

const answer = (lastUserText, seed) => [...goOn({ lastUserText, seed })].join("");

test("a seed gives one text", () => {
  assert.equal(answer("the bell", 7n), "rings under the bell is new. ");
  assert.equal(answer("the bell", 7n), answer("the bell", 7n));
});

test("nothing said is the caller's fault", () => {
  assert.throws(() => answer(" "), InvalidInput);
});
