// What is in a delivery (docs/format.md, section 15.1).

import { Malformed, Reader, write } from "./cbor.js";

/** The longest header, in bytes. */
export const HEADER_BYTES_MAX = 64 << 20;
const SUBJECT_BYTES_MAX = 200;
const MESSAGE_BYTES_MAX = 64 << 10;
const PATH_BYTES_MAX = 4095;
const NAME_BYTES_MAX = 255;
const TARGET_BYTES_MAX = 4095;
const SLASH = 0x2f;
const utf8 = new TextEncoder();

/**
 * @typedef {object} Item
 * @property {Uint8Array} path Names with `/` between them.
 * @property {"file" | "directory" | "link"} kind
 * @property {number} mode Permissions.
 * @property {number} mtime Time of last modification, in seconds since 1970.
 * @property {number} size Of a file in bytes, else 0.
 */

/**
 * @typedef {object} Header
 * @property {string} subject One line; may be empty.
 * @property {string} message May be empty.
 * @property {number} sent When it was made, in seconds since 1970.
 * @property {Item[]} items A directory before what is in it.
 */

/**
 * @param {Uint8Array} bytes
 * @returns {Header}
 * @throws {Malformed} Anything but a header whose items lead below one directory.
 */
export function decodeHeader(bytes) {
  if (bytes.length > HEADER_BYTES_MAX) throw new Malformed("a header longer than any");
  const reader = new Reader(bytes);
  if (reader.map() !== 5) throw new Malformed("a header with other fields");
  key(reader, 0);
  if (reader.unsigned() !== 1) throw new Malformed("a header of another version");
  key(reader, 1);
  const subject = reader.text();
  if (utf8.encode(subject).length > SUBJECT_BYTES_MAX || /\p{Cc}/u.test(subject)) {
    throw new Malformed("a subject of several lines, or too long");
  }
  key(reader, 2);
  const message = reader.text();
  if (utf8.encode(message).length > MESSAGE_BYTES_MAX) throw new Malformed("a message too long");
  key(reader, 3);
  const sent = reader.unsigned();
  key(reader, 4);
  const count = reader.array();
  const items = [];
  for (let index = 0; index < count; index++) items.push(readItem(reader));
  reader.finish();
  checkHierarchy(items);
  return { subject, message, sent, items };
}

/**
 * @param {Reader} reader
 * @param {number} expected
 */
function key(reader, expected) {
  if (reader.unsigned() !== expected) throw new Malformed("a header with other fields");
}

/**
 * @param {Reader} reader
 * @returns {Item}
 */
function readItem(reader) {
  const length = reader.array();
  const path = reader.bytes();
  if (!leadsBelow(path)) throw new Malformed("a path that could lead elsewhere");
  const kind = ["file", "directory", "link"][reader.unsigned()];
  if (length !== { file: 5, directory: 4, link: 5 }[kind]) throw new Malformed("an item of no kind");
  const mode = reader.unsigned();
  if (mode > 0o7777) throw new Malformed("a mode with more than permissions");
  if (reader.array() !== 2) throw new Malformed("a time that is none");
  const mtime = reader.integer();
  if (reader.unsigned() > 999_999_999) throw new Malformed("a second of more than a second");
  const item = { path, kind, mode, mtime, size: 0 };
  if (kind === "file") item.size = reader.unsigned();
  if (kind === "link") {
    const target = reader.bytes();
    if (target.length < 1 || target.length > TARGET_BYTES_MAX || target.includes(0)) {
      throw new Malformed("a link that no file system holds");
    }
  }
  return item;
}

/** @param {Uint8Array} path */
function leadsBelow(path) {
  if (path.length > PATH_BYTES_MAX) return false;
  let start = 0;
  for (let at = 0; at <= path.length; at++) {
    if (at < path.length && path[at] === 0) return false;
    if (at < path.length && path[at] !== SLASH) continue;
    const name = path.subarray(start, at);
    const isDots = name.length <= 2 && name.every((byte) => byte === 0x2e);
    if (isDots || name.length > NAME_BYTES_MAX) return false;
    start = at + 1;
  }
  return true;
}

/**
 * Every path once, and in a directory that came before.
 * @param {Item[]} items
 */
function checkHierarchy(items) {
  const latin1 = new TextDecoder("latin1");
  /** @type {Map<string, boolean>} */
  const isDirectory = new Map();
  for (const item of items) {
    // Equal texts for equal bytes alone.
    const path = latin1.decode(item.path);
    const slash = path.lastIndexOf("/");
    if (slash >= 0 && isDirectory.get(path.slice(0, slash)) !== true) {
      throw new Malformed("an item before the directory it is in");
    }
    if (isDirectory.has(path)) throw new Malformed("a path stands twice");
    isDirectory.set(path, item.kind === "directory");
  }
}

/**
 * Of files and directories: a browser is given nothing else.
 * @param {Header} header
 * @returns {Uint8Array}
 */
export function encodeHeader({ subject, message, sent, items }) {
  const item = (/** @type {Item} */ { path, kind, mode, mtime, size }) => {
    const time = write.array(write.integer(mtime), write.unsigned(0));
    const facts = [write.bytes(path), write.unsigned(kind === "file" ? 0 : 1), write.unsigned(mode), time];
    return write.array(...facts, ...(kind === "file" ? [write.unsigned(size)] : []));
  };
  return write.map(
    write.unsigned(1),
    write.text(subject),
    write.text(message),
    write.unsigned(sent),
    write.list(items.map(item)),
  );
}

/** @param {Header} header */
export function totals(header) {
  const files = header.items.filter((item) => item.kind === "file");
  return { files: files.length, bytes: files.reduce((sum, item) => sum + item.size, 0) };
}
