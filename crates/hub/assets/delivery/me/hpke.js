// HPKE (RFC 9180) in mode Auth: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM, with one message to
// each key (docs/format.md, section 13). The curve, the hash and the cipher are the browser's own.

import { concat } from "../bytes.js";

/** How much longer what is sealed is than what was: the encapsulated key and the tag. */
export const OVERHEAD_BYTES = 48;
const KEY_BYTES = 32;
const AUTH = 2;
const EMPTY = new Uint8Array();
const utf8 = new TextEncoder();
const VERSION = utf8.encode("HPKE-v1");
const KEM = concat(utf8.encode("KEM"), Uint8Array.of(0, 0x20));
const SUITE = concat(utf8.encode("HPKE"), Uint8Array.of(0, 0x20, 0, 1, 0, 2));

/** What was sealed cannot be opened: it was altered, is for another key or by another one, or belongs elsewhere. */
export class NotOpened extends Error {
  constructor() {
    super("the sealed message does not open");
    this.name = "NotOpened";
  }
}

/** A key for which nothing can be sealed: its owner's program is broken. */
export class WeakKey extends Error {
  constructor() {
    super("nothing can be sealed for this key");
    this.name = "WeakKey";
  }
}

/** @typedef {{ secret: CryptoKey, key: Uint8Array }} Exchange An X25519 key: the half that stays, the half that is told. */

/**
 * @param {Uint8Array} key
 * @param {Uint8Array} message
 */
async function hmac(key, message) {
  // An empty key is as good as one of zeros, and browsers take the latter alone.
  const bytes = key.length === 0 ? new Uint8Array(KEY_BYTES) : key;
  const imported = await crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return new Uint8Array(await crypto.subtle.sign("HMAC", imported, message));
}

/**
 * @param {Uint8Array} suite
 * @param {Uint8Array} salt
 * @param {string} label
 * @param {Uint8Array} input
 */
export function extract(suite, salt, label, input) {
  return hmac(salt, concat(VERSION, suite, utf8.encode(label), input));
}

/**
 * @param {Uint8Array} suite
 * @param {Uint8Array} key
 * @param {string} label
 * @param {Uint8Array} info
 * @param {number} length At most that of one hash.
 */
export async function expand(suite, key, label, info, length) {
  const labelled = concat(Uint8Array.of(0, length), VERSION, suite, utf8.encode(label), info);
  return (await hmac(key, concat(labelled, Uint8Array.of(1)))).slice(0, length);
}

/** The suite of the key encapsulation, for tests that derive key pairs. */
export { KEM };

/**
 * @param {CryptoKey} secret
 * @param {Uint8Array} key
 * @throws {WeakKey} The key is no point of the curve, or of small order.
 */
async function agree(secret, key) {
  try {
    const theirs = await crypto.subtle.importKey("raw", key, "X25519", false, []);
    const shared = new Uint8Array(await crypto.subtle.deriveBits({ name: "X25519", public: theirs }, secret, 256));
    if (shared.some((byte) => byte !== 0)) return shared;
  } catch {
    // Browsers refuse them, too.
  }
  throw new WeakKey();
}

/**
 * @param {Uint8Array} agreed
 * @param {Uint8Array} context
 * @param {Uint8Array} info
 * @param {KeyUsage} usage
 */
async function cipher(agreed, context, info, usage) {
  const shared = await expand(KEM, await extract(KEM, EMPTY, "eae_prk", agreed), "shared_secret", context, KEY_BYTES);
  const hashes = [await extract(SUITE, EMPTY, "psk_id_hash", EMPTY), await extract(SUITE, EMPTY, "info_hash", info)];
  const schedule = concat(Uint8Array.of(AUTH), ...hashes);
  const secret = await extract(SUITE, shared, "secret", EMPTY);
  const key = await expand(SUITE, secret, "key", schedule, KEY_BYTES);
  const iv = await expand(SUITE, secret, "base_nonce", schedule, 12);
  return { key: await crypto.subtle.importKey("raw", key, "AES-GCM", false, [usage]), parameters: { name: "AES-GCM", iv } };
}

/** @returns {Promise<Exchange>} A key for one message. */
async function once() {
  const pair = /** @type {CryptoKeyPair} */ (await crypto.subtle.generateKey("X25519", false, ["deriveBits"]));
  return { secret: pair.privateKey, key: new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey)) };
}

/**
 * Seals a message by a key: whoever opens it knows that nobody else made it.
 * @param {Exchange} sender
 * @param {Uint8Array} recipient
 * @param {Uint8Array} info What it is for: it opens nowhere else.
 * @param {Uint8Array} plain
 * @param {Exchange} [ephemeral] For tests: the key of this message alone.
 * @returns {Promise<Uint8Array>}
 */
export async function sealAs(sender, recipient, info, plain, ephemeral) {
  const message = ephemeral ?? (await once());
  const agreed = concat(await agree(message.secret, recipient), await agree(sender.secret, recipient));
  const { key, parameters } = await cipher(agreed, concat(message.key, recipient, sender.key), info, "encrypt");
  return concat(message.key, new Uint8Array(await crypto.subtle.encrypt(parameters, key, plain)));
}

/**
 * @param {Exchange} device
 * @param {Uint8Array} sender Who must have sealed it.
 * @param {Uint8Array} info
 * @param {Uint8Array} sealed
 * @returns {Promise<Uint8Array>}
 * @throws {NotOpened}
 */
export async function openFrom(device, sender, info, sealed) {
  if (sealed.length < OVERHEAD_BYTES) throw new NotOpened();
  const encapsulated = sealed.slice(0, KEY_BYTES);
  try {
    const agreed = concat(await agree(device.secret, encapsulated), await agree(device.secret, sender));
    const { key, parameters } = await cipher(agreed, concat(encapsulated, device.key, sender), info, "decrypt");
    return new Uint8Array(await crypto.subtle.decrypt(parameters, key, sealed.subarray(KEY_BYTES)));
  } catch {
    throw new NotOpened();
  }
}

/**
 * @param {Uint8Array} key
 * @returns {Promise<boolean>} Whether anything can be sealed for it.
 */
export async function isSound(key) {
  try {
    await agree((await once()).secret, key);
    return true;
  } catch {
    return false;
  }
}
