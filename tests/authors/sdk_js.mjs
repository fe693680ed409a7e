// The SDK for JavaScript as it is tested in node: what models and their tests stand on, and what a
// base runs models with. Run with `node --import guest-models/sdk-js/belljar-guest/node.mjs --test`,
// and with NODE_PATH at the packages of `types/`.
import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire, register } from "node:module";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

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

test("a load that is async is told", () => {
  const { load } = whole.defineLoad(async () => {});
  assert.match(caught(load).val, /^the function given to defineLoad is async, .*: write it without async$/);
  assert.equal(whole.defineLoad(() => 3).load(), undefined);
});

test("a model has no network, and a test has one", async () => {
  const { withoutNetwork } = await import(new URL("network.js", sdk));
  const scope = { fetch };
  withoutNetwork(scope);
  assert.match(caught(() => scope.fetch("http://localhost")).message, /^fetch is not there: a model has no network/);
  assert.match(String(fetch), /function fetch|async fetch/);
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

// What a base imports from npm, and what its engine has and an older node has not.
const require = createRequire(import.meta.url);
const sucrase = pathToFileURL(require.resolve("sucrase")).href;
const hooks = `export const resolve = (specifier, context, next) =>
  next(specifier === "sucrase" ? ${JSON.stringify(sucrase)} : specifier, context);`;
register(`data:text/javascript,${encodeURIComponent(hooks)}`);
ArrayBuffer.prototype.transfer ??= (length) => new ArrayBuffer(length);

// A base that finds these files, as it is before `load`. The model's kind is text unless it is told.
let bases = 0;
async function base(files, kind = "text") {
  rmSync(join(folder, "assets", "source"), { recursive: true, force: true });
  for (const [path, source] of Object.entries(files)) {
    const file = join(folder, "assets", "source", path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, source);
  }
  return import(`${new URL(`../base/${kind}.js`, sdk)}?${++bases}`);
}

async function loaded(files, kind) {
  const made = await base(files, kind);
  made.lifecycle.load();
  return made;
}

async function refusal(files, kind) {
  const made = await base(files, kind);
  const { tag, val } = caught(() => made.lifecycle.load());
  assert.equal(tag, "failed");
  return val;
}

const asked = { prompt: { tag: "tokens", val: [] }, maxTokens: 99, stop: [], sampling: {}, choice: 0, parameters: [] };
const answer = ({ text }) => text.start(asked).next(99).flatMap(({ content }) => content.val?.text ?? []).join("");

test("a base by itself loads, and refuses what it is asked", async () => {
  const text = await loaded({});
  const { val } = caught(() => text.text.start(asked));
  assert.match(val, /^this is a base/);
  const embeddings = await loaded({}, "embeddings");
  assert.deepEqual(caught(() => embeddings.embeddings.embed([])), { tag: "unsupported", val });
  const { tensors } = await loaded({}, "tensors");
  assert.deepEqual(tensors.metadata(), { inputs: [], outputs: [] });
  assert.deepEqual(caught(() => tensors.infer(request())), { tag: "unsupported", val });
});

test("the model of each template runs on a base", async () => {
  const templates = new URL("../../examples/templates/", import.meta.url);
  const source = (kind) => readFileSync(new URL(`js/${kind}/model.js`, templates), "utf8");
  for (const file of ["tensors/assets/weights.bin", "text/assets/words.txt", "embeddings/assets/words.vec"]) {
    copyFileSync(new URL(`shared/${file}`, templates), join(folder, "assets", basename(file)));
  }
  const { text } = await loaded({ "model.js": source("text") });
  const prompt = { tag: "text", val: { text: "the bell" } };
  assert.equal(text.start({ ...asked, prompt }).next(1)[0].content.val.text, "is ");
  const { embeddings } = await loaded({ "model.js": source("embeddings") }, "embeddings");
  assert.equal(embeddings.embed([{ tag: "text", val: "the bell" }]).vectors.length, 1);
  const { tensors } = await loaded({ "model.js": source("tensors") }, "tensors");
  assert.deepEqual(tensors.metadata().inputs.map(({ name }) => name), ["x"]);
  assert.match(caught(() => tensors.infer({ ...request(), inputs: [{ ...x, shape: [0n] }] })).val, /no rows/);
});

test("modules are found by their paths, and run once each", async () => {
  const model = await loaded({
    "model.js": `
      import { defineText } from "./sdk/belljar-guest/index.js";
      import said, { hello as greeting, again } from "./lib";
      import * as words from "./lib/words.mjs";
      import "./lib/words";
      export * from "./lib/words.mjs";
      export const text = defineText(() => [said(), greeting, words.count, again, words.later()]);`,
    "lib/index.js": `
      import { count } from "./words.mjs";
      export { count as again } from "./words.mjs";
      export const hello = "hello ";
      export default () => "I said ";`,
    "lib/words.mjs": `
      import { text } from "../model.js";
      import { Failed } from "../sdk/belljar-guest/index.js";
      import { assets } from "belljar-guest";
      globalThis.timesRun = (globalThis.timesRun ?? 0) + 1;
      export let count = "0";
      count = String(globalThis.timesRun);
      const isData = (name) => !name.startsWith("source/");
      export const later = () => (text && Failed && assets.names().every(isData) ? "." : "?");`,
  });
  assert.equal(answer(model), "I said hello 11.");
});

test("modules can be asked what they have", async () => {
  const model = await loaded({
    "model.js": `
      import * as guest from "belljar-guest";
      import * as words from "./words.js";
      import common from "./common.js";
      import("belljar-guest").then(({ defineText }) => (globalThis.isAwaited = Boolean(defineText)));
      export * from "belljar-guest";
      export const text = guest.defineText(() => [
        [words.none, "none" in guest, Object.keys({ ...words }), guest.toString(), common].join(),
      ]);`,
    "words.js": "export const said = 3;",
    "common.js": "module.exports = 'c';",
  });
  assert.equal(answer(model), ",false,said,[object Object],c");
  await null;
  assert.equal(globalThis.isAwaited, true);
});

test("TypeScript runs, and its modules have the endings of either language", async () => {
  const model = await loaded({
    "model.ts": `
      import { defineText } from "./sdk/belljar-guest/index.js";
      import type { TextRequest } from "./sdk/belljar-guest/index.js";
      import type { Nowhere } from "./types";
      import { Size, label } from "./lib/size.js";
      import { end } from "./lib/end.ts";
      function* write(request: TextRequest): Generator<string> {
        const sizes: Size[] = [Size.Small, <Size>1];
        yield* sizes.map((size) => label(size)!);
        yield end satisfies string;
      }
      export const text = defineText(write);`,
    "lib/size.ts": `
      export enum Size { Small, Large }
      export abstract class Named { constructor(readonly name: string) {} }
      class Label extends Named {}
      export const label = (size: Size): string | undefined => new Label(Size[size] as string).name;`,
    "lib/end.ts": "export const end: string = '.';",
  });
  assert.equal(answer(model), "SmallLarge.");
});

test("what is wrong with a model is told with its place", async () => {
  const text =
    'import { Failed, defineLoad, defineText } from "belljar-guest";\nexport const text = defineText(() => []);\n';
  const cases = [
    [{ "model.js": "const a = 1;\n\n  let x = = 3;\n" }, /^model\.js:3:11: Unexpected token: let x = = 3;$/],
    [{ "model.js": "import './lib/a.js'", "lib/a.js": "let a;\nlet a;" }, /^lib\/a\.js.*: .*\ba\b.*declar/],
    [
      { "model.js": `${text}import pad from "left-pad";` },
      /^model\.js:3: "left-pad" is imported, and is not there: .*beside model\.js.*"\.\/left-pad\.js"$/,
    ],
    [{ "model.js": `${text}import "node:fs";` }, /^model\.js:3: "node:fs" is imported, .*of node; .*its own files by/],
    [{ "model.js": `${text}import "fs/promises";` }, /: it is a module of node; .*its own files by/],
    [{ "model.js": `${text}import "https://a/b.js";` }, /and is not there: a model that is source imports belljar-guest,/],
    [
      { "model.js": `${text}import words from "./assets/some/words.json";` },
      /: only files that end in \.js, .* read it with JSON\.parse\(assets\.text\("some\/words\.json"\)\)$/,
    ],
    [{ "model.js": `${text}import "./words.bin";` }, /: only files .* read it with assets\.read\("words\.bin"\)$/],
    [{ "model.js": `${text}import "./lib/pad.cjs";` }, /: only files that end in \.js, .*: rename it$/],
    [{ "model.js": `${text}import "./helper.test.js";` }, /: tests are not pushed .*: give it another name$/],
    [{ "model.js": `${text}import "./tests/helper.js";` }, /: tests are not pushed .*the folders assets, tests, sdk/],
    [
      { "model.js": 'import "./lib/a";', "lib/a.js": "\nimport '../../lib/b.js'" },
      /^lib\/a\.js:2: "\.\.\/\.\.\/lib\/b\.js" is imported, and is not there: there are: lib\/a\.js, model\.js$/,
    ],
    [{ "model.js": 'import { f } from "./f.js";\n\nf();', "f.js": "\n\nexport const f = () => none.such;" },
      /^f\.js:3: ReferenceError: none is not defined, from model\.js:3$/],
    [
      { "model.js": `${text}export const lifecycle = defineLoad(() => {\n  null.x;\n});` },
      /^model\.js:4: TypeError: /,
    ],
    [{ "model.js": `${text}export const lifecycle = { load() { throw "a text"; } };` }, /: a text$/],
    [
      { "model.js": `${text}export const lifecycle = defineLoad(() => { throw new Failed("no words"); });` },
      /^no words$/,
    ],
    [{ "model.js": `${text}export const lifecycle = () => {};` }, /^`lifecycle` of model\.js is something else/],
    [{ "model.js": "export const text = { start: () => 3 };" }, /^`text` of model\.js is something else/],
    [{ "model.js": "export const embeddings = 3;" }, /base is of text, and model\.js has no .*; it has `embeddings`/],
    [{ "model.js": "export default 3;" }, /model\.js has no `export const text = defineText\(…\)`; write it$/],
    // Where an arrow begins, sucrase tells of what is wrong in the function.
    [
      { "model.js": `${text}export const lifecycle = defineLoad(() => {\n  [].map((x) => {\n    f(;\n  });\n});` },
      /^model\.js:5:7: Unexpected token: f\(;$/,
    ],
    [{ "model.ts": `${text}const f = (a: number) => {\n  let x = = 3;\n};` }, /^model\.ts:4:11: Unexpected token: let x/],
    [{ "model.js": `${text}const f = () => {\n` }, /^model\.js:4:1: Unexpected end of the file$/],
    [
      { "model.js": `${text}const f = () => {\n  let x: number = 3;\n};` },
      /^model\.js:4:8: .*expected ";" \(in TypeScript it would be right: rename it to model\.ts\): let x: number/,
    ],
    [
      { "model.js": `${text}export const lifecycle = defineLoad(async () => {});` },
      /^the function given to defineLoad is async/,
    ],
    [
      { "model.js": 'import { Fails } from "belljar-guest";\n\nnew Fails();' },
      /^model\.js:3: TypeError: belljar-guest exports no `Fails`: it has .*`Failed`, .*`defineText`/,
    ],
    [
      { "model.js": 'import guest from "belljar-guest";\nguest.text;' },
      /^model\.js:2: TypeError: belljar-guest has no default export: it has .*`assets`/,
    ],
    [
      { "model.js": 'import words from "./words.js";\nwords();', "words.js": "export const said = 3;" },
      /^model\.js:2: TypeError: words\.js has no default export: it has `said`$/,
    ],
    [{ "main.js": text }, /^there is no model\.js and no model\.ts among the source; there are: main\.js$/],
    [{ "model.js": text, "model.ts": text }, /^there are model\.js and model\.ts/],
  ];
  for (const [files, expected] of cases) assert.match(await refusal(files), expected);
});

test("a base's project has the package that these tests have", () => {
  const template = new URL("../../examples/templates/js/base/package.json", import.meta.url);
  const { devDependencies } = JSON.parse(readFileSync(template, "utf8"));
  assert.equal(devDependencies.sucrase, require("sucrase/package.json").version);
});
