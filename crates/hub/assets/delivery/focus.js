// Where the keyboard is. What is drawn anew, hidden or at work must not throw whoever uses it back to the top of the page.

/**
 * @typedef {object} Held Where the focus was.
 * @property {Element} element
 * @property {Element | null} list What is drawn anew: its rows carry `data-delivery`, `data-contact` or `data-key`.
 * @property {string} row
 * @property {number} rowAt
 * @property {string} act As `data-act` of the control.
 * @property {number} actAt
 * @property {boolean} isAsked Whether the next press of it acts.
 */

const CONTROLS = "a[href], button, input, select, textarea, summary, [tabindex='0']";

/** @param {Element} row */
function keyOf(row) {
  const { delivery, contact, key } = /** @type {HTMLElement} */ (row).dataset;
  return delivery ?? contact ?? key ?? "";
}

/** @param {Element} it @returns {boolean} Whether it is drawn. Some browsers in use have no `checkVisibility`. */
function isShown(it) {
  return it.getClientRects().length > 0;
}

/** @param {Element} place @returns {HTMLElement[]} What can be reached in it. */
function controls(place) {
  const found = /** @type {HTMLElement[]} */ ([...place.querySelectorAll(CONTROLS)]);
  return found.filter((it) => isShown(it));
}

/** @returns {Held | null} Where the focus is. */
export function held() {
  const element = document.activeElement;
  if (!element || element === document.body) return null;
  const list = element.closest("tbody, ul");
  const rowAt = list ? [...list.children].findIndex((it) => it.contains(element)) : -1;
  const row = list?.children[rowAt];
  const { act = "", asked = "" } = /** @type {HTMLElement} */ (element).dataset;
  return { element, list, row: row ? keyOf(row) : "", rowAt, act, actAt: row ? controls(row).indexOf(/** @type {HTMLElement} */ (element)) : -1, isAsked: asked !== "" };
}

/**
 * The control that stands where the focus was: the same one of the same row, a neighbour, or none.
 * @param {Held} before
 * @returns {{ control: HTMLElement, isSame: boolean } | null}
 */
function successor({ list, row, rowAt, act, actAt }) {
  if (!list || list.children.length === 0) return null;
  const rows = [...list.children];
  const same = rows.find((it) => keyOf(it) === row);
  const found = controls(same ?? rows[Math.min(rowAt, rows.length - 1)]);
  const alike = found.find((it) => it.dataset.act === act);
  const control = alike ?? found[Math.min(Math.max(actAt, 0), found.length - 1)];
  return control ? { control, isSame: Boolean(same && alike) } : null;
}

/**
 * Gives the focus back to where it was, or to what stands there now, or to the heading over it.
 * @param {Held | null} before
 * @param {Element} place What it was in, or what is gone.
 */
export function giveBack(before, place) {
  if (before?.element.isConnected && isShown(before.element)) {
    return /** @type {HTMLElement} */ (before.element).focus();
  }
  const found = before && successor(before);
  if (!found) return focusHeading(place);
  // A question that was asked of it stands.
  if (found.isSame && before?.isAsked) ask(/** @type {HTMLButtonElement} */ (found.control));
  found.control.focus();
}

/**
 * The heading of a part, or of the whole that a part which is hidden now stands in.
 * @param {Element} place
 */
export function focusHeading(place) {
  for (let whole = /** @type {Element | null} */ (place); whole; whole = whole.parentElement) {
    const heading = /** @type {HTMLElement | undefined} */ ([...whole.querySelectorAll("h1, h2")].find((it) => isShown(it)));
    if (!heading) continue;
    heading.tabIndex = -1;
    return heading.focus();
  }
}

/** Whether nothing that can be seen has the focus. */
export function isLost() {
  const element = document.activeElement;
  return !element || element === document.body || !isShown(element);
}

/**
 * Draws a list anew; the focus stays in it.
 * @param {Element} list
 * @param {Node[]} rows
 * @param {HTMLElement | null} [whole] What is hidden while there are none.
 */
export function draw(list, rows, whole = null) {
  const before = list.contains(document.activeElement) ? held() : null;
  list.replaceChildren(...rows);
  if (whole) whole.hidden = rows.length === 0;
  if (before) giveBack(before, list);
}

/** Where the focus goes when a part is closed. @type {Map<HTMLElement, Held | null>} */
const openers = new Map();

/**
 * Shows a part, which takes the focus.
 * @param {HTMLElement} part
 */
export function openPart(part) {
  if (!part.contains(document.activeElement)) openers.set(part, held());
  part.hidden = false;
  focusHeading(part);
}

/**
 * Hides a part, which gives the focus back if it had it.
 * @param {HTMLElement} part
 */
export function closePart(part) {
  const had = part.contains(document.activeElement);
  part.hidden = true;
  if (had) giveBack(openers.get(part) ?? null, part);
  openers.delete(part);
}

/**
 * Does what a press asks for. Meanwhile the control keeps the focus, and presses are ignored.
 * @param {HTMLElement} control
 * @param {() => unknown} act
 */
export async function working(control, act) {
  if (control.ariaBusy === "true") return;
  control.ariaBusy = control.ariaDisabled = "true";
  try {
    await act();
  } finally {
    control.ariaBusy = control.ariaDisabled = null;
  }
}

/**
 * Asks once more before the next press acts: `data-sure` is the question.
 * @param {HTMLElement} control
 */
export function ask(control) {
  control.dataset.asked = "yes";
  control.textContent = control.dataset.sure ?? "";
  control.removeAttribute("aria-label");
}
