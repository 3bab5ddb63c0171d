// The hub as one device of a person speaks to it: sessions, and calls within them (docs/openapi.json). No cookie:
// the token of a session is in this script's memory, and a device opens another by proving its key.

import { NotNow } from "../hub.js";
import { base64url, hex, unhex } from "../bytes.js";
import { deviceSigner } from "../signed.js";
import { signRegistration, signSession } from "./proofs.js";

/** How long before its end a session is renewed. */
const MARGIN_MS = 60_000;
/** Least time that a session is used, whatever the clocks say. */
const USED_MS = 30_000;
const EXPIRED = ["session-expired", "session-required"];

/** The hub says no, and trying again does not help. */
export class Refused extends Error {
  /**
   * @param {number} status
   * @param {{ code?: string, detail?: string, title?: string }} problem
   */
  constructor(status, { code = "", detail = "", title = "" }) {
    super([title || `the hub answers ${status}`, detail].filter((text) => text).join(": "));
    this.name = "Refused";
    this.status = status;
    this.code = code;
  }
}

/**
 * @typedef {object} Own The keys of this browser, of which neither secret can be read.
 * @property {Uint8Array} key What it signs with.
 * @property {CryptoKey} secret
 * @property {import("./hpke.js").Exchange} exchange
 */

/**
 * @param {string} path
 * @param {RequestInit} request
 */
async function send(path, request) {
  let answer;
  try {
    answer = await fetch(path, { ...request, cache: "no-store", credentials: "omit", redirect: "error" });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new NotNow("hub");
  }
  if (answer.ok) return answer;
  const problem = await answer.json().catch(() => ({}));
  const isBusy = answer.status === 408 || answer.status === 429 || answer.status >= 500;
  // A disk that is full waits for somebody.
  if (isBusy && problem.code !== "storage-full") throw new NotNow("hub", problem.detail);
  throw new Refused(answer.status, problem);
}

/**
 * @param {string} method
 * @param {unknown} [body] What becomes JSON, or bytes as they are.
 * @returns {RequestInit}
 */
function call(method, body) {
  if (body === undefined) return { method };
  if (body instanceof Uint8Array) return { method, body, headers: { "content-type": "application/octet-stream" } };
  return { method, body: JSON.stringify(body), headers: { "content-type": "application/json" } };
}

/** One device at the hub this page came from. */
export class Account {
  #own;
  #hub;
  /** @type {string | null} */
  #token = null;
  #renewAt = 0;
  /** @type {Promise<void> | null} */
  #opening = null;

  /**
   * @param {Own} own
   * @param {Uint8Array} hub What the hub is recognised by in proofs.
   */
  constructor(own, hub) {
    this.#own = own;
    this.#hub = hub;
  }

  /**
   * Proves the key over a challenge, which is used up by that.
   * @returns {Promise<{ key: string, proof: string }>}
   */
  async prove() {
    const key = hex(this.#own.key);
    const asked = await send("/v1/sessions/challenge", call("POST", { key }));
    const challenge = unhex((await asked.json()).challenge) ?? new Uint8Array();
    const proof = await signSession(deviceSigner(this.#own), this.#hub, challenge);
    return { key, proof: base64url(proof) };
  }

  async #open() {
    const open = async () => send("/v1/sessions", call("POST", await this.prove()));
    let answer;
    try {
      answer = await open();
    } catch (error) {
      // A hub that was restarted in between has forgotten the challenge: once more tells.
      if (!(error instanceof Refused && error.code === "proof-refused")) throw error;
      answer = await open();
    }
    const { token, expires } = await answer.json();
    this.#token = token;
    this.#renewAt = performance.now() + Math.max(USED_MS, expires * 1000 - Date.now() - MARGIN_MS);
  }

  /** @returns {Promise<string>} Of a session that is open. */
  async #session() {
    if (this.#token === null || performance.now() >= this.#renewAt) {
      this.#opening ??= this.#open().finally(() => (this.#opening = null));
      await this.#opening;
    }
    return this.#token ?? "";
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {unknown} [body]
   * @param {{ signal?: AbortSignal, headers?: Record<string, string> }} [more]
   * @returns {Promise<Response>}
   * @throws {Refused | NotNow}
   */
  async call(method, path, body, { signal, headers: others } = {}) {
    for (let isRenewed = false; ; isRenewed = true) {
      const token = await this.#session();
      const request = call(method, body);
      const headers = { ...request.headers, ...others, authorization: `Bearer ${token}` };
      try {
        return await send(path, { ...request, headers, signal });
      } catch (error) {
        const isOver = error instanceof Refused && EXPIRED.includes(error.code) && !isRenewed;
        if (!isOver) throw error;
        if (this.#token === token) this.#token = null;
      }
    }
  }

  /**
   * @param {string} path
   * @param {AbortSignal} [signal]
   */
  async read(path, signal) {
    return (await this.call("GET", path, undefined, { signal })).json();
  }

  /**
   * Makes this browser a device of a person.
   * @param {string} handle
   * @param {string} password
   */
  async logIn(handle, password) {
    await send("/v1/logins", call("POST", { handle, password, session: await this.prove() }));
  }

  /**
   * Registers the key with an invitation; repeating it changes nothing.
   * @param {Uint8Array} secret Of the invitation.
   */
  async register(secret) {
    const proof = base64url(await signRegistration(deviceSigner(this.#own), this.#hub, secret));
    await send("/v1/registrations", call("POST", { key: hex(this.#own.key), secret: hex(secret), proof }));
  }

  /**
   * Every delivery of a box, the newest first. A hub that repeats a page must not keep us here.
   * @param {"inbox" | "outbox"} box
   * @returns {Promise<Delivery[]>}
   */
  async box(box) {
    const found = [];
    for (let before = null; ; ) {
      const page = await this.read(`/v1/me/${box}?limit=200${before === null ? "" : `&before=${before}`}`);
      found.push(...page.deliveries);
      if (!(page.next < (before ?? Infinity))) return found;
      before = page.next;
    }
  }
}

/**
 * @typedef {object} Delivery As `DeliveryInfo` of docs/openapi.json.
 * @property {string} delivery
 * @property {string} from
 * @property {string} device
 * @property {string} to
 * @property {"pending-approval" | "waiting" | "running" | "received" | "terminated" | "removed"} state
 * @property {number} since
 * @property {number} created
 * @property {number} segments
 * @property {number} verified
 * @property {number} bytes
 * @property {number} files
 * @property {string} [letter]
 * @property {import("../sender.js").Locker} [locker] What the hub keeps of it.
 * @property {boolean} other_online
 * @property {{ by: string, reason: string }} [ended]
 */
