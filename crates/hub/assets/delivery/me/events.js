// That something is new for the person, as the hub tells it while this browser listens, which is online for it.

import { Delay } from "../plan.js";
import { NotNow } from "../hub.js";

/** The hub says something every fifteen seconds; a stream without three of them has broken. */
const SILENCE_MS = 50_000;
/** The longest event, in characters. */
const EVENT_CHARS_MAX = 10_000;

/** Takes a stream of server-sent events apart as it arrives. */
export class EventReader {
  #text = "";
  #decoder = new TextDecoder();

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
      const { news } = JSON.parse(data.slice("data: ".length));
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
    let silence = setTimeout(() => ending.abort(), SILENCE_MS);
    try {
      const answer = await account.call("GET", "/v1/me/events", undefined, ending.signal);
      const pieces = answer.body?.getReader();
      const events = new EventReader();
      away(false);
      delay.reset();
      for (;;) {
        const { done, value } = (await pieces?.read()) ?? { done: true, value: undefined };
        if (done || !value) break;
        clearTimeout(silence);
        silence = setTimeout(() => ending.abort(), SILENCE_MS);
        for (const news of events.take(value)) {
          if (news.includes("elsewhere")) return;
          heard(news);
        }
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
