// The text under the person's messages: where it is changed, and where it stands under the one that is written.

import { Problem } from "../problem.js";
import { by, input } from "./drawing.js";
import { explained } from "./states.js";
import { shownText } from "../names.js";
import { signed, trimmedEnd } from "./book.js";

/** The signature of the address book, as the page shows it. */
export class Signature {
  #person;
  #desk;
  #text = "";
  /** Whether the address book was read, which has it. */
  #isKnown = false;

  /**
   * @param {import("./person.js").Person} person
   * @param {import("./page.js").Desk} desk
   */
  constructor(person, desk) {
    this.#person = person;
    this.#desk = desk;
    by("signature-form").addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#desk.attempt(() => this.#save());
    });
    input("send-signed").addEventListener("change", () => this.#showUnder());
  }

  /** @param {string} text As the address book has it. What is being typed stays. */
  show(text) {
    [this.#text, this.#isKnown] = [text, true];
    const typed = input("signature");
    const isTyping = typed.value !== typed.defaultValue;
    typed.defaultValue = text;
    if (!isTyping) typed.value = text;
    this.#showUnder();
  }

  #showUnder() {
    by("send-signature").hidden = this.#text === "";
    by("send-signature-text").hidden = !input("send-signed").checked;
    by("send-signature-text").textContent = `-- \n${shownText(this.#text, /[\n\t]/u)}`;
  }

  async #save() {
    const text = trimmedEnd(input("signature").value);
    await this.#person.changeContacts(({ book }) => (book.signature = text));
    input("signature").value = input("signature").defaultValue;
    this.show(text);
    this.#desk.notice(text === "" ? "Nothing goes under your messages now." : "This goes under your messages now, on all your devices.");
  }

  /** Before a message goes it is known what stands under it, or said that it is not. */
  async ready() {
    if (this.#isKnown || !input("send-signed").checked) return;
    try {
      this.show((await this.#person.contacts()).book.signature);
    } catch (error) {
      // So that it can be left out.
      by("send-signature").hidden = false;
      by("send-signature-text").textContent = "It is not known yet.";
      const { message, todo } = explained(error);
      throw new Problem(`Your signature is not known: ${message}`, `${todo} Or leave it out of this message.`);
    }
  }

  /** @param {string} message @returns {string} With what stands under it. */
  under(message) {
    return input("send-signed").checked ? signed(message, this.#text) : message;
  }

  /** The form was emptied: the next message is signed again. */
  renew() {
    this.#showUnder();
  }
}
