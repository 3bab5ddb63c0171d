// What the person sends: from this browser, with its progress, and from their other devices.

import { ANYBODY, WAITS, foreignRow, ownRow, showProgress, showText } from "./outbox_rows.js";
import { Course } from "../course.js";
import { Courses } from "./courses.js";
import { News, ofSending } from "./news.js";
import { NotNow } from "../hub.js";
import { Problem } from "../problem.js";
import { Refused } from "./account.js";
import { address, check } from "./addressing.js";
import { adviceOnLink, asDelivery, begin, look, standingOfKept } from "./keeping.js";
import { announce } from "../announce.js";
import { button, by, input, table, when } from "./drawing.js";
import { chosenFiles, isSame, survey } from "../survey.js";
import { closePart, openPart, working } from "../focus.js";
import { decodeHeader } from "../header.js";
import { deviceOf } from "./devices.js";
import { dropSending, keepSending, sendings } from "./memory.js";
import { equal, hex } from "../bytes.js";
import { isOver, standing } from "./states.js";
import { linkText } from "../link.js";
import { tellReceived } from "../sent.js";

/** More rows help nobody. */
const ROWS_MAX = 200;
/** How often a hub that does not answer is asked whose device signed a receipt. */
const CONFIRM_EVERY_MS = 5_000;
/** How often it is looked whether what the hub keeps was collected. */
const LOOK_EVERY_MS = 60_000;
/** How long what was found then is told. */
const LOOKED_MS = 5_000;
/** How often numbers are shown anew while nothing moves. */
const TICK_MS = 1_000;
/** What the other side of a delivery is told. */
const TAKEN_BACK = "the sender took it back";

/**
 * @typedef {object} Guest Who has no account, sends by a link alone, and has no list of deliveries at the hub.
 * @property {import("./account.js").Own} own
 * @property {import("./account.js").Account} account
 * @property {() => Promise<import("./account.js").Delivery[]>} outbox
 */

/**
 * @param {File[]} files
 * @param {boolean} isAgain Whether it was begun before this page was opened.
 * @returns {import("./outbox_rows.js").Running}
 */
function begun(files, isAgain) {
  return { files, worker: null, isPaused: false, text: "", halt: "", course: new Course(isAgain) };
}

/** The outbox of a person, as the page shows it. */
export class Outbox {
  #person;
  #desk;
  #draft;
  #hub;
  /** @type {Map<string, import("./outbox_rows.js").Running>} */
  #running = new Map();
  #news = new News();
  #courses;
  /** When it was looked at what the hub keeps. @type {Map<string, number>} */
  #looked = new Map();

  /**
   * @param {import("./person.js").Person | Guest} person
   * @param {Pick<import("./page.js").Desk, "attempt" | "notice" | "go">} desk
   * @param {import("./draft.js").Draft} draft
   * @param {{ identity: Uint8Array, fingerprint: Uint8Array, url: string }} hub
   */
  constructor(person, desk, draft, hub) {
    this.#person = person;
    this.#desk = desk;
    this.#draft = draft;
    this.#hub = hub;
    by("send-form").addEventListener("submit", (event) => {
      event.preventDefault();
      void working(by("send-submit"), () => this.#desk.attempt(() => this.#send()));
    });
    setInterval(() => void this.#lookAtAll().catch(() => {}), LOOK_EVERY_MS);
    setInterval(() => this.#tick(), TICK_MS);
    this.#courses = new Courses(person.account, "outbox", desk, { changed: () => this.show(), isHere: (name) => this.#running.has(name) });
  }

  async #send() {
    await this.#draft.ready();
    const since = Math.floor(Date.now() / 1000);
    const { to, header, files, terms, totals: sent } = this.#draft.take(since);
    if (to !== null) await check(this.#person.account, to, sent);
    const id = crypto.getRandomValues(new Uint8Array(16));
    const secret = crypto.getRandomValues(new Uint8Array(32));
    /** @type {import("./memory.js").Sending} */
    const sending = { name: hex(id), id, secret, to, header, since, ended: null, kept: null, ...terms };
    if (to !== null) await address(this.#person, sending);
    if (to === null || terms.locker) await this.#begin(sending);
    await keepSending(sending);
    this.#running.set(sending.name, begun(files, false));
    this.#draft.clear();
    const end = terms.locker ? "the hub has everything" : "they have it";
    this.#desk.go("outbox");
    if (to === null) this.#showLink(sending);
    else this.#desk.notice(`It is on its way to ${to}. Leave this page open until ${end}.`);
    await this.show();
  }

  /** @param {import("./memory.js").Sending} sending */
  async #begin(sending) {
    try {
      await begin(this.#person.account, sending);
    } catch (error) {
      // Its recipient is not to wait for what nobody sends.
      if (sending.to !== null) await this.#takeBack(sending.name).catch(() => {});
      throw error;
    }
  }

  /** @param {import("./memory.js").Sending} sending */
  #showLink(sending) {
    this.#drawLink(sending);
    openPart(by("link"));
  }

  /** @param {import("./memory.js").Sending} sending */
  #drawLink(sending) {
    const link = linkText(this.#hub.url, this.#hub.fingerprint, sending);
    by("link-text").textContent = link;
    by("link-what").textContent = adviceOnLink(sending);
    if (by("link").dataset.shown === sending.name) return;
    by("link").dataset.shown = sending.name;
    const copy = () =>
      this.#desk.attempt(async () => {
        await navigator.clipboard.writeText(link);
        this.#desk.notice("The link is copied.");
      });
    by("link-actions").replaceChildren(button("Copy", copy, { kind: "primary", label: "Copy the link" }), button("Close", () => closePart(by("link"))));
  }

  async show() {
    const [listed, own] = await Promise.all([this.#person.outbox(), sendings()]);
    const here = new Map(own.map((sending) => [sending.name, sending]));
    this.#courses.handle(listed);
    const rows = [];
    // By a link: the hub keeps nothing of them.
    for (const sending of own.filter(({ to }) => to === null).sort((one, other) => other.since - one.since)) {
      if (!sending.ended) this.#goOn(sending);
      rows.push(this.#row(sending, null));
    }
    for (const delivery of listed.slice(0, ROWS_MAX)) {
      const sending = here.get(delivery.delivery);
      if (sending && isOver(delivery)) await this.#settle(sending);
      if (sending && !sending.ended && (sending.kept || ["waiting", "running"].includes(delivery.state))) this.#goOn(sending, isOver(delivery));
      rows.push(sending ? this.#row(sending, delivery) : this.#foreign(delivery));
    }
    const byLink = own.filter(({ to }) => to === null).map(({ name, ended }) => ofSending(name, ANYBODY, ended?.text ?? null));
    const addressed = listed.map((delivery) => {
      const ended = here.get(delivery.delivery)?.ended ?? (isOver(delivery) ? standing(delivery, false) : null);
      return ofSending(delivery.delivery, delivery.to, ended?.text ?? null);
    });
    this.#news.handle([...byLink, ...addressed]).forEach((text) => announce(text));
    table("outbox-rows", rows);
  }

  /**
   * It is over at the hub, whoever saw to that: nothing more is sent from here.
   * @param {import("./memory.js").Sending} sending
   */
  async #settle({ name }) {
    const running = this.#running.get(name);
    // A receipt that is on its way is looked at first.
    if (running?.worker && running.text !== WAITS.recipient) return;
    running?.worker?.terminate();
    this.#running.delete(name);
  }

  /**
   * @param {import("./memory.js").Sending} sending
   * @param {boolean} [isNews] Whether it is over by the word of the hub.
   */
  #goOn(sending, isNews = false) {
    if (!sending.kept) return this.#start(sending);
    void this.#desk.attempt(() => this.#look(sending, isNews));
  }

  async #lookAtAll() {
    const kept = (await sendings()).filter((sending) => sending.kept && !sending.ended);
    for (const sending of kept) await this.#desk.attempt(() => this.#look(sending));
  }

  /**
   * Whether what the hub keeps was collected. It is not asked again at once unless there is news.
   * @param {import("./memory.js").Sending} sending
   * @param {boolean} [isNews]
   */
  async #look(sending, isNews = false) {
    const { name, kept } = sending;
    const now = performance.now();
    if (!kept || (!isNews && now - (this.#looked.get(name) ?? -Infinity) < LOOKED_MS)) return;
    this.#looked.set(name, now);
    try {
      const { sent, locker } = await look(this.#person.account, sending);
      if (sent) {
        await this.#confirm(sending, sent.recipient);
        // Kept here first: the hub forgets it then.
        await this.#end(sending, `received ${when(sent.received)}`, "good");
        return await tellReceived(this.#person.account, `/v1/deliveries/${name}`);
      }
      if (!locker) return;
      await keepSending({ ...sending, kept: { ...kept, locker } });
      showText(name, standingOfKept({ ...kept, locker }).text);
    } catch (error) {
      // A hub that does not answer is asked again.
      if (error instanceof NotNow) return;
      if (error instanceof Problem) return this.#end(sending, `stopped: ${error.message}`, "bad");
      throw error;
    }
  }

  /** @param {import("./memory.js").Sending} sending */
  #start(sending) {
    const running = this.#running.get(sending.name);
    if (!running || running.worker || running.isPaused) return;
    const worker = new Worker(new URL("./send_worker.js", import.meta.url), { type: "module" });
    running.worker = worker;
    worker.onmessage = ({ data }) => void this.#desk.attempt(() => this.#told(sending, data));
    worker.onerror = (event) => {
      const message = event.message || "the worker did not start";
      void this.#desk.attempt(() => this.#told(sending, { tells: "failed", message, todo: "" }));
    };
    const { header } = sending;
    const { files } = running;
    worker.postMessage({ own: this.#person.own, hub: this.#hub.identity, delivery: asDelivery(sending), header, files });
  }

  /**
   * What the worker of a delivery tells.
   * @param {import("./memory.js").Sending} sending
   * @param {any} data
   */
  async #told(sending, data) {
    const running = this.#running.get(sending.name);
    if (!running) return;
    if (data.tells === "waits") {
      running.text = WAITS[/** @type {keyof WAITS} */ (data.phase)];
      if (["hub", "recipient"].includes(data.phase)) running.course.handleBreak();
      showProgress(sending.name, running.course);
    }
    if (data.tells === "progress") {
      running.course.handleProgress(data.verifiedBytes, data.streamBytes, performance.now());
      showProgress(sending.name, running.course);
    }
    if (data.tells === "sent") {
      await this.#confirm(sending, data.recipient);
      await this.#end(sending, `received ${when(data.received)}`, "good");
    }
    if (data.tells === "kept") {
      running.worker?.terminate();
      this.#running.delete(sending.name);
      const kept = { locker: data.locker, digest: data.digest };
      await keepSending({ ...sending, kept });
      if (by("link").dataset.shown === sending.name) this.#drawLink({ ...sending, kept });
      this.#desk.notice("The hub has everything and keeps it. This page may be closed.");
      return this.show();
    }
    if (data.tells === "failed" && data.again) {
      running.worker?.terminate();
      Object.assign(running, { worker: null, isPaused: true, halt: data.message });
      await this.show();
      throw new Problem(data.message, data.todo);
    }
    if (data.tells === "failed") {
      await this.#end(sending, `stopped: ${data.message}`, "bad");
      throw new Problem(data.message, data.todo);
    }
    showText(sending.name, running.text);
  }

  /**
   * A receipt by anybody but the recipient is none. Whose device signed is asked until the hub says it.
   * @param {import("./memory.js").Sending} sending
   * @param {Uint8Array} signer
   */
  async #confirm({ to, name }, signer) {
    if (to === null) return;
    const { known } = await this.#asked(name, () => this.#person.somebody(to));
    if (deviceOf(known, signer)) return;
    const what = `The receipt was signed by no device of ${to}.`;
    throw new Problem(what, "The hub made it up, or the secret is with somebody else. Keep what you sent, and ask them.");
  }

  /**
   * @template T
   * @param {string} name Of the delivery that waits for the answer.
   * @param {() => Promise<T>} ask
   */
  async #asked(name, ask) {
    for (;;) {
      try {
        return await ask();
      } catch (error) {
        if (!(error instanceof NotNow)) throw error;
        showText(name, "waits for the hub to say whose device signed the receipt");
        await new Promise((resolve) => setTimeout(resolve, CONFIRM_EVERY_MS));
      }
    }
  }

  /**
   * @param {import("./memory.js").Sending} sending
   * @param {string} text
   * @param {string} colour
   */
  async #end(sending, text, colour) {
    this.#running.get(sending.name)?.worker?.terminate();
    this.#running.delete(sending.name);
    if (by("link").dataset.shown === sending.name) closePart(by("link"));
    await keepSending({ ...sending, ended: { text, colour } });
    await this.show();
  }

  #tick() {
    for (const [name, { course, worker }] of this.#running) {
      if (!worker) continue;
      course.handleTick(performance.now());
      showProgress(name, course);
    }
  }

  /**
   * @param {import("./memory.js").Sending} sending
   * @param {import("./account.js").Delivery | null} delivery
   */
  #row(sending, delivery) {
    const { name } = sending;
    const running = this.#running.get(name);
    const acts = {
      drop: () =>
        this.#desk.attempt(async () => {
          await dropSending(name);
          await this.show();
        }),
      link: () => this.#showLink(sending),
      pause: () => {
        if (!running) return;
        running.worker?.terminate();
        Object.assign(running, { worker: null, isPaused: !running.isPaused, halt: "" });
        return this.#desk.attempt(() => this.show());
      },
      again: (/** @type {string} */ id) => this.#again(sending, id),
      end: () =>
        this.#desk.attempt(async () => {
          await this.#takeBack(name).catch((error) => {
            // The hub does not have it any more, or not yet.
            if (!(error instanceof Refused && error.status === 404)) throw error;
          });
          await this.#end(sending, "ended by you", "bad");
        }),
    };
    return ownRow(sending, { delivery, running, far: this.#courses.text(name), acts });
  }

  /** @param {import("./account.js").Delivery} delivery What another device sends. */
  #foreign(delivery) {
    const end = () =>
      this.#desk.attempt(async () => {
        await this.#takeBack(delivery.delivery);
        await this.show();
      });
    return foreignRow(delivery, { far: this.#courses.text(delivery.delivery), end });
  }

  /** @param {string} name */
  #takeBack(name) {
    return this.#person.account.call("DELETE", `/v1/deliveries/${name}`, { reason: TAKEN_BACK });
  }

  /**
   * Goes on with files that are chosen again, if they are the same.
   * @param {import("./memory.js").Sending} sending
   * @param {string} id Of the dialog.
   */
  #again(sending, id) {
    const dialog = input(id);
    dialog.onchange = () =>
      void this.#desk.attempt(async () => {
        const { items } = decodeHeader(sending.header);
        const again = survey(chosenFiles(dialog.files ?? []), sending.since);
        dialog.value = "";
        // A dialog tells of no empty folder.
        const withFiles = again.items.map(({ path }) => hex(path));
        const lost = items.filter(({ path, kind }) => kind === "directory" && !withFiles.includes(hex(path)));
        const found = [...again.items, ...lost];
        const files = new Map(again.files.map((file, at) => [hex(again.items.filter(({ kind }) => kind === "file")[at].path), file]));
        const inOrder = items.map((item) => found.find(({ path }) => equal(path, item.path)) ?? item);
        if (found.length !== items.length || !isSame(items, inOrder) || !items.every(({ path, kind }) => kind !== "file" || files.has(hex(path)))) {
          throw new Problem("These are not the files that are being sent, or they changed since.", "Choose the same ones, or end the delivery and send it anew.");
        }
        const ordered = items.flatMap(({ path }) => files.get(hex(path)) ?? []);
        if (sending.to !== null) await address(this.#person, sending);
        this.#running.set(sending.name, begun(ordered, true));
        await this.show();
      });
    dialog.click();
  }
}
