// Files of a delivery that is here, for saving: parts of its stream, by reference and never in memory.

import { archive, crc32 } from "./zip.js";
import { savedPaths } from "./names.js";

/** Whatever it is, it is saved and not opened. */
const MEDIA = "application/octet-stream";
const TOLD_EVERY_BYTES = 16 << 20;

/**
 * The contents of one item.
 * @param {File} stream
 * @param {import("./header.js").Header} header
 * @param {import("./layout.js").Layout} layout
 * @param {number} index
 */
export function contents(stream, header, layout, index) {
  const start = layout.starts[index];
  return stream.slice(start, start + header.items[index].size, MEDIA);
}

/**
 * All files and folders as one ZIP archive.
 * @param {File} stream
 * @param {import("./header.js").Header} header
 * @param {import("./layout.js").Layout} layout
 * @param {(bytes: number) => void} done How far it is.
 * @returns {Promise<Blob>}
 */
export async function archived(stream, header, layout, done) {
  const paths = savedPaths(header.items);
  const [entries, files] = [[], []];
  let [total, told] = [0, 0];
  for (const [index, item] of header.items.entries()) {
    const path = paths[index];
    if (path === null) continue;
    const file = contents(stream, header, layout, index);
    let crc = 0;
    for (const reader = file.stream().getReader(); ; ) {
      const { done: isOver, value } = await reader.read();
      if (isOver) break;
      crc = crc32(crc, value);
      total += value.length;
      if (total - told >= TOLD_EVERY_BYTES) done((told = total));
    }
    const { mode, mtime, size } = item;
    entries.push({ path: item.kind === "directory" ? `${path}/` : path, mode, mtime, size, crc });
    files.push(file);
  }
  const { heads, end } = archive(entries);
  return new Blob([...heads.flatMap((head, at) => [head, files[at]]), end], { type: MEDIA });
}

/**
 * Writes all files and folders below a directory that somebody chose. What is there stays: what has a taken
 * name gets another.
 * @param {FileSystemDirectoryHandle} target
 * @param {File} stream
 * @param {import("./header.js").Header} header
 * @param {import("./layout.js").Layout} layout
 * @param {(bytes: number) => void} done How far it is.
 */
export async function saveInto(target, stream, header, layout, done) {
  const directory = await target.getDirectoryHandle(await freeName(target), { create: true });
  const paths = savedPaths(header.items);
  let total = 0;
  for (const [index, item] of header.items.entries()) {
    const names = paths[index]?.split("/");
    if (!names) continue;
    const last = names.pop() ?? "";
    let parent = directory;
    for (const name of names) parent = await parent.getDirectoryHandle(name);
    if (item.kind === "directory") {
      await parent.getDirectoryHandle(last, { create: true });
      continue;
    }
    const file = await (await parent.getFileHandle(last, { create: true })).createWritable();
    await contents(stream, header, layout, index).stream().pipeTo(file);
    total += item.size;
    done(total);
  }
  return directory.name;
}

/** @param {FileSystemDirectoryHandle} target */
async function freeName(target) {
  for (let number = 1; ; number++) {
    const name = number === 1 ? "delivery" : `delivery (${number})`;
    try {
      await target.getDirectoryHandle(name);
    } catch (error) {
      if (error instanceof DOMException && error.name === "NotFoundError") return name;
      // A file of that name.
      if (!(error instanceof DOMException && error.name === "TypeMismatchError")) throw error;
    }
  }
}
