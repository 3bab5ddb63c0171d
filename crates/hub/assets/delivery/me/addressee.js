// To whom what is about to be sent goes: somebody's handle, or whoever has the link.

import { Problem } from "../problem.js";
import { by, input } from "./drawing.js";
import { isHandle } from "./devices.js";
import { shownText } from "../names.js";

/**
 * @typedef {object} Addressee That part of the form of a new delivery.
 * @property {boolean} isByLink
 * @property {(changed: (isByLink: boolean) => void) => void} listen Tells of each change, and how it is now.
 * @property {() => string | null} take A handle; `null` for whoever has the link.
 */

/** @implements {Addressee} */
export class AddresseeForm {
  /** @param {(isByLink: boolean) => void} changed */
  listen(changed) {
    const show = () => {
      by("send-to-field").hidden = this.isByLink;
      input("send-to").required = !this.isByLink;
      changed(this.isByLink);
    };
    for (const choice of document.querySelectorAll('input[name="send-how"]')) choice.addEventListener("change", show);
    // Only then its fields have their first values again.
    by("send-form").addEventListener("reset", () => setTimeout(show));
    show();
  }

  get isByLink() {
    return input("send-by-link").checked;
  }

  take() {
    if (this.isByLink) return null;
    const to = input("send-to").value.trim();
    if (isHandle(to)) return to;
    throw new Problem(`“${shownText(to)}” is no handle.`, "A handle is 3 to 32 of a-z, 0-9 and ._- , and begins with a letter.");
  }
}

/** Who has no account sends by a link alone. @type {Addressee} */
export const WHOEVER_HAS_THE_LINK = { isByLink: true, listen: (changed) => changed(true), take: () => null };
