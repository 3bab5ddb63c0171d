// Whether what a page shows can be read: the contrast of WCAG 2 (1.4.3 and 1.4.11), from computed styles.
"use strict";

const assert = require("node:assert/strict");

const TEXT = 4.5;
// Large text, the borders of fields and the marks of the focus.
const LARGE = 3;

// Runs in the page. What is disabled or hidden from sight has no contrast to keep.
function poor({ TEXT, LARGE }) {
  const context = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });
  const known = new Map();
  const parsed = (text) => {
    if (!known.has(text)) {
      context.clearRect(0, 0, 1, 1);
      context.fillStyle = text;
      context.fillRect(0, 0, 1, 1);
      const [red, green, blue, alpha] = context.getImageData(0, 0, 1, 1).data;
      known.set(text, { rgb: [red, green, blue], alpha: alpha / 255 });
    }
    return known.get(text);
  };
  const over = ({ rgb, alpha }, under) => rgb.map((part, at) => part * alpha + under[at] * (1 - alpha));
  const behind = (it) => {
    if (!it) return parsed("Canvas").rgb;
    const colour = parsed(getComputedStyle(it).backgroundColor);
    return colour.alpha === 1 ? colour.rgb : over(colour, behind(it.parentElement));
  };
  const opacity = (it) => (it ? Number(getComputedStyle(it).opacity) * opacity(it.parentElement) : 1);
  const luminance = (rgb) => {
    const [red, green, blue] = rgb.map((part) => (part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const contrast = (text, under, faded = 1) => {
    const { rgb, alpha } = parsed(text);
    const [more, less] = [luminance(over({ rgb, alpha: alpha * faded }, under)), luminance(under)].sort((one, other) => other - one);
    return (more + 0.05) / (less + 0.05);
  };
  const isSeen = (it) => {
    const { width, height } = it.getBoundingClientRect();
    return it.checkVisibility({ visibilityProperty: true }) && width > 1 && height > 1 && !it.closest(":disabled, .visually-hidden");
  };
  const least = ({ fontSize, fontWeight }) => (parseFloat(fontSize) >= 24 || (parseFloat(fontSize) >= 18.66 && fontWeight >= 700) ? LARGE : TEXT);
  const named = (it) => `${it.tagName.toLowerCase()}${it.id && `#${it.id}`}${[...it.classList].map((name) => `.${name}`).join("")}`;
  const found = [];
  const hold = (it, what, has, wants) => {
    if (has < wants) found.push(`${what} of ${named(it)} in ${named(it.parentElement)}: ${has.toFixed(2)} of ${wants}`);
  };
  for (const it of [...document.body.querySelectorAll("*")].filter(isSeen)) {
    const style = getComputedStyle(it);
    const isField = it.matches("input, select, textarea");
    const hasText = [...it.childNodes].some(({ nodeType, data }) => nodeType === Node.TEXT_NODE && data.trim() !== "");
    if (hasText || isField) hold(it, `“${(it.textContent || it.value || "").trim().slice(0, 30)}”`, contrast(style.color, behind(it), opacity(it)), least(style));
    if (it.placeholder && it.matches(":placeholder-shown")) {
      const faint = getComputedStyle(it, "::placeholder");
      hold(it, "the placeholder", contrast(faint.color, behind(it), opacity(it) * Number(faint.opacity)), least(faint));
    }
    // Ticks are drawn by the browser.
    if (isField && !it.matches("[type=checkbox], [type=radio], [type=file]")) {
      hold(it, "the border", contrast(style.borderTopColor, behind(it.parentElement)), LARGE);
    }
    if (it === document.activeElement && it.matches(":focus-visible")) {
      hold(it, "the mark of the focus", style.outlineStyle === "none" ? 1 : contrast(style.outlineColor, behind(it.parentElement)), LARGE);
    }
  }
  return found;
}

// Every text, field and focus of the page can be seen; what cannot is named.
async function isReadable(page, what) {
  await page.evaluate(() => Promise.allSettled(document.getAnimations().filter((it) => it instanceof CSSTransition).map((it) => it.finished)));
  assert.deepEqual(await page.evaluate(poor, { TEXT, LARGE }), [], `${what} cannot be read`);
}

module.exports = { isReadable };
