// The stream of a delivery that is sent from here: its header, then parts of files, read as they are wanted.

import { Layout, SEGMENT_BYTES, segmentLength } from "./layout.js";
import { Problem } from "./problem.js";
import { concat, littleEndian, release } from "./bytes.js";
import { decodeHeader } from "./header.js";
import { shown } from "./names.js";

/** What is sent, read segment by segment. */
export class Outgoing {
  #start;
  #header;
  #layout;
  /** Contents that are not empty: where each begins in the stream. */
  #parts;

  /**
   * @param {Uint8Array} encoded The header.
   * @param {File[]} files Contents, in the order of its items.
   */
  constructor(encoded, files) {
    this.#header = decodeHeader(encoded);
    this.#layout = new Layout(this.#header, encoded.length);
    this.#start = concat(littleEndian(encoded.length), encoded);
    const items = this.#header.items.map((item, at) => ({ item, start: this.#layout.starts[at] }));
    const withContents = items.filter(({ item }) => item.kind === "file");
    this.#parts = withContents.map(({ item, start }, at) => ({ item, start, file: files[at] })).filter(({ item }) => item.size > 0);
  }

  get items() {
    return this.#header.items.length;
  }

  get streamBytes() {
    return this.#layout.streamBytes;
  }

  get segments() {
    return this.#layout.segments;
  }

  /**
   * @param {number} number
   * @returns {Promise<Uint8Array>} Its plain bytes.
   */
  async segment(number) {
    const begin = number * SEGMENT_BYTES;
    const plain = new Uint8Array(segmentLength(number, this.streamBytes));
    const end = begin + plain.length;
    if (begin < this.#start.length) plain.set(this.#start.subarray(begin, Math.min(end, this.#start.length)));
    for (let at = this.#first(begin); at < this.#parts.length && this.#parts[at].start < end; at++) {
      const { item, start, file } = this.#parts[at];
      const [from, to] = [Math.max(begin, start), Math.min(end, start + item.size)];
      const read = await contents(file, from - start, to - start);
      // Browsers refuse to read a file that was written since; some of them only by its length.
      if (read?.length !== to - from) {
        throw new Problem(`“${shown(item.path)}” cannot be read any more, or was changed since it was chosen.`, "End the delivery, and send it anew.");
      }
      plain.set(read, from - begin);
      release(read);
    }
    return plain;
  }

  /**
   * The first of the parts that reaches beyond a place.
   * @param {number} place
   */
  #first(place) {
    let [low, high] = [0, this.#parts.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#parts[middle].start + this.#parts[middle].item.size > place) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

/**
 * @param {File} file
 * @param {number} from
 * @param {number} to
 * @returns {Promise<Uint8Array | null>}
 */
async function contents(file, from, to) {
  try {
    return new Uint8Array(await file.slice(from, to).arrayBuffer());
  } catch {
    return null;
  }
}
