// What the hub keeps in a locker of what was sent from here: opening one, and looking whether the receipt came.

import { Layout } from "../layout.js";
import { Problem } from "../problem.js";
import { Refused } from "./account.js";
import { announce } from "../sender.js";
import { checkGoesOn, openSent } from "../sent.js";
import { counted } from "../words.js";
import { decodeHeader } from "../header.js";
import { when } from "./drawing.js";

/**
 * As the machine that sends it wants it.
 * @param {import("./memory.js").Sending} sending
 * @returns {import("../sender.js").Delivery}
 */
export function asDelivery({ id, name, secret, locker = null, until = null }) {
  return { id, name, secret, locker, until };
}

/**
 * Before anything is on its way, so that the hub's refusal leaves the form as it is.
 * @param {import("./account.js").Account} account
 * @param {import("./memory.js").Sending} sending
 */
export async function begin(account, sending) {
  try {
    await announce(account, asDelivery(sending), new Layout(decodeHeader(sending.header), sending.header.length));
  } catch (error) {
    // Its recipient has to let us in first; then it is asked for again.
    const isEarly = sending.to !== null && error instanceof Refused && error.code === "delivery-conflict";
    if (!isEarly) throw error;
  }
}

/**
 * Asks how it stands.
 * @param {import("./account.js").Account} account
 * @param {import("./memory.js").Sending} sending One of which the hub has everything.
 * @returns {Promise<{ sent?: import("../sent.js").Sent, locker?: import("../sender.js").Locker }>}
 * @throws {Problem} It is over, and did not arrive.
 */
export async function look(account, { id, name, secret, header, kept }) {
  let status;
  try {
    status = await account.read(`/v1/deliveries/${name}`);
  } catch (error) {
    if (!(error instanceof Refused && error.status === 404)) throw error;
    throw new Problem("the hub does not have it any more, and no receipt", "Ask the recipient, or send it anew.");
  }
  checkGoesOn(status);
  if (!status.receipt || !kept) return { locker: status.locker };
  const decoded = decodeHeader(header);
  const { streamBytes } = new Layout(decoded, header.length);
  return { sent: await openSent({ id, secret }, status.receipt, { digest: kept.digest, items: decoded.items.length, streamBytes }) };
}

/**
 * @param {import("../sender.js").Kept} kept
 * @returns {{ text: string, colour: string }}
 */
export function standingOfKept({ locker: { until, downloads, downloads_max: most } }) {
  const times = most ? `, downloaded ${downloads} of ${counted(most, "time")}` : "";
  return { text: `the hub keeps it until ${when(until)}${times}; this page may be closed`, colour: "accent" };
}

/** @param {import("./memory.js").Sending} sending @returns {string} What to do with its link, and with this page. */
export function adviceOnLink({ locker, until, kept }) {
  const given = "Hand it on as you would a key: whoever has it";
  if (kept) return `${given} can collect the delivery until ${when(kept.locker.until)}. The hub has everything; this page may be closed.`;
  if (locker) return `${given} can collect the delivery. Leave this page open until the hub has everything.`;
  const end = until ? ` It opens no more after ${when(until)}.` : "";
  return `${given} first collects the delivery.${end} Leave this page open until they have it.`;
}
