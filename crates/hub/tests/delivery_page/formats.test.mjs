// The formats, compared with the golden files that Rust writes and reads.

import assert from "node:assert/strict";
import test from "node:test";

import { ID, SECRET, golden, random } from "./support.mjs";

const { base64url, concat, hex, unbase64url } = await import("../../assets/delivery/bytes.js");
const { blake3 } = await import("../../assets/delivery/vendor/noble-hashes/blake3.js");
const { Malformed, Reader, write } = await import("../../assets/delivery/cbor.js");
const { decodeHeader, totals } = await import("../../assets/delivery/header.js");
const { Layout, SEGMENT_BYTES, headerLength, segmentLength } = await import("../../assets/delivery/layout.js");
const { parseLink, unlock } = await import("../../assets/delivery/link.js");
const { nobody, openReceipt, signReceipt } = await import("../../assets/delivery/receipt.js");
const { Hasher } = await import("../../assets/delivery/tags.js");
const { NotAuthentic, Vault, recipientToken } = await import("../../assets/delivery/vault.js");

const text = new TextDecoder();
const segments = new Vault(ID, SECRET, "segment");

test("a link gives id and secret, and a letter that changed is found", () => {
  const link = text.decode(golden("link-1"));
  const { pathname, hash } = new URL(link);
  const { id, name, secret } = parseLink(pathname, hash);
  assert.deepEqual([id, name, secret], [ID, hex(ID), SECRET]);
  for (let end = 0; end < hash.length; end++) {
    assert.throws(() => parseLink(pathname, hash.slice(0, end)), { name: "Problem" });
  }
  for (let at = 1; at < hash.length; at++) {
    const other = hash[at] === "7" ? "8" : "7";
    const altered = hash.slice(0, at) + other + hash.slice(at + 1);
    assert.throws(() => parseLink(pathname, altered), { name: "Problem" }, altered);
  }
  assert.throws(() => parseLink(`/d/${"02".repeat(16)}`, hash), /altered/, "another delivery");
  assert.throws(() => parseLink("/d/", hash), /address/);
  assert.throws(() => parseLink(pathname, ""), /lacks its key/);
  assert.throws(() => parseLink(pathname, hash.replace("#1.", "#3.")), /kind/);
});

test("the token and a segment of each kind are those of the golden files", async () => {
  assert.deepEqual(recipientToken(SECRET), golden("recipient-token-1"));
  const raw = await segments.open(7, 15, golden("segment-raw-1"));
  assert.equal(text.decode(raw.plain), "a short segment");
  const shared = await segments.open(7, 15, golden("segment-shared-1"));
  assert.deepEqual(shared, raw, "one that others have, too");
  const words = "words and words ".repeat(1024);
  const packed = await segments.open(8, words.length, golden("segment-zstd-1"));
  assert.equal(text.decode(packed.plain), words);
  assert.deepEqual(packed.tag, segments.tag(8, packed.plain));
});

test("the hash of segments is the general one, for inputs of every shape", () => {
  const next = random(5);
  const bytes = Uint8Array.from({ length: SEGMENT_BYTES + 24 }, () => next() * 256);
  const lengths = [0, 1, 63, 64, 65, 1023, 1024, 1025, 2048, 3072, 3073, 4096, 5000, 31744, 102400, bytes.length];
  for (let round = 0; round < 50; round++) lengths.push(Math.floor(next() * 20_000));
  const [keyed, plain] = [new Hasher(SECRET), new Hasher(null)];
  for (const length of lengths) {
    const input = bytes.subarray(0, length);
    const cut = Math.floor(next() * length);
    const parts = [input.subarray(0, cut), input.subarray(cut)];
    assert.equal(hex(keyed.digest(...parts)), hex(blake3(input, { key: SECRET })), `${length} bytes`);
    assert.equal(hex(plain.digest(...parts)), hex(blake3(input)), `${length} bytes without a key`);
  }
});

for (const form of ["segment-raw-1", "segment-shared-1"]) {
  test(`segments that were altered, cut, moved or are longer than said are refused: ${form}`, async () => {
    const sealed = golden(form);
    const refused = (number, length, bytes, vault = segments) =>
      assert.rejects(vault.open(number, length, bytes), NotAuthentic);
    for (let at = 0; at < sealed.length; at++) {
      const altered = sealed.slice();
      altered[at] ^= 1;
      await refused(7, 15, altered);
      await refused(7, 15, sealed.subarray(0, at));
    }
    await refused(8, 15, sealed);
    await refused(7, 14, sealed);
    await refused(7, 16, sealed);
    await refused(7, SEGMENT_BYTES + 1, sealed);
    await refused(7, 15, sealed, new Vault(SECRET.subarray(16), SECRET, "segment"));
    await refused(7, 15, sealed, new Vault(ID, new Uint8Array(32), "segment"));
    await refused(7, 15, sealed, new Vault(ID, SECRET, "receipt"));
    for (const length of [0, 1, 16383, 16385]) await refused(8, length, golden("segment-zstd-1"));
  });
}

test("a receipt is signed and sealed as Rust does it", async () => {
  const first = await segments.open(7, 15, golden("segment-raw-1"));
  const second = await segments.open(8, 16384, golden("segment-zstd-1"));
  const receipt = {
    id: ID,
    digest: blake3(concat(first.tag, second.tag)),
    items: 4,
    streamBytes: 1_048_577,
    received: 1_795_000_000,
  };
  const signer = await nobody(new Uint8Array(32).fill(4));
  const signed = await signReceipt(receipt, signer);
  assert.equal(hex(signed), hex(golden("receipt-1")));
  const sealed = await new Vault(ID, SECRET, "receipt").seal(0, signed);
  assert.equal(hex(sealed), hex(golden("sealed-receipt-1")));
  const opened = await openReceipt(signed, receipt);
  assert.deepEqual(opened, { received: receipt.received, recipient: signer.key });
});

test("a receipt that was altered, or is for something else, is none", async () => {
  const signed = golden("receipt-1");
  const first = await segments.open(7, 15, golden("segment-raw-1"));
  const second = await segments.open(8, 16384, golden("segment-zstd-1"));
  const sent = { id: ID, digest: blake3(concat(first.tag, second.tag)), items: 4, streamBytes: 1_048_577 };
  for (const other of [{ id: SECRET.subarray(16) }, { digest: SECRET }, { items: 5 }, { streamBytes: 1 }]) {
    await assert.rejects(openReceipt(signed, { ...sent, ...other }), Malformed);
  }
  for (let at = 0; at < signed.length; at += 3) {
    const altered = signed.slice();
    altered[at] ^= 1;
    await assert.rejects(openReceipt(altered, sent), Malformed, `byte ${at}`);
    await assert.rejects(openReceipt(signed.subarray(0, at), sent), Malformed);
  }
});

test("the golden header reads as it was written, and nothing less does", () => {
  const bytes = golden("header-1");
  const header = decodeHeader(bytes);
  const items = header.items.map(({ path, kind, size }) => [text.decode(path), kind, size]);
  assert.deepEqual(items, [["a", "directory", 0], ["a/b", "file", 3], ["a/c", "link", 0], ["empty", "file", 0]]);
  assert.deepEqual([header.subject, header.message, header.sent], ["Plans", "As promised.\n", 1_795_000_000]);
  assert.equal(header.items[1].mtime, 1_790_000_000);
  assert.deepEqual(totals(header), { files: 2, bytes: 3 });
  for (let end = 0; end < bytes.length; end++) {
    assert.throws(() => decodeHeader(bytes.subarray(0, end)), Malformed);
  }
  assert.throws(() => decodeHeader(concat(bytes, Uint8Array.of(0))), Malformed);
});

const utf8 = new TextEncoder();
const path = (name) => write.bytes(utf8.encode(name));
const time = write.array(write.unsigned(1), write.unsigned(0));
const file = (name, size = 1) => write.array(path(name), write.unsigned(0), write.unsigned(0o644), time, write.unsigned(size));
const directory = (name) => write.array(path(name), write.unsigned(1), write.unsigned(0o755), time);
const symlink = (name, target) => write.array(path(name), write.unsigned(2), write.unsigned(0o777), time, path(target));
const header = (items, subject = "s") =>
  write.map(write.unsigned(1), write.text(subject), write.text("m"), write.unsigned(5), write.array(...items));

test("nothing leads out of the folder it is put in, stands twice, or is put through a link", () => {
  decodeHeader(header([directory("a"), file("a/b"), symlink("c", "../../etc")]));
  for (const name of ["", "/etc/passwd", "..", "a/../b", "a//b", "a/", "./a", "a\0b", ".", "x".repeat(256)]) {
    assert.throws(() => decodeHeader(header([directory("a"), file(name)])), Malformed, name);
  }
  for (const items of [
    [symlink("a", "/etc"), file("a/passwd")],
    [file("a"), file("a/b")],
    [file("a/b"), directory("a")],
    [file("a"), file("a")],
    [symlink("a", "")],
  ]) {
    assert.throws(() => decodeHeader(header(items)), Malformed);
  }
  assert.throws(() => decodeHeader(header([], "a\nb")), Malformed);
  assert.throws(() => decodeHeader(header([], "x".repeat(201))), Malformed);
  assert.throws(() => decodeHeader(write.map(write.unsigned(2))), Malformed);
});

test("one value has one encoding", () => {
  const reads = (bytes, how) => new Reader(Uint8Array.from(bytes))[how]();
  for (const value of [0, 23, 24, 255, 256, 65535, 65536, 0xffffffff, 2 ** 32, Number.MAX_SAFE_INTEGER]) {
    assert.equal(reads(write.unsigned(value), "unsigned"), value);
  }
  assert.equal(reads([0x38, 0x63], "integer"), -100);
  for (const bytes of [[0x18, 23], [0x19, 0, 255], [0x1a, 0, 0, 255, 255], [0x1b, 0, 0, 0, 0, 255, 255, 255, 255]]) {
    assert.throws(() => reads(bytes, "unsigned"), Malformed, "longer than it need be");
  }
  assert.throws(() => reads([0x1b, 255, 255, 255, 255, 255, 255, 255, 255], "unsigned"), Malformed);
  assert.throws(() => reads([0x5f, 0x41, 0, 0xff], "bytes"), Malformed, "no length");
  assert.throws(() => reads([0x5a, 255, 255, 255, 255], "bytes"), Malformed, "a length that is not there");
  assert.throws(() => reads([0x61, 0xff], "text"), Malformed, "no UTF-8");
});

test("bytes of any kind make no header and no loop", () => {
  const next = random(1);
  const whole = golden("header-1");
  for (let round = 0; round < 3000; round++) {
    const bytes = whole.slice(0, 1 + Math.floor(next() * whole.length));
    for (let flips = 0; flips < 3; flips++) bytes[Math.floor(next() * bytes.length)] = next() * 256;
    try {
      decodeHeader(bytes);
    } catch (error) {
      assert.ok(error instanceof Malformed, `${error.stack}\n${hex(bytes)}`);
    }
  }
});

test("lengths of segments and headers are what the format says", () => {
  const bytes = golden("header-1");
  const layout = new Layout(decodeHeader(bytes), bytes.length);
  assert.equal(layout.streamBytes, 8 + bytes.length + 3);
  assert.deepEqual(layout.starts.slice(1, 2), [8 + bytes.length]);
  assert.equal(layout.segments, 1);
  const streamBytes = 3 * SEGMENT_BYTES + 5;
  assert.deepEqual([0, 2, 3, 4].map((number) => segmentLength(number, streamBytes)), [SEGMENT_BYTES, SEGMENT_BYTES, 5, 0]);
  assert.equal(headerLength(Uint8Array.of(5, 1, 0, 0, 0, 0, 0, 0)), 261);
  assert.throws(() => headerLength(new Uint8Array(8).fill(255)), /longer than any/);
  const long = { items: [{ size: Number.MAX_SAFE_INTEGER }, { size: 1 }] };
  assert.throws(() => new Layout(long, 1), /longer than a browser/);
});

test("base64url has one text for the same bytes", () => {
  for (let length = 0; length < 40; length++) {
    const bytes = Uint8Array.from({ length }, (_, at) => at * 37);
    const coded = base64url(bytes);
    assert.equal(coded, Buffer.from(bytes).toString("base64url"));
    assert.deepEqual(unbase64url(coded), bytes);
  }
  for (const wrong of ["A", "AB", "AA=", "A+AA", "AA A"]) assert.equal(unbase64url(wrong), null, wrong);
});

test("a locked link opens with its passphrase and gives another secret with another one", async () => {
  const { pathname, hash } = new URL(text.decode(golden("locked-link-1")));
  const locked = parseLink(pathname, hash);
  assert.ok(locked.isLocked);
  assert.notDeepEqual(locked.secret, SECRET);
  assert.deepEqual(await unlock(locked, "correct horse – Größe"), { ...locked, secret: SECRET, isLocked: false });
  assert.notDeepEqual((await unlock(locked, "correct horse")).secret, SECRET);
  const plain = new URL(text.decode(golden("link-1")));
  assert.ok(!parseLink(plain.pathname, plain.hash).isLocked);
  for (let at = 1; at < hash.length; at++) {
    const other = hash[at] === "7" ? "8" : "7";
    assert.throws(() => parseLink(pathname, hash.slice(0, at) + other + hash.slice(at + 1)), { name: "Problem" });
  }
});
