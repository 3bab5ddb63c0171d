// Signed documents (docs/format.md, section 6.1).

import { verifyAsync } from "./vendor/noble-ed25519/index.js";
import { Malformed, Reader, write } from "./cbor.js";
import { equal } from "./bytes.js";

/** `{ 1: -8 }`: EdDSA. */
const PROTECTED = Uint8Array.of(0xa1, 0x01, 0x27);
const COSE_SIGN1 = 18;
const SIGNATURE_BYTES = 64;
/** The longest document, in bytes. */
const DOCUMENT_BYTES_MAX = 65_536;
const utf8 = new TextEncoder();

/**
 * @typedef {object} Signer Whoever signs.
 * @property {Uint8Array} key Thirty-two bytes that everybody may know.
 * @property {(bytes: Uint8Array) => Promise<Uint8Array>} sign As RFC 8032 has it.
 */

/**
 * A key of the browser's own, which signs and is shown to nobody.
 * @param {{ key: Uint8Array, secret: CryptoKey }} device
 * @returns {Signer}
 */
export function deviceSigner({ key, secret }) {
  return { key, sign: async (bytes) => new Uint8Array(await crypto.subtle.sign("Ed25519", secret, bytes)) };
}

/**
 * @param {string} context
 * @param {Uint8Array} payload
 */
function signedBytes(context, payload) {
  return write.array(
    write.text("Signature1"),
    write.bytes(PROTECTED),
    write.bytes(utf8.encode(context)),
    write.bytes(payload),
  );
}

/**
 * @param {Uint8Array} payload
 * @param {Uint8Array} signature
 */
function envelope(payload, signature) {
  const parts = [write.bytes(PROTECTED), write.map(), write.bytes(payload), write.bytes(signature)];
  return write.tagged(COSE_SIGN1, write.array(...parts));
}

/**
 * @param {string} context What kind of document it is.
 * @param {Uint8Array} payload
 * @param {Signer} signer
 * @returns {Promise<Uint8Array>}
 */
export async function sign(context, payload, signer) {
  return envelope(payload, await signer.sign(signedBytes(context, payload)));
}

/**
 * Takes a document apart; nothing is verified yet.
 * @param {Uint8Array} document
 * @returns {{ payload: Uint8Array, signature: Uint8Array }}
 */
export function peek(document) {
  if (document.length > DOCUMENT_BYTES_MAX) throw new Malformed("a document longer than any");
  const reader = new Reader(document);
  reader.tag(COSE_SIGN1);
  if (reader.array() !== 4) throw new Malformed("a document with other parts");
  if (!equal(reader.bytes(), PROTECTED) || reader.map() !== 0) throw new Malformed("a document signed in another way");
  const payload = reader.bytes();
  const signature = reader.bytes();
  reader.finish();
  if (signature.length !== SIGNATURE_BYTES) throw new Malformed("a signature of another length");
  return { payload, signature };
}

/**
 * @param {string} context
 * @param {Uint8Array} document
 * @param {Uint8Array} key Who must have signed it.
 * @returns {Promise<Uint8Array>} Its payload.
 * @throws {Malformed} They did not.
 */
export async function open(context, document, key) {
  const { payload, signature } = peek(document);
  const isGood = await verifyAsync(signature, signedBytes(context, payload), key, { zip215: false });
  if (!isGood) throw new Malformed("a signature that does not verify");
  return payload;
}
