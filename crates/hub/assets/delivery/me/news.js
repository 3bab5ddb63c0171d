// What of a list is news to whoever cannot see it: what came, and what came to its end. Pure.

import { bytes, counted } from "../words.js";
import { isOver, standing } from "./states.js";

/**
 * @typedef {object} Listed
 * @property {string} key
 * @property {string} stage It is news when this is another one.
 * @property {string} text What is said of it then; nothing for what is no news.
 */

/** What was said of one list. */
export class News {
  /** @type {Map<string, string> | null} */
  #stages = null;

  /**
   * @param {Listed[]} listed As it is now.
   * @returns {string[]} What to say. Of a list that is seen for the first time, nothing.
   */
  handle(listed) {
    const before = this.#stages;
    this.#stages = new Map(listed.map(({ key, stage }) => [key, stage]));
    if (!before) return [];
    return listed.filter(({ key, stage, text }) => text !== "" && before.get(key) !== stage).map(({ text }) => text);
  }
}

/**
 * @param {import("./account.js").Delivery} delivery That is addressed to us.
 * @returns {Listed}
 */
export function ofDelivery(delivery) {
  const { delivery: key, from, files, bytes: size, state } = delivery;
  if (isOver(delivery)) return { key, stage: state, text: `The delivery of ${from}: ${standing(delivery, true).text}.` };
  // Of whom it waits for is said among those who wait.
  if (state === "pending-approval") return { key, stage: "pending", text: "" };
  return { key, stage: "here", text: `A delivery of ${from} came: ${counted(files, "file")}, ${bytes(size)}.` };
}

/**
 * @param {string} handle Of somebody who waits to be let in.
 * @returns {Listed}
 */
export function ofSender(handle) {
  return { key: handle, stage: "waits", text: `${handle} waits to be let in.` };
}

/**
 * @param {string} key
 * @param {string} to
 * @param {string | null} end How it ended, of what is over.
 * @returns {Listed}
 */
export function ofSending(key, to, end) {
  return { key, stage: end === null ? "goes on" : "over", text: end === null ? "" : `The delivery to ${to}: ${end}.` };
}
