// The address book, as the page shows it.

import { button, by, cell, el, input, table } from "./drawing.js";
import { closePart, draw, openPart } from "../focus.js";
import { comparison } from "./comparison.js";
import { emptyContact } from "./book.js";
import { isHandle } from "./devices.js";
import { know } from "./person.js";
import { Problem } from "../problem.js";
import { shownText } from "../names.js";

/** The list of words, which the hub serves beside this page. */
async function wordList() {
  const answer = await fetch(new URL("./words.txt", import.meta.url));
  const lines = (await answer.text()).split("\n");
  return lines.filter((line) => line !== "" && !line.startsWith("#"));
}

/** Contacts, who is blocked, and what becomes of everybody else. */
export class Contacts {
  #person;
  #desk;

  /**
   * @param {import("./person.js").Person} person
   * @param {import("./page.js").Desk} desk
   */
  constructor(person, desk) {
    this.#person = person;
    this.#desk = desk;
    by("add-contact").addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#desk.attempt(() => this.#add());
    });
    input("policy").addEventListener("change", () => {
      const policy = /** @type {"address-book" | "block-all"} */ (input("policy").value);
      void this.#desk.attempt(async () => {
        await this.#person.changeContacts((contacts) => (contacts.policy = policy));
        this.#desk.notice(policy === "block-all" ? "Everybody else is refused now." : "Everybody else waits until you let them in.");
      });
    });
  }

  /** @returns {Promise<import("./book.js").Book>} What is shown of. */
  async show() {
    const { book, blocked, policy } = await this.#person.contacts();
    input("policy").value = policy;
    table("contact-rows", [...book.contacts].map(([handle, contact]) => this.#contact(handle, contact)));
    draw(by("blocked-rows"), [...blocked].map((handle) => this.#blocked(handle)), by("blocked"));
    by("handles").replaceChildren(...[...book.contacts.keys()].map((handle) => el("option", { value: handle })));
    return book;
  }

  /** @param {(contacts: import("./person.js").Contacts) => void} change */
  #change(change) {
    return this.#desk.attempt(async () => {
      await this.#person.changeContacts(change);
      await this.show();
    });
  }

  async #add() {
    const handle = input("contact-handle").value.trim();
    if (!isHandle(handle)) {
      throw new Problem(`“${shownText(handle)}” is no handle.`, "A handle is 3 to 32 of a-z, 0-9 and ._- , and begins with a letter.");
    }
    const [firstName, lastName, notes] = ["contact-first", "contact-last", "contact-notes"].map((id) => input(id).value.trim());
    // Whom the handle stands for is noted now, so that a change shows.
    await this.#person.recipient(handle);
    await this.#person.changeContacts(({ book }) => {
      const before = book.contacts.get(handle) ?? emptyContact();
      book.contacts.set(handle, {
        ...before,
        firstName: firstName || before.firstName,
        lastName: lastName || before.lastName,
        notes: notes || before.notes,
      });
    });
    /** @type {HTMLFormElement} */ (by("add-contact")).reset();
    this.#desk.notice(`${handle} is a contact now, and may send to you.`);
    await this.show();
  }

  /**
   * @param {string} handle
   * @param {import("./book.js").Contact} contact
   */
  #contact(handle, { firstName, lastName, notes, isVerified, identity }) {
    const name = shownText(`${firstName} ${lastName}`.trim());
    const badge = isVerified
      ? el("span", { class: "badge good" }, "compared")
      : el("span", { class: "badge" }, identity ? "not compared" : "not looked at");
    const remove = () => this.#change(({ book }) => void book.contacts.delete(handle));
    const block = () =>
      this.#change(({ book, blocked }) => {
        book.contacts.delete(handle);
        blocked.add(handle);
      });
    return el(
      "tr",
      { "data-contact": handle },
      el("td", { class: "name" }, handle, el("div", { class: "hush small" }, name)),
      cell("Notes", shownText(notes, /[\n\t]/u)),
      cell("Identity", badge),
      el(
        "td",
        { class: "end" },
        el(
          "div",
          { class: "actions" },
          button("Compare", () => this.#desk.attempt(() => this.#compare(handle)), { label: `Compare words with ${handle}` }),
          button("Block", block, { label: `Block ${handle}`, sure: "Sure? Block" }),
          button("Remove", remove, { label: `Remove ${handle}`, kind: "danger", sure: "Sure? Remove" }),
        ),
      ),
    );
  }

  /** @param {string} handle */
  #blocked(handle) {
    const unblock = () => this.#change(({ blocked }) => void blocked.delete(handle));
    return el("li", { "data-key": handle }, handle, " ", button("Unblock", unblock, { label: `Unblock ${handle}` }));
  }

  /**
   * The words that both see, if the hub tells both of them the truth.
   * @param {string} handle
   */
  async #compare(handle) {
    const { known, seen, name } = await this.#person.somebody(handle);
    const words = comparison(this.#person.known.identity, known.identity, await wordList());
    const agreed = async () => {
      await this.#change((contacts) => {
        know(contacts, handle, known.identity);
        const contact = contacts.book.contacts.get(handle);
        if (contact) contact.isVerified = true;
      });
      closePart(by("compared"));
      this.#desk.notice(`${handle} is noted as compared.`);
    };
    const trust = async () => {
      await this.#change((contacts) => know(contacts, handle, known.identity));
      closePart(by("compared"));
      this.#desk.notice(`${handle} is who they are now.`);
    };
    const isChanged = seen === "changed";
    const what = isChanged
      ? `${handle} is not the person whom your address book knows by that handle. They lost all their devices and began anew, or somebody else has the handle now, or the hub lies. Ask them by another way before you accept it.`
      : `${handle} sees these words, too, if the hub tells both of you the truth. Read them to each other, on the telephone or face to face.`;
    by("compared-what").textContent = what;
    by("compared-what").className = `notice ${isChanged ? "bad" : "plain"}`;
    by("compared-name").textContent = shownText(name);
    by("compared-words").textContent = words;
    const actions = [
      ...(isChanged ? [button("Accept who they are now", trust, { kind: "danger", sure: "Sure? Accept" })] : []),
      button("The words agree", agreed, { kind: "primary" }),
      button("Close", () => closePart(by("compared"))),
    ];
    by("compared-actions").replaceChildren(...actions);
    openPart(by("compared"));
  }
}
