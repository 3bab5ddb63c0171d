// Deterministic CBOR (RFC 8949, section 4.2.1), read and written. The reader takes the one encoding of
// a value and nothing else: shortest heads, definite lengths, nothing behind the end.

import { concat, join } from "./bytes.js";

const UNSIGNED = 0;
const NEGATIVE = 1;
const BYTES = 2;
const TEXT = 3;
const ARRAY = 4;
const MAP = 5;
const TAG = 6;

/** Bytes that are not what they should be. */
export class Malformed extends Error {
  /** @param {string} what */
  constructor(what) {
    super(what);
    this.name = "Malformed";
  }
}

/** Reads values one after the other. */
export class Reader {
  #bytes;
  #view;
  #at = 0;

  /** @param {Uint8Array} bytes */
  constructor(bytes) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** How many bytes are left. */
  get left() {
    return this.#bytes.length - this.#at;
  }

  /** Nothing may follow. */
  finish() {
    if (this.left > 0) throw new Malformed("something follows the end");
  }

  unsigned() {
    return this.#head(UNSIGNED);
  }

  integer() {
    if (this.#major() === NEGATIVE) return -1 - this.#head(NEGATIVE);
    return this.#head(UNSIGNED);
  }

  /** @returns {Uint8Array} A view of what is read. */
  bytes() {
    return this.#take(this.#head(BYTES));
  }

  text() {
    const bytes = this.#take(this.#head(TEXT));
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      throw new Malformed("a text that is no UTF-8");
    }
  }

  /** How many items follow. */
  array() {
    return this.#head(ARRAY);
  }

  /** How many pairs follow. */
  map() {
    return this.#head(MAP);
  }

  /** @param {number} expected What the value that follows is said to be. */
  tag(expected) {
    if (this.#head(TAG) !== expected) throw new Malformed("a value that is said to be another");
  }

  #major() {
    if (this.left === 0) throw new Malformed("it ends too early");
    return this.#bytes[this.#at] >> 5;
  }

  /** @param {number} major */
  #head(major) {
    if (this.#major() !== major) throw new Malformed("a value of another kind");
    const brief = this.#bytes[this.#at] & 31;
    this.#at += 1;
    if (brief < 24) return brief;
    const width = { 24: 1, 25: 2, 26: 4, 27: 8 }[brief];
    if (!width) throw new Malformed("a length that is not told");
    if (this.left < width) throw new Malformed("it ends too early");
    const at = this.#at;
    this.#at += width;
    const [value, least] = {
      1: () => [this.#view.getUint8(at), 24],
      2: () => [this.#view.getUint16(at), 0x100],
      4: () => [this.#view.getUint32(at), 0x10000],
      8: () => [Number(this.#view.getBigUint64(at)), 0x100000000],
    }[width]();
    if (value < least) throw new Malformed("a number that is not written shortest");
    if (!Number.isSafeInteger(value)) throw new Malformed("a number beyond what a browser counts");
    return value;
  }

  /** @param {number} length */
  #take(length) {
    if (length > this.left) throw new Malformed("it ends too early");
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }
}

/**
 * @param {number} major
 * @param {number} value
 */
function head(major, value) {
  const first = major << 5;
  if (value < 24) return Uint8Array.of(first | value);
  if (value < 0x100) return Uint8Array.of(first | 24, value);
  const bytes = new Uint8Array(value < 0x10000 ? 3 : value < 0x100000000 ? 5 : 9);
  const view = new DataView(bytes.buffer);
  if (bytes.length === 3) view.setUint16(1, value);
  else if (bytes.length === 5) view.setUint32(1, value);
  else view.setBigUint64(1, BigInt(value));
  bytes[0] = first | { 3: 25, 5: 26, 9: 27 }[bytes.length];
  return bytes;
}

/** Writes values. */
export const write = {
  /** @param {number} value */
  unsigned: (value) => head(UNSIGNED, value),
  /** @param {number} value */
  integer: (value) => (value < 0 ? head(NEGATIVE, -1 - value) : head(UNSIGNED, value)),
  /** @param {Uint8Array} bytes */
  bytes: (bytes) => concat(head(BYTES, bytes.length), bytes),
  /** @param {string} text */
  text: (text) => {
    const bytes = new TextEncoder().encode(text);
    return concat(head(TEXT, bytes.length), bytes);
  },
  /** @param {...Uint8Array} items */
  array: (...items) => concat(head(ARRAY, items.length), ...items),
  /** @param {Uint8Array[]} items As many as one likes. */
  list: (items) => join([head(ARRAY, items.length), ...items]),
  /** @param {...Uint8Array} values Under the keys 0, 1, 2 and so on. */
  map: (...values) =>
    concat(head(MAP, values.length), ...values.flatMap((value, key) => [head(UNSIGNED, key), value])),
  /** @param {...[number, Uint8Array]} fields Keys, ascending, and their values. */
  fields: (...fields) =>
    concat(head(MAP, fields.length), ...fields.flatMap(([key, value]) => [head(UNSIGNED, key), value])),
  /**
   * @param {number} tag
   * @param {Uint8Array} value
   */
  tagged: (tag, value) => concat(head(TAG, tag), value),
};
