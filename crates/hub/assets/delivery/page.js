// The page of a link: reads it, unlocks it, and shows the delivery.

import { checkBrowser } from "./browser.js";
import { fail, openDelivery, say } from "./view.js";
import { focusHeading } from "./focus.js";
import { parseLink, unlock } from "./link.js";
import { problemOf } from "./problem.js";
import { takeDrops } from "./drop.js";

/**
 * Asks for the passphrase of a locked link.
 * @param {import("./link.js").Link} locked
 */
function askPassphrase(locked) {
  say("The sender locked this delivery. Type the passphrase that you agreed on.");
  const form = /** @type {HTMLElement} */ (document.getElementById("unlock"));
  const input = /** @type {HTMLInputElement} */ (document.getElementById("passphrase"));
  form.hidden = false;
  input.focus();
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const passphrase = input.value;
    input.value = "";
    form.hidden = true;
    focusHeading(/** @type {HTMLElement} */ (document.getElementById("delivery")));
    say("Unlocking.");
    try {
      openDelivery(await unlock(locked, passphrase), { locked: true });
    } catch (error) {
      fail(problemOf(error));
    }
  });
}

function begin() {
  takeDrops();
  checkBrowser("receive");
  const given = parseLink(location.pathname, location.hash);
  if (given.isLocked) askPassphrase(given);
  else openDelivery(given);
}

// Another link in the same tab changes the fragment alone.
addEventListener("hashchange", () => location.reload());
try {
  begin();
} catch (error) {
  fail(problemOf(error));
}
