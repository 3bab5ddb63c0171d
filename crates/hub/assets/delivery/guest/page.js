// The page of a guest: somebody without an account sends from their browser by a link, where the hub's operator lets them.

import { Account } from "../me/account.js";
import { Draft } from "../me/draft.js";
import { Outbox } from "../me/outbox.js";
import { WHOEVER_HAS_THE_LINK } from "../me/addressee.js";
import { alone } from "../me/alone.js";
import { announce } from "../announce.js";
import { by } from "../me/drawing.js";
import { checkBrowser } from "../browser.js";
import { explained } from "../me/states.js";
import { makeKeys, remember, remembered } from "../me/memory.js";
import { unhex } from "../bytes.js";

const { identity = "", fingerprint = "", url = "" } = document.body.dataset;
/** What the hub is recognised by in proofs. */
const HUB = unhex(identity) ?? new Uint8Array(32);
const ELSEWHERE = "This page is open in another tab of this browser. This one goes on when that is closed.";
/** Nothing stands under the messages of who has no address book. */
const UNSIGNED = { ready: async () => {}, under: (/** @type {string} */ message) => message, renew() {} };

/**
 * What is going on, or what failed.
 * @param {string} text
 * @param {string} [colour]
 */
function tell(text, colour = "plain") {
  const place = by("notice");
  if (text && (place.textContent !== text || colour === "bad")) announce(text, { isUrgent: colour === "bad" });
  place.hidden = text === "";
  place.className = `notice ${colour}`;
  place.textContent = text;
}

/** Where the outbox says what it has to say. */
const desk = {
  /**
   * Does something, and says what failed.
   * @param {() => Promise<unknown>} act
   */
  async attempt(act) {
    try {
      await act();
    } catch (error) {
      const { message, todo } = explained(error);
      tell([message, todo].filter((part) => part).join(" "), "bad");
    }
  },

  /** @param {string} text */
  notice(text) {
    tell(text, "good");
  },

  /** There is one room. */
  go() {
    tell("");
  },
};

async function begin() {
  checkBrowser("send");
  await alone("consign guest", () => tell(ELSEWHERE, "warn"));
  tell("");
  // The same keys after a reload, so that what was begun can go on.
  let memory = await remembered();
  if (!memory) await remember((memory = { handle: "", name: "", own: await makeKeys(), seen: null }));
  const { own } = memory;
  // The hub keeps no list of what a guest sends.
  const guest = { own, account: new Account(own, HUB), outbox: async () => [] };
  const draft = new Draft((act) => desk.attempt(act), UNSIGNED, WHOEVER_HAS_THE_LINK);
  const outbox = new Outbox(guest, desk, draft, { identity: HUB, fingerprint: unhex(fingerprint) ?? new Uint8Array(), url });
  by("guest").hidden = false;
  await outbox.show();
}

// Without the form the hub has no guests.
if (document.getElementById("guest")) void desk.attempt(begin);
