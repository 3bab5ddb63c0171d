// Receives one delivery: one loop that decides nothing. What to do next says `plan.js`; what is here keeps
// `kept.js`. Runs in a worker, which alone may write at any place of a file, and which a browser does not
// slow down while its page is out of sight.

import { Hub, NotNow, checkNotEnded } from "./hub.js";
import { Layout, SEGMENT_BYTES, segmentCount, segmentLength } from "./layout.js";
import { Malformed } from "./cbor.js";
import { BrokenStream, RecordReader } from "./records.js";
import { Delay, ReceivePlan } from "./plan.js";
import { NotAuthentic, Vault } from "./vault.js";
import { deviceSigner } from "./signed.js";
import { Problem, impossible } from "./problem.js";
import { decodeHeader } from "./header.js";
import { nobody, signReceipt } from "./receipt.js";

/** Heart-beats come every ten seconds; a stream without three of them has broken. */
const SILENCE_MS = 35_000;
/** How often the hub is asked where the sender is, while nothing comes. */
const LOOK_EVERY_MS = 3000;
/** How long the sender is waited for to take the receipt; then it waits at the hub. */
const RECEIPT_PATIENCE_MS = 30_000;
const DAMAGED_MAX = 3;

const DAMAGED = new Problem(
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

/** A delivery that is received here. */
export class Recipient {
  #link;
  #hub;
  #vault;
  #kept;
  #watcher;

  /**
   * @param {import("./link.js").Link} link
   * @param {Vault} vault
   * @param {import("./kept.js").Kept} kept
   * @param {Watcher} watcher
   */
  constructor(link, vault, kept, watcher) {
    this.#link = link;
    this.#hub = new Hub(link, kept.download);
    this.#vault = vault;
    this.#kept = kept;
    this.#watcher = watcher;
  }

  /**
   * Waits for the sender and fetches the header, unless it is here.
   * @returns {Promise<{ encoded: Uint8Array, header: import("./header.js").Header, layout: Layout }>}
   */
  async open() {
    const delay = new Delay(Math.random);
    let damaged = 0;
    let announced = null;
    while (this.#kept.header() === null) {
      try {
        announced = await this.#fetchHeader();
      } catch (error) {
        if (error instanceof NotAuthentic && (damaged += 1) >= DAMAGED_MAX) throw DAMAGED;
        if (error instanceof NotNow) this.#watcher.waits({ whom: error.whom, since: null });
        else if (!(error instanceof NotAuthentic || isBroken(error))) throw error;
        await new Promise((resolve) => setTimeout(resolve, delay.next()));
      }
    }
    const encoded = this.#kept.header() ?? new Uint8Array();
    const header = decoded(encoded);
    const layout = new Layout(header, encoded.length);
    if (announced !== null && announced !== layout.streamBytes) {
      throw impossible("its length is not that of its files");
    }
    this.#watcher.waits({ whom: null, since: null });
    return { encoded, header, layout };
  }

  /** @returns {Promise<number>} How long the stream is said to be. */
  async #fetchHeader() {
    const status = await this.#hub.status();
    checkNotEnded(status);
    const { bytes, segments } = status;
    if (!Number.isSafeInteger(bytes) || segments !== segmentCount(bytes) || segments === 0) {
      throw impossible("its length is not that of its segments");
    }
    const whom = status.locker ? null : "sender";
    this.#watcher.waits({ whom, since: status.sender.here ? null : status.sender.since });
    await this.#stream(this.#kept.count, async (number, sealed) => {
      if (number !== this.#kept.count) throw new NotAuthentic(number);
      const { tag, plain } = await this.#vault.open(number, segmentLength(number, bytes), sealed);
      this.#kept.add(tag, plain);
      const isWhole = this.#kept.header() !== null;
      if (!isWhole && this.#kept.count === segments) throw impossible("it ends within its header");
      return !isWhole;
    });
    if (this.#kept.header() === null) checkNotEnded(await this.#hub.status());
    return bytes;
  }

  /**
   * Reads a stream until it ends or `take` wants no more.
   * @param {number} from
   * @param {(number: number, sealed: Uint8Array) => Promise<boolean>} take
   * @param {{ opened?: () => void, signal?: AbortSignal }} [more]
   */
  async #stream(from, take, { opened, signal } = {}) {
    const ending = new AbortController();
    const end = () => ending.abort();
    signal?.addEventListener("abort", end);
    let silence = setTimeout(end, SILENCE_MS);
    try {
      const pieces = await this.#hub.segments(from, ending.signal);
      opened?.();
      const records = new RecordReader();
      for (;;) {
        const { done, value } = await next(pieces);
        if (done) return;
        clearTimeout(silence);
        for (const { number, bytes } of records.take(value)) {
          if (bytes !== null && !(await take(number, bytes))) return;
        }
        silence = setTimeout(end, SILENCE_MS);
      }
    } finally {
      clearTimeout(silence);
      signal?.removeEventListener("abort", end);
      end();
    }
  }

  /**
   * Fetches what is not here, signs, and hands the receipt in.
   * @param {import("./header.js").Header} header
   * @param {Layout} layout
   * @param {() => void} kept Everything is here and durable.
   * @returns {Promise<boolean>} Whether the sender has taken the receipt.
   */
  async receive(header, layout, kept) {
    const signed = await this.#kept.receipt();
    if (signed && (await this.#kept.isMarked("taken"))) {
      this.#kept.close();
      kept();
      return true;
    }
    const here = signed ? layout.segments : this.#kept.count;
    const plan = new ReceivePlan(here, layout.segments, Math.random, performance.now());
    const run = new Run(this.#hub, plan, layout, this.#watcher, {
      stream: (from, take, more) => this.#stream(from, take, more),
      keep: async (number, sealed) => {
        const length = segmentLength(number, layout.streamBytes);
        const { tag, plain } = await this.#vault.open(number, length, sealed);
        this.#kept.add(tag, plain);
      },
      finish: async () => {
        const receipt = signed ?? (await this.#sign(header, layout));
        this.#kept.close();
        kept();
        return new Vault(this.#link.id, this.#link.secret, "receipt").seal(0, receipt);
      },
    });
    const isTaken = await run.ended();
    if (isTaken) await this.#kept.mark("taken");
    return isTaken;
  }

  /**
   * Everything is here: makes it durable, and only then says so.
   * @param {import("./header.js").Header} header
   * @param {Layout} layout
   */
  async #sign(header, layout) {
    this.#kept.settle();
    const receipt = {
      id: this.#link.id,
      digest: this.#kept.digest(),
      items: header.items.length,
      streamBytes: layout.streamBytes,
      received: Math.floor(Date.now() / 1000),
    };
    const { signer } = this.#link;
    const who = signer ? deviceSigner(signer) : await nobody(crypto.getRandomValues(new Uint8Array(32)));
    const signed = await signReceipt(receipt, who);
    await this.#kept.keepReceipt(signed);
    return signed;
  }

  /** Tells the sender that the delivery is not wanted. */
  async refuse() {
    await this.#hub.end("the recipient does not want it");
  }
}

/**
 * @typedef {object} Acts
 * @property {(from: number, take: (number: number, sealed: Uint8Array) => Promise<boolean>, more: { opened: () => void, signal: AbortSignal }) => Promise<void>} stream
 * @property {(number: number, sealed: Uint8Array) => Promise<void>} keep Verifies a segment and keeps it.
 * @property {() => Promise<Uint8Array>} finish Everything is here; the sealed receipt.
 */

/** One run of the plan, to its end. */
class Run {
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
   * @param {Hub} hub
   * @param {ReceivePlan} plan
   * @param {Layout} layout
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
function isBroken(error) {
  const isAborted = error instanceof DOMException && error.name === "AbortError";
  return isAborted || error instanceof BrokenStream;
}

/** @param {ReadableStreamDefaultReader<Uint8Array>} pieces */
async function next(pieces) {
  try {
    return await pieces.read();
  } catch {
    throw new BrokenStream("the connection broke");
  }
}

/** @param {Uint8Array} encoded */
function decoded(encoded) {
  try {
    return decodeHeader(encoded);
  } catch (error) {
    if (error instanceof Malformed) throw impossible(`its header cannot be read: ${error.message}`);
    throw error;
  }
}
