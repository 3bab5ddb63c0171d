// Receives one delivery: its header, then the rest in a run of `receive_run.js`; what is here keeps `kept.js`. Works
// in a worker, which alone may write at any place of a file, and which a browser does not slow down while its page is
// out of sight.

import { Hub, NotNow, checkNotEnded } from "./hub.js";
import { Layout, segmentCount, segmentLength } from "./layout.js";
import { Malformed } from "./cbor.js";
import { BrokenStream, RecordReader } from "./records.js";
import { Delay, ReceivePlan } from "./plan.js";
import { NotAuthentic, Vault } from "./vault.js";
import { deviceSigner } from "./signed.js";
import { DAMAGED, Run, isBroken } from "./receive_run.js";
import { impossible } from "./problem.js";
import { decodeHeader } from "./header.js";
import { nobody, signReceipt } from "./receipt.js";

/** Heart-beats come every ten seconds; a stream without three of them has broken. */
const SILENCE_MS = 35_000;
const DAMAGED_MAX = 3;

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
   * @param {import("./receive_run.js").Watcher} watcher
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
