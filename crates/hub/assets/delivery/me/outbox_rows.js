// The rows of the outbox: what this browser sends, with its progress, and what the person's other devices send.

import { bytes, counted, spoken } from "../words.js";
import { button, cell, el, when } from "./drawing.js";
import { decodeHeader, totals } from "../header.js";
import { isOver, standing } from "./states.js";
import { shownText } from "../names.js";
import { standingOfKept } from "./keeping.js";

/** Whom a link is for. */
export const ANYBODY = "whoever has the link";
/** What is waited for, in words. */
export const WAITS = {
  hub: "waits for the hub, which does not answer",
  recipient: "waits for the recipient to collect it",
  sending: "on its way",
  receipt: "waits for the recipient to write the rest and sign",
  done: "received",
};

/**
 * @typedef {object} Running What goes on in this page.
 * @property {File[]} files
 * @property {Worker | null} worker
 * @property {boolean} isPaused
 * @property {string} text
 * @property {string} halt Why it was paused, when nobody did.
 * @property {import("../course.js").Course} course
 *
 * @typedef {object} Acts What can be done with what this browser sends.
 * @property {() => unknown} drop
 * @property {() => unknown} link
 * @property {() => unknown} pause
 * @property {(id: string) => unknown} again
 * @property {() => unknown} end
 */

/**
 * @param {import("./memory.js").Sending} sending
 * @param {{ delivery: import("./account.js").Delivery | null, running: Running | undefined, far: string, acts: Acts }} how
 *   `far`: how far it is, of what the hub keeps.
 */
export function ownRow(sending, { delivery, running, far, acts }) {
  const header = decodeHeader(sending.header);
  const { files, bytes: size } = totals(header);
  const over = sending.ended ?? (delivery && isOver(delivery) ? standing(delivery, false) : null);
  const kept = !over && sending.kept ? (delivery?.state === "running" ? standing(delivery, false) : standingOfKept(sending.kept)) : null;
  const isAway = !over && !kept && !running;
  const told = isAway ? { text: "stopped with the page: choose the same files to go on", colour: "warn" } : null;
  const isPaused = running?.isPaused ? { text: running.halt ? `paused: ${running.halt}` : "paused", colour: "warn" } : null;
  const asWaits = delivery && !running?.worker ? standing(delivery, false) : null;
  const { text, colour } = over ?? kept ?? told ?? isPaused ?? asWaits ?? { text: running?.text || WAITS.hub, colour: "" };
  const label = sending.to ?? ANYBODY;
  const subject = shownText(header.subject) || "no subject";
  const state = cell(
    "State",
    el("span", { class: `state ${colour}` }, text),
    el("progress", { hidden: true, "aria-label": `How much of “${subject}” ${label} has` }),
    el("div", { class: "numbers small hush" }),
  );
  if (running && !over) drawProgress(state, running.course);
  else if (kept && delivery) state.append(el("div", { class: "far small hush" }, far));
  return el(
    "tr",
    { "data-delivery": sending.name },
    el("td", { class: "name" }, label, el("div", { class: "hush small" }, when(sending.since))),
    cell("What", subject, el("div", { class: "hush small" }, `${counted(files, "file")}, ${bytes(size)}`)),
    state,
    el("td", { class: "end" }, el("div", { class: "actions" }, ...actions(sending, { isOver: Boolean(over), isAway, running, acts }))),
  );
}

/**
 * @param {import("./memory.js").Sending} sending
 * @param {{ isOver: boolean, isAway: boolean, running: Running | undefined, acts: Acts }} how
 */
function actions({ to }, { isOver: isDone, isAway, running, acts }) {
  if (isDone) return [button("Remove", acts.drop, { label: "Remove from the list" })];
  const found = [];
  if (to === null) found.push(button("Link", acts.link, { label: "Show the link" }));
  if (running) found.push(button(running.isPaused ? "Go on" : "Pause", acts.pause));
  if (isAway) found.push(button("Choose files", () => acts.again("again-files")), button("Choose folder", () => acts.again("again-folder")));
  found.push(button("End", acts.end, { kind: "danger", label: "End the delivery", sure: "Sure? It ends for both" }));
  return found;
}

/**
 * @param {import("./account.js").Delivery} delivery What another device sends.
 * @param {{ far: string, end: () => unknown }} how
 */
export function foreignRow(delivery, { far, end }) {
  const { delivery: name, to, created, files, bytes: size } = delivery;
  const { text, colour } = standing(delivery, false);
  const act = isOver(delivery) ? [] : [button("End", end, { kind: "danger", label: `End the delivery to ${to}`, sure: "Sure? It ends for both" })];
  return el(
    "tr",
    { "data-delivery": name },
    el("td", { class: "name" }, to, el("div", { class: "hush small" }, when(created))),
    cell("What", "from another device", el("div", { class: "hush small" }, `${counted(files, "file")}, ${bytes(size)}`)),
    cell("State", el("span", { class: `state ${colour}` }, text), el("div", { class: "far small hush" }, far)),
    el("td", { class: "end" }, ...act),
  );
}

/** @param {string} name */
function rowOf(name) {
  return document.querySelector(`#outbox-rows tr[data-delivery="${name}"]`);
}

/**
 * @param {string} name
 * @param {string} text
 */
export function showText(name, text) {
  const place = rowOf(name)?.querySelector(".state");
  if (place && place.textContent !== text) place.textContent = text;
}

/**
 * @param {string} name
 * @param {import("../course.js").Course} course
 */
export function showProgress(name, course) {
  const row = rowOf(name);
  if (row) drawProgress(row, course);
}

/**
 * @param {Element} place With a bar and a place for numbers.
 * @param {import("../course.js").Course} course
 */
function drawProgress(place, course) {
  const bar = /** @type {HTMLProgressElement | null} */ (place.querySelector("progress"));
  const numbers = place.querySelector(".numbers");
  if (!bar || !numbers || course.total === 0) return;
  [bar.max, bar.value, bar.hidden] = [course.total, course.done, false];
  bar.setAttribute("aria-valuetext", spoken(course.done, course.total));
  numbers.textContent = course.text();
}
