// Decides what a sender does next: announce, ask, send a segment, try again. The twin of
// `delivery_plan::SendPlan`, and as pure: no requests, no clock; times are milliseconds and come from outside, as
// does chance.
//
// Invariants: at most two segments and one that they wait for are on their way; one question is open; nothing that
// the hub says makes a sender believe in an end without a receipt.

import { Delay } from "./plan.js";

/** Segments that are on their way to the hub at once: a hub holds two of a delivery. */
export const WINDOW = 2;

/**
 * @typedef {{ do: "announce" } | { do: "ask", after: number } | { do: "put", number: number }} Action
 * @typedef {object} HubStatus
 * @property {number} change Grows with every change.
 * @property {number | null} next The first segment that the hub does not have; `null` while no recipient is connected.
 * @property {number} verified How many segments the recipient says it has verified.
 * @property {boolean} hasReceipt
 * @typedef {"hub" | "recipient" | "sending" | "receipt" | "done"} Phase What is waited for, or done.
 */

/** The schedule of a sender. */
export class SendPlan {
  #segments;
  #announced = false;
  #asking = false;
  #knownChange = 0;
  #open = false;
  /** The first segment that was neither taken nor is on its way. */
  #cursor = 0;
  /** @type {Set<number>} */
  #inFlight = new Set();
  #verified = 0;
  #hasReceipt = false;
  #askDelay;
  #askAt;
  #putDelay;
  #putAt;

  /**
   * @param {number} segments
   * @param {() => number} chance From 0 up to 1.
   * @param {number} now
   */
  constructor(segments, chance, now) {
    this.#segments = segments;
    this.#askDelay = new Delay(chance);
    this.#putDelay = new Delay(chance);
    this.#askAt = now;
    this.#putAt = now;
  }

  get #first() {
    return this.#inFlight.size > 0 ? Math.min(...this.#inFlight) : null;
  }

  /** @param {HubStatus} status The hub knows the delivery. */
  handleAnnounced(status) {
    this.#announced = true;
    // A hub that was restarted counts its changes from the beginning.
    this.#knownChange = 0;
    this.handleStatus(status);
  }

  /** @param {HubStatus} status */
  handleStatus({ change, next, verified, hasReceipt }) {
    this.#asking = false;
    this.#askDelay.reset();
    if (change < this.#knownChange) return;
    this.#knownChange = change;
    this.#verified = Math.min(verified, this.#segments);
    this.#hasReceipt = hasReceipt;
    const first = this.#first;
    // The answers of what is on its way are newer than this.
    if (next === null && first !== null) return;
    if (next !== null && first !== null && first <= next) this.#open = true;
    // Nothing is on its way, or the recipient went back behind all that is.
    else this.#goOn(next);
  }

  /**
   * The hub has a segment.
   * @param {number} number
   * @param {number} verified
   */
  handleTaken(number, verified) {
    this.#inFlight.delete(number);
    this.#putDelay.reset();
    this.#verified = Math.max(this.#verified, Math.min(verified, this.#segments));
  }

  /**
   * The hub did not take a segment: it wants another one, or nothing because the recipient left.
   * @param {number} number
   * @param {number | null} next
   */
  handleNotTaken(number, next) {
    this.#inFlight.delete(number);
    this.#putDelay.reset();
    if (next === null || !this.#inFlight.has(next)) return this.#goOn(next);
    // What it lacks is on its way; there was no room for this one in time.
    const back = number > next ? Math.min(this.#cursor, number) : this.#cursor;
    this.#cursor = Math.max(back, next);
  }

  /**
   * It came to nothing.
   * @param {Action} action
   * @param {boolean} isForgotten The hub does not know the delivery: it was restarted, or dropped it.
   * @param {number} now
   */
  handleFailed(action, isForgotten, now) {
    if (action.do === "put") {
      this.#inFlight.delete(action.number);
      this.#cursor = Math.min(this.#cursor, action.number);
      this.#putAt = now + this.#putDelay.next();
    } else {
      this.#asking = false;
      if (!isForgotten) this.#askAt = now + this.#askDelay.next();
    }
    if (!isForgotten) return;
    this.#open = false;
    // One that denies what it was just told is not asked at once again.
    this.#askAt = this.#announced ? now : now + this.#askDelay.next();
    this.#announced = false;
  }

  /** @param {number | null} next */
  #goOn(next) {
    this.#open = next !== null;
    if (next !== null) this.#cursor = Math.min(next, this.#segments);
  }

  /**
   * What to do now; ask again until there is nothing.
   * @param {number} now
   * @returns {Action | null}
   */
  pollAction(now) {
    if (this.#hasReceipt) return null;
    if (!this.#asking && this.#askAt <= now) {
      this.#asking = true;
      return this.#announced ? { do: "ask", after: this.#knownChange } : { do: "announce" };
    }
    while (this.#inFlight.has(this.#cursor)) this.#cursor += 1;
    if (!this.#announced || !this.#open || !this.#hasRoom() || this.#putAt > now) return null;
    const number = this.#cursor;
    this.#cursor += 1;
    this.#inFlight.add(number);
    return { do: "put", number };
  }

  /** One more than usual when the recipient went back: the hub takes none of the others before it has that one. */
  #hasRoom() {
    const first = this.#first;
    const most = first !== null && this.#cursor < first ? WINDOW + 1 : WINDOW;
    return this.#cursor < this.#segments && this.#inFlight.size < most;
  }

  /** @returns {number | null} When to look again although nothing happened. */
  pollTimeout() {
    if (this.#hasReceipt) return null;
    const times = [];
    if (!this.#asking) times.push(this.#askAt);
    if (this.#open && this.#hasRoom()) times.push(this.#putAt);
    return times.length > 0 ? Math.min(...times) : null;
  }

  /** @returns {Phase} */
  get phase() {
    if (this.#hasReceipt) return "done";
    if (!this.#announced) return "hub";
    if (this.#inFlight.size === 0 && this.#cursor === this.#segments && this.#verified > 0) return "receipt";
    return this.#open || this.#inFlight.size > 0 ? "sending" : "recipient";
  }

  /** How many segments the recipient has verified: what counts as progress at both ends. */
  get verified() {
    return this.#verified;
  }
}
