// Parts of the page. What anybody wrote becomes text nodes and nothing else.

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
  let isAsked = sure === "";
  const made = /** @type {HTMLButtonElement} */ (el("button", { type: "button", class: `small ${kind}`, "aria-label": label || false }, text));
  made.addEventListener("click", async () => {
    if (!isAsked) {
      isAsked = true;
      made.textContent = sure;
      made.removeAttribute("aria-label");
      return;
    }
    made.disabled = true;
    try {
      await act();
    } finally {
      made.disabled = false;
    }
  });
  return made;
}

/**
 * Shows rows, or what stands for none.
 * @param {string} id Of the body of the table; its card says in `ID-none` that there are none.
 * @param {HTMLElement[]} rows
 */
export function table(id, rows) {
  by(id).replaceChildren(...rows);
  const whole = by(id).closest("table");
  if (whole) whole.hidden = rows.length === 0;
  by(`${id}-none`).hidden = rows.length > 0;
}

/**
 * @param {number} seconds Since 1970.
 * @returns {string} As people here write it.
 */
export function when(seconds) {
  const at = new Date(seconds * 1000);
  return Number.isNaN(at.getTime()) ? "" : at.toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
}
