// Makes a vector of a text: the mean of its words' vectors, which are in assets/words.vec.
import { Failed, Unsupported, assets, defineEmbeddings, defineLoad } from "./sdk/belljar-guest/index.js";

// What `load` leaves here is where each request starts: the vector of each word.
const vectors = new Map();
let length;

export const lifecycle = defineLoad(() => {
  for (const line of assets.text("words.vec").split("\n").filter(Boolean)) {
    const [word, ...numbers] = line.split(" ");
    length ??= numbers.length;
    if (numbers.length !== length) throw new Failed("words.vec has vectors of different lengths");
    vectors.set(word, Float32Array.from(numbers, Number));
  }
});

export function embed(texts, dimensions) {
  if (dimensions !== undefined && dimensions !== length) {
    throw new Unsupported(`vectors of this model have ${length} numbers`);
  }
  return texts.map((text) => mean(text.toLowerCase().split(/\s+/)));
}

// The mean of the words' vectors, of length 1; words that are not known count for nothing.
function mean(words) {
  const total = new Float32Array(length);
  for (const word of words) {
    vectors.get(word)?.forEach((number, place) => {
      total[place] += number;
    });
  }
  const norm = Math.hypot(...total) || 1;
  return total.map((number) => number / norm);
}

export const embeddings = defineEmbeddings(embed);
