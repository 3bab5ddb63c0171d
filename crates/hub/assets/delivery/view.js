// A delivery as it is shown: what the worker tells, and the orders it gets. All text of a delivery is somebody
// else's: it becomes text nodes and nothing else.

import { Course } from "./course.js";
import { Layout } from "./layout.js";
import { Problem, problemOf } from "./problem.js";
import { bytes, counted, spoken, waits } from "./words.js";
import { announce } from "./announce.js";
import { contents, saveInto } from "./saving.js";
import { decodeHeader, totals } from "./header.js";
import { focusHeading, isLost } from "./focus.js";
import { safeName, savedPaths, shown, shownText } from "./names.js";
import { streamFile } from "./kept.js";

/** More rows help nobody, and browsers stop at some number of them. */
const ROWS_MAX = 500;
/** A saved file was begun to be read by then. */
const SAVING_MS = 600_000;
/** Too little to wait for somebody's answer about keeping it. */
const PERSIST_FROM_BYTES = 50e6;

/** @param {string} id */
const by = (id) => /** @type {HTMLElement} */ (document.getElementById(id));
const bar = /** @type {HTMLProgressElement} */ (by("bar"));
/** How often numbers are shown anew while nothing moves. */
const TICK_MS = 1000;
let course = new Course();

/** @type {Worker | null} */
let worker = null;
/** @type {import("./link.js").Link | null} */
let link = null;
/** @type {{ header: import("./header.js").Header, layout: Layout, paths: (string | null)[] } | null} */
let offer = null;
const UNTITLED = "A delivery for you";
let title = UNTITLED;
/** What was waited for last. @type {Parameters<typeof waits>[0]["whom"]} */
let waitsFor = null;
/** Whether a passphrase was typed, which may not be the right one. */
let wasLocked = false;
/** Nothing of it is left here. */
let gone = () => {};

/**
 * What is going on, in one sentence.
 * @param {string} text
 * @param {"" | "good" | "bad" | "warn"} [colour]
 */
export function say(text, colour = "") {
  if (by("state").textContent !== text) announce(text, { isUrgent: colour === "bad" });
  show(text, colour);
}

/**
 * The same for what counts on, which is not read out each time.
 * @param {string} text
 * @param {string} [colour]
 */
function show(text, colour = "") {
  const state = by("state");
  state.className = `notice ${colour || "plain"}`;
  if (state.textContent !== text) state.textContent = text;
}

/** @param {...string} ids Of the buttons that make sense now. */
function offerButtons(...ids) {
  const hadFocus = by("actions").contains(document.activeElement);
  for (const button of document.querySelectorAll("#actions button")) {
    /** @type {HTMLButtonElement} */ (button).hidden = !ids.includes(button.id);
  }
  // Whoever pressed a button that makes no sense any more.
  if (hadFocus && isLost()) focusHeading(by("delivery"));
}

/** @param {Problem} problem */
export function fail({ message, todo, again }) {
  say(message, "bad");
  by("todo").textContent = todo;
  announce(todo, { isUrgent: true });
  by("todo").hidden = false;
  by("numbers").hidden = true;
  bar.hidden = true;
  offerButtons(...(again ? ["again"] : []));
  document.title = `Stopped · ${title}`;
}

/** @param {string} order */
function command(order) {
  by("todo").hidden = true;
  worker?.postMessage({ order });
}

/** What the worker tells. */
const told = {
  /** @param {{ encoded: Uint8Array, hasBegun: boolean }} message */
  offered({ encoded, hasBegun }) {
    const header = decodeHeader(encoded);
    const layout = new Layout(header, encoded.length);
    offer = { header, layout, paths: savedPaths(header.items) };
    course = new Course(hasBegun);
    describe(header);
    if (hasBegun) return told.begins();
    say("Nothing is saved before you say so. Leave this page open while it comes.");
    offerButtons("receive", "refuse");
  },

  begins() {
    offerButtons();
    by("numbers").hidden = bar.hidden = false;
    say("Receiving. It goes on by itself after every break; leave this page open.");
  },

  /** @param {Parameters<typeof waits>[0]} waiting */
  waits(waiting) {
    const text = waits(waiting, Date.now() / 1000);
    if (waiting.whom && waiting.whom !== "receipt") course.handleBreak();
    const isDoubtful = wasLocked && !offer && waiting.whom === "delivery";
    const doubt = isDoubtful ? " Or the passphrase is not the right one." : "";
    if (isDoubtful) offerButtons("other");
    const tell = waiting.whom !== null && waiting.whom === waitsFor ? show : say;
    waitsFor = waiting.whom;
    if (text) tell(text + doubt, waiting.whom === "receipt" ? "good" : "warn");
    else if (!bar.hidden) say("Receiving. It goes on by itself after every break; leave this page open.");
  },

  /** @param {{ verifiedBytes: number, streamBytes: number }} message */
  progress({ verifiedBytes, streamBytes }) {
    course.handleProgress(verifiedBytes, streamBytes, performance.now());
    bar.max = Math.max(1, streamBytes);
    bar.value = verifiedBytes;
    bar.setAttribute("aria-valuetext", spoken(verifiedBytes, streamBytes));
    by("numbers").textContent = course.text();
    document.title = `${Math.floor((100 * verifiedBytes) / Math.max(1, streamBytes))} % · ${title}`;
  },

  kept() {
    document.title = `Here · ${title}`;
    by("numbers").hidden = bar.hidden = true;
    for (const button of document.querySelectorAll("button[data-item]")) {
      /** @type {HTMLButtonElement} */ (button).hidden = false;
    }
    offerSaving();
  },

  /** @param {{ isTaken: boolean }} message */
  done({ isTaken }) {
    const receipt = isTaken
      ? "The sender has the receipt."
      : "The receipt waits at the hub, where the sender finds it.";
    const files = offer && totals(offer.header).files > 0;
    say(`Everything is here and verified. ${receipt}${files ? " Save it now." : ""}`, "good");
  },

  refused() {
    gone();
    say("You refused the delivery; the sender is told, and nothing of it stays here.");
  },

  /** @param {{ bytes: number }} message */
  archiving({ bytes: done }) {
    if (offer) show(`Making the archive: ${bytes(done)} of ${bytes(totals(offer.header).bytes)}.`);
  },

  /** @param {{ blob: Blob }} message */
  archive({ blob }) {
    download(blob, `${safeName(offer?.header.subject || "delivery")}.zip`);
    say("The archive is being saved by the browser, among its downloads.", "good");
    offerSaving();
  },

  removed() {
    gone();
    offerButtons();
    by("contents").hidden = true;
    say("Nothing of the delivery is left in this browser.");
  },

  /** @param {Problem} problem */
  failed(problem) {
    fail(problem);
  },
};

setInterval(() => {
  if (bar.hidden || course.total === 0) return;
  course.handleTick(performance.now());
  by("numbers").textContent = course.text();
}, TICK_MS);

function offerSaving() {
  if (!offer) return;
  const { files } = totals(offer.header);
  const [only] = offer.header.items.filter((item) => item.kind === "file");
  if (files === 1) by("save").textContent = `Save ${shortened(shown(only.path).split("/").pop() ?? "")}`;
  const isSingle = files === 1 && offer.header.items.length === 1;
  const folder = "showDirectoryPicker" in window ? ["folder"] : [];
  const ways = isSingle ? ["save"] : offer.header.items.length > 0 ? ["archive", ...folder] : [];
  offerButtons(...ways, "remove");
}

/** @param {string} text */
function shortened(text) {
  return text.length > 40 ? `${text.slice(0, 24)}…${text.slice(-14)}` : text;
}

/**
 * Shows what is in it.
 * @param {import("./header.js").Header} header
 */
function describe(header) {
  title = shownText(header.subject) || UNTITLED;
  by("subject").textContent = title;
  document.title = title;
  const sent = new Date(header.sent * 1000);
  if (!Number.isNaN(sent.getTime())) by("sent").textContent = `sent ${sent.toLocaleString()}`;
  by("message").textContent = shownText(header.message.trimEnd(), /[\n\t]/u);
  by("message").hidden = header.message.trim() === "";
  const { files, bytes: total } = totals(header);
  bar.setAttribute("aria-label", `How much of “${title}” is here`);
  by("totals").textContent = files > 0 ? `${counted(files, "file")}, ${bytes(total)}` : "No files.";
  const shownItems = header.items.map((item, index) => ({ item, index })).filter(({ item }) => item.kind !== "directory");
  by("items").replaceChildren(...shownItems.slice(0, ROWS_MAX).map(({ item, index }) => row(item, index)));
  const more = shownItems.length - ROWS_MAX;
  by("more").textContent = `and ${counted(more, "more item")}; all of them come with the archive`;
  by("more").hidden = more <= 0;
  const links = header.items.filter((item) => item.kind === "link").length;
  by("links").textContent =
    `${counted(links, "symbolic link")} cannot be saved by a browser; \`consign receive\` keeps links.`;
  by("links").hidden = links === 0;
  by("contents").hidden = shownItems.length === 0;
}

/**
 * @param {import("./header.js").Item} item
 * @param {number} index
 */
function row(item, index) {
  const cells = [document.createElement("td"), document.createElement("td"), document.createElement("td")];
  const [name, size, end] = cells;
  name.className = "path";
  name.textContent = shown(item.path);
  size.className = "number";
  size.textContent = item.kind === "file" ? bytes(item.size) : "link";
  end.className = "end tight";
  if (item.kind === "file") {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "small";
    button.dataset.item = String(index);
    button.hidden = true;
    button.textContent = "Save";
    button.setAttribute("aria-label", `Save ${shown(item.path)}`);
    end.append(button);
  }
  const line = document.createElement("tr");
  line.append(...cells);
  return line;
}

/** @param {number} index */
async function save(index) {
  if (!offer || !link) return;
  const stream = await streamFile(link.name);
  const name = offer.paths[index]?.split("/").pop() ?? "file";
  download(contents(stream, offer.header, offer.layout, index), name);
  announce(`${shownText(name)} is being saved by the browser, among its downloads.`);
}

/**
 * The browser copies it among its downloads; nothing of it comes into memory.
 * @param {Blob} blob
 * @param {string} name
 */
function download(blob, name) {
  const anchor = document.createElement("a");
  anchor.href = URL.createObjectURL(blob);
  anchor.download = name;
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(anchor.href), SAVING_MS);
}

/** Into a directory of this computer that the person chooses. */
async function intoFolder() {
  if (!offer || !link) return;
  const { header, layout } = offer;
  let target;
  try {
    target = await /** @type {any} */ (window).showDirectoryPicker({ mode: "readwrite" });
  } catch (error) {
    // Nobody chose one.
    if (error instanceof DOMException && error.name === "AbortError") return;
    throw error;
  }
  offerButtons();
  announce("Saving.");
  const total = totals(header).bytes;
  const done = (/** @type {number} */ count) => show(`Saving: ${bytes(count)} of ${bytes(total)}.`);
  const name = await saveInto(target, await streamFile(link.name), header, layout, done);
  say(`Everything is saved, in the folder “${name}” of the one you chose.`, "good");
  offerSaving();
}

/**
 * The first press asks, the second does it, however long that takes; who goes elsewhere is asked again.
 * @param {HTMLElement} button
 * @param {string} sure
 */
function isSure(button, sure) {
  const label = button.dataset.asked;
  if (label === undefined) {
    button.dataset.asked = button.textContent ?? "";
    button.textContent = sure;
    button.addEventListener("blur", () => unask(button), { once: true });
    return false;
  }
  unask(button);
  return true;
}

/** @param {HTMLElement} button */
function unask(button) {
  if (button.dataset.asked !== undefined) button.textContent = button.dataset.asked;
  delete button.dataset.asked;
}

const pressed = {
  receive() {
    told.begins();
    // Asked for where it matters: some browsers ask the person.
    if (offer && offer.layout.streamBytes > PERSIST_FROM_BYTES) void navigator.storage.persist();
    command("receive");
  },
  refuse() {
    if (!isSure(by("refuse"), "Sure? It ends for both sides")) return;
    offerButtons();
    command("refuse");
  },
  again() {
    if (!offer) return location.reload();
    told.begins();
    command("receive");
  },
  other() {
    location.reload();
  },
  save() {
    if (offer) return save(offer.header.items.findIndex((item) => item.kind === "file"));
  },
  archive() {
    offerButtons();
    say("Making the archive.");
    command("archive");
  },
  folder: intoFolder,
  remove() {
    if (!isSure(by("remove"), "Sure? What is not saved is gone")) return;
    command("remove");
  },
};

by("delivery").addEventListener("click", async ({ target }) => {
  const button = target instanceof Element ? target.closest("button") : null;
  if (!button) return;
  try {
    if (button.dataset.item) await save(Number(button.dataset.item));
    else await pressed[/** @type {keyof pressed} */ (button.id)]?.();
  } catch (error) {
    fail(problemOf(error));
  }
});

/**
 * Shows a delivery, instead of any that is shown.
 * @param {import("./link.js").Link} given
 * @param {{ locked?: boolean, gone?: () => void }} [more] `locked`: a passphrase was typed. `gone`: what to do when
 *   nothing of it is left in this browser.
 */
export function openDelivery(given, more = {}) {
  closeDelivery();
  link = given;
  wasLocked = more.locked ?? false;
  gone = more.gone ?? (() => {});
  say("Asking the hub for the delivery.");
  const started = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
  worker = started;
  worker.onmessage = ({ data }) => {
    // What it said before another delivery was shown.
    if (worker !== started) return;
    try {
      told[/** @type {keyof told} */ (data.tells)](data);
    } catch (error) {
      fail(problemOf(error));
    }
  };
  worker.onerror = (event) => fail(problemOf(new Error(event.message || "the worker did not start")));
  worker.postMessage({ order: "open", link });
}

/** Shows no delivery any more; what is here of it stays. */
export function closeDelivery() {
  worker?.terminate();
  [worker, link, offer, title, waitsFor] = [null, null, null, UNTITLED, null];
  bar.removeAttribute("aria-valuetext");
  by("subject").textContent = title;
  for (const id of ["sent", "totals"]) by(id).textContent = "";
  for (const id of ["message", "todo", "numbers", "contents"]) by(id).hidden = true;
  bar.hidden = true;
  offerButtons();
}
