// Whose device this browser is, whom they know, and what is addressed to them: the twin of `node::people`.

import { Account, Refused } from "./account.js";
import { Malformed } from "../cbor.js";
import { NotOpened, openFrom } from "./hpke.js";
import { Problem } from "../problem.js";
import { base64url, equal, hex, unbase64url, unhex } from "../bytes.js";
import { blake3 } from "../vendor/noble-hashes/blake3.js";
import { BookError, emptyBook, emptyContact, openBook, sealBook, writerOf } from "./book.js";
import { DEVICES_MAX, deviceOf, follow, letterInfo, openRequest, signFirstList, signList, signRequest, successor } from "./devices.js";
import { deviceSigner } from "../signed.js";
import { remember } from "./memory.js";

/** How often a change is tried again because another device was quicker. */
const TRIES = 5;
const ASK_THE_HUB = "Whoever runs the hub is to be asked; change nothing before that.";

/**
 * @typedef {object} Contacts An address book, opened.
 * @property {number} number
 * @property {import("./book.js").Book} book
 * @property {Set<string>} blocked
 * @property {"address-book" | "block-all"} policy
 *
 * @typedef {object} Somebody
 * @property {string} handle
 * @property {string} name By their own word.
 * @property {import("./devices.js").Known} known
 * @property {"new" | "same" | "changed"} seen As whom the address book knows them.
 */

/**
 * As whom somebody is known.
 * @param {Contacts} contacts
 * @param {string} handle
 * @param {Uint8Array} identity
 * @returns {Somebody["seen"]}
 */
export function seenAs({ book }, handle, identity) {
  const before = book.contacts.get(handle)?.identity;
  if (!before) return "new";
  return equal(before, identity) ? "same" : "changed";
}

/**
 * Makes a contact of somebody, or of who they are now.
 * @param {Contacts} contacts
 * @param {string} handle
 * @param {Uint8Array} identity
 */
export function know(contacts, handle, identity) {
  const contact = contacts.book.contacts.get(handle) ?? emptyContact();
  const isSame = contact.identity && equal(contact.identity, identity);
  contacts.book.contacts.set(handle, { ...contact, identity, isVerified: contact.isVerified && Boolean(isSame) });
  contacts.blocked.delete(handle);
}

/** @param {string[]} lists */
function documents(lists) {
  return lists.map((list) => unbase64url(list) ?? new Uint8Array());
}

/** The person whose device this browser is. */
export class Person {
  #memory;
  #account;
  /** @type {import("./devices.js").Known | null} */
  #known = null;

  /**
   * @param {import("./memory.js").Memory} memory
   * @param {Account} account
   */
  constructor(memory, account) {
    this.#memory = memory;
    this.#account = account;
  }

  get handle() {
    return this.#memory.handle;
  }

  get account() {
    return this.#account;
  }

  get own() {
    return this.#memory.own;
  }

  /** @returns {Promise<import("./account.js").Delivery[]>} What they sent, as the hub lists it. */
  outbox() {
    return this.#account.box("outbox");
  }

  /** @returns {import("./devices.js").Known} The devices, once they were believed. */
  get known() {
    if (!this.#known) throw new Error("the devices were not asked for yet");
    return this.#known;
  }

  /** @returns {import("./devices.js").Device} */
  #device() {
    const { own, name } = this.#memory;
    return { key: own.key, exchange: own.exchange.key, name, since: Math.floor(Date.now() / 1000) };
  }

  /**
   * Asks who they are, and follows the lists from the one that was believed last.
   * @returns {Promise<boolean>} Whether this browser is on the list.
   */
  async arrive() {
    let me = await this.#account.read("/v1/me");
    if (me.lists.length === 0) {
      // They begin anew, after a reset: this is the first device.
      const devices = base64url(await signFirstList(this.handle, this.#device(), deviceSigner(this.own)));
      await this.#account.call("PUT", "/v1/me/devices", { devices });
      me = await this.#account.read("/v1/me");
    }
    const lists = documents(me.lists);
    this.#known = await this.#followed(this.handle, lists);
    const { seen } = this.#memory;
    const shown = seen && lists[seen.number - 1];
    if (seen && !(shown && equal(blake3(shown), seen.hash))) {
      const what = "The hub shows devices for you that do not follow those which this browser knows.";
      throw new Problem(what, "Was your account begun anew? Then forget this browser and sign in again. Else ask whoever runs the hub.");
    }
    const isApproved = deviceOf(this.#known, this.own.key) !== undefined;
    if (isApproved) await this.#remember(this.#known, this.#memory.seen?.book ?? 0);
    return isApproved;
  }

  /**
   * @param {import("./devices.js").Known} known
   * @param {number} book
   */
  async #remember({ list, hash }, book) {
    this.#memory = { ...this.#memory, seen: { number: list.number, hash, book } };
    await remember(this.#memory);
  }

  /** @returns {Promise<string>} What another device has to approve. */
  request() {
    return signRequest(this.handle, this.#device(), deviceSigner(this.own));
  }

  /** @returns {Promise<{ key: string, since: number }[]>} Devices that logged in and stand on no list. */
  async unlisted() {
    return (await this.#account.read("/v1/me")).unlisted;
  }

  /**
   * Puts a device on the list, by the line that it showed.
   * @param {string} line
   * @returns {Promise<string>} What it is called.
   */
  async approve(line) {
    let request;
    try {
      request = await openRequest(line);
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      throw new Problem(`That does not approve a device: ${error.message}.`, "Copy the whole line that the new device showed.");
    }
    const { handle, ...device } = request;
    if (handle !== this.handle) throw new Problem(`That device wants to be one of ${handle}.`, "Sign it in with your own handle.");
    const { devices } = this.known.list;
    if (deviceOf(this.known, device.key)) return device.name;
    if (devices.length >= DEVICES_MAX) throw new Problem(`You have ${devices.length} devices already.`, "Remove one.");
    await this.#putDevices([...devices, { ...device, since: Math.floor(Date.now() / 1000) }]);
    return device.name;
  }

  /**
   * Takes another device off the list, and logs it out for good.
   * @param {Uint8Array} key
   */
  async remove(key) {
    await this.#putDevices(this.known.list.devices.filter((device) => !equal(device.key, key)));
  }

  /**
   * Takes this browser off the list, and logs it out for good; a browser that waits to be approved is on none.
   * @returns {Promise<string>} Why that cannot be; nothing when it is done.
   */
  async leave() {
    if (!(await this.arrive())) {
      await this.#account.call("DELETE", `/v1/me/devices/${hex(this.own.key)}`);
      return "";
    }
    const others = this.known.list.devices.filter((device) => !equal(device.key, this.own.key));
    if (others.length === 0) {
      return "This browser is your only device. Approve another one first: without any you have to begin anew, and your contacts are asked whether that is you.";
    }
    const { sealed } = await this.#account.read("/v1/me/book");
    // What was written by a device that is none any more, the others believe no more.
    if (sealed && equal(writerOf(unbase64url(sealed) ?? new Uint8Array()), this.own.key)) {
      return "This browser was the last to change your contacts, so another device has to take it off your list: on its page under “Devices”, or with `consign account remove`. Nothing of your contacts is lost so.";
    }
    await this.#account.call("PUT", "/v1/me/devices", { devices: await this.#signed(others) });
    return "";
  }

  /** @param {import("./devices.js").Device[]} devices The next list. */
  async #signed(devices) {
    const list = successor(this.known, devices, this.own.key, Math.floor(Date.now() / 1000));
    return base64url(await signList(list, deviceSigner(this.own)));
  }

  /** @param {import("./devices.js").Device[]} devices */
  async #putDevices(devices) {
    const signed = await this.#signed(devices);
    // Read while its writer is on the list, and sealed anew for those on the next.
    const contacts = await this.contacts();
    await this.#account.call("PUT", "/v1/me/devices", { devices: signed });
    await this.arrive();
    await this.#keepContacts(contacts);
  }

  /**
   * @param {string} handle
   * @param {Uint8Array[]} lists
   */
  async #followed(handle, lists) {
    try {
      return await follow(handle, lists);
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      throw new Problem(`The devices of ${handle} cannot be believed: ${error.message}.`, ASK_THE_HUB);
    }
  }

  /** @returns {Promise<Contacts>} The address book. */
  async contacts() {
    const { number, sealed, blocked, policy } = await this.#account.read("/v1/me/book");
    const seen = this.#memory.seen?.book ?? 0;
    if (number < seen) {
      const what = `The hub shows version ${number} of the address book; this browser has seen ${seen}.`;
      throw new Problem(what, `It was restored from a backup, or holds changes back. ${ASK_THE_HUB}`);
    }
    const device = { key: this.own.key, exchange: this.own.exchange };
    let book;
    try {
      book = sealed ? await openBook(unbase64url(sealed) ?? new Uint8Array(), this.known, number, device) : emptyBook();
    } catch (error) {
      if (error instanceof BookError) throw new Problem(error.message, "Change something in it on a device that can read it.");
      if (!(error instanceof Malformed)) throw error;
      throw new Problem(`The address book cannot be read: ${error.message}.`, ASK_THE_HUB);
    }
    await this.#remember(this.known, number);
    return { number, book, blocked: new Set(blocked), policy };
  }

  /**
   * Changes the address book, again when another device changed it meanwhile.
   * @param {(contacts: Contacts) => void} change
   * @returns {Promise<string[]>} Contacts that nobody is called.
   */
  async changeContacts(change) {
    for (let tries = 1; ; tries++) {
      const contacts = await this.contacts();
      change(contacts);
      try {
        return await this.#keepContacts(contacts);
      } catch (error) {
        const isOvertaken = error instanceof Refused && error.code === "person-conflict";
        if (!isOvertaken || tries === TRIES) throw error;
      }
    }
  }

  /** @param {Contacts} contacts The next version. */
  async #keepContacts(contacts) {
    const number = contacts.number + 1;
    const device = { key: this.own.key, exchange: this.own.exchange };
    let sealed;
    try {
      sealed = base64url(await sealBook(contacts.book, this.known, number, device));
    } catch (error) {
      if (error instanceof BookError) throw new Problem(error.message, "Shorten it.");
      throw error;
    }
    const handles = [...contacts.book.contacts.keys()].sort();
    const document = { number, sealed, contacts: handles, blocked: [...contacts.blocked].sort(), policy: contacts.policy };
    const kept = await this.#account.call("PUT", "/v1/me/book", document);
    await this.#remember(this.known, number);
    return (await kept.json()).unknown;
  }

  /**
   * Who has a handle, and whether the address book knows them so.
   * @param {string} handle
   * @returns {Promise<Somebody>}
   */
  async somebody(handle) {
    let card;
    try {
      card = await this.#account.read(`/v1/people/${handle}`);
    } catch (error) {
      if (!(error instanceof Refused && error.status === 404)) throw error;
      throw new Problem(`Nobody at this hub is called ${handle}.`, "Look how it is spelled; ask them.");
    }
    const known = await this.#followed(handle, documents(card.lists));
    const name = [`${card.first_name} ${card.last_name}`.trim(), card.organisation].filter((text) => text).join(", ");
    return { handle, name, known, seen: seenAs(await this.contacts(), handle, known.identity) };
  }

  /**
   * Somebody as the address book knows them, or gets to know them now.
   * @param {string} handle
   * @returns {Promise<Somebody>}
   */
  async recipient(handle) {
    const somebody = await this.somebody(handle);
    if (somebody.seen === "changed") throw changed(handle);
    if (somebody.seen === "new") {
      await this.changeContacts((contacts) => know(contacts, handle, somebody.known.identity));
    }
    return somebody;
  }

  /**
   * Opens the letter of a delivery that came.
   * @param {import("./account.js").Delivery} delivery
   * @returns {Promise<import("../link.js").Link>}
   */
  async opened({ delivery: name, from, device, letter }) {
    const forged = new Problem(
      `What came as a delivery of ${from} was not sealed by a device of theirs.`,
      `The hub made it up, or lies about who sent it. ${ASK_THE_HUB}`,
    );
    const id = unhex(name);
    const sealed = letter ? unbase64url(letter) : null;
    if (!id || !sealed) throw new Problem("The delivery is for another device of yours.", "Receive it there.");
    const sender = await this.somebody(from);
    const key = unhex(device);
    const theirs = key && deviceOf(sender.known, key);
    if (!theirs) throw forged;
    let secret;
    try {
      const info = letterInfo(id, sender.known.identity, this.known.identity);
      secret = await openFrom(this.own.exchange, theirs.exchange, info, sealed);
    } catch (error) {
      if (error instanceof NotOpened) throw forged;
      throw error;
    }
    if (sender.seen === "changed") throw changed(from);
    if (secret.length !== 32) throw forged;
    return { id, name, secret, isLocked: false, signer: { key: this.own.key, secret: this.own.secret } };
  }
}

/** @param {string} handle */
function changed(handle) {
  return new Problem(
    `${handle} is not the person whom your address book knows by that handle.`,
    "They lost all their devices and began anew, or somebody else has the handle now, or the hub lies. Ask them by another way; then accept who they are now among your contacts.",
  );
}
