// That something is new for the person, as the hub tells it while this browser listens, which is online for it.

import { Delay } from "../plan.js";
import { NotNow } from "../hub.js";

/** Seconds between two heart-beats until the hub tells how many, the fewest and the most that it may tell. */
const [INTERVAL_S, INTERVAL_MIN_S, INTERVAL_MAX_S] = [15, 5, 40];
/** A stream that missed so many in a row has broken. */
const MISSED = 3;
/** The longest event, in characters. */
const EVENT_CHARS_MAX = 10_000;

/** Takes a stream of server-sent events apart as it arrives. */
export class EventReader {
  #text = "";
  #decoder = new TextDecoder();
  #interval = INTERVAL_S;

  /** How long the stream may be silent, in milliseconds. */
  get silence() {
    return this.#interval * MISSED * 1000;
  }

  /**
   * @param {Uint8Array} piece
   * @returns {Generator<string[]>} What is new, by one event each.
   */
  *take(piece) {
    this.#text += this.#decoder.decode(piece, { stream: true });
    for (let end = this.#text.indexOf("\n\n"); end >= 0; end = this.#text.indexOf("\n\n")) {
      const lines = this.#text.slice(0, end).split("\n");
      this.#text = this.#text.slice(end + 2);
      const data = lines.find((line) => line.startsWith("data: "));
      if (!data) continue;
      const { news, interval_s: told } = JSON.parse(data.slice("data: ".length));
      if (lines.includes("event: heart-beat") && Number.isFinite(told)) {
        this.#interval = Math.min(Math.max(told, INTERVAL_MIN_S), INTERVAL_MAX_S);
      }
      if (Array.isArray(news)) yield news.map(String);
    }
    if (this.#text.length > EVENT_CHARS_MAX) throw new SyntaxError("an event longer than any");
  }
}

/**
 * Listens for ever, or until another page of this browser does.
 * @param {import("./account.js").Account} account
 * @param {(news: string[]) => void} heard
 * @param {(isAway: boolean) => void} away Whether the hub answers.
 */
export async function listen(account, heard, away) {
  const delay = new Delay(Math.random);
  for (;;) {
    const ending = new AbortController();
    const events = new EventReader();
    const patience = () => setTimeout(() => ending.abort(), events.silence);
    let silence = patience();
    try {
      const answer = await account.call("GET", "/v1/me/events", undefined, { signal: ending.signal });
      const pieces = answer.body?.getReader();
      away(false);
      delay.reset();
      for (;;) {
        const { done, value } = (await pieces?.read()) ?? { done: true, value: undefined };
        if (done || !value) break;
        for (const news of events.take(value)) {
          if (news.includes("elsewhere")) return;
          heard(news);
        }
        clearTimeout(silence);
        silence = patience();
      }
    } catch (error) {
      const isBreak = error instanceof TypeError || error instanceof DOMException || error instanceof SyntaxError;
      if (!(error instanceof NotNow) && !isBreak) throw error;
      away(true);
    } finally {
      clearTimeout(silence);
      ending.abort();
    }
    await new Promise((resolve) => setTimeout(resolve, delay.next()));
  }
}
