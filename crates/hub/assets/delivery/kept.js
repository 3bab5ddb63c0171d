// What is here of a delivery: files in this page's own part of the browser's disk (the origin private file
// system), written in a worker, where it can be done at any place and made durable.
//
//   deliveries/ID/stream    the plain stream, segment by segment at its place
//                 tags      the tags of the segments that are in it, in order: 32 bytes each
//                 durable   how many of them are on the disk for sure, twice, 8 bytes each
//                 key       a hash of the key it was opened with, so that a wrong one harms nothing
//                 download  16 random bytes that name this download among those of a locker
//                 begun     empty; somebody wanted the delivery
//                 receipt   as it was signed, once everything is durable
//                 taken     empty; the sender has the receipt
//
// A tag is written when its segment was. A page that is closed or killed loses nothing of that; a power cut
// may, so what is behind `durable` is hashed again before it counts.

import { blake3 } from "./vendor/noble-hashes/blake3.js";
import { concat, equal, fromLittleEndian, littleEndian } from "./bytes.js";
import { PREFIX_BYTES, SEGMENT_BYTES, headerLength } from "./layout.js";
import { Problem } from "./problem.js";
import { TAG_BYTES } from "./vault.js";

const FOLDER = "deliveries";
const DOWNLOAD_BYTES = 16;
/** Segments between two times at which everything is made durable: what a power cut costs at most, in MiB. */
const DURABLE_EVERY = 64;
/** A page that is being left gives its files back a moment later. */
const RELEASE_PATIENCE_MS = 5000;

/** The folder of all deliveries. */
async function folder() {
  const root = await navigator.storage.getDirectory();
  return root.getDirectoryHandle(FOLDER, { create: true });
}

/**
 * The stream of a delivery that is here, for whoever saves what is in it.
 * @param {string} name
 * @returns {Promise<File>}
 */
export async function streamFile(name) {
  const directory = await (await folder()).getDirectoryHandle(name);
  return (await directory.getFileHandle("stream")).getFile();
}

/**
 * Forgets a delivery.
 * @param {string} name
 */
export async function forget(name) {
  await (await folder()).removeEntry(name, { recursive: true });
}

/** A delivery's files, open for one worker at a time. */
export class Kept {
  #directory;
  #stream;
  #tags;
  #durable;
  #count = 0;
  #download = new Uint8Array(DOWNLOAD_BYTES);

  /**
   * @param {FileSystemDirectoryHandle} directory
   * @param {FileSystemSyncAccessHandle[]} files
   */
  constructor(directory, [stream, tags, durable]) {
    this.#directory = directory;
    this.#stream = stream;
    this.#tags = tags;
    this.#durable = durable;
  }

  /**
   * @param {string} name Of the delivery.
   * @param {import("./vault.js").Vault} vault
   * @returns {Promise<Kept>}
   */
  static async open(name, vault) {
    const directory = await (await folder()).getDirectoryHandle(name, { create: true });
    const files = [];
    for (const file of ["stream", "tags", "durable"]) files.push(await access(directory, file));
    const kept = new Kept(directory, files);
    try {
      await kept.#checkKey(vault);
      kept.#count = kept.#trusted(vault);
      await kept.#nameDownload();
    } catch (error) {
      kept.close();
      throw error;
    }
    return kept;
  }

  /** What names this download; the same as long as it goes on. */
  get download() {
    return this.#download;
  }

  async #nameDownload() {
    const file = await access(this.#directory, "download");
    try {
      if (file.getSize() !== DOWNLOAD_BYTES) {
        write(file, crypto.getRandomValues(new Uint8Array(DOWNLOAD_BYTES)), 0);
        file.flush();
      }
      this.#download = read(file, 0, DOWNLOAD_BYTES);
    } finally {
      file.close();
    }
  }

  /** How many segments are here. */
  get count() {
    return this.#count;
  }

  /**
   * With another key, all that is here would look damaged.
   * @param {import("./vault.js").Vault} vault
   */
  async #checkKey(vault) {
    const key = await access(this.#directory, "key");
    try {
      // Behind the last place of any stream.
      const mark = vault.tag(Number.MAX_SAFE_INTEGER, new Uint8Array());
      const isOther = key.getSize() > 0 && !equal(read(key, 0, TAG_BYTES), mark);
      if (isOther && this.#tags.getSize() > 0) {
        throw new Problem(
          "This browser has some of the delivery, which another key opened.",
          "The passphrase is not the right one, or the link was altered: load the page again.",
          { again: true },
        );
      }
      write(key, mark, 0);
    } finally {
      key.close();
    }
  }

  /**
   * How many of the tags are of segments that are here for sure.
   * @param {import("./vault.js").Vault} vault
   */
  #trusted(vault) {
    const length = this.#stream.getSize();
    const claimed = Math.min(Math.floor(this.#tags.getSize() / TAG_BYTES), Math.ceil(length / SEGMENT_BYTES));
    const written = read(this.#durable, 0, 16);
    const isWhole = written.length === 16 && equal(written.subarray(0, 8), written.subarray(8));
    let good = isWhole ? Math.min(fromLittleEndian(written) ?? 0, claimed) : 0;
    while (good < claimed) {
      const plain = read(this.#stream, good * SEGMENT_BYTES, SEGMENT_BYTES);
      if (!equal(vault.tag(good, plain), read(this.#tags, good * TAG_BYTES, TAG_BYTES))) break;
      good += 1;
    }
    this.#tags.truncate(good * TAG_BYTES);
    this.#stream.truncate(Math.min(length, good * SEGMENT_BYTES));
    return good;
  }

  /**
   * Keeps the next segment.
   * @param {Uint8Array} tag
   * @param {Uint8Array} plain
   */
  add(tag, plain) {
    write(this.#stream, plain, this.#count * SEGMENT_BYTES);
    write(this.#tags, tag, this.#count * TAG_BYTES);
    this.#count += 1;
    if (this.#count % DURABLE_EVERY === 0) this.settle();
  }

  /** Makes durable what is here. */
  settle() {
    this.#stream.flush();
    this.#tags.flush();
    const count = littleEndian(this.#count);
    write(this.#durable, concat(count, count), 0);
    this.#durable.flush();
  }

  /** @returns {Uint8Array | null} The header, encoded; `null` while it is not whole. */
  header() {
    const start = read(this.#stream, 0, PREFIX_BYTES);
    if (start.length < PREFIX_BYTES) return null;
    const length = headerLength(start);
    const end = Math.min(this.#count * SEGMENT_BYTES, this.#stream.getSize());
    return end < PREFIX_BYTES + length ? null : read(this.#stream, PREFIX_BYTES, length);
  }

  /** Hash of the tags of all segments that are here. */
  digest() {
    const hasher = blake3.create({});
    const piece = 1 << 20;
    for (let at = 0; at < this.#count * TAG_BYTES; at += piece) {
      hasher.update(read(this.#tags, at, Math.min(piece, this.#count * TAG_BYTES - at)));
    }
    return hasher.digest();
  }

  /**
   * Whether a mark was made.
   * @param {"begun" | "taken"} mark
   */
  async isMarked(mark) {
    return (await this.#bytes(mark)) !== null;
  }

  /** @param {"begun" | "taken"} mark */
  async mark(mark) {
    await this.#directory.getFileHandle(mark, { create: true });
  }

  /** @returns {Promise<Uint8Array | null>} As it was signed. */
  async receipt() {
    const bytes = await this.#bytes("receipt");
    return bytes?.length ? bytes : null;
  }

  /** @param {Uint8Array} signed */
  async keepReceipt(signed) {
    const file = await access(this.#directory, "receipt");
    write(file, signed, 0);
    file.flush();
    file.close();
  }

  /** Gives the files back. */
  close() {
    for (const file of [this.#stream, this.#tags, this.#durable]) file.close();
  }

  /** @param {string} name */
  async #bytes(name) {
    try {
      const file = await (await this.#directory.getFileHandle(name)).getFile();
      return new Uint8Array(await file.arrayBuffer());
    } catch (error) {
      if (error instanceof DOMException && error.name === "NotFoundError") return null;
      throw error;
    }
  }
}

/**
 * @param {FileSystemDirectoryHandle} directory
 * @param {string} name
 * @returns {Promise<FileSystemSyncAccessHandle>}
 */
async function access(directory, name) {
  const file = await directory.getFileHandle(name, { create: true });
  const patience = performance.now() + RELEASE_PATIENCE_MS;
  for (;;) {
    try {
      return await file.createSyncAccessHandle();
    } catch (error) {
      const isHeld = error instanceof DOMException && error.name === "NoModificationAllowedError";
      if (!isHeld || performance.now() > patience) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

/**
 * @param {FileSystemSyncAccessHandle} file
 * @param {number} at
 * @param {number} length
 * @returns {Uint8Array} What there is of it; room is made for no more.
 */
function read(file, at, length) {
  const there = Math.max(0, Math.min(length, file.getSize() - at));
  const bytes = new Uint8Array(there);
  return bytes.subarray(0, file.read(bytes, { at }));
}

/**
 * @param {FileSystemSyncAccessHandle} file
 * @param {Uint8Array} bytes
 * @param {number} at
 */
function write(file, bytes, at) {
  let written = 0;
  while (written < bytes.length) {
    const more = file.write(bytes.subarray(written), { at: at + written });
    if (more === 0) throw new DOMException("nothing more can be written", "QuotaExceededError");
    written += more;
  }
}
