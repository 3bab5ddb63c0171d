// What is said to whoever listens to the page. The regions are there from the beginning and never hidden: what is
// shown together with its region is not read out by every screen reader.

/** So many are kept: the last ones, for those who look back. */
const KEPT = 5;

/**
 * @param {string} text Said once, when there is time for it.
 * @param {{ isUrgent?: boolean }} [how] `isUrgent`: what failed is said at once.
 */
export function announce(text, { isUrgent = false } = {}) {
  const place = document.getElementById(isUrgent ? "alarm" : "said");
  if (!place || text === "") return;
  const line = document.createElement("p");
  line.textContent = text;
  while (place.children.length >= KEPT) place.firstElementChild?.remove();
  place.append(line);
}
