// Whose device a key is: lists that a person's devices sign one after the other (docs/format.md, section 16.1).
// The twin of `people::Known`.

import { blake3 } from "../vendor/noble-hashes/blake3.js";
import { Malformed, Reader, write } from "../cbor.js";
import { base64url, concat, equal, hex, unbase64url } from "../bytes.js";
import { isSound } from "./hpke.js";
import { open, peek, sign } from "../signed.js";

const CONTEXT = "consign/devices/1";
const REQUEST_CONTEXT = "consign/device-request/1";
const REQUEST_PREFIX = "consign-device-1:";
const REQUEST_CHARS_MAX = 1024;
const LIST_BYTES_MAX = 8 * 1024;
/** Most devices of a person. */
export const DEVICES_MAX = 16;
const NAME_CHARS_MAX = 64;
const KEY_BYTES = 32;

/**
 * @typedef {object} Device
 * @property {Uint8Array} key What it signs with.
 * @property {Uint8Array} exchange What is sealed for it.
 * @property {string} name
 * @property {number} since In seconds since 1970.
 *
 * @typedef {object} List
 * @property {string} handle
 * @property {number} number From 1 on.
 * @property {Uint8Array | null} previous Hash of the list before.
 * @property {number} issued
 * @property {Device[]} devices Ascending by key.
 * @property {Uint8Array} signer
 *
 * @typedef {object} Known A person's newest list, as far as it was followed.
 * @property {List} list
 * @property {Uint8Array} hash
 * @property {Uint8Array} identity Hash of the first list.
 */

/** @param {string} handle */
export function isHandle(handle) {
  return /^[a-z][a-z0-9._-]{2,31}$/.test(handle);
}

/** @param {string} name */
export function isDeviceName(name) {
  return name.trim() !== "" && [...name].length <= NAME_CHARS_MAX && !/\p{Cc}/u.test(name);
}

/**
 * @param {Uint8Array} one
 * @param {Uint8Array} other
 */
export function ascending(one, other) {
  return hex(one) < hex(other) ? -1 : 1;
}

/** @param {List} list */
export function encodeList({ handle, number, previous, issued, devices, signer }) {
  const device = ({ key, exchange, name, since }) =>
    write.array(write.bytes(key), write.bytes(exchange), write.text(name), write.unsigned(since));
  return write.fields(
    [0, write.unsigned(1)],
    [1, write.text(handle)],
    [2, write.unsigned(number)],
    ...(previous ? [[3, write.bytes(previous)]] : []),
    [4, write.unsigned(issued)],
    [5, write.array(...devices.map(device))],
    [6, write.bytes(signer)],
  );
}

/**
 * @param {Uint8Array} bytes
 * @returns {List}
 * @throws {Malformed} Anything but the one encoding of a list.
 */
export function decodeList(bytes) {
  if (bytes.length > LIST_BYTES_MAX) throw new Malformed("a list of devices longer than any");
  const reader = new Reader(bytes);
  const count = reader.map();
  field(reader, 0);
  if (reader.unsigned() !== 1) throw new Malformed("a list of devices of another version");
  field(reader, 1);
  const handle = reader.text();
  field(reader, 2);
  const number = reader.unsigned();
  const previous = count === 7 ? (field(reader, 3), keyed(reader)) : null;
  field(reader, 4);
  const issued = reader.unsigned();
  field(reader, 5);
  const devices = [];
  for (let left = reader.array(); left > 0; left--) {
    if (reader.array() !== 4) throw new Malformed("a device with other facts");
    const device = { key: keyed(reader), exchange: keyed(reader), name: reader.text(), since: reader.unsigned() };
    if (!isDeviceName(device.name)) throw new Malformed("an impossible name of a device");
    devices.push(device);
  }
  field(reader, 6);
  const signer = keyed(reader);
  reader.finish();
  const list = { handle, number, previous, issued, devices, signer };
  const isPossible = isHandle(handle) && number > 0 && (previous !== null) === number > 1;
  if (!isPossible || devices.length < 1 || devices.length > DEVICES_MAX) throw new Malformed("an impossible list of devices");
  const isOrdered = devices.every(({ key }, at) => at === 0 || ascending(devices[at - 1].key, key) < 0 && !equal(devices[at - 1].key, key));
  if (!isOrdered || !equal(encodeList(list), bytes)) throw new Malformed("a list of devices in another encoding");
  return list;
}

/**
 * @param {Reader} reader
 * @param {number} expected
 */
function field(reader, expected) {
  if (reader.unsigned() !== expected) throw new Malformed("a list of devices with other fields");
}

/** @param {Reader} reader */
function keyed(reader) {
  const bytes = reader.bytes();
  if (bytes.length !== KEY_BYTES) throw new Malformed("a key of another length");
  return bytes.slice();
}

/**
 * Follows a person's lists from the first on.
 * @param {string} handle
 * @param {Uint8Array[]} documents
 * @returns {Promise<Known>}
 * @throws {Malformed} Nobody can have signed them so.
 */
export async function follow(handle, documents) {
  /** @type {Known | null} */
  let known = null;
  for (const document of documents) {
    const list = decodeList(peek(document).payload);
    await open(CONTEXT, document, list.signer);
    if (list.handle !== handle) throw new Malformed(`a list of the devices of ${list.handle}`);
    for (const { key, exchange } of list.devices) {
      if (!(await isSound(exchange))) throw new Malformed(`device ${hex(key)} has an unusable key`);
    }
    const hash = blake3(document);
    if (known === null) {
      const isFirst = list.number === 1 && list.devices.length === 1 && equal(list.devices[0].key, list.signer);
      if (!isFirst) throw new Malformed("a first list that is none");
      known = { list, hash, identity: hash };
      continue;
    }
    const before = known;
    if (list.number !== before.list.number + 1 || !list.previous || !equal(list.previous, before.hash)) {
      throw new Malformed(`list ${list.number} does not follow list ${before.list.number}`);
    }
    if (!deviceOf(before, list.signer)) throw new Malformed(`list ${list.number} is not signed by a device of the list before`);
    known = { list, hash, identity: before.identity };
  }
  if (known === null) throw new Malformed("no list of devices");
  return known;
}

/**
 * @param {Known} known
 * @param {Uint8Array} key
 * @returns {Device | undefined}
 */
export function deviceOf({ list }, key) {
  return list.devices.find((device) => equal(device.key, key));
}

/**
 * @param {List} list
 * @param {import("../signed.js").Signer} signer
 */
export function signList(list, signer) {
  return sign(CONTEXT, encodeList(list), signer);
}

/**
 * A list that names one device alone, which signs it.
 * @param {string} handle
 * @param {Device} device
 * @param {import("../signed.js").Signer} signer
 */
export function signFirstList(handle, device, signer) {
  const { since: issued } = device;
  return signList({ handle, number: 1, previous: null, issued, devices: [device], signer: device.key }, signer);
}

/**
 * What a new device says of itself: the line that is carried to a device which is on the list.
 * @param {string} handle
 * @param {Omit<Device, "since">} device
 * @param {import("../signed.js").Signer} signer
 */
export async function signRequest(handle, { key, exchange, name }, signer) {
  const payload = write.map(
    write.unsigned(1),
    write.text(handle),
    write.bytes(key),
    write.bytes(exchange),
    write.text(name),
  );
  return REQUEST_PREFIX + base64url(await sign(REQUEST_CONTEXT, payload, signer));
}

/**
 * What a new device says of itself, by its own signature.
 * @param {string} line As it was carried here.
 * @returns {Promise<{ handle: string } & Omit<Device, "since">>}
 * @throws {Malformed} It is no such line, or was altered.
 */
export async function openRequest(line) {
  const text = line.trim();
  const document = text.startsWith(REQUEST_PREFIX) ? unbase64url(text.slice(REQUEST_PREFIX.length)) : null;
  if (!document || text.length > REQUEST_CHARS_MAX) throw new Malformed("not the line which the new device showed");
  const reader = new Reader(peek(document).payload);
  if (reader.map() !== 5) throw new Malformed("a request with other fields");
  field(reader, 0);
  if (reader.unsigned() !== 1) throw new Malformed("a request of another version");
  field(reader, 1);
  const handle = reader.text();
  field(reader, 2);
  const key = keyed(reader);
  field(reader, 3);
  const exchange = keyed(reader);
  field(reader, 4);
  const name = reader.text();
  reader.finish();
  if (!isHandle(handle) || !isDeviceName(name)) throw new Malformed("an impossible request");
  await open(REQUEST_CONTEXT, document, key);
  if (!(await isSound(exchange))) throw new Malformed("the device has an unusable key");
  return { handle, key, exchange, name };
}

/**
 * The list after the one that is known.
 * @param {Known} known
 * @param {Device[]} devices
 * @param {Uint8Array} signer
 * @param {number} issued
 * @returns {List}
 */
export function successor({ list: { handle, number }, hash }, devices, signer, issued) {
  const sorted = [...devices].sort(({ key: one }, { key: other }) => ascending(one, other));
  return { handle, number: number + 1, previous: hash, issued, devices: sorted, signer };
}

/**
 * What seals a letter: which delivery, from whom, for whom (docs/format.md, section 16.2).
 * @param {Uint8Array} delivery
 * @param {Uint8Array} sender Their identity.
 * @param {Uint8Array} recipient Their identity.
 */
export function letterInfo(delivery, sender, recipient) {
  return concat(new TextEncoder().encode("consign/letter/1"), delivery, sender, recipient);
}
