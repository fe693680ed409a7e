// The SDK for JavaScript as it is tested in node: what models and their tests stand on. Run with
// `node --import guest-models/sdk-js/belljar-guest/node.mjs --test` in a folder with assets.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

const sdk = new URL("../../guest-models/sdk-js/belljar-guest/", import.meta.url);
const whole = await import(new URL("index.js", sdk));
const { Tensor, assets, defineEmbeddings, defineTensors, defineText } = whole;

const folder = mkdtempSync(join(tmpdir(), "belljar-sdk-"));
mkdirSync(join(folder, "assets"));
process.chdir(folder);

const caught = (work) => {
  try {
    work();
  } catch (error) {
    return error;
  }
  assert.fail("nothing was thrown");
};

test("each datatype comes back", () => {
  for (const datatype of ["UINT8", "UINT16", "UINT32", "INT8", "INT16", "INT32", "FP16", "BF16", "FP32", "FP64", "BOOL"]) {
    assert.deepEqual([...Tensor.of(datatype, [3], [1, 0, 1]).values], [1, 0, 1], datatype);
  }
  for (const datatype of ["UINT64", "INT64"]) {
    assert.deepEqual([...Tensor.of(datatype, [2], [1n, 2n ** 62n]).values], [1n, 2n ** 62n], datatype);
  }
  const texts = Tensor.of("BYTES", [2], ["cat", Uint8Array.of(255)]).values;
  assert.deepEqual(texts.map((one) => [...one]), [[99, 97, 116], [255]]);
});

test("halves are rounded to even", () => {
  const bits = (datatype, value) => new DataView(Tensor.of(datatype, [1], [value]).data.buffer).getUint16(0, true);
  for (const [value, fp16, bf16] of [
    [1, 0x3c00, 0x3f80],
    [-2.5, 0xc100, 0xc020],
    [1 + 2 ** -11, 0x3c00, 0x3f80],
    [1 + 3 * 2 ** -11, 0x3c02, 0x3f80],
    [1 + 3 * 2 ** -8, 0x3c0c, 0x3f82],
    [2 - 2 ** -12, 0x4000, 0x4000],
    [2 ** -24, 0x0001, 0x3380],
    [65520, 0x7c00, 0x4780],
    [-0, 0x8000, 0x8000],
    [Infinity, 0x7c00, 0x7f80],
  ]) {
    assert.equal(bits("FP16", value), fp16, `FP16 ${value}`);
    assert.equal(bits("BF16", value), bf16, `BF16 ${value}`);
  }
  assert.ok(Number.isNaN(Tensor.of("FP16", [1], [NaN]).values[0]));
});

test("numbers that do not begin at a multiple of their size are copied", () => {
  const bytes = new Uint8Array(9);
  new DataView(bytes.buffer).setFloat32(1, 2.5, true);
  assert.equal(new Tensor("FP32", [2], bytes.subarray(1)).values[0], 2.5);
});

test("byte strings that lie are the caller's fault", () => {
  for (const data of [[1], [5, 0, 0, 0, 1], [255, 255, 255, 255]]) {
    assert.equal(caught(() => new Tensor("BYTES", [1], Uint8Array.from(data)).values).tag, "invalid-input");
  }
});

const x = { name: "x", datatype: "fp32", shape: [1n], data: new Uint8Array(4) };
const request = (outputs = []) => ({ inputs: [x], outputs, parameters: [] });

test("inputs and outputs have names", () => {
  const one = (infer, outputs) => defineTensors({ outputs: { only: ["FP32", [1]] } }, infer).infer(request(outputs));
  assert.deepEqual(one(({ x }) => ({ a: x })).outputs.map((o) => o.name), ["a"]);
  assert.deepEqual(one(() => Tensor.of("FP32", [1], [1])).outputs.map((o) => o.name), ["only"]);
  const two = () => ({ a: Tensor.of("FP32", [1], [1]), b: Tensor.of("FP32", [1], [1]) });
  assert.deepEqual(one(two, ["b"]).outputs.map((o) => o.name), ["b"]);
  assert.deepEqual(caught(() => one(({ z }) => z)), {
    tag: "invalid-input",
    val: "there is no input `z`; the request has: `x`",
  });
  for (const wrong of [() => undefined, () => 3, () => [3], () => ({ a: 3 })]) {
    assert.match(caught(() => one(wrong)).val, /returns a Tensor/);
  }
  assert.throws(() => defineTensors({ inputs: { x: ["float32", [1]] } }, () => {}), /is no datatype/);
});

test("an exception is told with its language and the lines that led there", () => {
  const failed = caught(() => defineTensors({}, () => none.such()).infer(request()));
  assert.equal(failed.tag, "failed");
  assert.match(failed.val, /^an exception in JavaScript: ReferenceError: none is not defined\n[^]*sdk_js\.mjs:\d+/);
});

test("what the SDK has, its types have", () => {
  const types = readFileSync(new URL("index.d.ts", sdk), "utf8");
  const declared = [...types.matchAll(/^export (?:class|function|namespace) (\w+)/gm)].map(([, name]) => name);
  assert.deepEqual(declared.sort(), Object.keys(whole).sort());
});

const texts = (write, maxTokens = 10) =>
  defineText(write).start({
    prompt: { tag: "text", val: { text: "one two" } },
    maxTokens,
    stop: [],
    sampling: {},
    choice: 0,
    parameters: [],
  });

test("pieces are counted, and the end is told once", () => {
  const answer = texts(() => ["a", { reasoning: "hm" }, { text: "b", tokens: [1, 2] }]);
  assert.equal(answer.next(2).length, 2);
  assert.deepEqual(answer.next(9).map((chunk) => chunk.content.tag), ["text", "finish"]);
  assert.deepEqual(answer.next(9), []);
  assert.deepEqual(answer.usage(), { promptTokens: 2, completionTokens: 4, reasoningTokens: 1, cachedTokens: 0 });
});

test("the cap ends an answer that does not end, and no more is made than is asked for", () => {
  let made = 0;
  const answer = texts(function* () {
    for (;;) yield String(++made);
  }, 3);
  assert.equal(made, 1);
  answer.next(2);
  assert.equal(made, 2);
  const last = answer.next(100);
  assert.deepEqual(last.at(-1).content, { tag: "finish", val: "length" });
  assert.equal(last.length, 2);
});

test("what is no piece is told", () => {
  for (const wrong of [() => 3, () => "text", () => [3], () => [undefined]]) {
    assert.equal(caught(() => texts(wrong)).tag, "failed");
  }
});

test("a vector for each text", () => {
  const inputs = [{ tag: "text", val: "a b" }, { tag: "text", val: "c" }];
  const embed = (function_) => defineEmbeddings(function_).embed(inputs);
  assert.equal(embed((texts) => texts.map(() => [1, 2])).promptTokens, 3);
  assert.match(caught(() => embed(() => [[1]])).val, /for each of the 2 texts/);
  const tokens = defineEmbeddings(() => []);
  assert.equal(caught(() => tokens.embed([{ tag: "tokens", val: [1] }])).tag, "unsupported");
});

test("assets are read in pieces, and a missing one is named", () => {
  const big = Uint8Array.from({ length: 3 << 20 }, (_, i) => i % 251);
  writeFileSync(join(folder, "assets", "big"), big);
  assert.deepEqual(assets.read("big"), big);
  assert.match(caught(() => assets.read("assets/x")).message, /no asset `assets\/x`.*`big`.*relative/);
  assert.match(caught(() => assets.numbers("FP64", "odd")).message, /no asset `odd`/);
  writeFileSync(join(folder, "assets", "odd"), "12345");
  assert.match(caught(() => assets.numbers("FP64", "odd")).message, /no whole FP64/);
});
