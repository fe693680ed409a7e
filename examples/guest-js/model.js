// Scores rows of numbers with the weights in assets/weights.json.
import { read, size } from "belljar:model/assets@0.1.0";

// What `load` leaves here is where each request starts.
let model;

export const lifecycle = {
  load() {
    const bytes = read("weights.json", 0n, size("weights.json"));
    model = JSON.parse(new TextDecoder().decode(bytes));
  },
};

export const tensors = {
  metadata() {
    return {
      inputs: [{ name: "x", datatype: "fp32", shape: [-1n, 3n] }],
      outputs: [{ name: "probability", datatype: "fp32", shape: [-1n] }],
    };
  },

  infer({ inputs: [x] }) {
    const [rows, columns] = Array.from(x.shape, Number);
    if (rows === 0) throw { tag: "invalid-input", val: "`x` has no rows" };
    // A copy, because numbers have to begin at a multiple of their size.
    const values = new Float32Array(x.data.slice().buffer);
    const scores = new Float32Array(rows);
    for (let row = 0; row < rows; row++) {
      let sum = model.bias;
      for (let i = 0; i < columns; i++) sum += model.weights[i] * values[row * columns + i];
      scores[row] = 1 / (1 + Math.exp(-sum));
    }
    const data = new Uint8Array(scores.buffer);
    return {
      outputs: [{ name: "probability", datatype: "fp32", shape: [BigInt(rows)], data }],
      parameters: [],
    };
  },
};
