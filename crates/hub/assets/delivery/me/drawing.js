// Parts of the page. What anybody wrote becomes text nodes and nothing else.

import { ask, draw, working } from "../focus.js";

/**
 * @param {string} tag
 * @param {Record<string, string | boolean | ((event: Event) => void)>} facts Attributes; what begins with `on` listens;
 *   what is `false` is left out.
 * @param {...(Node | string)} children
 * @returns {HTMLElement}
 */
export function el(tag, facts = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(facts)) {
    if (typeof value === "function") made.addEventListener(name.slice(2), value);
    else if (value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

/** @param {string} id */
export const by = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/** @param {string} id */
export const input = (id) => /** @type {HTMLInputElement} */ (document.getElementById(id));

/**
 * A cell that names itself on a narrow page.
 * @param {string} label
 * @param {...(Node | string)} children
 */
export function cell(label, ...children) {
  return el("td", { "data-label": label }, ...children);
}

/**
 * @param {string} text
 * @param {() => unknown} act What pressing it does; while it does, it cannot be pressed again.
 * @param {{ kind?: string, label?: string, sure?: string }} [more] `sure`: the first press asks that, the second acts.
 */
export function button(text, act, { kind = "", label = "", sure = "" } = {}) {
  const facts = { type: "button", class: `small ${kind}`, "aria-label": label || false, "data-act": text, "data-sure": sure || false };
  const made = /** @type {HTMLButtonElement} */ (el("button", facts, text));
  made.addEventListener("click", () => {
    if (sure && !made.dataset.asked) return ask(made);
    void working(made, act);
  });
  return made;
}

/**
 * Shows rows, or what stands for none; the focus stays.
 * @param {string} id Of the body of the table; its card says in `ID-none` that there are none.
 * @param {HTMLElement[]} rows
 */
export function table(id, rows) {
  by(`${id}-none`).hidden = rows.length > 0;
  draw(by(id), rows, by(id).closest("table"));
}

/**
 * @param {number} seconds Since 1970.
 * @returns {string} As people here write it.
 */
export function when(seconds) {
  const at = new Date(seconds * 1000);
  return Number.isNaN(at.getTime()) ? "" : at.toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
}
