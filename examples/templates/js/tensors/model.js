// Scores rows of three numbers with the weights in assets/weights.bin.
import { InvalidInput, Failed, Tensor, assets, defineLoad, defineTensors } from "./sdk/belljar-guest/index.js";

const COLUMNS = 3;

// What `load` leaves here is where each request starts: the weights, and a bias after them.
let weights;

export const lifecycle = defineLoad(() => {
  weights = assets.numbers("FP32", "weights.bin");
  if (weights.length !== COLUMNS + 1) {
    throw new Failed(`weights.bin has ${weights.length} numbers, and not ${COLUMNS} and a bias`);
  }
});

export function infer({ x }) {
  if (x.rows === 0) throw new InvalidInput("`x` has no rows");
  const values = x.values;
  const scores = new Float32Array(x.rows);
  for (let row = 0; row < x.rows; row++) {
    let total = weights[COLUMNS];
    for (let column = 0; column < COLUMNS; column++) total += weights[column] * values[row * COLUMNS + column];
    scores[row] = 1 / (1 + Math.exp(-total));
  }
  return { probability: Tensor.of("FP32", [x.rows], scores) };
}

export const tensors = defineTensors(
  { inputs: { x: ["FP32", [-1, COLUMNS]] }, outputs: { probability: ["FP32", [-1]] } },
  infer,
);
