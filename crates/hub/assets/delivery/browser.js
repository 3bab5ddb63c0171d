// What a browser needs to open and to seal deliveries.

import { Problem } from "./problem.js";

const INSTEAD = {
  receive: "Ask the sender for a link that begins with https, or collect it with `consign receive`.",
  send: "Open this page by an address that begins with https, or use `consign send` in a terminal.",
};

/** @param {keyof typeof INSTEAD} what What is to be done here. */
export function checkBrowser(what) {
  if (!window.isSecureContext) {
    throw new Problem("This hub is reached without TLS, and then browsers can neither decrypt nor keep anything.", INSTEAD[what]);
  }
  if (navigator.locks && navigator.storage?.getDirectory && crypto.subtle) return;
  throw new Problem(`This browser lacks what is needed to ${what} a delivery.`, `Use a current Firefox, Chrome, Edge or Safari, or \`consign ${what}\` in a terminal.`);
}
