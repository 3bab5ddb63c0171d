// The person's devices, as the page shows them: this browser and the others.

import { button, by, cell, el, input, table, when } from "./drawing.js";
import { equal, hex } from "../bytes.js";
import { shownText } from "../names.js";

/** Which devices are the person's, and how others come and go. */
export class OwnDevices {
  #person;
  #desk;

  /**
   * @param {import("./person.js").Person} person
   * @param {import("./page.js").Desk} desk
   */
  constructor(person, desk) {
    this.#person = person;
    this.#desk = desk;
    by("approve-form").addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#desk.attempt(async () => {
        const name = await this.#person.approve(input("approve-line").value);
        input("approve-line").value = "";
        this.#desk.notice(`“${shownText(name)}” is one of your devices now.`);
        await this.show();
      });
    });
  }

  async show() {
    const unlisted = await this.#person.unlisted();
    const rows = this.#person.known.list.devices.map((device) => this.#device(device));
    table("device-rows", [...rows, ...unlisted.map((device) => this.#waiting(device))]);
  }

  /** @param {import("./devices.js").Device} device */
  #device({ key, name, since }) {
    const isHere = equal(key, this.#person.own.key);
    const remove = () =>
      this.#desk.attempt(async () => {
        await this.#person.remove(key);
        await this.show();
      });
    const act = isHere ? el("span", { class: "badge accent" }, "this browser") : button("Remove", remove, { kind: "danger", label: `Remove ${shownText(name)}`, sure: "Sure? Remove" });
    return el("tr", { "data-key": hex(key) }, el("td", { class: "name" }, shownText(name)), this.#key(hex(key)), cell("Since", when(since)), el("td", { class: "end" }, act));
  }

  /** @param {{ key: string, since: number }} device That has the password, and nobody's word. */
  #waiting({ key, since }) {
    const remove = () =>
      this.#desk.attempt(async () => {
        await this.#person.account.call("DELETE", `/v1/me/devices/${key}`);
        await this.show();
      });
    return el(
      "tr",
      { "data-key": key },
      el("td", { class: "name" }, "waits to be approved"),
      this.#key(key),
      cell("Since", when(since)),
      el("td", { class: "end" }, button("Log out", remove, { kind: "danger", label: "Log the waiting device out", sure: "Sure? Log out" })),
    );
  }

  /** @param {string} key */
  #key(key) {
    return el("td", { class: "key" }, el("code", {}, key));
  }
}
