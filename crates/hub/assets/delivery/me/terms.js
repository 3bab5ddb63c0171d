// How long what is about to be sent may wait, and where: with its sender, or in a locker of the hub.

import { Problem } from "../problem.js";
import { by, input } from "./drawing.js";

const DAY_SECONDS = 86_400;
/** When nothing is said, as the terminal has it. */
const LOCKER_DAYS = 7;
const LINK_DAYS_MAX = 366;
const DOWNLOADS_MAX = 100;
/** The longest that the hub keeps a delivery, in seconds; nothing where its operator allows no lockers. */
const LOCKER_SECONDS_MAX = Number(document.body.dataset.locker ?? 0);
const LOCKER_DAYS_MAX = Math.max(1, Math.floor(LOCKER_SECONDS_MAX / DAY_SECONDS));

/**
 * @typedef {{ locker: import("../sender.js").LockerTerms | null, until: number | null }} Terms
 */

/** That part of the form of a new delivery. */
export class TermsForm {
  #isByLink = false;

  constructor() {
    input("send-locker").addEventListener("change", () => this.#show());
  }

  get #isKept() {
    return input("send-locker").checked;
  }

  /** @param {boolean} isByLink */
  show(isByLink) {
    this.#isByLink = isByLink;
    this.#show();
  }

  #show() {
    const [isKept, days] = [this.#isKept, input("send-days")];
    by("send-locker-choice").hidden = LOCKER_SECONDS_MAX === 0;
    const hasDays = isKept || this.#isByLink;
    by("send-days-field").hidden = !hasDays;
    by("send-downloads-field").hidden = !(isKept && this.#isByLink);
    by("send-when").hidden = by("send-locker-choice").hidden && !hasDays;
    // What is hidden says nothing, and is not looked at.
    days.disabled = !hasDays;
    input("send-downloads").disabled = !(isKept && this.#isByLink);
    days.max = String(isKept ? LOCKER_DAYS_MAX : LINK_DAYS_MAX);
    days.placeholder = isKept ? String(Math.min(LOCKER_DAYS, LOCKER_DAYS_MAX)) : "any";
    by("send-days-hint").textContent = isKept ? `that the hub keeps it, ${LOCKER_DAYS_MAX} at most` : "that the link opens";
  }

  /**
   * @param {number} now In seconds since 1970.
   * @returns {Terms}
   */
  take(now) {
    const days = whole("send-days", "days", Number(input("send-days").max));
    const downloads = whole("send-downloads", "downloads", DOWNLOADS_MAX);
    if (!this.#isKept) return { locker: null, until: days === null ? null : now + days * DAY_SECONDS };
    const seconds = Math.min((days ?? LOCKER_DAYS) * DAY_SECONDS, LOCKER_SECONDS_MAX);
    return { locker: downloads === null ? { seconds } : { seconds, downloads }, until: null };
  }
}

/**
 * @param {string} id
 * @param {string} what
 * @param {number} most
 * @returns {number | null} `null` when nothing was typed, or nothing is asked.
 */
function whole(id, what, most) {
  const { disabled, value } = input(id);
  if (disabled || value === "") return null;
  const number = Number(value);
  if (Number.isInteger(number) && number >= 1 && number <= most) return number;
  throw new Problem(`“${value}” is no number of ${what}.`, `Type a whole number from 1 to ${most}, or nothing.`);
}
