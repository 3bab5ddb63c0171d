// Names of somebody else's files: how they are shown, and how they are called when they are saved.

const MISLEADING = /[\p{Cc}\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/gu;
/** What some file system takes in no name. */
const FORBIDDEN = /[/\\:*?"<>|\ufffd]/g;
/** Names that mean something else to Windows, whatever follows their first dot. */
const DEVICES = /^(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)/i;
const NAME_BYTES_MAX = 200;
const utf8 = new TextEncoder();

/**
 * Text that shows what the bytes are: what is no UTF-8, controls, and what turns the direction of writing
 * become escapes, so that no name looks like another one.
 * @param {Uint8Array} bytes
 */
export function shown(bytes) {
  let text = "";
  let at = 0;
  while (at < bytes.length) {
    const length = Math.max(1, characterLength(bytes, at));
    const piece = bytes.subarray(at, at + length);
    try {
      text += new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(piece);
    } catch {
      text += [...piece].map((byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("");
    }
    at += length;
  }
  return shownText(text);
}

/**
 * @param {string} text
 * @param {RegExp} [but] What stays.
 */
export function shownText(text, but) {
  return text.replace(MISLEADING, (character) =>
    but?.test(character) ? character : `\\u{${character.codePointAt(0)?.toString(16)}}`,
  );
}

/**
 * How many bytes the character at a place takes, if all of them are there.
 * @param {Uint8Array} bytes
 * @param {number} at
 */
function characterLength(bytes, at) {
  const first = bytes[at];
  const length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  for (let next = 1; next < length; next++) {
    if ((bytes[at + next] & 0xc0) !== 0x80) return 1;
  }
  return length;
}

/**
 * A name that any file system takes and that means nothing to a shell or a browser.
 * @param {string} name
 */
export function safeName(name) {
  let safe = name.replace(MISLEADING, "").replace(FORBIDDEN, "_");
  safe = safe.replace(/^[. ]+/, "_").replace(/[. ]+$/, "");
  if (safe === "" || DEVICES.test(safe)) safe = `_${safe}`;
  return shortened(safe);
}

/**
 * Takes letters out before the ending until it fits.
 * @param {string} name
 */
function shortened(name) {
  if (utf8.encode(name).length <= NAME_BYTES_MAX) return name;
  const ending = name.match(/\.[a-z0-9]{1,10}$/i)?.[0] ?? "";
  let stem = [...name.slice(0, name.length - ending.length)];
  while (utf8.encode(stem.join("")).length + ending.length > NAME_BYTES_MAX) stem = stem.slice(0, -1);
  return stem.join("") + ending;
}

/**
 * How the items of a delivery are called where they are saved: below one another as they were, each name safe
 * and free. Links have none: they are not saved.
 * @param {import("./header.js").Item[]} items
 * @returns {(string | null)[]}
 */
export function savedPaths(items) {
  const latin1 = new TextDecoder("latin1");
  const lossy = new TextDecoder();
  const directories = new Map([["", ""]]);
  const taken = new Set();
  return items.map((item) => {
    if (item.kind === "link") return null;
    const key = latin1.decode(item.path);
    const slash = key.lastIndexOf("/");
    const parent = directories.get(key.slice(0, Math.max(0, slash))) ?? "";
    const name = safeName(lossy.decode(item.path.subarray(slash + 1)));
    const path = free(parent, name, taken);
    if (item.kind === "directory") directories.set(key, `${path}/`);
    return path;
  });
}

/**
 * @param {string} parent
 * @param {string} name
 * @param {Set<string>} taken
 */
function free(parent, name, taken) {
  const dot = name.lastIndexOf(".");
  const [stem, ending] = dot > 0 ? [name.slice(0, dot), name.slice(dot)] : [name, ""];
  for (let number = 1; ; number++) {
    const path = parent + (number === 1 ? name : `${stem} (${number})${ending}`);
    // Some file systems take letters of both sizes for one.
    const folded = path.normalize("NFC").toLowerCase();
    if (taken.has(folded)) continue;
    taken.add(folded);
    return path;
  }
}
