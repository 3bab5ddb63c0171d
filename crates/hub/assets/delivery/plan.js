// Decides what a recipient does next: open the stream, close it, report, try again. The twin of
// `delivery_plan::ReceivePlan`, and as pure: no requests, no clock; times are milliseconds and come
// from outside, as does chance.
//
// Invariants: a segment that was verified is never asked for again; one stream and one report are open.

/** Shortest and longest delay between two tries of what failed. */
const RETRY_MS = [250, 30_000];
/** Between two reports while segments come. */
const REPORT_EVERY_MS = 500;
/** How often the same segment may come damaged before somebody is called broken. */
const DAMAGED_MAX = 3;

/** Growing, jittered delays. */
export class Delay {
  failures = 0;
  #chance;

  /** @param {() => number} chance From 0 up to 1. */
  constructor(chance) {
    this.#chance = chance;
  }

  /** The delay after one more failure: between half of it and all of it. */
  next() {
    const full = Math.min(RETRY_MS[0] * 2 ** this.failures, RETRY_MS[1]);
    this.failures += 1;
    return full / 2 + (full / 2) * this.#chance();
  }

  reset() {
    this.failures = 0;
  }
}

/**
 * @typedef {{ do: "open", from: number } | { do: "close" } | { do: "report", verified: number } | { do: "await", after: number }} Action
 * `await`: the hub has the receipt; ask how the delivery stands, and wait for a change after that one.
 * @typedef {{ isThere: boolean, isTaken: boolean, change: number }} ReceiptStanding How the receipt stands at the hub: it has it,
 *   the sender has seen it or the hub keeps it durably, and the last change of the delivery.
 * @typedef {"connecting" | "receiving" | "handing-in" | "done" | "broken"} Phase
 */

/** The schedule of a recipient. */
export class ReceivePlan {
  #segments;
  #verified;
  #damaged = 0;
  /** @type {"closed" | "opening" | "open"} */
  #stream = "closed";
  #openAt;
  /** What comes on the stream is of no use. */
  #close = false;
  #reported = 0;
  #reporting = false;
  #reportAt;
  /** The last change that the hub told of with the receipt in its hands. @type {number | null} */
  #awaiting = null;
  #begun;
  #handedIn = false;
  #streamDelay;
  #reportDelay;

  /**
   * @param {number} verified How many segments are here.
   * @param {number} segments Of how many.
   * @param {() => number} chance
   * @param {number} now
   */
  constructor(verified, segments, chance, now) {
    this.#segments = segments;
    this.#verified = Math.min(verified, segments);
    this.#openAt = this.#reportAt = this.#begun = now;
    this.#streamDelay = new Delay(chance);
    this.#reportDelay = new Delay(chance);
  }

  get verified() {
    return this.#verified;
  }

  get #isComplete() {
    return this.#verified === this.#segments;
  }

  get #isOver() {
    return this.#damaged >= DAMAGED_MAX || this.#handedIn;
  }

  /** The hub answered; segments may come. */
  handleOpened() {
    this.#stream = "open";
  }

  /**
   * Whether the segment that came is the one to verify and keep. Any other one ends the stream.
   * @param {number} number
   */
  isNext(number) {
    const isNext = number === this.#verified && this.#stream === "open" && !this.#close;
    this.#close ||= !isNext;
    return isNext;
  }

  /** The next segment was verified and is kept. */
  handleSegment() {
    this.#verified += 1;
    this.#damaged = 0;
    this.#streamDelay.reset();
  }

  /** The next segment was not what the sender sealed. */
  handleDamaged() {
    this.#damaged += 1;
    this.#close = true;
  }

  /**
   * The stream could not be opened, broke, or ended.
   * @param {number} now
   */
  handleClosed(now) {
    this.#close = false;
    this.#stream = "closed";
    this.#openAt = now + this.#streamDelay.next();
  }

  /**
   * The hub knows that so many are here.
   * @param {number} verified
   * @param {ReceiptStanding} receipt
   * @param {number} now
   */
  handleReported(verified, receipt, now) {
    this.#reporting = false;
    this.#reported = verified;
    this.#reportDelay.reset();
    this.#reportAt = now + REPORT_EVERY_MS;
    if (verified === this.#segments) {
      this.#lookAt(receipt);
      if (receipt.isThere) this.#reportAt = now;
    }
  }

  /**
   * Something changed, or nothing for as long as a hub lets anybody wait.
   * @param {ReceiptStanding} receipt
   * @param {number} begun When it was asked: one that answers at once is not asked again at once.
   */
  handleAwaited(receipt, begun) {
    this.#reporting = false;
    this.#reportDelay.reset();
    this.#reportAt = begun + REPORT_EVERY_MS;
    this.#lookAt(receipt);
  }

  /** @param {ReceiptStanding} receipt */
  #lookAt({ isThere, isTaken, change }) {
    this.#handedIn = isTaken;
    this.#awaiting = isThere ? change : null;
  }

  /**
   * The hub did not answer a report or a question, or does not know the delivery.
   * @param {number} now
   */
  handleReportFailed(now) {
    this.#reporting = false;
    this.#awaiting = null;
    this.#reportAt = now + this.#reportDelay.next();
  }

  /**
   * What to do now; ask again until there is nothing.
   * @param {number} now
   * @returns {Action | null}
   */
  pollAction(now) {
    if (this.#isOver) return null;
    if (this.#close || (this.#isComplete && this.#stream === "open")) {
      this.handleClosed(now);
      return { do: "close" };
    }
    if (this.#stream === "closed" && this.#openAt <= now && !this.#isComplete) {
      this.#stream = "opening";
      return { do: "open", from: this.#verified };
    }
    const due = this.#reportDue();
    if (due !== null && due <= now) {
      this.#reporting = true;
      if (this.#awaiting !== null) return { do: "await", after: this.#awaiting };
      return { do: "report", verified: this.#verified };
    }
    return null;
  }

  /** When the next report or question is due, if there is anything to report or to ask. */
  #reportDue() {
    const isNews = this.#reported < this.#verified;
    if (this.#reporting || !(isNews || this.#isComplete)) return null;
    // The first with the receipt does not wait for its turn, unless the hub was not there.
    const atOnce = this.#isComplete && isNews && this.#reportDelay.failures === 0;
    return atOnce ? this.#begun : this.#reportAt;
  }

  /** @returns {number | null} When to look again although nothing happened. */
  pollTimeout() {
    if (this.#isOver) return null;
    const times = [];
    if (this.#stream === "closed" && !this.#isComplete) times.push(this.#openAt);
    const due = this.#reportDue();
    if (due !== null) times.push(due);
    return times.length > 0 ? Math.min(...times) : null;
  }

  /** @returns {Phase} */
  get phase() {
    if (this.#handedIn) return "done";
    if (this.#damaged >= DAMAGED_MAX) return "broken";
    if (this.#isComplete) return "handing-in";
    return this.#stream === "open" ? "receiving" : "connecting";
  }
}
