// Bytes as text, and side by side.

const DIGITS = "0123456789abcdef";
const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/**
 * @param {Uint8Array} bytes
 * @returns {string} Lower-case hexadecimal digits.
 */
export function hex(bytes) {
  let text = "";
  for (const byte of bytes) text += DIGITS[byte >> 4] + DIGITS[byte & 15];
  return text;
}

/**
 * @param {string} text Lower-case hexadecimal digits.
 * @returns {Uint8Array | null} `null` when it is something else.
 */
export function unhex(text) {
  if (text.length % 2 !== 0 || !/^[0-9a-f]*$/.test(text)) return null;
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

/**
 * @param {Uint8Array} bytes
 * @returns {string} base64url without padding, as RFC 4648 has it.
 */
export function base64url(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += 3) {
    const [first, second = 0, third = 0] = bytes.subarray(at, at + 3);
    const group = (first << 16) | (second << 8) | third;
    const letters = Math.min(4, bytes.length - at + 1);
    for (let place = 0; place < letters; place++) text += LETTERS[(group >> (18 - 6 * place)) & 63];
  }
  return text;
}

/**
 * @param {string} text
 * @returns {Uint8Array | null} `null` when it is not the one encoding of any bytes.
 */
export function unbase64url(text) {
  if (text.length % 4 === 1) return null;
  const bytes = new Uint8Array(Math.floor((text.length * 3) / 4));
  let group = 0;
  let bits = 0;
  let at = 0;
  for (const letter of text) {
    const value = LETTERS.indexOf(letter);
    if (value < 0) return null;
    group = (group << 6) | value;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes[at++] = group >> bits;
      group &= (1 << bits) - 1;
    }
  }
  return group === 0 ? bytes : null;
}

/** @param {...Uint8Array} parts */
export function concat(...parts) {
  return join(parts);
}

/**
 * For as many as one likes.
 * @param {Uint8Array[]} parts
 * @returns {Uint8Array}
 */
export function join(parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Leads nowhere: what is handed over to it is gone. */
const nowhere = new MessageChannel().port1;
nowhere.close();

/**
 * Gives the memory of bytes back that nobody reads any more; whoever does finds none. Browsers free it late by themselves. Not by
 * `ArrayBuffer.prototype.transfer`: Chromium counts the memory as free then and keeps it all the same.
 * @param {Uint8Array} used All of its buffer.
 */
export function release({ buffer }) {
  nowhere.postMessage(null, [/** @type {ArrayBuffer} */ (buffer)]);
}

/**
 * @param {Uint8Array} one
 * @param {Uint8Array} other
 */
export function equal(one, other) {
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}

/**
 * @param {number} value A whole number that JavaScript counts without rounding.
 * @returns {Uint8Array} Eight bytes, little-endian.
 */
export function littleEndian(value) {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true);
  return bytes;
}

/**
 * @param {Uint8Array} bytes Eight or more, little-endian.
 * @returns {number | null} `null` when JavaScript would round it.
 */
export function fromLittleEndian(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, 8);
  const value = view.getBigUint64(0, true);
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : null;
}
