// The end of a delivery that was sent: who ended it, or the receipt, whether its sender stayed or came back for it.

import { Malformed } from "./cbor.js";
import { NotAuthentic, Vault } from "./vault.js";
import { Problem } from "./problem.js";
import { openReceipt } from "./receipt.js";
import { shownText } from "./names.js";
import { unbase64url } from "./bytes.js";

/** What a sender says when it ends a delivery that arrived. */
const RECEIVED = "received";
const FOREIGN = new Problem(
  "What came as a receipt is not of the recipient.",
  "The hub made it up, or somebody else has the link. Keep what you sent, and ask the recipient.",
);

/**
 * @typedef {object} Sent
 * @property {number} received When the recipient had everything, in seconds since 1970.
 * @property {Uint8Array} recipient Who signed.
 *
 * @typedef {{ digest: Uint8Array, items: number, streamBytes: number }} Tally What a receipt has to say.
 */

/**
 * One that somebody ended does not go on. With a receipt it was this sender, whose page was closed before it knew.
 * @param {{ ended?: { by: string, reason: string }, receipt?: string }} status
 */
export function checkGoesOn({ ended, receipt }) {
  if (!ended || (ended.by === "sender" && receipt)) return;
  const who = { sender: "You", recipient: "The recipient" }[ended.by] ?? "The hub";
  throw new Problem(`${who} ended the delivery: ${shownText(ended.reason)}.`, "What you sent is where it was.");
}

/**
 * @param {{ id: Uint8Array, secret: Uint8Array }} delivery
 * @param {string} receipt As the hub hands it out.
 * @param {Tally} tally
 * @returns {Promise<Sent>}
 */
export async function openSent({ id, secret }, receipt, tally) {
  try {
    const signed = await new Vault(id, secret, "receipt").openAny(0, unbase64url(receipt) ?? new Uint8Array());
    return await openReceipt(signed, { id, ...tally });
  } catch (error) {
    if (error instanceof NotAuthentic || error instanceof Malformed) throw FOREIGN;
    throw error;
  }
}

/**
 * Tells the hub that the receipt is here. A recipient that waits for this does without it after a while.
 * @param {import("./me/account.js").Account} account
 * @param {string} path Of the delivery.
 */
export async function tellReceived(account, path) {
  await account.call("DELETE", path, { reason: RECEIVED }).catch(() => {});
}
