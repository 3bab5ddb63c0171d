// What somebody chose to send: files and folders, as items of a header and the contents of those that have any.

import { Problem } from "./problem.js";
import { equal } from "./bytes.js";
import { shownText } from "./names.js";

const PATH_BYTES_MAX = 4095;
const NAME_BYTES_MAX = 255;
const FILE_MODE = 0o644;
const DIRECTORY_MODE = 0o755;
const utf8 = new TextEncoder();

/**
 * @typedef {{ path: string, file: File | null }} Chosen Without a file: a directory.
 * @typedef {{ items: import("./header.js").Item[], files: File[] }} Surveyed `files`: contents, in the order of items.
 */

/**
 * @param {Chosen[]} chosen
 * @param {number} now In seconds since 1970: browsers do not tell when a directory was changed.
 * @returns {Surveyed}
 */
export function survey(chosen, now) {
  /** @type {Map<string, { file: File | null }>} */
  const found = new Map();
  for (const { path, file } of chosen) {
    const names = path.split("/");
    check(path, names);
    // A directory before what is in it.
    for (let end = 1; end < names.length; end++) {
      const parent = names.slice(0, end).join("/");
      if (found.get(parent)?.file) throw twice(parent);
      if (!found.has(parent)) found.set(parent, { file: null });
    }
    const before = found.get(path);
    if (before && (file || before.file)) throw twice(path);
    if (!before) found.set(path, { file });
  }
  const entries = [...found];
  return { items: entries.map(([path, { file }]) => item(path, file, now)), files: entries.flatMap(([, { file }]) => file ?? []) };
}

/**
 * @param {string} path
 * @param {File | null} file
 * @param {number} now
 * @returns {import("./header.js").Item}
 */
function item(path, file, now) {
  const encoded = utf8.encode(path);
  if (!file) return { path: encoded, kind: "directory", mode: DIRECTORY_MODE, mtime: now, size: 0 };
  const mtime = Math.floor(file.lastModified / 1000);
  return { path: encoded, kind: "file", mode: FILE_MODE, mtime, size: file.size };
}

/**
 * @param {string} path
 * @param {string[]} names
 */
function check(path, names) {
  const isName = (/** @type {string} */ name) =>
    name !== "" && name !== "." && name !== ".." && !name.includes("\0") && utf8.encode(name).length <= NAME_BYTES_MAX;
  if (names.every(isName) && utf8.encode(path).length <= PATH_BYTES_MAX) return;
  throw new Problem(`“${shownText(path)}” has a name that cannot be sent.`, "Rename it, and choose it again.");
}

/** @param {string} path */
function twice(path) {
  return new Problem(`Two of the things you chose are called “${shownText(path)}”.`, "Rename one, or put both into a folder and send that.");
}

/**
 * Whether what was chosen again is what a header says; directories count by their names alone.
 * @param {import("./header.js").Item[]} items
 * @param {import("./header.js").Item[]} again
 */
export function isSame(items, again) {
  const isLike = (/** @type {import("./header.js").Item} */ one, /** @type {import("./header.js").Item} */ other) =>
    equal(one.path, other.path) &&
    one.kind === other.kind &&
    (one.kind === "directory" || (one.size === other.size && one.mtime === other.mtime));
  return items.length === again.length && items.every((one, at) => isLike(one, again[at]));
}

/**
 * What was dropped on the page, folders with all that is in them.
 * @param {DataTransfer} dropped
 * @returns {Promise<Chosen[]>}
 */
export async function droppedFiles(dropped) {
  // All of them first: they are gone once this function waits.
  const entries = [...dropped.items].map((one) => one.webkitGetAsEntry()).filter((entry) => entry !== null);
  const found = [];
  for (const entry of entries) await walk(entry, "", found);
  return found;
}

/**
 * @param {FileSystemEntry} entry
 * @param {string} above
 * @param {Chosen[]} found
 */
async function walk(entry, above, found) {
  const path = above + entry.name;
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => /** @type {FileSystemFileEntry} */ (entry).file(resolve, reject));
    found.push({ path, file });
    return;
  }
  found.push({ path, file: null });
  const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
  for (;;) {
    // Browsers give a hundred at once.
    const some = /** @type {FileSystemEntry[]} */ (await new Promise((resolve, reject) => reader.readEntries(resolve, reject)));
    if (some.length === 0) return;
    for (const one of some) await walk(one, `${path}/`, found);
  }
}

/**
 * What a person chose in a dialog, whose folders tell the paths of files and nothing of empty folders.
 * @param {Iterable<File>} files
 * @returns {Chosen[]}
 */
export function chosenFiles(files) {
  return [...files].map((file) => ({ path: file.webkitRelativePath || file.name, file }));
}
