// Why a call gave no result, and whose fault that is.

/** What has its place in the contract, and is told without the lines that led there. */
export class ModelError extends Error {}

/** The request is wrong and will stay wrong; the caller reads the text (HTTP 400). */
export class InvalidInput extends ModelError {
  tag = "invalid-input";
}

/** The request is sound, and this model does not do such a thing; the caller reads the text
 * (HTTP 400). */
export class Unsupported extends ModelError {
  tag = "unsupported";
}

/** The model's own fault; the text goes to the server's log and the caller does not see it
 * (HTTP 502). */
export class Failed extends ModelError {
  tag = "failed";
}

/** Runs a function of the author's. What it throws becomes an error of the contract: any exception
 * that is none of the three above is the model's fault, and is told with the lines that led there. */
export function calling(work) {
  try {
    return work();
  } catch (error) {
    if (error instanceof ModelError) throw { tag: error.tag, val: error.message };
    const told = error instanceof Error ? `${error}\n${error.stack ?? ""}`.trim() : String(error);
    throw { tag: "failed", val: `an exception in JavaScript: ${told}` };
  }
}

/** Runs a `load`. One that is async would be left half done: nothing waits for it. */
export function readied(load) {
  if (typeof load()?.then === "function") {
    throw new Failed("the function given to defineLoad is async, and nothing waits for it: write it without async");
  }
}
