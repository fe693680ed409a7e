// Models that make vectors of texts.

import { Failed, Unsupported, calling } from "./errors.js";

/** Makes `embeddings` of a function that takes a list of texts, and the length of the vectors that
 * the caller wants or undefined, and gives a vector for each text: a list of them, or an object with
 * `vectors` and `tokens`, how many the texts have. */
export function defineEmbeddings(embed) {
  if (typeof embed !== "function") throw new TypeError("defineEmbeddings takes a function");
  return {
    embed: (inputs, dimensions) =>
      calling(() => {
        if (inputs.some((input) => input.tag !== "text")) {
          throw new Unsupported("this model takes texts, not token ids");
        }
        const texts = inputs.map((input) => input.val);
        const given = embed(texts, dimensions ?? undefined);
        const vectors = Array.isArray(given) ? given : given?.vectors;
        if (!Array.isArray(vectors) || vectors.length !== texts.length) {
          throw new Failed(
            `the function given to defineEmbeddings gives a list of vectors, one for each of the ${texts.length} texts`,
          );
        }
        const words = texts.reduce((sum, text) => sum + text.split(/\s+/).filter(Boolean).length, 0);
        return {
          vectors: vectors.map((vector) => Float32Array.from(vector)),
          promptTokens: given.tokens ?? words,
        };
      }),
  };
}
