// Takes a stream of segments apart as it arrives (docs/format.md, section 5.5).

import { fromLittleEndian } from "./bytes.js";

const HEAD_BYTES = 12;
const SEGMENT_BYTES_MAX = (1 << 20) + 128;

/** The stream is not what a hub sends. */
export class BrokenStream extends Error {
  /** @param {string} what */
  constructor(what) {
    super(what);
    this.name = "BrokenStream";
  }
}

/** @typedef {{ number: number, bytes: Uint8Array | null }} SegmentRecord Without bytes: a heart-beat. */

/** Holds one segment at most. */
export class RecordReader {
  #head = new Uint8Array(HEAD_BYTES);
  #headBytes = 0;
  #number = 0;
  /** @type {Uint8Array | null} */
  #body = null;
  #bodyBytes = 0;

  /**
   * @param {Uint8Array} piece What came next.
   * @returns {Generator<SegmentRecord>} What is whole with it.
   */
  *take(piece) {
    let at = 0;
    while (at < piece.length) {
      const target = this.#body ?? this.#head;
      const filled = this.#body ? this.#bodyBytes : this.#headBytes;
      const part = piece.subarray(at, at + target.length - filled);
      target.set(part, filled);
      at += part.length;
      const record = this.#body ? this.#bodyTaken(part.length) : this.#headTaken(part.length);
      if (record) yield record;
    }
  }

  /** @param {number} more */
  #headTaken(more) {
    this.#headBytes += more;
    if (this.#headBytes < HEAD_BYTES) return null;
    this.#headBytes = 0;
    const number = fromLittleEndian(this.#head);
    const length = new DataView(this.#head.buffer).getUint32(8, true);
    if (number === null) throw new BrokenStream("a segment of no number");
    if (length > SEGMENT_BYTES_MAX) throw new BrokenStream("a segment longer than any");
    if (length === 0) return { number, bytes: null };
    this.#number = number;
    this.#body = new Uint8Array(length);
    this.#bodyBytes = 0;
    return null;
  }

  /** @param {number} more */
  #bodyTaken(more) {
    this.#bodyBytes += more;
    const bytes = this.#body;
    if (!bytes || this.#bodyBytes < bytes.length) return null;
    this.#body = null;
    return { number: this.#number, bytes };
  }
}
