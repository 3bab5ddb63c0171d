// Sends one delivery: one loop that decides nothing. What to do next says `send_plan.js`. Runs in a worker.

import { Hasher } from "./tags.js";
import { NotNow } from "./hub.js";
import { Refused } from "./me/account.js";
import { SEGMENT_BYTES } from "./layout.js";
import { SendPlan } from "./send_plan.js";
import { Vault, recipientToken } from "./vault.js";
import { blake3 } from "./vendor/noble-hashes/blake3.js";
import { checkGoesOn, openSent, tellReceived } from "./sent.js";
import { hex, join, release } from "./bytes.js";

/**
 * @typedef {{ seconds: number, downloads?: number }} LockerTerms For how long the hub keeps it; without downloads the first
 *   receipt ends it.
 * @typedef {{ kept: number, until: number, downloads: number, downloads_max?: number }} Locker As `LockerStatus` of docs/openapi.json.
 * @typedef {{ locker: Locker, digest: Uint8Array }} Kept The hub has everything, and nobody has collected it, or not everybody.
 *
 * @typedef {object} Delivery
 * @property {Uint8Array} id
 * @property {string} name
 * @property {Uint8Array} secret
 * @property {LockerTerms | null} locker How the hub is to keep it; `null` when it passes through the hub's memory alone.
 * @property {number | null} until Until when a recipient may begin, in seconds since 1970, where nothing is kept.
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
  #sealedHash = new Hasher(null);
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #isOver = false;
  /** @type {(end: import("./sent.js").Sent | Kept) => void} */
  #resolve = () => {};
  /** @type {(error: unknown) => void} */
  #reject = () => {};

  /**
   * @param {import("./me/account.js").Account} account
   * @param {Delivery} delivery
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

  /** @returns {Promise<import("./sent.js").Sent | Kept>} Once the receipt is here and says what was sent, or a locker has it all. */
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
    const { items, segments, streamBytes } = this.#outgoing;
    const status = await (action.do === "announce" ? announce(this.#account, this.#delivery, this.#outgoing) : this.#account.call("GET", `${this.#path}?after=${action.after}`));
    const { change, next = null, verified, locker, ...end } = await status.json();
    checkGoesOn(end);
    if (end.receipt) {
      const sent = await openSent(this.#delivery, end.receipt, { digest: await this.#digest(), items, streamBytes });
      await tellReceived(this.#account, this.#path);
      this.#watcher.progress(streamBytes, streamBytes);
      this.#watcher.waits("done");
      return this.#resolve(sent);
    }
    if (locker?.kept === segments) return this.#resolve({ locker, digest: await this.#digest() });
    // What a locker has is durable: as far as it goes before somebody collects it.
    const known = { change, next, verified: Math.max(verified, locker?.kept ?? 0), hasReceipt: false };
    if (action.do === "announce") this.#plan.handleAnnounced(known);
    else this.#plan.handleStatus(known);
  }

  /** @param {number} number */
  async #put(number) {
    const plain = await this.#outgoing.segment(number);
    const tag = this.#vault.tag(number, plain);
    this.#tags[number] = tag;
    const sealed = await this.#vault.seal(number, plain, tag);
    release(plain);
    const isKept = this.#delivery.locker !== null;
    /** @type {Record<string, string>} */
    const headers = isKept ? { "consign-segment-digest": hex(this.#sealedHash.digest(sealed)) } : {};
    const answer = await this.#account.call("PUT", `${this.#path}/segments/${number}`, sealed, { headers });
    release(sealed);
    const { taken, next = null, verified } = await answer.json();
    if (taken) this.#plan.handleTaken(number, (isKept ? next : null) ?? verified);
    else this.#plan.handleNotTaken(number, next);
  }

  /**
   * @param {import("./send_plan.js").Action} action
   * @param {unknown} error
   */
  #failed(action, error) {
    const isForgotten = error instanceof Refused && error.status === 404;
    const isAltered = error instanceof Refused && error.code === "wrong-bytes";
    const isBreak = error instanceof TypeError || error instanceof SyntaxError || isAltered;
    if (!isForgotten && !isBreak && !(error instanceof NotNow)) throw error;
    this.#plan.handleFailed(action, isForgotten, performance.now());
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

/**
 * Begins a delivery, in a locker if it has one. Repeating it changes nothing.
 * @param {import("./me/account.js").Account} account
 * @param {Delivery} delivery
 * @param {{ segments: number, streamBytes: number }} stream
 */
export function announce(account, { name, secret, locker, until }, { segments, streamBytes: bytes }) {
  const path = `/v1/deliveries/${name}`;
  const facts = { segments, bytes, recipient: hex(blake3(recipientToken(secret))) };
  if (locker) return account.call("PUT", `${path}/locker`, { ...facts, ...locker });
  return account.call("PUT", path, until ? { ...facts, until } : facts);
}
