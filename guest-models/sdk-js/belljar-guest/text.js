// Models that write text.

import { Failed, calling } from "./errors.js";

const REASONS = { stop: "stop", length: "length", tool_calls: "tool-calls", content_filter: "content-filter" };

/** Makes `text` of a function that takes a request and gives the pieces of an answer: a generator
 * streams by itself, since the host asks for each.
 *
 * A piece is a text, or an object with one of `text` (and `tokens`, ids), `reasoning`, `refusal`,
 * `toolCall` ({ index, id, name, arguments }) and `finish` (`stop`, `length`, `tool_calls`,
 * `content_filter`). With `afterUs` the host hands it to the caller that many microseconds after the
 * piece before it; the model does not wait.
 *
 * The request has `messages` (role, text, raw), `lastUserText`, `maxTokens`, `stop`, `seed`,
 * `temperature`, `topP`, `choice`, `parameters` by name, and `raw`, the request as the contract has
 * it. */
export function defineText(write) {
  if (typeof write !== "function") throw new TypeError("defineText takes a function");
  return {
    Generation,
    start: (raw) =>
      calling(() => {
        const request = new Request(raw);
        const pieces = write(request);
        const iterator = pieces?.[Symbol.iterator]?.();
        if (!iterator || typeof pieces === "string") {
          throw new Failed("the function given to defineText yields texts: write function* (request)");
        }
        const generation = new Generation();
        generation.begin(iterator, request);
        return generation;
      }),
  };
}

class Request {
  constructor(raw) {
    const prompt = raw.prompt;
    this.raw = raw;
    this.messages =
      prompt.tag === "messages"
        ? prompt.val.map((message) => ({ role: message.role, text: textOf(message), raw: message }))
        : prompt.tag === "text"
          ? [{ role: "user", text: prompt.val.text, raw: undefined }]
          : [];
    this.tokens = prompt.tag === "tokens" ? prompt.val : undefined;
    this.maxTokens = raw.maxTokens;
    this.stop = raw.stop;
    this.seed = raw.sampling.seed ?? undefined;
    this.temperature = raw.sampling.temperature ?? undefined;
    this.topP = raw.sampling.topP ?? undefined;
    this.choice = raw.choice;
    this.parameters = Object.fromEntries(raw.parameters.map((one) => [one.name, one.value.val]));
  }

  /** The text of the last message of the user; empty where there is none. */
  get lastUserText() {
    return this.messages.findLast((message) => message.role === "user")?.text ?? "";
  }
}

function textOf(message) {
  return message.content
    .filter((part) => part.tag === "text")
    .map((part) => part.val)
    .join("");
}

/** An answer in the making. Ends with `length` after as many tokens as the request allows, and with
 * `stop` where the generator ends without a reason. */
class Generation {
  #pieces;
  #maxTokens = 0;
  #made = [];
  #finished = false;
  #usage = { promptTokens: 0, completionTokens: 0, reasoningTokens: 0, cachedTokens: 0 };

  begin(pieces, request) {
    this.#pieces = pieces;
    this.#maxTokens = request.maxTokens;
    const words = request.messages.flatMap((message) => message.text.split(/\s+/).filter(Boolean));
    this.#usage.promptTokens = request.tokens?.length ?? words.length;
    // What the function refuses, it refuses before the answer has begun.
    this.#made = this.#make(1);
  }

  next(maxChunks) {
    return calling(() => {
      const made = this.#made;
      this.#made = [];
      return made.concat(this.#make(Math.max(maxChunks, 1) - made.length));
    });
  }

  usage() {
    return this.#usage;
  }

  #make(count) {
    const chunks = [];
    while (!this.#finished && chunks.length < count) {
      const { value, done } = this.#pieces.next();
      let { content, tokens, afterUs } = done ? FINISHED : chunkOf(value);
      if (this.#usage.completionTokens + tokens > this.#maxTokens) {
        content = { tag: "finish", val: "length" };
        tokens = 0;
      }
      this.#usage.completionTokens += tokens;
      if (content.tag === "reasoning") this.#usage.reasoningTokens += tokens;
      this.#finished = content.tag === "finish";
      chunks.push({ content, delayUs: BigInt(afterUs) });
    }
    return chunks;
  }
}

const FINISHED = { content: { tag: "finish", val: "stop" }, tokens: 0, afterUs: 0 };

function chunkOf(piece) {
  if (typeof piece === "string") piece = { text: piece };
  const afterUs = piece?.afterUs ?? 0;
  const one = (content, tokens = 1) => ({ content, tokens, afterUs });
  if (typeof piece?.text === "string") {
    const tokens = (piece.tokens ?? []).map((id) => ({
      id,
      bytes: new Uint8Array(),
      logprob: undefined,
      alternatives: [],
    }));
    return one({ tag: "text", val: { text: piece.text, tokens } }, Math.max(1, tokens.length));
  }
  if (typeof piece?.reasoning === "string") return one({ tag: "reasoning", val: piece.reasoning });
  if (typeof piece?.refusal === "string") return one({ tag: "refusal", val: piece.refusal });
  if (piece?.toolCall) {
    const { index = 0, id, name, arguments: text = "" } = piece.toolCall;
    return one({ tag: "tool-call", val: { index, id, name, arguments: text } });
  }
  if (Object.hasOwn(REASONS, piece?.finish ?? "")) return one({ tag: "finish", val: REASONS[piece.finish] }, 0);
  throw new Failed(
    "the function given to defineText yields texts, or objects with text, reasoning, refusal, " +
      "toolCall or finish",
  );
}
