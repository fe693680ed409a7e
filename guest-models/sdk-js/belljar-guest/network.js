// The network, which no model has.

/** Puts a function that says so in the place of `fetch`: the engine has that one, and what it would
 * call is not in the component, so that a call ends the run as a trap. */
export function withoutNetwork(scope) {
  scope.fetch = () => {
    throw new TypeError("fetch is not there: a model has no network; what it reads are its assets");
  };
}
