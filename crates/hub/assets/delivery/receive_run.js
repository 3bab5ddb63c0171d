// One run of the plan of a recipient, to its end: a loop that decides nothing. What to do next says `plan.js`.

import { BrokenStream } from "./records.js";
import { NotAuthentic } from "./vault.js";
import { NotNow, checkNotEnded } from "./hub.js";
import { Problem } from "./problem.js";
import { SEGMENT_BYTES } from "./layout.js";

/** How often the hub is asked where the sender is, while nothing comes. */
const LOOK_EVERY_MS = 3000;
/** How long the sender is waited for to take the receipt; then it waits at the hub. */
const RECEIPT_PATIENCE_MS = 30_000;

/** Wrong bytes came again and again. */
export const DAMAGED = new Problem(
  "What comes is not what the sender sealed.",
  "The hub, or somebody between, alters it. Ask the sender for another delivery, through another hub.",
);

/**
 * @typedef {{ whom: "hub" | "delivery" | "sender" | "receipt" | null, since: number | null }} Waiting `since`: when the
 *   sender left, in seconds since 1970.
 * @typedef {object} Watcher Whoever shows it.
 * @property {(waiting: Waiting) => void} waits
 * @property {(verifiedBytes: number, streamBytes: number) => void} progress
 */

/**
 * @typedef {object} Acts
 * @property {(from: number, take: (number: number, sealed: Uint8Array) => Promise<boolean>, more: { opened: () => void, signal: AbortSignal }) => Promise<void>} stream
 * @property {(number: number, sealed: Uint8Array) => Promise<void>} keep Verifies a segment and keeps it.
 * @property {() => Promise<Uint8Array>} finish Everything is here; the sealed receipt.
 */

/** One run of the plan, to its end. */
export class Run {
  #hub;
  #plan;
  #layout;
  #watcher;
  #acts;
  #stopping = new AbortController();
  /** @type {AbortController | null} */
  #streaming = null;
  /** @type {Uint8Array | null} */
  #receipt = null;
  #isFinishing = false;
  /** The hub keeps the receipt for the sender: the delivery came out of a locker. */
  #isReceiptKept = false;
  #giveUpAt = Infinity;
  #movedAt = performance.now();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {(isTaken: boolean) => void} */
  #resolve = () => {};
  /** @type {(error: unknown) => void} */
  #reject = () => {};

  /**
   * @param {import("./hub.js").Hub} hub
   * @param {import("./plan.js").ReceivePlan} plan
   * @param {import("./layout.js").Layout} layout
   * @param {Watcher} watcher
   * @param {Acts} acts
   */
  constructor(hub, plan, layout, watcher, acts) {
    this.#hub = hub;
    this.#plan = plan;
    this.#layout = layout;
    this.#watcher = watcher;
    this.#acts = acts;
  }

  /** @returns {Promise<boolean>} Whether the sender has taken the receipt. */
  async ended() {
    const looking = setInterval(() => this.#do(this.#look()), LOOK_EVERY_MS);
    try {
      return await new Promise((resolve, reject) => {
        this.#resolve = resolve;
        this.#reject = reject;
        this.#step();
      });
    } finally {
      clearInterval(looking);
      clearTimeout(this.#timer);
      this.#stopping.abort();
      this.#streaming?.abort();
    }
  }

  get #isOver() {
    return this.#stopping.signal.aborted;
  }

  /** Something is done beside, and what comes of it changes what is next. */
  #do(/** @type {Promise<void>} */ work) {
    work.then(() => this.#step()).catch((error) => this.#reject(error));
  }

  #step() {
    if (this.#isOver) return;
    const now = performance.now();
    const { phase, verified } = this.#plan;
    this.#watcher.progress(Math.min(verified * SEGMENT_BYTES, this.#layout.streamBytes), this.#layout.streamBytes);
    if (phase === "broken") return this.#reject(DAMAGED);
    if (phase === "done") return this.#resolve(!this.#isReceiptKept);
    if (phase === "handing-in" && !this.#receipt) {
      if (!this.#isFinishing) this.#do(this.#finish());
      return;
    }
    if (now >= this.#giveUpAt) return this.#resolve(false);
    for (let action = this.#plan.pollAction(now); action; action = this.#plan.pollAction(now)) {
      if (action.do === "open") this.#do(this.#open(action.from));
      else if (action.do === "close") this.#streaming?.abort();
      else if (action.do === "report") this.#do(this.#report(action.verified));
      else this.#do(this.#await(action.after));
    }
    clearTimeout(this.#timer);
    const wake = Math.min(this.#plan.pollTimeout() ?? Infinity, this.#giveUpAt);
    if (wake < Infinity) this.#timer = setTimeout(() => this.#step(), Math.max(0, wake - now) + 1);
  }

  async #finish() {
    this.#isFinishing = true;
    this.#receipt = await this.#acts.finish();
    this.#giveUpAt = performance.now() + RECEIPT_PATIENCE_MS;
    this.#watcher.waits({ whom: "receipt", since: null });
  }

  /** @param {number} from */
  async #open(from) {
    const streaming = new AbortController();
    this.#streaming = streaming;
    const take = async (/** @type {number} */ number, /** @type {Uint8Array} */ sealed) => {
      if (this.#isOver || !this.#plan.isNext(number)) return false;
      try {
        await this.#acts.keep(number, sealed);
      } catch (error) {
        if (!(error instanceof NotAuthentic)) throw error;
        this.#plan.handleDamaged();
        return false;
      }
      this.#plan.handleSegment();
      this.#movedAt = performance.now();
      this.#watcher.waits({ whom: null, since: null });
      this.#step();
      return !streaming.signal.aborted;
    };
    try {
      await this.#acts.stream(from, take, { opened: () => this.#plan.handleOpened(), signal: streaming.signal });
    } catch (error) {
      if (error instanceof NotNow) this.#watcher.waits({ whom: error.whom, since: null });
      else if (!isBroken(error)) throw error;
    }
    // What the plan closed it knows to be closed.
    if (this.#streaming === streaming && !streaming.signal.aborted) {
      this.#plan.handleClosed(performance.now());
    }
  }

  /** @param {number} verified */
  async #report(verified) {
    const isAll = verified === this.#layout.segments;
    try {
      const status = await this.#hub.verified(verified, isAll ? this.#receipt : null);
      if (!isAll) checkNotEnded(status);
      this.#plan.handleReported(verified, this.#standing(status, isAll), performance.now());
    } catch (error) {
      if (!(error instanceof NotNow)) throw error;
      this.#plan.handleReportFailed(performance.now());
    }
  }

  /** @param {number} after The last change that is known. */
  async #await(after) {
    const begun = performance.now();
    try {
      const status = await this.#hub.statusAfter(after, this.#stopping.signal);
      this.#plan.handleAwaited(this.#standing(status, true), begun);
    } catch (error) {
      if (this.#isOver) return;
      if (!(error instanceof NotNow)) throw error;
      this.#plan.handleReportFailed(performance.now());
    }
  }

  /**
   * @param {import("./hub.js").Status} status
   * @param {boolean} isAll Everything is here, and the receipt was handed in.
   * @returns {import("./plan.js").ReceiptStanding}
   */
  #standing({ ended, locker, receipt, change }, isAll) {
    const isThere = Boolean(receipt);
    this.#isReceiptKept = isAll && isThere && Boolean(locker);
    return { isThere, isTaken: ended?.by === "sender" || this.#isReceiptKept, change };
  }

  /** While nothing comes: whether the delivery ended, and where the sender is. */
  async #look() {
    const isMoving = performance.now() - this.#movedAt < LOOK_EVERY_MS;
    if (this.#isOver || isMoving || this.#plan.phase === "handing-in") return;
    try {
      const status = await this.#hub.status(this.#stopping.signal);
      checkNotEnded(status);
      const { here, since } = status.sender;
      this.#watcher.waits({ whom: status.locker ? "hub" : "sender", since: here ? null : since });
    } catch (error) {
      if (this.#isOver) return;
      if (!(error instanceof NotNow)) throw error;
      this.#watcher.waits({ whom: error.whom, since: null });
    }
  }
}

/**
 * A connection that broke, or was closed by us.
 * @param {unknown} error
 */
export function isBroken(error) {
  const isAborted = error instanceof DOMException && error.name === "AbortError";
  return isAborted || error instanceof BrokenStream;
}
