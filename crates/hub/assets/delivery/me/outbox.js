// What the person sends: from this browser, with its progress, and from their other devices.

import { Layout, segmentCount } from "../layout.js";
import { NotNow } from "../hub.js";
import { Problem } from "../problem.js";
import { Refused } from "./account.js";
import { WeakKey, sealAs } from "./hpke.js";
import { base64url, equal, hex } from "../bytes.js";
import { blake3 } from "../vendor/noble-hashes/blake3.js";
import { button, by, cell, el, input, table, when } from "./drawing.js";
import { bytes, counted, progress } from "../words.js";
import { chosenFiles, isSame, survey } from "../survey.js";
import { decodeHeader, totals } from "../header.js";
import { deviceOf, letterInfo } from "./devices.js";
import { dropSending, keepSending, sendings } from "./memory.js";
import { isOver, standing } from "./states.js";
import { linkText } from "../link.js";
import { recipientToken } from "../vault.js";
import { shownText } from "../names.js";

/** More rows help nobody. */
const ROWS_MAX = 200;
const TRIES = 3;
/** How often a hub that does not answer is asked whose device signed a receipt. */
const CONFIRM_EVERY_MS = 5_000;
/** What is waited for, in words. */
const WAITS = {
  hub: "waits for the hub, which does not answer",
  recipient: "waits for the recipient to collect it",
  sending: "on its way",
  receipt: "waits for the recipient to write the rest and sign",
  done: "received",
};
/** Answers about a recipient that leave no hope. @type {Record<string, string>} */
const HOPELESS = {
  blocked: "lets nobody in but their contacts, or not you: ask them to put you into their address book",
  "disk-full": "has no room for so much: ask them to make some",
  "file-too-large": "cannot keep so large a file where deliveries go there",
  unknown: "is nobody at this hub: look how it is spelled",
};

/**
 * @typedef {object} Running What goes on in this page.
 * @property {File[]} files
 * @property {Worker | null} worker
 * @property {boolean} isPaused
 * @property {string} text
 */

/** The outbox of a person, as the page shows it. */
export class Outbox {
  #person;
  #desk;
  #draft;
  #hub;
  /** @type {Map<string, Running>} */
  #running = new Map();

  /**
   * @param {import("./person.js").Person} person
   * @param {import("./page.js").Desk} desk
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
      const submit = /** @type {HTMLButtonElement} */ (by("send-submit"));
      submit.disabled = true;
      void this.#desk.attempt(() => this.#send()).finally(() => (submit.disabled = false));
    });
  }

  async #send() {
    const since = Math.floor(Date.now() / 1000);
    const { to, header, files, totals: sent } = this.#draft.take(since);
    if (to !== null) await this.#check(to, sent);
    const id = crypto.getRandomValues(new Uint8Array(16));
    const secret = crypto.getRandomValues(new Uint8Array(32));
    /** @type {import("./memory.js").Sending} */
    const sending = { name: hex(id), id, secret, to, header, since, ended: null };
    if (to !== null) await this.#address(sending);
    await keepSending(sending);
    this.#running.set(sending.name, { files, worker: null, isPaused: false, text: "" });
    this.#draft.clear();
    if (to === null) this.#showLink(sending);
    else this.#desk.notice(`It is on its way to ${to}. Leave this page open until they have it.`);
    location.hash = "#outbox";
    await this.show();
  }

  /**
   * @param {string} to
   * @param {{ bytes: number, largest: number }} sent
   */
  async #check(to, { bytes: size, largest }) {
    const { answer } = await this.#person.account.read(`/v1/people/${to}/check?bytes=${size}&largest=${largest}`);
    if (HOPELESS[answer]) throw new Problem(`${to} ${HOPELESS[answer]}.`, "Nothing was sent.");
  }

  /**
   * Seals the secret for every device of the recipient. Repeating it changes nothing.
   * @param {import("./memory.js").Sending} sending
   */
  async #address({ name, id, secret, to, header }) {
    const handle = to ?? "";
    const decoded = decodeHeader(header);
    const { files } = totals(decoded);
    const { streamBytes } = new Layout(decoded, header.length);
    const largest = decoded.items.reduce((most, { size }) => Math.max(most, size), 0);
    for (let tries = 1; ; tries++) {
      const { known } = await this.#person.recipient(handle);
      const info = letterInfo(id, this.#person.known.identity, known.identity);
      const letters = [];
      try {
        for (const { key, exchange } of known.list.devices) {
          letters.push({ key: hex(key), sealed: base64url(await sealAs(this.#person.own.exchange, exchange, info, secret)) });
        }
      } catch (error) {
        if (!(error instanceof WeakKey)) throw error;
        throw new Problem(`Nothing can be sealed for a device of ${handle}: its program is broken.`, "Tell them; nothing was sent.");
      }
      const recipient = hex(blake3(recipientToken(secret)));
      const facts = { segments: segmentCount(streamBytes), bytes: streamBytes, files, largest, recipient };
      try {
        await this.#person.account.call("PUT", `/v1/deliveries/${name}/address`, { to: handle, list: known.list.number, letters, ...facts });
        return;
      } catch (error) {
        // A device of theirs came or went meanwhile.
        const isOther = error instanceof Refused && error.code === "person-conflict";
        if (!isOther || tries === TRIES) throw error;
      }
    }
  }

  /** @param {import("./memory.js").Sending} sending */
  #showLink(sending) {
    const link = linkText(this.#hub.url, this.#hub.fingerprint, sending);
    by("link-text").textContent = link;
    by("link").dataset.shown = sending.name;
    by("link").hidden = false;
    const copy = () => this.#desk.attempt(() => navigator.clipboard.writeText(link));
    by("link-actions").replaceChildren(button("Copy", copy, { kind: "primary", label: "Copy the link" }), button("Close", () => (by("link").hidden = true)));
  }

  async show() {
    const [listed, own] = await Promise.all([this.#person.account.box("outbox"), sendings()]);
    const here = new Map(own.map((sending) => [sending.name, sending]));
    const rows = [];
    // By a link: the hub keeps nothing of them.
    for (const sending of own.filter(({ to }) => to === null).sort((one, other) => other.since - one.since)) {
      if (!sending.ended) this.#start(sending);
      rows.push(this.#row(sending, null));
    }
    for (const delivery of listed.slice(0, ROWS_MAX)) {
      const sending = here.get(delivery.delivery);
      if (sending && isOver(delivery)) await this.#settle(sending);
      else if (sending && ["waiting", "running"].includes(delivery.state)) this.#start(sending);
      rows.push(sending ? this.#row(sending, delivery) : this.#foreign(delivery));
    }
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
    const { id, name, secret, header } = sending;
    const { files } = running;
    worker.postMessage({ own: this.#person.own, hub: this.#hub.identity, delivery: { id, name, secret }, header, files });
  }

  /**
   * What the worker of a delivery tells.
   * @param {import("./memory.js").Sending} sending
   * @param {any} data
   */
  async #told(sending, data) {
    const running = this.#running.get(sending.name);
    if (!running) return;
    if (data.tells === "waits") running.text = WAITS[/** @type {keyof WAITS} */ (data.phase)];
    if (data.tells === "progress") this.#showProgress(sending.name, data.verifiedBytes, data.streamBytes);
    if (data.tells === "sent") {
      await this.#confirm(sending, data.recipient);
      await this.#end(sending, `received ${when(data.received)}`, "good");
    }
    if (data.tells === "failed") {
      await this.#end(sending, `stopped: ${data.message}`, "bad");
      throw new Problem(data.message, data.todo);
    }
    this.#showText(sending.name, running.text);
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
        this.#showText(name, "waits for the hub to say whose device signed the receipt");
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
    if (by("link").dataset.shown === sending.name) by("link").hidden = true;
    await keepSending({ ...sending, ended: { text, colour } });
    await this.show();
  }

  /** @param {string} name */
  #rowOf(name) {
    return document.querySelector(`#outbox-rows tr[data-delivery="${name}"]`);
  }

  /**
   * @param {string} name
   * @param {string} text
   */
  #showText(name, text) {
    const place = this.#rowOf(name)?.querySelector(".state");
    if (place && place.textContent !== text) place.textContent = text;
  }

  /**
   * @param {string} name
   * @param {number} done
   * @param {number} total
   */
  #showProgress(name, done, total) {
    const row = this.#rowOf(name);
    const bar = /** @type {HTMLProgressElement | null | undefined} */ (row?.querySelector("progress"));
    const numbers = row?.querySelector(".numbers");
    if (!bar || !numbers) return;
    [bar.max, bar.value, bar.hidden] = [Math.max(1, total), done, false];
    numbers.textContent = progress(done, total, null);
  }

  /**
   * @param {import("./memory.js").Sending} sending
   * @param {import("./account.js").Delivery | null} delivery
   */
  #row(sending, delivery) {
    const header = decodeHeader(sending.header);
    const { files, bytes: size } = totals(header);
    const running = this.#running.get(sending.name);
    const over = sending.ended ?? (delivery && isOver(delivery) ? standing(delivery, false) : null);
    const isAway = !over && !running;
    const told = isAway ? { text: "stopped with the page: choose the same files to go on", colour: "warn" } : null;
    const isPaused = running?.isPaused ? { text: "paused", colour: "warn" } : null;
    const asWaits = delivery && !running?.worker ? standing(delivery, false) : null;
    const { text, colour } = over ?? told ?? isPaused ?? asWaits ?? { text: running?.text || WAITS.hub, colour: "" };
    const label = sending.to ?? "whoever has the link";
    const state = cell("State", el("span", { class: `state ${colour}` }, text), el("progress", { hidden: true, "aria-label": `How much ${label} has` }), el("div", { class: "numbers small hush" }));
    const actions = el("div", { class: "actions" }, ...this.#actions(sending, { isOver: Boolean(over), isAway, running }));
    return el(
      "tr",
      { "data-delivery": sending.name },
      el("td", { class: "name" }, label, el("div", { class: "hush small" }, when(sending.since))),
      cell("What", shownText(header.subject) || "no subject", el("div", { class: "hush small" }, `${counted(files, "file")}, ${bytes(size)}`)),
      state,
      el("td", { class: "end" }, actions),
    );
  }

  /**
   * @param {import("./memory.js").Sending} sending
   * @param {{ isOver: boolean, isAway: boolean, running: Running | undefined }} how
   */
  #actions(sending, { isOver: isDone, isAway, running }) {
    const { name, to } = sending;
    const drop = async () => {
      await dropSending(name);
      await this.show();
    };
    if (isDone) return [button("Remove", () => this.#desk.attempt(drop), { label: "Remove from the list" })];
    const pause = () => {
      if (!running) return;
      running.worker?.terminate();
      Object.assign(running, { worker: null, isPaused: !running.isPaused });
      return this.#desk.attempt(() => this.show());
    };
    const end = () =>
      this.#desk.attempt(async () => {
        await this.#person.account.call("DELETE", `/v1/deliveries/${name}`, { reason: "the sender took it back" }).catch((error) => {
          // The hub does not have it any more, or not yet.
          if (!(error instanceof Refused && error.status === 404)) throw error;
        });
        await this.#end(sending, "ended by you", "bad");
      });
    const found = [];
    if (to === null) found.push(button("Link", () => this.#showLink(sending), { label: "Show the link" }));
    if (running) found.push(button(running.isPaused ? "Go on" : "Pause", pause));
    if (isAway) found.push(button("Choose files", () => this.#again(sending, "again-files")), button("Choose folder", () => this.#again(sending, "again-folder")));
    found.push(button("End", end, { kind: "danger", label: "End the delivery", sure: "Sure? It ends for both" }));
    return found;
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
        if (sending.to !== null) await this.#address(sending);
        this.#running.set(sending.name, { files: ordered, worker: null, isPaused: false, text: "" });
        await this.show();
      });
    dialog.click();
  }

  /** @param {import("./account.js").Delivery} delivery What another device sends. */
  #foreign(delivery) {
    const { delivery: name, to, created, files, bytes: size } = delivery;
    const { text, colour } = standing(delivery, false);
    const end = () =>
      this.#desk.attempt(async () => {
        await this.#person.account.call("DELETE", `/v1/deliveries/${name}`, { reason: "the sender took it back" });
        await this.show();
      });
    const act = isOver(delivery) ? [] : [button("End", end, { kind: "danger", label: `End the delivery to ${to}`, sure: "Sure? It ends for both" })];
    return el(
      "tr",
      { "data-delivery": name },
      el("td", { class: "name" }, to, el("div", { class: "hush small" }, when(created))),
      cell("What", "from another device", el("div", { class: "hush small" }, `${counted(files, "file")}, ${bytes(size)}`)),
      cell("State", el("span", { class: `state ${colour}` }, text)),
      el("td", { class: "end" }, ...act),
    );
  }
}
