// ZIP archives (APPNOTE 6.3.10), stored and not compressed: the heads between which contents are put.
// Everything above 4 GiB or 65,534 entries is told in ZIP64, and only that.

import { concat, join } from "./bytes.js";

const LIMIT_32 = 0xffffffff;
const LIMIT_16 = 0xffff;
const ZIP64 = 45;
const PLAIN = 20;
/** Names are UTF-8. */
const FLAGS = 1 << 11;
/** Made on Unix, so that permissions mean something. */
const UNIX = 3 << 8;
const utf8 = new TextEncoder();

const CRC = Uint32Array.from({ length: 256 }, (_, byte) => {
  let rest = byte;
  for (let bit = 0; bit < 8; bit++) rest = rest & 1 ? (rest >>> 1) ^ 0xedb88320 : rest >>> 1;
  return rest;
});

/**
 * The CRC-32 of bytes behind others.
 * @param {number} before That of the others; 0 when there are none.
 * @param {Uint8Array} bytes
 */
export function crc32(before, bytes) {
  let rest = ~before;
  for (let at = 0; at < bytes.length; at++) rest = CRC[(rest ^ bytes[at]) & 255] ^ (rest >>> 8);
  return ~rest >>> 0;
}

/**
 * @typedef {object} Entry
 * @property {string} path That of a directory ends with a slash.
 * @property {number} size
 * @property {number} crc
 * @property {number} mode Permissions.
 * @property {number} mtime In seconds since 1970.
 */

/**
 * What stands before the contents of each entry, and at the end.
 * @param {Entry[]} entries
 * @returns {{ heads: Uint8Array[], end: Uint8Array }}
 */
export function archive(entries) {
  const heads = [];
  const directory = [];
  let offset = 0;
  for (const entry of entries) {
    const head = localHead(entry);
    heads.push(head);
    directory.push(directoryHead(entry, offset));
    offset += head.length + entry.size;
  }
  const listed = join(directory);
  return { heads, end: concat(listed, ...ends(entries.length, listed.length, offset)) };
}

/** @param {Entry} entry */
function localHead(entry) {
  const isLarge = entry.size >= LIMIT_32;
  const size = isLarge ? LIMIT_32 : entry.size;
  const extra = concat(
    isLarge ? field(0x0001, u64(entry.size), u64(entry.size)) : new Uint8Array(),
    timeField(entry.mtime),
  );
  const name = utf8.encode(entry.path);
  return concat(
    u32(0x04034b50),
    u16(isLarge ? ZIP64 : PLAIN),
    ...common(entry, size, name, extra),
    name,
    extra,
  );
}

/**
 * @param {Entry} entry
 * @param {number} offset Of its local head.
 */
function directoryHead(entry, offset) {
  const [isLarge, isFar] = [entry.size >= LIMIT_32, offset >= LIMIT_32];
  const large = [
    ...(isLarge ? [u64(entry.size), u64(entry.size)] : []),
    ...(isFar ? [u64(offset)] : []),
  ];
  const extra = concat(large.length > 0 ? field(0x0001, ...large) : new Uint8Array(), timeField(entry.mtime));
  const name = utf8.encode(entry.path);
  const isDirectory = entry.path.endsWith("/");
  const mode = (isDirectory ? 0o040000 : 0o100000) | (entry.mode & 0o777);
  const needed = large.length > 0 ? ZIP64 : PLAIN;
  return concat(
    u32(0x02014b50),
    u16(UNIX | needed),
    u16(needed),
    ...common(entry, isLarge ? LIMIT_32 : entry.size, name, extra),
    u16(0),
    u16(0),
    u16(0),
    u32(((mode << 16) | (isDirectory ? 0x10 : 0)) >>> 0),
    u32(isFar ? LIMIT_32 : offset),
    name,
    extra,
  );
}

/**
 * What local heads and those of the directory have in common.
 * @param {Entry} entry
 * @param {number} size
 * @param {Uint8Array} name
 * @param {Uint8Array} extra
 */
function common(entry, size, name, extra) {
  const { time, date } = dosTime(entry.mtime);
  const stored = u16(0);
  const sizes = [u32(size), u32(size)];
  const lengths = [u16(name.length), u16(extra.length)];
  return [u16(FLAGS), stored, u16(time), u16(date), u32(entry.crc), ...sizes, ...lengths];
}

/**
 * @param {number} count
 * @param {number} bytes Of the directory.
 * @param {number} offset Of the directory.
 */
function ends(count, bytes, offset) {
  const isLarge = count >= LIMIT_16 || bytes >= LIMIT_32 || offset >= LIMIT_32;
  const large = [
    u32(0x06064b50),
    u64(44),
    u16(UNIX | ZIP64),
    u16(ZIP64),
    u32(0),
    u32(0),
    u64(count),
    u64(count),
    u64(bytes),
    u64(offset),
    // Where that record is.
    u32(0x07064b50),
    u32(0),
    u64(offset + bytes),
    u32(1),
  ];
  const few = u16(Math.min(count, LIMIT_16));
  const [length, place] = [u32(Math.min(bytes, LIMIT_32)), u32(Math.min(offset, LIMIT_32))];
  const usual = [u32(0x06054b50), u16(0), u16(0), few, few, length, place, u16(0)];
  return isLarge ? [...large, ...usual] : usual;
}

/** @param {number} mtime */
function timeField(mtime) {
  const seconds = Math.max(-0x80000000, Math.min(0x7fffffff, mtime));
  return field(0x5455, Uint8Array.of(1), u32(seconds >>> 0));
}

/**
 * @param {number} kind
 * @param {...Uint8Array} parts
 */
function field(kind, ...parts) {
  const body = concat(...parts);
  return concat(u16(kind), u16(body.length), body);
}

/**
 * Two seconds exactly, from 1980 to 2107, without a zone: UTC here.
 * @param {number} mtime
 */
function dosTime(mtime) {
  const at = new Date(Math.max(315532800, Math.min(4354819198, mtime)) * 1000);
  return {
    time: (at.getUTCHours() << 11) | (at.getUTCMinutes() << 5) | (at.getUTCSeconds() >> 1),
    date: ((at.getUTCFullYear() - 1980) << 9) | ((at.getUTCMonth() + 1) << 5) | at.getUTCDate(),
  };
}

/** @param {number} value */
function u16(value) {
  return Uint8Array.of(value & 255, value >> 8);
}

/** @param {number} value */
function u32(value) {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

/** @param {number} value */
function u64(value) {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true);
  return bytes;
}
