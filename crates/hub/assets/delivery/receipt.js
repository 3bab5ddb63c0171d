// The recipient's signed word that everything arrived (docs/format.md, sections 6.1 and 15.3).

import { getPublicKeyAsync, signAsync } from "./vendor/noble-ed25519/index.js";
import { write } from "./cbor.js";

const CONTEXT = new TextEncoder().encode("consign/delivery-receipt/1");
/** `{ 1: -8 }`: EdDSA. */
const PROTECTED = Uint8Array.of(0xa1, 0x01, 0x27);
const COSE_SIGN1 = 18;

/**
 * @typedef {object} Receipt
 * @property {Uint8Array} id Which delivery.
 * @property {Uint8Array} digest Hash of the tags of all segments in order.
 * @property {number} items Of the header.
 * @property {number} streamBytes
 * @property {number} received When the last of it was kept, in seconds since 1970.
 */

/**
 * @param {Receipt} receipt
 * @param {Uint8Array} key Thirty-two secret bytes (RFC 8032).
 * @returns {Promise<Uint8Array>} The signed document.
 */
export async function signReceipt(receipt, key) {
  const payload = write.map(
    write.unsigned(1),
    write.bytes(receipt.id),
    write.bytes(receipt.digest),
    write.unsigned(receipt.items),
    write.unsigned(receipt.streamBytes),
    write.unsigned(receipt.received),
    write.bytes(await getPublicKeyAsync(key)),
  );
  const signed = write.array(
    write.text("Signature1"),
    write.bytes(PROTECTED),
    write.bytes(CONTEXT),
    write.bytes(payload),
  );
  const signature = await signAsync(signed, key);
  const document = write.array(
    write.bytes(PROTECTED),
    write.map(),
    write.bytes(payload),
    write.bytes(signature),
  );
  return write.tagged(COSE_SIGN1, document);
}
