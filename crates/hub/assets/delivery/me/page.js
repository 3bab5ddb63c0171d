// A person's page: the door, at which a browser becomes one of their devices, and the desk behind it.

import { Account, Refused } from "./account.js";
import { Contacts } from "./contacts.js";
import { Draft } from "./draft.js";
import { Inbox } from "./inbox.js";
import { Outbox } from "./outbox.js";
import { OwnDevices } from "./own_devices.js";
import { Person } from "./person.js";
import { Problem } from "../problem.js";
import { Signature } from "./signature.js";
import { AddresseeForm } from "./addressee.js";
import { alone } from "./alone.js";
import { announce } from "../announce.js";
import { by, input } from "./drawing.js";
import { checkBrowser } from "../browser.js";
import { closeDelivery, openDelivery } from "../view.js";
import { dropDelivery, forgetAll, makeKeys, remember, remembered } from "./memory.js";
import { explained } from "./states.js";
import { focusHeading, giveBack, held, isLost, working } from "../focus.js";
import { base64url, hex, unhex } from "../bytes.js";
import { deviceSigner } from "../signed.js";
import { isDeviceName, isHandle, signFirstList } from "./devices.js";
import { listen } from "./events.js";
import { parseInvitation } from "./proofs.js";
import { shownText } from "../names.js";

const { identity = "", fingerprint = "", url = "" } = document.body.dataset;
/** What the hub is recognised by in proofs. */
const HUB = unhex(identity) ?? new Uint8Array(32);
/** How often free room is looked at. */
const ROOM_EVERY_MS = 60_000;
const ROOMS = ["inbox", "send", "outbox", "contacts", "devices", "delivery"];
const ELSEWHERE = "Your page is open in another tab of this browser. This one goes on when that is closed.";
const AWAY = "The hub does not answer. It is tried again and again.";
/** Who this browser is nobody's device any more. */
const NOBODY = ["not-registered", "person-required"];

/**
 * @param {string} id
 * @param {string} text
 * @param {string} [colour]
 * @param {string} [todo]
 */
function tell(id, text, colour = "plain", todo = "") {
  const place = by(id);
  const said = [text, todo].filter((part) => part).join(" ");
  // What goes on is said once, and what somebody did each time.
  if (place.textContent !== said || ["good", "bad"].includes(colour)) announce(said, { isUrgent: colour === "bad" });
  place.hidden = text === "";
  place.className = `notice ${colour}`;
  place.textContent = said;
}

/** @param {string} step What the door shows: `sign-in`, `approve`, `left` or nothing. */
function showDoor(step) {
  by("desk").hidden = true;
  by("door").hidden = false;
  for (const id of ["sign-in", "approve", "left"]) by(id).hidden = id !== step;
  by("register").hidden = step !== "sign-in";
  if (step && isLost()) focusHeading(by(step));
}

/**
 * Does something, and says what failed where the person is.
 * @param {() => Promise<unknown>} act
 */
async function atDoor(act) {
  try {
    await act();
  } catch (error) {
    const { message, todo } = explained(error);
    tell(by("desk").hidden ? "door-state" : "notice", message, "bad", todo);
  }
}

/** Everything behind the door. */
export class Desk {
  #person;
  #inbox;
  #contacts;
  #outbox;
  #devices;
  #signature;
  #told = NaN;
  /** The room that is shown. */
  #room = "";
  /** Where the focus was when a delivery was opened. @type {import("../focus.js").Held | null} */
  #opener = null;

  /** @param {Person} person */
  constructor(person) {
    this.#person = person;
    this.#inbox = new Inbox(person, this);
    this.#contacts = new Contacts(person, this);
    this.#devices = new OwnDevices(person, this);
    this.#signature = new Signature(person, this);
    const draft = new Draft((act) => this.attempt(act), this.#signature, new AddresseeForm());
    const hub = { identity: HUB, fingerprint: unhex(fingerprint) ?? new Uint8Array(), url };
    this.#outbox = new Outbox(person, this, draft, hub);
    addEventListener("hashchange", () => this.#show());
    for (const link of document.querySelectorAll("#desk nav a")) link.addEventListener("click", () => tell("notice", ""));
  }

  enter() {
    by("door").hidden = true;
    by("desk").hidden = false;
    by("who").textContent = this.#person.handle;
    this.#show();
    this.heard(["devices", "inbox", "senders", "outbox", "book"]);
    const tellRoom = () => void this.#tellRoom().catch(() => {});
    setInterval(tellRoom, ROOM_EVERY_MS);
    tellRoom();
  }

  #show() {
    const asked = location.hash.slice(1);
    const room = ROOMS.includes(asked) ? asked : "inbox";
    // Loaded again there is no delivery to show.
    const shown = room === "delivery" && !by("delivery").dataset.shown ? "inbox" : room;
    const left = this.#room;
    this.#room = shown;
    for (const id of ROOMS) by(`room-${id}`).hidden = id !== shown;
    if (shown !== "delivery") {
      delete by("delivery").dataset.shown;
      closeDelivery();
      document.title = `${by("who").textContent} · Consign`;
    }
    for (const link of document.querySelectorAll("#desk nav a")) {
      if (link.getAttribute("href") === `#${shown}`) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    if (left === shown) return;
    // Who comes back from a delivery is where it was opened.
    if (left === "delivery" && shown === "inbox") giveBack(this.#opener, by("room-inbox"));
    else focusHeading(by(`room-${shown}`));
  }

  /** @param {string} room */
  go(room) {
    location.hash = `#${room}`;
    this.#show();
  }

  /**
   * Does something, and says what failed.
   * @param {() => Promise<unknown>} act
   */
  async attempt(act) {
    try {
      await act();
    } catch (error) {
      const { message, todo } = explained(error);
      tell("notice", message, "bad", todo);
    }
  }

  /** @param {string} text */
  notice(text) {
    tell("notice", text, "good");
  }

  /**
   * Shows a delivery that came.
   * @param {import("../link.js").Link} link
   * @param {string} name
   */
  open(link, name) {
    tell("notice", "");
    by("delivery").dataset.shown = name;
    const gone = async () => {
      await dropDelivery(name);
      await this.attempt(() => this.#inbox.showDeliveries());
    };
    this.#opener = held();
    this.go("delivery");
    openDelivery(link, { gone: () => void gone() });
  }

  /** @param {string[]} news */
  heard(news) {
    const shows = {
      devices: async () => {
        await this.#person.arrive();
        await this.#devices.show();
      },
      senders: async () => {
        await this.#inbox.showSenders();
        await this.#inbox.showDeliveries();
      },
      inbox: () => this.#inbox.showDeliveries(),
      outbox: () => this.#outbox.show(),
      book: async () => this.#signature.show((await this.#contacts.show()).signature),
    };
    // One after the other: what is shown of people rests on their devices.
    void this.attempt(async () => {
      for (const [what, show] of Object.entries(shows)) if (news.includes(what)) await show();
    });
  }

  /** Says how much room there is, so that others learn whether something fits. */
  async #tellRoom() {
    const { quota = 0, usage = 0 } = await navigator.storage.estimate();
    const free = Math.max(0, quota - usage);
    if (Math.abs(free - this.#told) < this.#told / 10) return;
    await this.#person.account.call("PUT", "/v1/me/room", { free, largest: free });
    this.#told = free;
  }
}

/**
 * @param {string} handle
 * @param {string} name
 */
function checkNames(handle, name) {
  if (!isHandle(handle)) throw new Problem("That is no handle.", "A handle is 3 to 32 of a-z, 0-9 and ._- , and begins with a letter.");
  if (!isDeviceName(name)) throw new Problem("A browser has a name of 1 to 64 characters.", "Type another one.");
}

/** @param {string} id @returns {string} What was typed, which stays no longer than that. */
function taken(id) {
  const { value } = input(id);
  input(id).value = "";
  return value;
}

/**
 * The password is shown to the hub once, and the keys stay.
 * @param {import("./account.js").Own} own
 */
async function signIn(own) {
  const [handle, name] = [input("handle").value.trim(), input("device").value.trim()];
  checkNames(handle, name);
  tell("door-state", "Signing in.");
  await new Account(own, HUB).logIn(handle, taken("password"));
  await enter({ handle, name, own, seen: null });
}

/**
 * Makes a person of an invitation, whose first device this browser is.
 * @param {import("./account.js").Own} own
 */
async function register(own) {
  const [handle, name] = [input("new-handle").value.trim(), input("new-device").value.trim()];
  checkNames(handle, name);
  const invitation = parseInvitation(input("new-invitation").value);
  if (!invitation) throw new Problem("That is no invitation.", "Copy the whole line that begins with consign-invite-1:.");
  if (invitation.url.replace(/\/+$/, "") !== url.replace(/\/+$/, "")) {
    throw new Problem(`The invitation is for another hub: ${shownText(invitation.url)}.`, "Open the page of that one.");
  }
  const password = taken("new-password");
  if (password !== taken("new-again")) throw new Problem("The two passwords are not the same.", "Type them again.");
  tell("door-state", "Registering.");
  const account = new Account(own, HUB);
  // Repeated with the same keys it changes nothing, when the handle turns out to be taken.
  await account.register(invitation.secret);
  const [first_name, last_name, organisation] = ["new-first", "new-last", "new-organisation"].map((id) => input(id).value.trim());
  const device = { key: own.key, exchange: own.exchange.key, name, since: Math.floor(Date.now() / 1000) };
  const devices = base64url(await signFirstList(handle, device, deviceSigner(own)));
  await account.call("POST", "/v1/people", { handle, password, details: { first_name, last_name, organisation }, devices });
  await enter({ handle, name, own, seen: null });
}

/** @param {import("./memory.js").Memory} memory */
async function enter(memory) {
  await remember(memory);
  void navigator.storage.persist();
  location.reload();
}

function askWho() {
  showDoor("sign-in");
  tell("door-state", "");
  input("device").value = input("new-device").value = browserName();
  // The same keys for every try, so that a lost answer leaves no device that nobody is.
  const own = makeKeys();
  for (const [id, act] of /** @type {const} */ ([["sign-in-form", signIn], ["register-form", register]])) {
    by(id).addEventListener("submit", (event) => {
      event.preventDefault();
      void atDoor(async () => act(await own));
    });
  }
  input("handle").focus();
}

/** What its owner will recognise it by. */
function browserName() {
  const found = [["Edg/", "Edge"], ["Firefox/", "Firefox"], ["Chrome/", "Chrome"], ["Safari/", "Safari"]];
  const [, name] = found.find(([mark]) => navigator.userAgent.includes(mark)) ?? ["", "Browser"];
  return name;
}

/** @param {Person} person */
async function askApproval(person) {
  showDoor("approve");
  by("request").textContent = await person.request();
  by("own-key").textContent = hex(person.own.key);
  tell("door-state", `Signed in as ${person.handle}. Waiting for another device to approve this browser; it goes on by itself.`, "warn");
}

/** @param {import("./memory.js").Memory} memory */
async function arrive(memory) {
  const account = new Account(memory.own, HUB);
  const person = new Person(memory, account);
  arrived = person;
  /** @type {Desk | null} */
  let desk = null;
  const enter = async () => {
    if (!(await person.arrive())) return askApproval(person);
    if (desk) return;
    desk = new Desk(person);
    desk.enter();
  };
  const heard = (/** @type {string[]} */ news) => {
    if (desk) desk.heard(news);
    else void atDoor(enter);
  };
  const away = (/** @type {boolean} */ isAway) => {
    tell("away", isAway ? AWAY : "", "warn");
    if (isAway && !desk) tell("door-state", AWAY, "warn");
  };
  await listen(account, heard, away);
  tell("away", "This browser's keys are in use elsewhere: load the page again to go on here.", "warn");
}

/** Who this browser's person is, while it knows. @type {Person | null} */
let arrived = null;

/**
 * Takes this browser off its person's list and forgets whose device it was, once that was asked twice. Where it cannot
 * be taken off, that is said, and it is forgotten when that is asked once more.
 * @param {HTMLButtonElement} button
 */
async function forget(button) {
  const { asked } = button.dataset;
  if (!asked) {
    button.dataset.asked = "sure";
    button.textContent = "Sure? What is not saved is gone";
    return;
  }
  if (asked === "sure" && arrived) {
    const why = await stays(arrived);
    if (why) {
      button.dataset.asked = "knows";
      button.textContent = "Forget it here all the same";
      return tell(by("desk").hidden ? "door-state" : "notice", why, "warn");
    }
  }
  closeDelivery();
  await forgetAll();
  location.hash = "";
  location.reload();
}

/**
 * Why this browser stays on its person's list; nothing when it is on none any more.
 * @param {Person} person
 */
async function stays(person) {
  try {
    return await person.leave();
  } catch (error) {
    if (error instanceof Refused && NOBODY.includes(error.code)) return "";
    const { message, todo } = explained(error);
    return `${message} ${todo} This browser stays on your list of devices until another one removes it.`;
  }
}

async function begin() {
  showDoor("");
  checkBrowser("receive");
  await alone("consign person", () => tell("door-state", ELSEWHERE, "warn"));
  tell("door-state", "Asking the hub.");
  for (const button of document.querySelectorAll("button.forget")) {
    const pressed = /** @type {HTMLButtonElement} */ (button);
    pressed.addEventListener("click", () => void working(pressed, () => atDoor(() => forget(pressed))));
  }
  const memory = await remembered();
  if (!memory) {
    await makeKeys().catch(() => {
      throw new Problem("This browser lacks what a device needs: keys of the kinds Ed25519 and X25519.", "Use a current Firefox, Chrome, Edge or Safari.");
    });
    return askWho();
  }
  try {
    await arrive(memory);
  } catch (error) {
    if (!(error instanceof Refused && NOBODY.includes(error.code))) throw error;
    const what = `This browser is no device of ${memory.handle} any more: it was removed, or the account began anew.`;
    closeDelivery();
    showDoor("left");
    tell("door-state", what, "bad", "Forget it here, and sign in again if you like.");
  }
}

void atDoor(begin);
