// A model in TypeScript that uses each type of the SDK: it is compiled, and never run.
import {
  Failed,
  InvalidInput,
  Tensor,
  Unsupported,
  assets,
  defineEmbeddings,
  defineLoad,
  defineTensors,
  defineText,
  log,
} from "./sdk/belljar-guest/index.js";
import type { Datatype, Described, Message, Numbers, Piece, TensorContext, TextRequest, Vectors } from "./sdk/belljar-guest/index.js";

const inputs: Described = { x: ["FP32", [-1, 3]] };
let weights: Numbers = new Float32Array();

export const lifecycle = defineLoad(() => {
  weights = assets.numbers("FP32", "weights.bin");
  const [first] = assets.names();
  if (!first || assets.size(first) !== assets.read(first).length) throw new Failed(assets.text("words.txt"));
});

export const tensors = defineTensors({ inputs, outputs: { y: ["FP32", [-1]] } }, infer);

function infer({ x }: Record<string, Tensor>, { parameters, outputs, wants }: TensorContext): Record<string, Tensor> {
  if (x.rows === 0 || x.shape.length !== 2) throw new InvalidInput("`x` has no rows");
  const datatype: Datatype = x.datatype;
  if (datatype !== "FP32" || parameters.exact === true) throw new Unsupported(outputs.join());
  log.info(wants("y"));
  return { y: Tensor.of("FP32", [x.rows], weights as Float32Array), z: x.like(x.row(0)) };
}

// A tensor and a list of them are answers, too.
defineTensors({}, ({ x }) => new Tensor("UINT8", [1], x.data, "y"));
defineTensors({ inputs }, ({ x }) => [x]);

export const text = defineText(function* (request: TextRequest): Generator<Piece> {
  const said: Message[] = request.messages;
  const words = request.lastUserText.split(" ").slice(0, Math.min(request.maxTokens, said.length));
  yield* words;
  yield { text: String(request.seed ?? request.temperature ?? request.choice), tokens: [1, 2], afterUs: 500 };
  yield { reasoning: "as asked" };
  yield { toolCall: { id: "1", name: "look", arguments: "{}" } };
  yield { finish: "stop" };
});

// What a list has, a function need not generate.
defineText(() => ["one", { refusal: "two" }]);

export const embeddings = defineEmbeddings((texts: string[], dimensions?: number): Vectors =>
  texts.map((one) => new Float32Array(dimensions ?? one.length)),
);
defineEmbeddings((texts) => ({ vectors: texts.map(() => [1, 2]), tokens: texts.length }));

// What the SDK does not take, its types do not, either.
// @ts-expect-error: no datatype
defineTensors({ inputs: { x: ["float32", [1]] } }, ({ x }) => x);
// @ts-expect-error: no such input
defineTensors({ inputs: { x: ["FP32", [1]] } }, ({ y }) => y);
// @ts-expect-error: no tensor
defineTensors({ inputs }, () => 3);
// @ts-expect-error: no piece
defineText(() => [3]);
// @ts-expect-error: no list of vectors
defineEmbeddings((texts) => texts);
// @ts-expect-error: no reason of an end
export const end: Piece = { finish: "done" };
