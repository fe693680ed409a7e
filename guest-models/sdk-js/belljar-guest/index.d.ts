// The types of belljar-guest, for editors and for models in TypeScript.

export type Datatype =
  | "BOOL" | "UINT8" | "UINT16" | "UINT32" | "UINT64" | "INT8" | "INT16" | "INT32" | "INT64"
  | "FP16" | "BF16" | "FP32" | "FP64" | "BYTES";

export type Numbers =
  | Uint8Array | Uint16Array | Uint32Array | BigUint64Array
  | Int8Array | Int16Array | Int32Array | BigInt64Array | Float32Array | Float64Array;

/** The request is wrong and will stay wrong (HTTP 400). */
export class InvalidInput extends Error {}
/** The request is sound, and this model does not do such a thing (HTTP 400). */
export class Unsupported extends Error {}
/** The model's own fault (HTTP 502). */
export class Failed extends Error {}

export class Tensor {
  name: string;
  datatype: Datatype;
  shape: number[];
  /** Little-endian elements, row by row. */
  data: Uint8Array;
  constructor(datatype: Datatype, shape: Iterable<number | bigint>, data: Uint8Array, name?: string);
  static of(datatype: Datatype, shape: Iterable<number | bigint>, values: Iterable<unknown>, name?: string): Tensor;
  like(values: Iterable<unknown>): Tensor;
  get values(): any;
  get rows(): number;
  row(index: number): any;
}

export namespace assets {
  function names(): string[];
  function size(name: string): number;
  function read(name: string): Uint8Array;
  function text(name: string): string;
  function numbers(datatype: Datatype, name: string): any;
}

export namespace log {
  function trace(message: unknown): void;
  function debug(message: unknown): void;
  function info(message: unknown): void;
  function warn(message: unknown): void;
  function error(message: unknown): void;
}

export type Described = Record<string, [Datatype, number[]]>;
export interface TensorContext {
  parameters: Record<string, boolean | bigint | number | string>;
  outputs: string[];
  wants(output: string): boolean;
}

export interface Message {
  role: "system" | "developer" | "user" | "assistant" | "tool";
  text: string;
  raw: any;
}

export interface TextRequest {
  messages: Message[];
  tokens?: Uint32Array;
  maxTokens: number;
  stop: string[];
  seed?: bigint;
  temperature?: number;
  topP?: number;
  choice: number;
  parameters: Record<string, boolean | bigint | number | string>;
  raw: any;
  get lastUserText(): string;
}

export type Piece =
  | string
  | { text: string; tokens?: number[]; afterUs?: number }
  | { reasoning: string; afterUs?: number }
  | { refusal: string; afterUs?: number }
  | { toolCall: { index?: number; id?: string; name?: string; arguments?: string }; afterUs?: number }
  | { finish: "stop" | "length" | "tool_calls" | "content_filter"; afterUs?: number };

export type Vectors = Iterable<number>[];

export function defineLoad(load: () => void): { load(): void };
/** The function gets the inputs that are declared; any, where none are. */
export function defineTensors<Inputs extends Described = Described>(
  described: { inputs?: Inputs; outputs?: Described },
  infer: (inputs: { [name in keyof Inputs]: Tensor }, context: TensorContext) => Tensor | Tensor[] | Record<string, Tensor>,
): { metadata(): any; infer(request: any): any };
export function defineText(write: (request: TextRequest) => Iterable<Piece>): { start(request: any): any; Generation: any };
export function defineEmbeddings(
  embed: (texts: string[], dimensions?: number) => Vectors | { vectors: Vectors; tokens?: number },
): { embed(inputs: any, dimensions?: number): any };
