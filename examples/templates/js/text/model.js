// Goes on with a text, word by word, as the words in assets/words.txt follow one another.
import { InvalidInput, assets, defineLoad, defineText } from "./sdk/belljar-guest/index.js";

// What `load` leaves here is where each request starts: the words that follow each word.
const followers = new Map();

export const lifecycle = defineLoad(() => {
  const words = assets.text("words.txt").split(/\s+/).filter(Boolean);
  words.forEach((word, i) => {
    if (!followers.has(word)) followers.set(word, []);
    followers.get(word).push(words[(i + 1) % words.length]);
  });
});

export function* goOn(request) {
  let word = request.lastUserText.split(/\s+/).filter(Boolean).at(-1);
  if (!word) throw new InvalidInput("say something first");
  // Equal requests with equal seeds get equal answers.
  let state = Number(BigInt.asUintN(32, BigInt(request.seed ?? 0)));
  do {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const choices = followers.get(word) ?? [...followers.keys()];
    word = choices[(state >>> 8) % choices.length];
    // Each piece is on its way before the next one is asked for.
    yield word + " ";
  } while (!word.endsWith("."));
}

export const text = defineText(goOn);
