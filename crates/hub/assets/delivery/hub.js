// What a recipient asks of the hub (docs/openapi.json: deliveries).

import { base64url, hex } from "./bytes.js";
import { Problem } from "./problem.js";
import { recipientToken } from "./vault.js";

/** An answer that ends nothing: the hub is away or busy, or does not know the delivery now. */
export class NotNow extends Error {
  /**
   * @param {"hub" | "delivery"} whom What is waited for.
   * @param {string} [detail] In the hub's words.
   */
  constructor(whom, detail) {
    super(detail || `the ${whom} is not there`);
    this.name = "NotNow";
    this.whom = whom;
  }
}

/**
 * @typedef {object} Status
 * @property {number} segments
 * @property {number} bytes Of the stream, by the sender's word.
 * @property {{ here: boolean, since: number }} sender
 * @property {{ by: string, reason: string }} [ended]
 * @property {object} [locker] Of one that the hub keeps.
 * @property {string} [receipt]
 * @property {number} change The last one; grows with everything that happens to it.
 */

/** One delivery at the hub this page came from. */
export class Hub {
  #path;
  #headers;

  /**
   * @param {import("./link.js").Link} link
   * @param {Uint8Array} download What names this download among those of a locker.
   */
  constructor({ name, secret }, download) {
    this.#path = `/v1/deliveries/${name}`;
    this.#headers = {
      "consign-delivery-token": hex(recipientToken(secret)),
      "consign-delivery-download": hex(download),
    };
  }

  /**
   * @param {AbortSignal} [signal]
   * @returns {Promise<Status>}
   */
  async status(signal) {
    return (await this.#ask("", { signal })).json();
  }

  /**
   * How it stands after the next change, or when nothing changed for as long as the hub lets anybody wait.
   * @param {number} after
   * @param {AbortSignal} signal
   * @returns {Promise<Status>}
   */
  async statusAfter(after, signal) {
    return (await this.#ask(`?after=${after}`, { signal })).json();
  }

  /**
   * @param {number} from
   * @param {AbortSignal} signal
   * @returns {Promise<ReadableStreamDefaultReader<Uint8Array>>} Segments, as `RecordReader` takes them.
   */
  async segments(from, signal) {
    const answer = await this.#ask(`/segments?from=${from}`, { signal });
    if (!answer.body) throw new NotNow("hub");
    return answer.body.getReader();
  }

  /**
   * @param {number} segments How many are here.
   * @param {Uint8Array | null} receipt Sealed, with the last.
   * @returns {Promise<Status>}
   */
  async verified(segments, receipt) {
    const told = receipt ? { segments, receipt: base64url(receipt) } : { segments };
    return (await this.#ask("/verified", this.#json("POST", told))).json();
  }

  /** @param {string} reason */
  async end(reason) {
    await this.#ask("", this.#json("DELETE", { reason }));
  }

  /**
   * @param {string} method
   * @param {object} body
   */
  #json(method, body) {
    return { method, body: JSON.stringify(body), headers: { "content-type": "application/json" } };
  }

  /**
   * @param {string} path
   * @param {RequestInit} request
   */
  async #ask(path, request) {
    let answer;
    try {
      const headers = { ...request.headers, ...this.#headers };
      answer = await fetch(this.#path + path, { ...request, headers, cache: "no-store" });
    } catch (error) {
      if (error instanceof DOMException && error.name === "AbortError") throw error;
      throw new NotNow("hub");
    }
    if (answer.ok) return answer;
    if (answer.status === 404) throw new NotNow("delivery");
    if (answer.status === 408 || answer.status === 429 || answer.status >= 500) throw new NotNow("hub");
    const { detail, title } = await answer.json().catch(() => ({}));
    throw new Problem(
      `The hub refuses: ${detail || title || `it answers ${answer.status}`}.`,
      "Load the page again; when it stays so, ask whoever runs the hub.",
      { again: true },
    );
  }
}

/**
 * An ended delivery does not go on.
 * @param {Status} status
 */
export function checkNotEnded({ ended }) {
  if (!ended) return;
  const who = { sender: "The sender", recipient: "The recipient", hub: "The hub" }[ended.by] ?? "Somebody";
  throw new Problem(`${who} ended the delivery: ${ended.reason}`, "Ask the sender for another one.");
}
