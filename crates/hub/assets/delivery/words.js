// Numbers, times and states as people read them.

const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];
const SPACE = "\u00a0";

/**
 * In decimal units with three digits, as the command line writes it.
 * @param {number} count
 */
export function bytes(count) {
  let [value, unit] = [count, 0];
  while (value >= 999.5 && unit + 1 < UNITS.length) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit === 0 ? 0 : value < 10 ? 2 : value < 100 ? 1 : 0;
  return `${value.toFixed(digits)}${SPACE}${UNITS[unit]}`;
}

/**
 * @param {number} number
 * @param {string} noun
 */
export function counted(number, noun) {
  return `${number.toLocaleString("en")}${SPACE}${noun}${number === 1 ? "" : "s"}`;
}

/**
 * The largest unit that fits.
 * @param {number} seconds
 */
export function duration(seconds) {
  if (seconds < 60) return `${Math.round(seconds)}${SPACE}s`;
  if (seconds < 3600) return `${Math.round(seconds / 60)}${SPACE}min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)}${SPACE}h`;
  return counted(Math.round(seconds / 86_400), "day");
}

/**
 * What is waited for.
 * @param {{ whom: "hub" | "delivery" | "sender" | "receipt" | null, since: number | null }} waiting
 * @param {number} now In seconds since 1970.
 * @returns {string | null}
 */
export function waits({ whom, since }, now) {
  if (whom === "hub") return "Waiting for the hub, which does not answer. It goes on by itself.";
  if (whom === "delivery") {
    return "The hub does not have the delivery now: its sender is not connected, or it is over. It goes on by itself when the sender comes.";
  }
  if (whom === "receipt") return "Everything is here. Waiting for the sender to take the receipt.";
  if (whom !== "sender") return null;
  if (since === null) return "Waiting for the sender. It goes on by itself; leave this page open.";
  const seconds = since > 0 ? now - since : 0;
  const away = seconds >= 1 ? `, away for ${duration(seconds)}` : "";
  return `Waiting for the sender${away}. It goes on by itself; leave this page open.`;
}

/** How fast something grows, over the last seconds. */
export class Rate {
  static #WINDOW_MS = 8000;
  /** @type {{ at: number, bytes: number }[]} */
  #seen = [];

  /**
   * @param {number} now In milliseconds.
   * @param {number} bytes So far.
   */
  handle(now, bytes) {
    const last = this.#seen.at(-1);
    // Four a second are enough.
    if (last && now - last.at < 250) return;
    this.#seen.push({ at: now, bytes });
    while (this.#seen.length > 2 && now - this.#seen[0].at > Rate.#WINDOW_MS) this.#seen.shift();
  }

  /** @returns {number | null} Bytes in a second; `null` while it cannot be said. */
  perSecond() {
    const [first, last] = [this.#seen[0], this.#seen.at(-1)];
    if (!first || !last || last.at - first.at < 1000) return null;
    return Math.max(0, ((last.bytes - first.bytes) / (last.at - first.at)) * 1000);
  }
}

/**
 * How far it is, for who hears it: no rate, which is another one when it is heard.
 * @param {number} done
 * @param {number} total
 */
export function spoken(done, total) {
  return `${Math.floor((100 * done) / Math.max(1, total))} %, ${bytes(done)} of ${bytes(total)}`;
}
