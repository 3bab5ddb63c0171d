// Address books, sealed for the devices of their owner (docs/format.md, section 16.3). The twin of `people::Book`.

import { Malformed, Reader, write } from "../cbor.js";
import { ascending, deviceOf, isHandle } from "./devices.js";
import { concat, equal, littleEndian } from "../bytes.js";
import { openFrom, sealAs } from "./hpke.js";

/** The longest sealed book, in bytes. */
export const BOOK_BYTES_MAX = 1 << 20;
const CONTACTS_MAX = 2000;
const NAME_CHARS_MAX = 64;
const NOTES_CHARS_MAX = 256;
const SIGNATURE_CHARS_MAX = 1024;
const WRAP_BYTES = 80;
const LABEL = new TextEncoder().encode("consign/book/1");
/** Every key meets one message. */
const NONCE = new Uint8Array(12);

/**
 * @typedef {object} Contact
 * @property {string} firstName
 * @property {string} lastName
 * @property {string} notes
 * @property {boolean} isVerified The words were compared and agreed.
 * @property {Uint8Array | null} identity Who the handle stands for.
 *
 * @typedef {{ contacts: Map<string, Contact>, signature: string }} Book
 */

/** The book cannot be used; the message says why. */
export class BookError extends Error {
  /** @param {string} what */
  constructor(what) {
    super(what);
    this.name = "BookError";
  }
}

/** @returns {Book} */
export function emptyBook() {
  return { contacts: new Map(), signature: "" };
}

/** @returns {Contact} */
export function emptyContact() {
  return { firstName: "", lastName: "", notes: "", isVerified: false, identity: null };
}

/** @param {string} text */
const chars = (text) => [...text].length;

/**
 * @param {Book} book
 * @returns {string | null} What is too long.
 */
function excess({ contacts, signature }) {
  if (contacts.size > CONTACTS_MAX) return "it has at most 2,000 contacts";
  if (chars(signature) > SIGNATURE_CHARS_MAX) return "a signature has at most 1,024 characters";
  for (const { firstName, lastName, notes } of contacts.values()) {
    if ([firstName, lastName].some((name) => chars(name) > NAME_CHARS_MAX || /\p{Cc}/u.test(name))) {
      return "a name is one line of at most 64 characters";
    }
    if (chars(notes) > NOTES_CHARS_MAX) return "notes have at most 256 characters";
  }
  return null;
}

/**
 * A message with the signature under it, behind the line `-- ` that mail programs know (RFC 3676, 4.3). Nothing goes
 * under no message, and no signature under any.
 * @param {string} message
 * @param {string} signature
 */
export function signed(message, signature) {
  if (message === "" || signature === "") return message;
  return `${trimmedEnd(message)}\n\n-- \n${signature}`;
}

/** @param {string} text @returns {string} Without the white space at its end, as Unicode and the terminal know it. */
export function trimmedEnd(text) {
  let end = text.length;
  while (end > 0 && /\p{White_Space}/u.test(text[end - 1])) end -= 1;
  return text.slice(0, end);
}

/** @param {Book} book */
export function encodeBook({ contacts, signature }) {
  const contact = (/** @type {[string, Contact]} */ [handle, { firstName, lastName, notes, isVerified, identity }]) =>
    write.array(
      ...[handle, firstName, lastName, notes].map(write.text),
      write.unsigned(isVerified ? 1 : 0),
      ...(identity ? [write.bytes(identity)] : []),
    );
  const sorted = [...contacts].sort(([one], [other]) => (one < other ? -1 : 1));
  return write.map(write.unsigned(1), write.array(...sorted.map(contact)), write.text(signature));
}

/**
 * @param {Uint8Array} bytes
 * @returns {Book}
 * @throws {Malformed} Anything but the one encoding of a book.
 */
export function decodeBook(bytes) {
  const reader = new Reader(bytes);
  if (reader.map() !== 3) throw new Malformed("a book with other fields");
  field(reader, 0);
  if (reader.unsigned() !== 1) throw new Malformed("a book of another version");
  field(reader, 1);
  const book = emptyBook();
  for (let left = reader.array(); left > 0; left--) {
    const items = reader.array();
    const handle = reader.text();
    if (!isHandle(handle)) throw new Malformed("a text that is no handle");
    const [firstName, lastName, notes] = [reader.text(), reader.text(), reader.text()];
    const isVerified = reader.unsigned() === 1;
    const identity = items === 6 ? reader.bytes().slice() : null;
    book.contacts.set(handle, { firstName, lastName, notes, isVerified, identity });
  }
  field(reader, 2);
  book.signature = reader.text();
  reader.finish();
  const isWhole = [...book.contacts.values()].every(({ identity }) => !identity || identity.length === 32);
  if (!isWhole || excess(book) || !equal(encodeBook(book), bytes)) throw new Malformed("an impossible address book");
  return book;
}

/**
 * @param {Reader} reader
 * @param {number} expected
 */
function field(reader, expected) {
  if (reader.unsigned() !== expected) throw new Malformed("a book with other fields");
}

/**
 * @param {Uint8Array} identity Of the owner.
 * @param {number} number
 */
function placeOf(identity, number) {
  return concat(identity, littleEndian(number));
}

/**
 * @param {Uint8Array} key
 * @param {KeyUsage} usage
 */
function cipher(key, usage) {
  return crypto.subtle.importKey("raw", key, "AES-GCM", false, [usage]);
}

/**
 * Seals the book as version `number`, by this device for all on the list.
 * @param {Book} book
 * @param {import("./devices.js").Known} known
 * @param {number} number
 * @param {{ key: Uint8Array, exchange: import("./hpke.js").Exchange }} writer
 * @param {{ key?: Uint8Array, ephemeral?: import("./hpke.js").Exchange }} [fixed] For tests: what is drawn at random.
 * @returns {Promise<Uint8Array>}
 */
export async function sealBook(book, known, number, writer, fixed = {}) {
  const reason = excess(book);
  if (reason) throw new BookError(`The address book is too large: ${reason}.`);
  const key = fixed.key ?? crypto.getRandomValues(new Uint8Array(32));
  const place = placeOf(known.identity, number);
  const wraps = [];
  for (const device of known.list.devices) {
    const wrap = await sealAs(writer.exchange, device.exchange, concat(LABEL, place), key, fixed.ephemeral);
    wraps.push(write.array(write.bytes(device.key), write.bytes(wrap)));
  }
  const parameters = { name: "AES-GCM", iv: NONCE, additionalData: place };
  const body = await crypto.subtle.encrypt(parameters, await cipher(key, "encrypt"), encodeBook(book));
  const sealed = write.map(
    write.unsigned(1),
    write.bytes(writer.key),
    write.array(...wraps),
    write.bytes(new Uint8Array(body)),
  );
  if (sealed.length > BOOK_BYTES_MAX) throw new BookError("The address book is too large: it has at most 1 MiB.");
  return sealed;
}

/**
 * The device that wrote a sealed book, by its own word.
 * @param {Uint8Array} sealed
 */
export function writerOf(sealed) {
  if (sealed.length > BOOK_BYTES_MAX) throw new Malformed("a book longer than any");
  const reader = new Reader(sealed);
  if (reader.map() !== 4) throw new Malformed("a sealed book with other fields");
  field(reader, 0);
  if (reader.unsigned() !== 1) throw new Malformed("a sealed book of another version");
  field(reader, 1);
  return reader.bytes();
}

/**
 * Opens version `number` on this device.
 * @param {Uint8Array} sealed
 * @param {import("./devices.js").Known} known
 * @param {number} number
 * @param {{ key: Uint8Array, exchange: import("./hpke.js").Exchange }} device
 * @returns {Promise<Book>}
 */
export async function openBook(sealed, known, number, device) {
  if (sealed.length > BOOK_BYTES_MAX) throw new Malformed("a book longer than any");
  const reader = new Reader(sealed);
  if (reader.map() !== 4) throw new Malformed("a sealed book with other fields");
  field(reader, 0);
  if (reader.unsigned() !== 1) throw new Malformed("a sealed book of another version");
  field(reader, 1);
  const writer = deviceOf(known, reader.bytes());
  if (!writer) throw new BookError("The address book was written by no device of yours: the hub is broken or hostile, or that device was removed since.");
  field(reader, 2);
  /** @type {Uint8Array | null} */
  let wrap = null;
  let [before, count] = [/** @type {Uint8Array | null} */ (null), reader.array()];
  for (; count > 0; count--) {
    if (reader.array() !== 2) throw new Malformed("a key for no device");
    const key = reader.bytes();
    const wrapped = reader.bytes();
    if (wrapped.length !== WRAP_BYTES || (before && ascending(before, key) > 0)) throw new Malformed("keys in another order");
    if (equal(key, device.key)) wrap = wrapped;
    before = key;
  }
  field(reader, 3);
  const body = reader.bytes();
  reader.finish();
  if (!wrap) throw new BookError("The address book was not sealed for this browser yet: another device of yours has to change it once.");
  const place = placeOf(known.identity, number);
  try {
    const key = await openFrom(device.exchange, writer.exchange, concat(LABEL, place), wrap);
    const parameters = { name: "AES-GCM", iv: NONCE, additionalData: place };
    return decodeBook(new Uint8Array(await crypto.subtle.decrypt(parameters, await cipher(key, "decrypt"), body)));
  } catch (error) {
    if (error instanceof Malformed) throw error;
    throw new BookError("The address book does not open: it was altered, or is another version than the hub says.");
  }
}
