// The recipient's signed word that everything arrived (docs/format.md, sections 6.1 and 15.3).

import { getPublicKeyAsync, signAsync } from "./vendor/noble-ed25519/index.js";
import { Malformed, Reader, write } from "./cbor.js";
import { equal } from "./bytes.js";
import { open, peek, sign } from "./signed.js";

const CONTEXT = "consign/delivery-receipt/1";

/**
 * @typedef {object} Receipt
 * @property {Uint8Array} id Which delivery.
 * @property {Uint8Array} digest Hash of the tags of all segments in order.
 * @property {number} items Of the header.
 * @property {number} streamBytes
 * @property {number} received When the last of it was kept, in seconds since 1970.
 */

/**
 * A key for one delivery alone: a browser that came by a link is nobody in particular.
 * @param {Uint8Array} secret Thirty-two secret bytes (RFC 8032).
 * @returns {Promise<import("./signed.js").Signer>}
 */
export async function nobody(secret) {
  return { key: await getPublicKeyAsync(secret), sign: (bytes) => signAsync(bytes, secret) };
}

/**
 * @param {Receipt} receipt
 * @param {import("./signed.js").Signer} signer
 * @returns {Promise<Uint8Array>} The signed document.
 */
export function signReceipt(receipt, signer) {
  const payload = write.map(
    write.unsigned(1),
    write.bytes(receipt.id),
    write.bytes(receipt.digest),
    write.unsigned(receipt.items),
    write.unsigned(receipt.streamBytes),
    write.unsigned(receipt.received),
    write.bytes(signer.key),
  );
  return sign(CONTEXT, payload, signer);
}

/**
 * Makes sure that a receipt says what was sent.
 * @param {Uint8Array} signed
 * @param {Omit<Receipt, "received">} sent
 * @returns {Promise<{ received: number, recipient: Uint8Array }>}
 * @throws {Malformed} It does not, or nobody signed it.
 */
export async function openReceipt(signed, { id, digest, items, streamBytes }) {
  const reader = new Reader(peek(signed).payload);
  if (reader.map() !== 7) throw new Malformed("a receipt with other fields");
  /** @param {number} expected */
  const field = (expected) => {
    if (reader.unsigned() !== expected) throw new Malformed("a receipt with other fields");
  };
  field(0);
  if (reader.unsigned() !== 1) throw new Malformed("a receipt of another version");
  field(1);
  if (!equal(reader.bytes(), id)) throw new Malformed("a receipt of another delivery");
  field(2);
  if (!equal(reader.bytes(), digest)) throw new Malformed("a receipt for other contents");
  field(3);
  const count = reader.unsigned();
  field(4);
  if (count !== items || reader.unsigned() !== streamBytes) throw new Malformed("a receipt for another amount");
  field(5);
  const received = reader.unsigned();
  field(6);
  const recipient = reader.bytes();
  reader.finish();
  await open(CONTEXT, signed, recipient);
  return { received, recipient };
}
