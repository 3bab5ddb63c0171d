// Sends one delivery: one loop that decides nothing. What to do next says `send_plan.js`. Runs in a worker.

import { Malformed } from "./cbor.js";
import { NotAuthentic, Vault, recipientToken } from "./vault.js";
import { NotNow } from "./hub.js";
import { Problem } from "./problem.js";
import { Refused } from "./me/account.js";
import { SEGMENT_BYTES } from "./layout.js";
import { SendPlan } from "./send_plan.js";
import { blake3 } from "./vendor/noble-hashes/blake3.js";
import { hex, join, release, unbase64url } from "./bytes.js";
import { openReceipt } from "./receipt.js";
import { shownText } from "./names.js";

/** What a sender says when it ends a delivery that arrived. */
const RECEIVED = "received";
const FOREIGN = new Problem(
  "What came as a receipt is not of the recipient.",
  "The hub made it up, or somebody else has the link. Keep what you sent, and ask the recipient.",
);

/**
 * @typedef {object} Sent
 * @property {number} received When the recipient had everything, in seconds since 1970.
 * @property {Uint8Array} recipient Who signed.
 *
 * @typedef {object} Watcher
 * @property {(phase: import("./send_plan.js").Phase) => void} waits
 * @property {(verifiedBytes: number, streamBytes: number) => void} progress
 */

/** A delivery on its way out. */
export class Sender {
  #account;
  #delivery;
  #outgoing;
  #vault;
  #watcher;
  #path;
  /** Of the segments that this page has sealed. @type {(Uint8Array | undefined)[]} */
  #tags = [];
  #plan;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #isOver = false;
  /** @type {(sent: Sent) => void} */
  #resolve = () => {};
  /** @type {(error: unknown) => void} */
  #reject = () => {};

  /**
   * @param {import("./me/account.js").Account} account
   * @param {{ id: Uint8Array, name: string, secret: Uint8Array }} delivery
   * @param {import("./outgoing.js").Outgoing} outgoing
   * @param {Watcher} watcher
   */
  constructor(account, delivery, outgoing, watcher) {
    this.#account = account;
    this.#delivery = delivery;
    this.#outgoing = outgoing;
    this.#vault = new Vault(delivery.id, delivery.secret, "segment");
    this.#watcher = watcher;
    this.#path = `/v1/deliveries/${delivery.name}`;
    this.#plan = new SendPlan(outgoing.segments, Math.random, performance.now());
  }

  /** @returns {Promise<Sent>} Once the receipt is here and says what was sent. */
  async run() {
    try {
      return await new Promise((resolve, reject) => {
        this.#resolve = resolve;
        this.#reject = reject;
        this.#step();
      });
    } finally {
      this.#isOver = true;
      clearTimeout(this.#timer);
    }
  }

  #step() {
    if (this.#isOver) return;
    const now = performance.now();
    for (let action = this.#plan.pollAction(now); action; action = this.#plan.pollAction(now)) {
      const begun = action;
      const work = begun.do === "put" ? this.#put(begun.number) : this.#ask(begun);
      work.catch((error) => this.#failed(begun, error)).then(() => this.#step(), (error) => this.#reject(error));
    }
    const { verified, phase } = this.#plan;
    this.#watcher.progress(Math.min(verified * SEGMENT_BYTES, this.#outgoing.streamBytes), this.#outgoing.streamBytes);
    this.#watcher.waits(phase);
    clearTimeout(this.#timer);
    const wake = this.#plan.pollTimeout();
    if (wake !== null) this.#timer = setTimeout(() => this.#step(), Math.max(0, wake - now) + 1);
  }

  /**
   * Announces it, or asks how it stands.
   * @param {{ do: "announce" } | { do: "ask", after: number }} action
   */
  async #ask(action) {
    const { segments, streamBytes: bytes } = this.#outgoing;
    const recipient = hex(blake3(recipientToken(this.#delivery.secret)));
    const answer =
      action.do === "announce"
        ? await this.#account.call("PUT", this.#path, { segments, bytes, recipient })
        : await this.#account.call("GET", `${this.#path}?after=${action.after}`);
    const { change, next = null, verified, receipt, ended } = await answer.json();
    // With a receipt it was this sender, whose page was closed before it knew.
    if (ended && (ended.by !== "sender" || !receipt)) {
      const who = { sender: "You", recipient: "The recipient" }[/** @type {string} */ (ended.by)] ?? "The hub";
      throw new Problem(`${who} ended the delivery: ${shownText(ended.reason)}.`, "What you sent is where it was.");
    }
    if (receipt) {
      const sent = await this.#accept(unbase64url(receipt) ?? new Uint8Array());
      this.#watcher.progress(bytes, bytes);
      this.#watcher.waits("done");
      return this.#resolve(sent);
    }
    const status = { change, next, verified, hasReceipt: false };
    if (action.do === "announce") this.#plan.handleAnnounced(status);
    else this.#plan.handleStatus(status);
  }

  /** @param {number} number */
  async #put(number) {
    const plain = await this.#outgoing.segment(number);
    const tag = this.#vault.tag(number, plain);
    this.#tags[number] = tag;
    const sealed = await this.#vault.seal(number, plain, tag);
    release(plain);
    const answer = await this.#account.call("PUT", `${this.#path}/segments/${number}`, sealed);
    release(sealed);
    const { taken, next = null, verified } = await answer.json();
    if (taken) this.#plan.handleTaken(number, verified);
    else this.#plan.handleNotTaken(number, next);
  }

  /**
   * @param {import("./send_plan.js").Action} action
   * @param {unknown} error
   */
  #failed(action, error) {
    const isForgotten = error instanceof Refused && error.status === 404;
    const isBreak = error instanceof TypeError || error instanceof SyntaxError;
    if (!isForgotten && !isBreak && !(error instanceof NotNow)) throw error;
    this.#plan.handleFailed(action, isForgotten, performance.now());
  }

  /** @param {Uint8Array} sealed The receipt. */
  async #accept(sealed) {
    const { id, secret } = this.#delivery;
    const { items, streamBytes } = this.#outgoing;
    let sent;
    try {
      const signed = await new Vault(id, secret, "receipt").openAny(0, sealed);
      sent = await openReceipt(signed, { id, digest: await this.#digest(), items, streamBytes });
    } catch (error) {
      if (error instanceof NotAuthentic || error instanceof Malformed) throw FOREIGN;
      throw error;
    }
    // The recipient waits for this and does without it after a while.
    await this.#account.call("DELETE", this.#path, { reason: RECEIVED }).catch(() => {});
    return sent;
  }

  /** Hash of the tags of all segments; what another page sealed is read once more. */
  async #digest() {
    const tags = [];
    for (let number = 0; number < this.#outgoing.segments; number++) {
      tags.push(this.#tags[number] ?? (await this.#tagOf(number)));
    }
    return blake3(join(tags));
  }

  /** @param {number} number */
  async #tagOf(number) {
    const plain = await this.#outgoing.segment(number);
    const tag = this.#vault.tag(number, plain);
    release(plain);
    return tag;
  }
}
