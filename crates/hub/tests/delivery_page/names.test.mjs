// Names, archives and words: what becomes of text and numbers that somebody else chose.

import assert from "node:assert/strict";
import test from "node:test";

import "./support.mjs";

const { safeName, savedPaths, shown, shownText } = await import("../../assets/delivery/names.js");
const { archive, crc32 } = await import("../../assets/delivery/zip.js");
const { Rate, bytes, duration, waits } = await import("../../assets/delivery/words.js");

const utf8 = new TextEncoder();
const item = (path, kind = "file") => ({ path: typeof path === "string" ? utf8.encode(path) : path, kind });

test("a name shows what it is", () => {
  assert.equal(shown(utf8.encode("gpj.\u202eexe")), "gpj.\\u{202e}exe");
  assert.equal(shown(utf8.encode("Größen 本 🙂")), "Größen 本 🙂");
  assert.equal(shown(Uint8Array.of(0x61, 0xff, 0xe2, 0x82, 0x62, 0xed, 0xa0, 0x80)), "a\\xff\\xe2\\x82b\\xed\\xa0\\x80");
  assert.equal(shown(utf8.encode("<script>\n\x1b[2J")), "<script>\\u{a}\\u{1b}[2J");
  assert.equal(shownText("two\nlines\u202e", /[\n\t]/u), "two\nlines\\u{202e}");
});

test("what is saved has a name that means nothing to anybody", () => {
  for (const [name, expected] of [
    ["plan.pdf", "plan.pdf"],
    ["<script>alert(1)</script>.html", "_script_alert(1)__script_.html"],
    ["gpj.\u202eexe", "gpj.exe"],
    ["../x", "__x"],
    ["..\\x", "__x"],
    [".bashrc", "_bashrc"],
    ["con.txt", "_con.txt"],
    ["COM1", "_COM1"],
    ["a. ", "a"],
    ["\u200b", "_"],
    ["C:evil", "C_evil"],
  ]) {
    assert.equal(safeName(name), expected, name);
  }
  const long = safeName(`${"ä".repeat(400)}.pdf`);
  assert.ok(utf8.encode(long).length <= 200 && long.endsWith("ä.pdf"), long);
});

test("two names that become one stay two, and links are not saved", () => {
  const items = [
    item("a", "directory"),
    item("a/x?.txt"),
    item("a/x*.txt"),
    item("A", "directory"),
    item("A/x.txt"),
    item("l", "link"),
    item(Uint8Array.of(0xff)),
    item(Uint8Array.of(0xfe)),
  ];
  const paths = ["a", "a/x_.txt", "a/x_ (2).txt", "A (2)", "A (2)/x.txt", null, "_", "_ (2)"];
  assert.deepEqual(savedPaths(items), paths);
});

/** An independent reader of what `archive` says: offsets and sizes from the directory at the end. */
function listed(end, offset) {
  const view = new DataView(end.buffer, end.byteOffset, end.byteLength);
  const usual = end.length - 22;
  assert.equal(view.getUint32(usual, true), 0x06054b50);
  let [count, start] = [view.getUint16(usual + 10, true), view.getUint32(usual + 16, true)];
  if (start === 0xffffffff || count === 0xffff) {
    assert.equal(view.getUint32(usual - 20, true), 0x07064b50);
    const record = Number(view.getBigUint64(usual - 12, true)) - offset;
    assert.equal(view.getUint32(record, true), 0x06064b50);
    count = Number(view.getBigUint64(record + 32, true));
    start = Number(view.getBigUint64(record + 48, true));
  }
  assert.equal(start, offset, "the directory begins where the contents end");
  const found = [];
  for (let at = 0; found.length < count; ) {
    assert.equal(view.getUint32(at, true), 0x02014b50);
    const [nameLength, extraLength] = [view.getUint16(at + 28, true), view.getUint16(at + 30, true)];
    const path = new TextDecoder().decode(end.subarray(at + 46, at + 46 + nameLength));
    let [size, place] = [view.getUint32(at + 24, true), view.getUint32(at + 42, true)];
    let field = at + 46 + nameLength;
    if (view.getUint16(field, true) === 1) {
      field += 4;
      if (size === 0xffffffff) {
        size = Number(view.getBigUint64(field, true));
        field += 16;
      }
      if (place === 0xffffffff) place = Number(view.getBigUint64(field, true));
    }
    found.push({ path, size, place, mode: view.getUint32(at + 38, true) >>> 16, crc: view.getUint32(at + 16, true) });
    at += 46 + nameLength + extraLength;
  }
  return found;
}

test("an archive lists what is in it, beyond four gigabytes and 65,535 entries too", () => {
  const entry = (path, size) => ({ path, size, crc: 7, mode: 0o4755, mtime: 1_790_000_000 });
  const many = Array.from({ length: 70_000 }, (_, at) => entry(`f${at}`, 0));
  for (const entries of [
    [],
    [entry("d/", 0), entry("d/ä.txt", 5)],
    [entry("large", 0xffffffff), entry("far", 3)],
    [entry("small", 5e9), entry("far", 3), entry("larger", 6e12)],
    many,
  ]) {
    const { heads, end } = archive(entries);
    let offset = 0;
    const places = heads.map((head, at) => {
      const place = offset;
      offset += head.length + entries[at].size;
      return place;
    });
    const found = listed(end, offset);
    const expected = entries.map(({ path, size, crc }, at) => {
      const mode = (path.endsWith("/") ? 0o040000 : 0o100000) | 0o755;
      return { path, size, place: places[at], mode, crc };
    });
    assert.deepEqual(found, expected);
  }
  const check = utf8.encode("123456789");
  assert.equal(crc32(0, check), 0xcbf43926);
  assert.equal(crc32(crc32(0, check.subarray(0, 4)), check.subarray(4)), 0xcbf43926);
});

test("numbers and states read well", () => {
  const plain = (text) => text?.replaceAll("\u00a0", " ");
  assert.deepEqual([0, 999, 1000, 1234567, 99960000, 5e9].map(bytes).map(plain), ["0 B", "999 B", "1.00 kB", "1.23 MB", "100.0 MB", "5.00 GB"]);
  assert.deepEqual([5, 90, 7200, 260000].map(duration).map(plain), ["5 s", "2 min", "2 h", "3 days"]);
  assert.match(plain(waits({ whom: "sender", since: 100 }, 280)), /away for 3 min/);
  assert.equal(waits({ whom: null, since: null }, 5), null);
  const rate = new Rate();
  for (let second = 0; second <= 20; second++) rate.handle(second * 1000, second * 5_000_000);
  assert.equal(rate.perSecond(), 5_000_000);
});
