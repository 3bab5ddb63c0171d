// The BLAKE3 of segments, keyed and plain, which is most of the work at both ends: one function with everything in local
// variables, several times as fast as a general one. The tests compare it with that one, `vendor/noble-hashes`, which does all
// the other hashing, and with the golden files.

import { blake3 } from "./vendor/noble-hashes/blake3.js";
import { concat } from "./bytes.js";

const BLOCK_BYTES = 64;
const CHUNK_BYTES = 1024;
const CHUNK_START = 1;
const CHUNK_END = 2;
const PARENT = 4;
const ROOT = 8;
const KEYED = 16;
// prettier-ignore
const IV = Int32Array.of(0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19);
/** Words are loaded as the machine has them; all browsers are on such machines. */
const IS_LITTLE_ENDIAN = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;

/** Hashes one input after the other, under one key or under none. */
export class Hasher {
  #secret;
  #key;
  #mode;
  /** The input, padded with zeros to whole blocks. */
  #words = new Int32Array(0);

  /** @param {Uint8Array | null} key Thirty-two bytes. */
  constructor(key) {
    this.#secret = key;
    this.#key = key ? new Int32Array(key.slice().buffer) : IV;
    this.#mode = key ? KEYED : 0;
  }

  /**
   * @param {...Uint8Array} parts Hashed as if they were one.
   * @returns {Uint8Array} Thirty-two bytes.
   */
  digest(...parts) {
    if (!IS_LITTLE_ENDIAN) return blake3(concat(...parts), this.#secret ? { key: this.#secret } : {});
    const length = this.#load(parts);
    const chunks = Math.max(1, Math.ceil(length / CHUNK_BYTES));
    /** Chaining values of whole subtrees, the largest first. */
    const stack = [];
    for (let chunk = 0; chunk + 1 < chunks; chunk++) {
      let value = this.#chunk(chunk, CHUNK_BYTES, 0);
      for (let whole = chunk + 1; whole % 2 === 0; whole /= 2) value = this.#parent(stack.pop(), value, 0);
      stack.push(value);
    }
    const left = length - (chunks - 1) * CHUNK_BYTES;
    let value = this.#chunk(chunks - 1, left, chunks === 1 ? ROOT : 0);
    while (stack.length > 0) value = this.#parent(stack.pop(), value, stack.length === 0 ? ROOT : 0);
    return new Uint8Array(value.buffer);
  }

  /** @param {Uint8Array[]} parts */
  #load(parts) {
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    const padded = Math.max(1, Math.ceil(length / BLOCK_BYTES)) * BLOCK_BYTES;
    if (this.#words.byteLength < padded) this.#words = new Int32Array(padded / 4);
    const bytes = new Uint8Array(this.#words.buffer);
    let at = 0;
    for (const part of parts) {
      bytes.set(part, at);
      at += part.length;
    }
    bytes.fill(0, at, padded);
    return length;
  }

  /**
   * @param {number} chunk
   * @param {number} length
   * @param {number} root
   */
  #chunk(chunk, length, root) {
    const value = this.#key.slice();
    const blocks = Math.max(1, Math.ceil(length / BLOCK_BYTES));
    for (let block = 0; block < blocks; block++) {
      const isLast = block + 1 === blocks;
      const flags = this.#mode | (block === 0 ? CHUNK_START : 0) | (isLast ? CHUNK_END | root : 0);
      const at = (chunk * CHUNK_BYTES + block * BLOCK_BYTES) / 4;
      compress(value, this.#words, at, chunk, isLast ? length - block * BLOCK_BYTES : BLOCK_BYTES, flags, value);
    }
    return value;
  }

  /**
   * @param {Int32Array | undefined} left
   * @param {Int32Array} right
   * @param {number} root
   */
  #parent(left, right, root) {
    const words = new Int32Array(16);
    words.set(left ?? []);
    words.set(right, 8);
    compress(this.#key, words, 0, 0, BLOCK_BYTES, this.#mode | PARENT | root, right);
    return right;
  }
}

/**
 * The compression function, of the words from `at` on. Inputs are shorter than 2^32 chunks.
 * @param {Int32Array} chaining
 * @param {Int32Array} words
 * @param {number} at
 * @param {number} counter
 * @param {number} length
 * @param {number} flags
 * @param {Int32Array} out
 */
function compress(chaining, words, at, counter, length, flags, out) {
  let m0 = words[at];
  let m1 = words[at + 1];
  let m2 = words[at + 2];
  let m3 = words[at + 3];
  let m4 = words[at + 4];
  let m5 = words[at + 5];
  let m6 = words[at + 6];
  let m7 = words[at + 7];
  let m8 = words[at + 8];
  let m9 = words[at + 9];
  let m10 = words[at + 10];
  let m11 = words[at + 11];
  let m12 = words[at + 12];
  let m13 = words[at + 13];
  let m14 = words[at + 14];
  let m15 = words[at + 15];
  let v0 = chaining[0];
  let v1 = chaining[1];
  let v2 = chaining[2];
  let v3 = chaining[3];
  let v4 = chaining[4];
  let v5 = chaining[5];
  let v6 = chaining[6];
  let v7 = chaining[7];
  let v8 = IV[0];
  let v9 = IV[1];
  let v10 = IV[2];
  let v11 = IV[3];
  let v12 = counter;
  let v13 = 0;
  let v14 = length;
  let v15 = flags;
  for (let round = 0; ; round++) {
    v0 = (v0 + v4 + m0) | 0;
    v12 ^= v0;
    v12 = (v12 >>> 16) | (v12 << 16);
    v8 = (v8 + v12) | 0;
    v4 ^= v8;
    v4 = (v4 >>> 12) | (v4 << 20);
    v0 = (v0 + v4 + m1) | 0;
    v12 ^= v0;
    v12 = (v12 >>> 8) | (v12 << 24);
    v8 = (v8 + v12) | 0;
    v4 ^= v8;
    v4 = (v4 >>> 7) | (v4 << 25);
    v1 = (v1 + v5 + m2) | 0;
    v13 ^= v1;
    v13 = (v13 >>> 16) | (v13 << 16);
    v9 = (v9 + v13) | 0;
    v5 ^= v9;
    v5 = (v5 >>> 12) | (v5 << 20);
    v1 = (v1 + v5 + m3) | 0;
    v13 ^= v1;
    v13 = (v13 >>> 8) | (v13 << 24);
    v9 = (v9 + v13) | 0;
    v5 ^= v9;
    v5 = (v5 >>> 7) | (v5 << 25);
    v2 = (v2 + v6 + m4) | 0;
    v14 ^= v2;
    v14 = (v14 >>> 16) | (v14 << 16);
    v10 = (v10 + v14) | 0;
    v6 ^= v10;
    v6 = (v6 >>> 12) | (v6 << 20);
    v2 = (v2 + v6 + m5) | 0;
    v14 ^= v2;
    v14 = (v14 >>> 8) | (v14 << 24);
    v10 = (v10 + v14) | 0;
    v6 ^= v10;
    v6 = (v6 >>> 7) | (v6 << 25);
    v3 = (v3 + v7 + m6) | 0;
    v15 ^= v3;
    v15 = (v15 >>> 16) | (v15 << 16);
    v11 = (v11 + v15) | 0;
    v7 ^= v11;
    v7 = (v7 >>> 12) | (v7 << 20);
    v3 = (v3 + v7 + m7) | 0;
    v15 ^= v3;
    v15 = (v15 >>> 8) | (v15 << 24);
    v11 = (v11 + v15) | 0;
    v7 ^= v11;
    v7 = (v7 >>> 7) | (v7 << 25);
    v0 = (v0 + v5 + m8) | 0;
    v15 ^= v0;
    v15 = (v15 >>> 16) | (v15 << 16);
    v10 = (v10 + v15) | 0;
    v5 ^= v10;
    v5 = (v5 >>> 12) | (v5 << 20);
    v0 = (v0 + v5 + m9) | 0;
    v15 ^= v0;
    v15 = (v15 >>> 8) | (v15 << 24);
    v10 = (v10 + v15) | 0;
    v5 ^= v10;
    v5 = (v5 >>> 7) | (v5 << 25);
    v1 = (v1 + v6 + m10) | 0;
    v12 ^= v1;
    v12 = (v12 >>> 16) | (v12 << 16);
    v11 = (v11 + v12) | 0;
    v6 ^= v11;
    v6 = (v6 >>> 12) | (v6 << 20);
    v1 = (v1 + v6 + m11) | 0;
    v12 ^= v1;
    v12 = (v12 >>> 8) | (v12 << 24);
    v11 = (v11 + v12) | 0;
    v6 ^= v11;
    v6 = (v6 >>> 7) | (v6 << 25);
    v2 = (v2 + v7 + m12) | 0;
    v13 ^= v2;
    v13 = (v13 >>> 16) | (v13 << 16);
    v8 = (v8 + v13) | 0;
    v7 ^= v8;
    v7 = (v7 >>> 12) | (v7 << 20);
    v2 = (v2 + v7 + m13) | 0;
    v13 ^= v2;
    v13 = (v13 >>> 8) | (v13 << 24);
    v8 = (v8 + v13) | 0;
    v7 ^= v8;
    v7 = (v7 >>> 7) | (v7 << 25);
    v3 = (v3 + v4 + m14) | 0;
    v14 ^= v3;
    v14 = (v14 >>> 16) | (v14 << 16);
    v9 = (v9 + v14) | 0;
    v4 ^= v9;
    v4 = (v4 >>> 12) | (v4 << 20);
    v3 = (v3 + v4 + m15) | 0;
    v14 ^= v3;
    v14 = (v14 >>> 8) | (v14 << 24);
    v9 = (v9 + v14) | 0;
    v4 ^= v9;
    v4 = (v4 >>> 7) | (v4 << 25);
    if (round === 6) break;
    // The words in the order of the next round.
    let kept;
    kept = m0;
    m0 = m2;
    m2 = m3;
    m3 = m10;
    m10 = m12;
    m12 = m9;
    m9 = m11;
    m11 = m5;
    m5 = kept;
    kept = m1;
    m1 = m6;
    m6 = m4;
    m4 = m7;
    m7 = m13;
    m13 = m14;
    m14 = m15;
    m15 = m8;
    m8 = kept;
  }
  out[0] = v0 ^ v8;
  out[1] = v1 ^ v9;
  out[2] = v2 ^ v10;
  out[3] = v3 ^ v11;
  out[4] = v4 ^ v12;
  out[5] = v5 ^ v13;
  out[6] = v6 ^ v14;
  out[7] = v7 ^ v15;
}
