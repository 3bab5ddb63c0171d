// Sealing of segments (docs/format.md, section 15.2). The key of a segment follows from the keyed hash of
// its place and its plain bytes, so what opens is what was sealed for this place, or nothing.

import { decompress } from "./vendor/fzstd/index.js";
import { blake3 } from "./vendor/noble-hashes/blake3.js";
import { concat, equal, littleEndian, release } from "./bytes.js";
import { Hasher } from "./tags.js";
import { SEGMENT_BYTES } from "./layout.js";

export const TAG_BYTES = 32;
const KEY_BYTES = 32;
const CIPHER_TAG_BYTES = 16;
const OVERHEAD_BYTES = TAG_BYTES + 1 + CIPHER_TAG_BYTES;
const RAW = 0;
const ZSTD = 1;
const NONCE = new Uint8Array(12);
const utf8 = new TextEncoder();

/** A segment that is not what the sender sealed for its place. */
export class NotAuthentic extends Error {
  /** @param {number} number */
  constructor(number) {
    super(`segment ${number} is not what the sender sealed`);
    this.name = "NotAuthentic";
  }
}

/**
 * @param {Uint8Array} secret
 * @param {string} purpose
 */
function derive(secret, purpose) {
  return blake3(secret, { context: utf8.encode(`consign delivery 1 ${purpose}`) });
}

/**
 * What the recipient shows to the hub.
 * @param {Uint8Array} secret
 */
export function recipientToken(secret) {
  return derive(secret, "recipient token");
}

/** Opens and seals segments of one delivery, and its receipt. */
export class Vault {
  #id;
  #tags;
  #keys;
  /** @type {Uint8Array | null} Of what is sealed for several; no receipt is. */
  #wraps;

  /**
   * @param {Uint8Array} id
   * @param {Uint8Array} secret
   * @param {"segment" | "receipt"} what
   */
  constructor(id, secret, what) {
    this.#id = id;
    this.#tags = new Hasher(derive(secret, `${what} tags`));
    this.#keys = derive(secret, `${what} keys`);
    this.#wraps = what === "segment" ? derive(secret, "segment wraps") : null;
  }

  /**
   * @param {number} number
   * @param {number} length How many plain bytes it has.
   * @param {Uint8Array} sealed
   * @returns {Promise<{ tag: Uint8Array, plain: Uint8Array }>}
   */
  async open(number, length, sealed) {
    const foreign = new NotAuthentic(number);
    if (sealed.length < OVERHEAD_BYTES || length > SEGMENT_BYTES) throw foreign;
    const tag = sealed.slice(0, TAG_BYTES);
    const rest = sealed.subarray(TAG_BYTES);
    const own = await tryOpen(blake3(tag, { key: this.#keys }), this.#place(number), rest);
    const message = own ?? (await this.#openShared(tag, rest));
    if (!message) throw foreign;
    const [codec] = new Uint8Array(message, 0, 1);
    const body = new Uint8Array(message, 1);
    const plain = codec === RAW ? body : codec === ZSTD ? inflate(body, length) : null;
    // The tag commits the sender to these bytes, and finds whatever decompression did wrong.
    if (plain?.length !== length || !equal(this.tag(number, plain), tag)) throw foreign;
    return { tag, plain };
  }

  /**
   * What was not compressed, of any length: receipts, which are short.
   * @param {number} number
   * @param {Uint8Array} sealed
   */
  async openAny(number, sealed) {
    return (await this.open(number, Math.max(0, sealed.length - OVERHEAD_BYTES), sealed)).plain;
  }

  /**
   * Uncompressed.
   * @param {number} number
   * @param {Uint8Array} plain
   * @param {Uint8Array} [known] Its tag.
   * @returns {Promise<Uint8Array>}
   */
  async seal(number, plain, known) {
    const tag = known ?? this.tag(number, plain);
    const cipher = await crypto.subtle.importKey("raw", blake3(tag, { key: this.#keys }), "AES-GCM", false, ["encrypt"]);
    const parameters = { name: "AES-GCM", iv: NONCE, additionalData: this.#place(number) };
    const message = concat(Uint8Array.of(RAW), plain);
    const sealed = new Uint8Array(await crypto.subtle.encrypt(parameters, cipher, message));
    release(message);
    const whole = concat(tag, sealed);
    release(sealed);
    return whole;
  }

  /**
   * @param {number} number
   * @param {Uint8Array} plain
   * @returns {Uint8Array}
   */
  tag(number, plain) {
    return this.#tags.digest(this.#place(number), plain);
  }

  /**
   * What was sealed for several: the key comes with it, wrapped for this one.
   * @param {Uint8Array} tag
   * @param {Uint8Array} rest
   */
  async #openShared(tag, rest) {
    if (!this.#wraps || rest.length <= KEY_BYTES + CIPHER_TAG_BYTES) return null;
    const together = rest.subarray(KEY_BYTES);
    const pad = blake3(concat(tag, together.subarray(together.length - CIPHER_TAG_BYTES)), { key: this.#wraps });
    const key = pad.map((byte, at) => byte ^ rest[at]);
    return tryOpen(key, new Uint8Array(), together);
  }

  /** @param {number} number */
  #place(number) {
    return concat(this.#id, littleEndian(number));
  }
}

/**
 * @param {Uint8Array} key
 * @param {Uint8Array} additionalData
 * @param {Uint8Array} sealed
 * @returns {Promise<ArrayBuffer | null>} The message, if it was sealed under this key.
 */
async function tryOpen(key, additionalData, sealed) {
  const cipher = await crypto.subtle.importKey("raw", key, "AES-GCM", false, ["decrypt"]);
  try {
    return await crypto.subtle.decrypt({ name: "AES-GCM", iv: NONCE, additionalData }, cipher, sealed);
  } catch {
    return null;
  }
}

/**
 * @param {Uint8Array} packed
 * @param {number} length
 * @returns {Uint8Array | null} As many bytes, into room that is made before anything claims a length.
 */
function inflate(packed, length) {
  try {
    return decompress(packed, new Uint8Array(length));
  } catch {
    return null;
  }
}
