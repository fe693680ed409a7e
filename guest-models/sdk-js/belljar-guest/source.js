// The files of a model that is pushed as source: assets, in a folder of their own.

import * as host from "belljar:model/assets@0.1.0";

const FOLDER = "source/";

// Where the model is a component itself, a folder of that name holds data.
let isBase = false;

/** Whether an asset is a file of the model's code, and no data. */
export function isSource(name) {
  return isBase && name.startsWith(FOLDER);
}

/** The assets that are code, by their paths. Those are no data from now on. */
export function sources() {
  isBase = true;
  return new Map(host.list().filter(isSource).map((name) => [name.slice(FOLDER.length), name]));
}
