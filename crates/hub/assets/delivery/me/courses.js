// How deliveries of a list get on that this page neither sends nor receives: the hub is asked while somebody looks.

import { Course } from "../course.js";
import { NotNow } from "../hub.js";
import { SEGMENT_BYTES } from "../layout.js";
import { by } from "./drawing.js";

/** How often it is looked how far they are. */
const LOOK_EVERY_MS = 3_000;

/** The courses of the deliveries of one box. */
export class Courses {
  #account;
  #box;
  #desk;
  #more;
  /** @type {Map<string, Course>} */
  #courses = new Map();
  /** @type {Map<string, string>} */
  #states = new Map();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {import("./account.js").Account} account
   * @param {"inbox" | "outbox"} box
   * @param {import("./page.js").Desk} desk
   * @param {{ changed: () => Promise<unknown>, isHere?: (name: string) => boolean }} more `changed` draws the whole list, in
   *   which something is in another state; what is here is sent by this page, which knows more of it.
   */
  constructor(account, box, desk, more) {
    this.#account = account;
    this.#box = box;
    this.#desk = desk;
    this.#more = more;
  }

  /** @param {import("./account.js").Delivery[]} listed As the hub has them now. */
  handle(listed) {
    const running = listed.filter(({ delivery, state }) => state === "running" && !this.#more.isHere?.(delivery));
    this.#states = new Map(listed.map(({ delivery, state }) => [delivery, state]));
    this.#courses = new Map(running.map((delivery) => [delivery.delivery, this.#moved(delivery)]));
    clearTimeout(this.#timer);
    if (running.length > 0) this.#again();
  }

  /** @param {import("./account.js").Delivery} delivery */
  #moved({ delivery, verified, bytes, other_online: isOtherThere }) {
    const course = this.#courses.get(delivery) ?? new Course();
    if (!isOtherThere) course.handleBreak();
    course.handleProgress(Math.min(verified * SEGMENT_BYTES, bytes), bytes, performance.now());
    return course;
  }

  /** @param {string} name @returns {string} How far it is and how fast; nothing of what does not run. */
  text(name) {
    return this.#courses.get(name)?.text() ?? "";
  }

  async #look() {
    const rows = by(`${this.#box}-rows`);
    try {
      // Nobody sees it.
      if (document.hidden || rows.getClientRects().length === 0) return this.#again();
      const { deliveries } = await this.#account.read(`/v1/me/${this.#box}?limit=200`);
      /** @type {import("./account.js").Delivery[]} */
      const listed = deliveries;
      if (listed.some(({ delivery, state }) => this.#states.get(delivery) !== state)) return await this.#more.changed();
      this.handle(listed);
    } catch (error) {
      if (!(error instanceof NotNow)) throw error;
      return this.#again();
    }
    for (const [name, course] of this.#courses) {
      const place = rows.querySelector(`tr[data-delivery="${name}"] .far`);
      if (place) place.textContent = course.text();
    }
  }

  #again() {
    this.#timer = setTimeout(() => void this.#desk.attempt(() => this.#look()), LOOK_EVERY_MS);
  }
}
