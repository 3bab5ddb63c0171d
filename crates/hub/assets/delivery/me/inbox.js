// What came for the person: who waits to be let in, and deliveries.

import { announce } from "../announce.js";
import { bytes, counted } from "../words.js";
import { button, by, cell, el, table, when } from "./drawing.js";
import { dropDelivery, keepDelivery, keptDeliveries } from "./memory.js";
import { Courses } from "./courses.js";
import { draw } from "../focus.js";
import { News, ofDelivery, ofSender } from "./news.js";
import { isOver, standing } from "./states.js";
import { shownText } from "../names.js";

/** More rows help nobody. */
const ROWS_MAX = 200;

/** The inbox of a person, as the page shows it. */
export class Inbox {
  #person;
  #desk;
  #senderNews = new News();
  #deliveryNews = new News();
  #courses;

  /**
   * @param {import("./person.js").Person} person
   * @param {import("./page.js").Desk} desk
   */
  constructor(person, desk) {
    this.#person = person;
    this.#desk = desk;
    this.#courses = new Courses(person.account, "inbox", desk, { changed: () => this.showDeliveries() });
  }

  async showSenders() {
    const { senders } = await this.#person.account.read("/v1/me/senders");
    this.#senderNews.handle(senders.map((/** @type {{ handle: string }} */ { handle }) => ofSender(handle))).forEach((text) => announce(text));
    draw(by("sender-rows"), senders.map((/** @type {any} */ sender) => this.#sender(sender)), by("senders"));
  }

  /** @param {{ handle: string, first_name: string, last_name: string, organisation: string, since: number, deliveries: number }} sender */
  #sender({ handle, first_name, last_name, organisation, since, deliveries }) {
    const name = [`${first_name} ${last_name}`.trim(), organisation].filter((text) => text).map((text) => shownText(text)).join(", ");
    const decide = async (/** @type {string} */ decision) => {
      await this.#desk.attempt(async () => {
        // Whoever is let in becomes a contact whose identity is noted, so that a change of it shows.
        const isNew = decision === "accept" && (await this.#person.recipient(handle)).seen === "new";
        if (!isNew) await this.#person.account.call("PUT", `/v1/me/senders/${handle}`, { decision });
        this.#desk.notice(decision === "accept" ? `${handle} is a contact now.` : `${handle} is not let in.`);
        await this.showSenders();
        await this.showDeliveries();
      });
    };
    return el(
      "tr",
      { "data-key": handle },
      el("td", { class: "name" }, handle, el("div", { class: "hush small" }, name || "no name told")),
      cell("Waits", `${counted(deliveries, "delivery").replace(/deliverys$/, "deliveries")} since ${when(since)}`),
      el(
        "td",
        { class: "end" },
        el(
          "div",
          { class: "actions" },
          button("Let in", () => decide("accept"), { kind: "primary", label: `Let ${handle} in` }),
          button("Refuse", () => decide("refuse"), { label: `Refuse ${handle}` }),
          button("Block", () => decide("block"), { kind: "danger", label: `Block ${handle}`, sure: "Sure? Block" }),
        ),
      ),
    );
  }

  async showDeliveries() {
    const [listed, kept] = await Promise.all([this.#person.account.box("inbox"), keptDeliveries()]);
    this.#courses.handle(listed);
    this.#deliveryNews.handle(listed.map(ofDelivery)).forEach((text) => announce(text));
    const here = new Map(kept.map((one) => [one.name, one]));
    const rows = listed.slice(0, ROWS_MAX).map((delivery) => this.#delivery(delivery, here.get(delivery.delivery)));
    // What the hub has forgotten and the browser has not.
    const known = new Set(listed.map(({ delivery }) => delivery));
    for (const one of kept.filter(({ name }) => !known.has(name))) rows.push(this.#left(one));
    table("inbox-rows", rows);
  }

  /**
   * @param {import("./account.js").Delivery} delivery
   * @param {import("./memory.js").KeptDelivery} [kept]
   */
  #delivery(delivery, kept) {
    const { delivery: name, from, files, bytes: size, created } = delivery;
    const { text, colour } = standing(delivery, true);
    const actions = el("div", { class: "actions" });
    const canOpen = kept || (delivery.letter && ["waiting", "running"].includes(delivery.state));
    if (canOpen) actions.append(button("Open", () => this.#open(delivery, kept), { kind: "primary", label: `Open the delivery of ${from}` }));
    if (!isOver(delivery)) {
      const refuse = () => this.#refuse(name);
      actions.append(button("Refuse", refuse, { label: `Refuse the delivery of ${from}`, sure: "Sure? It ends for both" }));
    }
    return el(
      "tr",
      { "data-delivery": name },
      el("td", { class: "name" }, from, el("div", { class: "hush small" }, when(created))),
      cell("What", `${counted(files, "file")}, ${bytes(size)}`),
      cell("State", el("span", { class: `state ${colour}` }, text), el("div", { class: "far small hush" }, this.#courses.text(name))),
      el("td", { class: "end" }, actions),
    );
  }

  /** @param {import("./memory.js").KeptDelivery} kept */
  #left(kept) {
    const open = () => this.#desk.open(kept.link, kept.name);
    return el(
      "tr",
      { "data-delivery": kept.name },
      el("td", { class: "name" }, kept.from, el("div", { class: "hush small" }, when(kept.since))),
      cell("What", "in this browser"),
      cell("State", "forgotten by the hub"),
      el("td", { class: "end" }, button("Open", open, { label: `Open the delivery of ${kept.from}` })),
    );
  }

  /**
   * @param {import("./account.js").Delivery} delivery
   * @param {import("./memory.js").KeptDelivery} [kept]
   */
  #open(delivery, kept) {
    return this.#desk.attempt(async () => {
      const link = kept?.link ?? (await this.#person.opened(delivery));
      // The hub forgets letters of what is over; what is here is opened again without it.
      const since = Math.floor(Date.now() / 1000);
      if (!kept) await keepDelivery({ name: link.name, from: delivery.from, since, link });
      this.#desk.open(link, link.name);
    });
  }

  /** @param {string} name */
  #refuse(name) {
    return this.#desk.attempt(async () => {
      await this.#person.account.call("DELETE", `/v1/deliveries/${name}`, { reason: "the recipient does not want it" });
      await dropDelivery(name);
      await this.showDeliveries();
    });
  }
}
