// How addressed deliveries stand, in words.

import { NotNow } from "../hub.js";
import { Problem, problemOf } from "../problem.js";
import { Refused } from "./account.js";
import { bytes } from "../words.js";
import { shownText } from "../names.js";
import { when } from "./drawing.js";

const OVER = ["received", "terminated", "removed"];

/** @param {import("./account.js").Delivery} delivery */
export function isOver({ state }) {
  return OVER.includes(state);
}

/**
 * What it waits for, or how it ended, and since when.
 * @param {import("./account.js").Delivery} delivery
 * @param {boolean} isIn Whether it is addressed to us.
 * @returns {{ text: string, colour: string }} `colour` of its badge.
 */
export function standing(delivery, isIn) {
  const { state, since, segments, verified, letter, from, to, other_online: isOnline, ended, locker } = delivery;
  const at = when(since);
  const plain = (/** @type {string} */ text, colour = "") => ({ text, colour });
  switch (state) {
    case "pending-approval":
      return plain(isIn ? `waits for you to let ${from} in since ${at}` : `waits for ${to} to let you in since ${at}`, "warn");
    case "waiting":
      if (isIn && !letter) return plain("is for another device of yours");
      if (locker) {
        if (locker.kept < segments) return plain(`${Math.floor((100 * locker.kept) / Math.max(1, segments))} % are in the hub's locker`, "move");
        const until = when(locker.until);
        if (isIn) return plain(`can be received now, until ${until}`, "accent");
        return plain(`is in the hub's locker for ${to} until ${until}`);
      }
      // Whoever sends from a terminal may be there without listening.
      if (isIn) return isOnline ? plain("can be received now", "accent") : plain(`can be received while ${from} sends it`, "warn");
      return plain(isOnline ? `waits for ${to} to accept it since ${at}` : `waits for ${to} to be online since ${at}`, "warn");
    case "running":
      // Its sender is there.
      if (isIn && verified === 0) return plain("can be received now", "accent");
      return plain(`${Math.floor((100 * verified) / Math.max(1, segments))} % received`, "move");
    case "received":
      return plain(`received ${at}`, "good");
    case "terminated": {
      const who = { sender: isIn ? from : "you", recipient: isIn ? "you" : to, hub: "the hub" }[ended?.by ?? "hub"] ?? "somebody";
      return plain(`ended by ${who} ${at}: ${shownText(ended?.reason ?? "")}`, "bad");
    }
    case "removed":
      return plain(`forgotten by the hub ${at}: nobody asked for it`, "bad");
    default:
      return plain("in a state that this page does not know");
  }
}

/**
 * What any failure of the page is for people.
 * @param {unknown} error
 * @returns {Problem}
 */
export function explained(error) {
  if (error instanceof NotNow) {
    return new Problem(`The hub does not do it now: ${shownText(error.message)}.`, "Try again in a moment.", { again: true });
  }
  if (error instanceof Refused) {
    const todo = REFUSALS[error.code] ?? "When it says so again, ask whoever runs the hub.";
    const said = ROOM.includes(error.code) ? withUnits(shownText(error.message)) : shownText(error.message);
    return new Problem(`The hub refuses: ${said}.`, todo, { again: error.code === "storage-full" });
  }
  return problemOf(error);
}

/** Refusals whose words count bytes. */
const ROOM = ["guest-refused", "locker-refused", "storage-full"];

/** @param {string} text */
function withUnits(text) {
  return text.replace(/(\d{4,15})( bytes)?/g, (_, number) => bytes(Number(number)));
}

/** @type {Record<string, string>} */
const REFUSALS = {
  "login-refused": "Look at handle and password. After three wrong ones, wait an hour; or ask whoever runs the hub for another password.",
  "recipient-refuses": "Ask them to put you into their address book.",
  "guest-refused": "Send less, or tomorrow; or from an account, which whoever runs the hub gives.",
  "not-registered": "The hub lets nobody send without an account any more. Ask whoever runs it for one.",
  "handle-taken": "Choose another handle.",
  "person-required": "Approve this browser on another device of yours first.",
  "locker-refused": "Send less or for fewer days, end what else the hub keeps for you, or send it without the hub keeping it.",
  "storage-full": "Try again later, or send it without the hub keeping it.",
  "invitation-refused": "Ask whoever runs the hub for another invitation.",
};
