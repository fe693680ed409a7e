// The model's own files: those in the folder `assets` of its project, by their names there. The
// place to read them is `load`: what is read there is paid for once.

import * as host from "belljar:model/assets@0.1.0";

import { Failed } from "./errors.js";
import { isSource } from "./source.js";
import { viewOf } from "./tensors.js";

// How much is asked for at a time. The host gives at most 16 MiB; less keeps what is in memory at
// once close to the size of the asset.
const PIECE_BYTES = 1 << 20;

/** The names of all assets, in the byte order of their names. */
export function names() {
  return host.list().filter((name) => !isSource(name));
}

/** The size of an asset in bytes. Throws `Failed` where there is no asset of that name. */
export function size(name) {
  const size = host.size(name);
  if (size === undefined || size === null) throw new Failed(missing(name));
  return Number(size);
}

/** A whole asset. Throws `Failed` where there is no asset of that name. */
export function read(name) {
  const whole = new Uint8Array(size(name));
  for (let offset = 0; offset < whole.length; ) {
    const wanted = Math.min(PIECE_BYTES, whole.length - offset);
    const piece = host.read(name, BigInt(offset), BigInt(wanted));
    if (!piece?.length) throw new Failed(`asset \`${name}\` ends at ${offset} of ${whole.length} bytes`);
    whole.set(piece, offset);
    offset += piece.length;
  }
  return whole;
}

/** A whole asset of UTF-8 text. */
export function text(name) {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(read(name));
  } catch (error) {
    if (error instanceof Failed) throw error;
    throw new Failed(`asset \`${name}\` is not UTF-8`);
  }
}

/** A whole asset of little-endian numbers, as the typed array of a datatype. */
export function numbers(datatype, name) {
  return viewOf(datatype, read(name), `asset \`${name}\``);
}

function missing(name) {
  const there = names().slice(0, 8).map((other) => `\`${other}\``).join(", ") || "none";
  const hint = name.startsWith("assets/") ? "; names are relative to the folder assets" : "";
  return `there is no asset \`${name}\` in this bundle; there are: ${there}${hint}`;
}
