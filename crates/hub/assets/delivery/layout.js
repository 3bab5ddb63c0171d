// Which bytes of the stream are whose (docs/format.md, sections 15.1 and 15.2).

import { fromLittleEndian } from "./bytes.js";
import { HEADER_BYTES_MAX } from "./header.js";
import { impossible } from "./problem.js";

/** Plain bytes of every segment but the last. */
export const SEGMENT_BYTES = 1 << 20;
/** The stream begins with the length of the header. */
export const PREFIX_BYTES = 8;

/**
 * @param {number} streamBytes
 * @returns {number} How many segments it has.
 */
export function segmentCount(streamBytes) {
  return Math.ceil(streamBytes / SEGMENT_BYTES);
}

/**
 * @param {number} number
 * @param {number} streamBytes
 * @returns {number} Plain length of that segment; 0 behind the last.
 */
export function segmentLength(number, streamBytes) {
  return Math.max(0, Math.min(SEGMENT_BYTES, streamBytes - number * SEGMENT_BYTES));
}

/**
 * @param {Uint8Array} start The first bytes of the stream, at least the prefix.
 * @returns {number} How long the header is.
 */
export function headerLength(start) {
  const length = fromLittleEndian(start);
  if (length === null || length > HEADER_BYTES_MAX) throw impossible("its header is longer than any");
  return length;
}

/** The stream of one delivery. */
export class Layout {
  /**
   * @param {import("./header.js").Header} header
   * @param {number} headerBytes How long it is when encoded.
   */
  constructor(header, headerBytes) {
    let end = PREFIX_BYTES + headerBytes;
    /** Where the contents of each item begin in the stream. */
    this.starts = header.items.map((item) => {
      const start = end;
      end += item.size;
      return start;
    });
    if (!Number.isSafeInteger(end)) throw impossible("its files are longer than a browser counts");
    this.streamBytes = end;
    this.segments = segmentCount(end);
  }
}
