// Deliveries to somebody's handle: whether they can come, and the secret, sealed for each of the recipient's devices.

import { Layout, segmentCount } from "../layout.js";
import { Problem } from "../problem.js";
import { Refused } from "./account.js";
import { WeakKey, sealAs } from "./hpke.js";
import { base64url, hex } from "../bytes.js";
import { blake3 } from "../vendor/noble-hashes/blake3.js";
import { decodeHeader, totals } from "../header.js";
import { letterInfo } from "./devices.js";
import { recipientToken } from "../vault.js";

const TRIES = 3;
/** Answers about a recipient that leave no hope. @type {Record<string, string>} */
const HOPELESS = {
  blocked: "lets nobody in but their contacts, or not you: ask them to put you into their address book",
  "disk-full": "has no room for so much: ask them to make some",
  "file-too-large": "cannot keep so large a file where deliveries go there",
  unknown: "is nobody at this hub: look how it is spelled",
};

/**
 * Asks about the recipient before anything is sent.
 * @param {import("./account.js").Account} account
 * @param {string} to
 * @param {{ bytes: number, largest: number }} sent
 */
export async function check(account, to, { bytes: size, largest }) {
  const { answer } = await account.read(`/v1/people/${to}/check?bytes=${size}&largest=${largest}`);
  if (HOPELESS[answer]) throw new Problem(`${to} ${HOPELESS[answer]}.`, "Nothing was sent.");
}

/**
 * Seals the secret for every device of the recipient. Repeating it changes nothing.
 * @param {import("./person.js").Person} person
 * @param {import("./memory.js").Sending} sending
 */
export async function address(person, { name, id, secret, to, header }) {
  const handle = to ?? "";
  const decoded = decodeHeader(header);
  const { files } = totals(decoded);
  const { streamBytes } = new Layout(decoded, header.length);
  const largest = decoded.items.reduce((most, { size }) => Math.max(most, size), 0);
  for (let tries = 1; ; tries++) {
    const { known } = await person.recipient(handle);
    const info = letterInfo(id, person.known.identity, known.identity);
    const letters = [];
    try {
      for (const { key, exchange } of known.list.devices) {
        letters.push({ key: hex(key), sealed: base64url(await sealAs(person.own.exchange, exchange, info, secret)) });
      }
    } catch (error) {
      if (!(error instanceof WeakKey)) throw error;
      throw new Problem(`Nothing can be sealed for a device of ${handle}: its program is broken.`, "Tell them; nothing was sent.");
    }
    const recipient = hex(blake3(recipientToken(secret)));
    const facts = { segments: segmentCount(streamBytes), bytes: streamBytes, files, largest, recipient };
    try {
      await person.account.call("PUT", `/v1/deliveries/${name}/address`, { to: handle, list: known.list.number, letters, ...facts });
      return;
    } catch (error) {
      // A device of theirs came or went meanwhile.
      const isOther = error instanceof Refused && error.code === "person-conflict";
      if (!isOther || tries === TRIES) throw error;
    }
  }
}
