// Tensors, and models over them.

import { Failed, InvalidInput, calling } from "./errors.js";

// The datatypes of the Open Inference Protocol: their name in the contract, and the typed array of
// their elements where JavaScript has one.
const DATATYPES = {
  BOOL: ["boolean", Uint8Array],
  UINT8: ["uint8", Uint8Array],
  UINT16: ["uint16", Uint16Array],
  UINT32: ["uint32", Uint32Array],
  UINT64: ["uint64", BigUint64Array],
  INT8: ["int8", Int8Array],
  INT16: ["int16", Int16Array],
  INT32: ["int32", Int32Array],
  INT64: ["int64", BigInt64Array],
  FP16: ["fp16", null],
  BF16: ["bf16", null],
  FP32: ["fp32", Float32Array],
  FP64: ["fp64", Float64Array],
  BYTES: ["bytes", null],
};
const NAMES = Object.fromEntries(
  Object.entries(DATATYPES).map(([name, [contract]]) => [contract, name]),
);

function known(datatype) {
  if (!Object.hasOwn(DATATYPES, datatype)) {
    throw new Failed(`\`${datatype}\` is no datatype: there are ${Object.keys(DATATYPES).join(", ")}`);
  }
  return DATATYPES[datatype];
}

/** Bytes as the elements of a datatype: a view, or a copy where numbers would not begin at a
 * multiple of their size. */
export function viewOf(datatype, data, called = "the data") {
  const elements = known(datatype)[1];
  if (!elements) throw new Failed(`${datatype} has no typed array`);
  const bytes = elements.BYTES_PER_ELEMENT;
  if (data.byteLength % bytes) {
    throw new Failed(`${called} has ${data.byteLength} bytes, which are no whole ${datatype}`);
  }
  const aligned = data.byteOffset % bytes ? data.slice() : data;
  return new elements(aligned.buffer, aligned.byteOffset, aligned.byteLength / bytes);
}

/** A tensor: `name`, `datatype`, `shape`, and `data`, its little-endian elements row by row. */
export class Tensor {
  constructor(datatype, shape, data, name = "") {
    known(datatype);
    this.name = name;
    this.datatype = datatype;
    this.shape = Array.from(shape, Number);
    this.data = data;
  }

  /** A tensor of numbers, booleans, or (BYTES) texts and Uint8Arrays, row by row. */
  static of(datatype, shape, values, name = "") {
    return new Tensor(datatype, shape, encode(datatype, values), name);
  }

  /** A tensor of the same datatype and shape with other values. */
  like(values) {
    return Tensor.of(this.datatype, this.shape, values, this.name);
  }

  /** The elements in a row: a typed array where there is one for the datatype, numbers for FP16 and
   * BF16, and Uint8Arrays for BYTES. */
  get values() {
    if (this.datatype === "BYTES") return byteStrings(this.name, this.data);
    if (this.datatype === "FP16") return Array.from(viewOf("UINT16", this.data), fromFp16);
    if (this.datatype === "BF16") return Array.from(viewOf("UINT16", this.data), fromBf16);
    return viewOf(this.datatype, this.data, `tensor \`${this.name}\``);
  }

  /** The first dimension; 1 for a scalar. */
  get rows() {
    return this.shape[0] ?? 1;
  }

  /** The elements of one row: of one index of the first dimension. */
  row(index) {
    const width = this.shape.slice(1).reduce((product, dimension) => product * dimension, 1);
    return this.values.slice(index * width, (index + 1) * width);
  }
}

/** Makes `tensors` of what the model takes and gives, and of a function of the inputs by name and
 * of the request's other parts, which gives tensors by name, a list of them, or one.
 *
 * A dimension of any size is -1. Where inputs are declared, requests that do not fit them never
 * reach the function; without, it takes any. */
export function defineTensors({ inputs = {}, outputs = {} } = {}, infer) {
  if (typeof infer !== "function") throw new TypeError("defineTensors takes a description, and a function");
  const infos = (which, described) =>
    Object.entries(described).map(([name, info]) => {
      if (!Array.isArray(info) || !Array.isArray(info[1])) {
        throw new TypeError(`${which}.${name} is a datatype and a shape, such as ["FP32", [-1, 3]]`);
      }
      return { name, datatype: known(info[0])[0], shape: BigInt64Array.from(info[1], BigInt) };
    });
  const metadata = { inputs: infos("inputs", inputs), outputs: infos("outputs", outputs) };
  return {
    metadata: () => metadata,
    infer: (request) => calling(() => answer(request, infer, metadata.outputs)),
  };
}

function answer(request, infer, declared) {
  const there = request.inputs.map(
    (one) => [one.name, new Tensor(NAMES[one.datatype], one.shape, one.data, one.name)],
  );
  const parameters = Object.fromEntries(request.parameters.map((one) => [one.name, one.value.val]));
  const wants = (name) => !request.outputs.length || request.outputs.includes(name);
  const given = infer(named(there), { parameters, outputs: request.outputs, wants });
  let tensors = given instanceof Tensor ? [given] : given;
  if (tensors !== null && typeof tensors === "object" && !Array.isArray(tensors)) {
    tensors = Object.entries(tensors).map(([name, tensor]) => {
      if (tensor instanceof Tensor) tensor.name = name;
      return tensor;
    });
  }
  if (!Array.isArray(tensors) || !tensors.every((one) => one instanceof Tensor)) {
    throw new Failed(
      "the function given to defineTensors returns a Tensor, a list of them, or an object of them " +
        "by name; Tensor.of(datatype, shape, values) makes one",
    );
  }
  // A name can be left out where there is only one.
  if (tensors.length === 1 && !tensors[0].name && declared.length === 1) tensors[0].name = declared[0].name;
  return {
    outputs: tensors
      .filter((one) => wants(one.name))
      .map((one) => ({
        name: one.name,
        datatype: known(one.datatype)[0],
        shape: BigUint64Array.from(one.shape, BigInt),
        data: one.data,
      })),
    parameters: [],
  };
}

// Inputs by name: a name that is not there is the caller's fault and no `undefined`.
function named(inputs) {
  const names = inputs.map(([name]) => `\`${name}\``).join(", ") || "none";
  return new Proxy(Object.fromEntries(inputs), {
    get(target, name) {
      if (typeof name === "symbol" || Object.hasOwn(target, name)) return target[name];
      throw new InvalidInput(`there is no input \`${name}\`; the request has: ${names}`);
    },
  });
}

function encode(datatype, values) {
  const elements = known(datatype)[1];
  if (datatype === "BYTES") return encodeByteStrings(values);
  if (datatype === "BOOL") return Uint8Array.from(values, (value) => (value ? 1 : 0));
  const made = elements
    ? values instanceof elements
      ? values
      : elements.from(values)
    : Uint16Array.from(values, datatype === "FP16" ? toFp16 : toBf16);
  return new Uint8Array(made.buffer, made.byteOffset, made.byteLength);
}

function encodeByteStrings(values) {
  const encoder = new TextEncoder();
  const strings = Array.from(values, (value) => (typeof value === "string" ? encoder.encode(value) : value));
  const data = new Uint8Array(strings.reduce((sum, one) => sum + 4 + one.length, 0));
  const view = new DataView(data.buffer);
  let at = 0;
  for (const one of strings) {
    view.setUint32(at, one.length, true);
    data.set(one, at + 4);
    at += 4 + one.length;
  }
  return data;
}

function byteStrings(name, data) {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const found = [];
  for (let at = 0; at < data.length; ) {
    const end = at + 4 <= data.length ? at + 4 + view.getUint32(at, true) : Infinity;
    if (end > data.length) throw new InvalidInput(`tensor \`${name}\` ends inside an element`);
    found.push(data.slice(at + 4, end));
    at = end;
  }
  return found;
}

const BITS = new DataView(new ArrayBuffer(4));

function bitsOf(value) {
  BITS.setFloat32(0, value);
  return BITS.getUint32(0);
}

function ofBits(bits) {
  BITS.setUint32(0, bits >>> 0);
  return BITS.getFloat32(0);
}

function fromBf16(half) {
  return ofBits(half << 16);
}

// The upper half of the nearest binary32, ties to even.
function toBf16(value) {
  const bits = bitsOf(value);
  return Number.isNaN(value) ? 0x7fc0 : (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

// IEEE 754 binary16: five bits of exponent with a bias of 15, ten of fraction.
function fromFp16(half) {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0x1f) return fraction ? NaN : sign * Infinity;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

// The nearest value, ties to even; what is too large becomes infinity.
function toFp16(value) {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  if (Number.isNaN(value)) return 0x7e00;
  if (size >= 65520) return sign | 0x7c00;
  if (size < 2 ** -14) return sign | evenly(size * 2 ** 24);
  const exponent = Math.floor(Math.log2(size));
  // A fraction that rounds up to 2 carries into the exponent, as it should.
  return sign | (((exponent + 14) << 10) + evenly((size / 2 ** exponent) * 1024));
}

function evenly(value) {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}
