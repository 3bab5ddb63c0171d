// How a delivery gets on: how far, how fast, and how often it had to go on after a break. Pure: time is an argument.

import { Rate, bytes, counted, duration } from "./words.js";
import { SEGMENT_BYTES } from "./layout.js";

/** What is seen of one delivery while it runs. Both sides count what the recipient has verified. */
export class Course {
  #rate = new Rate();
  #done = 0;
  #total = 0;
  #restarts = 0;
  /** The segment at which it went on after the last break. @type {number | null} */
  #wentOnAt = null;
  #isBroken = false;
  /** Whether what is verified is still to be learnt, of what was begun before. */
  #isUnknown;

  /** @param {boolean} [isAgain] Whether it was begun before this page was opened. */
  constructor(isAgain = false) {
    this.#isUnknown = this.#isBroken = isAgain;
  }

  /** The link was lost, or one side is gone: what moves next is a restart. */
  handleBreak() {
    this.#isBroken = true;
    // What it did before says nothing about what comes.
    this.#rate = new Rate();
  }

  /**
   * @param {number} done Bytes that were verified.
   * @param {number} total Bytes in all.
   * @param {number} now In milliseconds.
   */
  handleProgress(done, total, now) {
    if (done < this.#done) {
      // A hub that was restarted learns from the recipient how far it is.
      this.handleBreak();
      this.#isUnknown = true;
    }
    const hasMoved = done > this.#done;
    if (this.#isUnknown && hasMoved) this.#isUnknown = false;
    else if (this.#isBroken && hasMoved) {
      this.#isBroken = false;
      // Before anything was verified it begins, and does not go on.
      if (this.#done > 0) {
        this.#restarts += 1;
        this.#wentOnAt = segmentAt(this.#done, total);
      }
    }
    // What was verified before this page looked was verified at no rate that it could know.
    if (this.#done === 0 && hasMoved) this.#rate = new Rate();
    [this.#done, this.#total] = [done, total];
    this.#rate.handle(now, done);
  }

  /** @param {number} now Nothing moved since, which makes it slower. */
  handleTick(now) {
    this.#rate.handle(now, this.#done);
  }

  /** Bytes that were verified. */
  get done() {
    return this.#done;
  }

  /** Bytes in all; 0 while nothing was told. */
  get total() {
    return this.#total;
  }

  /** @returns {string} For people; what moves, and what was. */
  text() {
    const parts = [`segment ${segmentAt(this.#done, this.#total).toLocaleString("en")} of ${Math.ceil(this.#total / SEGMENT_BYTES).toLocaleString("en")}`, `${bytes(this.#done)} of ${bytes(this.#total)}`];
    const perSecond = this.#isBroken ? null : this.#rate.perSecond();
    if (perSecond && this.#done < this.#total) {
      parts.push(`${bytes(perSecond)}/s`, `about ${duration((this.#total - this.#done) / perSecond)} left`);
    }
    if (this.#isBroken && this.#done > 0 && this.#done < this.#total) {
      parts.push(`goes on at segment ${segmentAt(this.#done, this.#total).toLocaleString("en")}`);
    } else if (this.#wentOnAt !== null) {
      parts.push(`went on at segment ${this.#wentOnAt.toLocaleString("en")}, ${counted(this.#restarts, "restart")}`);
    }
    return parts.join(" · ");
  }

}

/**
 * The segment that is on its way, counted from 1; the last one when everything is there.
 * @param {number} done Bytes that were verified, of whole segments.
 * @param {number} total
 */
export function segmentAt(done, total) {
  const segments = Math.ceil(total / SEGMENT_BYTES);
  return Math.min(Math.floor(done / SEGMENT_BYTES) + 1, Math.max(1, segments));
}
