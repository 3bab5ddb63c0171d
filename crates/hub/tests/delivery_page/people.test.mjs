// What people's devices sign and seal, compared with the golden files that Rust writes and reads.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { golden, random } from "./support.mjs";

const { blake3 } = await import("../../assets/delivery/vendor/noble-hashes/blake3.js");
const { concat, hex } = await import("../../assets/delivery/bytes.js");
const { Malformed } = await import("../../assets/delivery/cbor.js");
const { nobody } = await import("../../assets/delivery/receipt.js");
const { open, sign } = await import("../../assets/delivery/signed.js");
const { comparison } = await import("../../assets/delivery/me/comparison.js");
const { BookError, decodeBook, encodeBook, openBook, sealBook, signed } = await import("../../assets/delivery/me/book.js");
const { decodeList, encodeList, follow, letterInfo, openRequest, signFirstList, signList, signRequest, successor } = await import(
  "../../assets/delivery/me/devices.js"
);
const { KEM, NotOpened, WeakKey, expand, extract, isSound, openFrom, sealAs } = await import(
  "../../assets/delivery/me/hpke.js"
);

const { EventReader } = await import("../../assets/delivery/me/events.js");

const utf8 = new TextEncoder();
const DERIVATION = utf8.encode("consign 2026-11-21 exchange key of a node, version 1");
/** What stands before the 32 bytes of an X25519 key in PKCS #8. */
const PKCS8 = Uint8Array.from(Buffer.from("302e020100300506032b656e04220420", "hex"));
const people = (name) => golden(name, "people");

/** The key pair that HPKE derives of this material. */
async function derived(material) {
  const secret = await expand(KEM, await extract(KEM, new Uint8Array(), "dkp_prk", material), "sk", new Uint8Array(), 32);
  const imported = await crypto.subtle.importKey("pkcs8", concat(PKCS8, secret), "X25519", true, ["deriveBits"]);
  const { x } = await crypto.subtle.exportKey("jwk", imported);
  return { secret: imported, key: new Uint8Array(Buffer.from(x, "base64url")) };
}

/** A device as Rust has it: both keys follow from one secret. */
async function device(byte) {
  const secret = new Uint8Array(32).fill(byte);
  const signer = await nobody(secret);
  return { key: signer.key, signer, exchange: await derived(blake3(secret, { context: DERIVATION })) };
}

const lists = [people("devices-1"), people("devices-2")];
const [one, two, eve] = [await device(1), await device(2), await device(9)];
const known = await follow("anna", lists);
const fours = new Uint8Array(32).fill(4);

test("lists of devices are followed as Rust follows them", async () => {
  assert.deepEqual(known.list.devices.map(({ name }) => name).sort(), ["desk", "laptop"]);
  assert.equal(hex(known.identity), hex(blake3(lists[0])));
  const first = { key: one.key, exchange: one.exchange.key, name: "desk", since: 1_795_000_000 };
  assert.equal(hex(await signFirstList("anna", first, one.signer)), hex(lists[0]));
  assert.deepEqual(decodeList(encodeList(known.list)), known.list);
  assert.equal(hex(await signList(known.list, one.signer)), hex(lists[1]));
  const request = await signRequest("anna", { key: two.key, exchange: two.exchange.key, name: "laptop" }, two.signer);
  assert.equal(request, new TextDecoder().decode(people("device-request-1")));
});

test("a device is approved by the line that it signed, and by no other", async () => {
  const line = new TextDecoder().decode(people("device-request-1"));
  const request = await openRequest(`${line}\n`);
  assert.deepEqual([request.handle, request.name, hex(request.key), hex(request.exchange)], ["anna", "laptop", hex(two.key), hex(two.exchange.key)]);
  for (let end = 0; end < line.length; end++) await assert.rejects(openRequest(line.slice(0, end)), Malformed);
  const forged = await signRequest("anna", { key: one.key, exchange: one.exchange.key, name: "x" }, eve.signer);
  await assert.rejects(openRequest(forged), Malformed);
  const weak = await signRequest("anna", { key: two.key, exchange: new Uint8Array(32), name: "x" }, two.signer);
  await assert.rejects(openRequest(weak), Malformed);
  const first = await follow("anna", [lists[0]]);
  const both = [...first.list.devices, { key: request.key, exchange: request.exchange, name: request.name, since: 1_795_000_000 }];
  const next = successor(first, both, one.key, 1_795_000_001);
  assert.equal(hex(await signList(next, one.signer)), hex(lists[1]));
});

test("nobody slips a device into a list that is followed", async () => {
  const { list } = known;
  const mallory = { key: eve.key, exchange: eve.exchange.key, name: "desk", since: 1 };
  const next = { ...list, number: 3, previous: known.hash, devices: [mallory] };
  const refused = async (...documents) => assert.rejects(follow("anna", documents), Malformed);
  await refused(...lists, await signList({ ...next, signer: eve.key }, eve.signer));
  await refused(...lists, await signList({ ...next, signer: one.key }, eve.signer));
  await refused(...lists, await signList({ ...next, signer: one.key, previous: known.identity }, one.signer));
  await refused(...lists, await signList({ ...next, signer: one.key, number: 4 }, one.signer));
  await refused(...lists, await signList({ ...next, signer: one.key, handle: "ben" }, one.signer));
  const weak = { ...mallory, exchange: new Uint8Array(32) };
  await refused(...lists, await signList({ ...next, signer: one.key, devices: [weak] }, one.signer));
  await refused(lists[1]);
  await refused();
  await assert.rejects(follow("ben", lists), Malformed);
  // And by its own word a device of the list before may leave.
  const left = { ...next, signer: one.key, devices: list.devices.filter(({ name }) => name === "laptop") };
  assert.equal((await follow("anna", [...lists, await signList(left, one.signer)])).list.number, 3);
});

test("bytes of any kind make no list of devices and no loop", async () => {
  const next = random(3);
  for (let round = 0; round < 300; round++) {
    const bytes = lists[0].slice(0, 1 + Math.floor(next() * lists[0].length));
    bytes[Math.floor(next() * bytes.length)] ^= 1 + Math.floor(next() * 255);
    await assert.rejects(follow("anna", [bytes]), Malformed, hex(bytes));
  }
});

test("a document speaks for its context and its signer alone", async () => {
  const document = await sign("consign/one/1", utf8.encode("x"), one.signer);
  assert.deepEqual(await open("consign/one/1", document, one.key), utf8.encode("x"));
  await assert.rejects(open("consign/two/1", document, one.key), Malformed);
  await assert.rejects(open("consign/one/1", document, two.key), Malformed);
  // The neutral element of the curve would verify anything for anybody.
  const neutral = new Uint8Array(32);
  neutral[0] = 1;
  await assert.rejects(open("consign/one/1", document, neutral), Malformed);
});

test("sessions and registrations are proved as Rust does it, and an invitation is read", async () => {
  const { parseInvitation, signRegistration, signSession } = await import("../../assets/delivery/me/proofs.js");
  const [hub, secret] = [new Uint8Array(32).fill(2), new Uint8Array(16).fill(4)];
  const documents = (name) => golden(name, "documents");
  assert.equal(hex(await signSession(one.signer, hub, new Uint8Array(32).fill(3))), hex(documents("session-proof-1")));
  assert.equal(hex(await signRegistration(one.signer, hub, secret)), hex(documents("registration-1")));
  const text = new TextDecoder().decode(documents("invitation-1"));
  assert.deepEqual(parseInvitation(` ${text}\n`), { url: "https://hub.example:7333", secret });
  for (let end = 0; end < text.length; end++) assert.equal(parseInvitation(text.slice(0, end)), null);
  assert.equal(parseInvitation(text.replace("1:", "2:")), null);
});

test("a letter is sealed and opened as Rust does it", async () => {
  const secret = new Uint8Array(32).fill(5);
  const info = letterInfo(new Uint8Array(16).fill(3), known.identity, fours);
  const sealed = people("letter-1");
  assert.deepEqual(await openFrom(two.exchange, one.exchange.key, info, sealed), secret);
  const ephemeral = await derived(new Uint8Array(32).fill(6));
  assert.equal(hex(await sealAs(one.exchange, two.exchange.key, info, secret, ephemeral)), hex(sealed));
  const fresh = await sealAs(one.exchange, two.exchange.key, info, secret);
  assert.notEqual(hex(fresh), hex(sealed));
  assert.deepEqual(await openFrom(two.exchange, one.exchange.key, info, fresh), secret);
  const refused = (...how) => assert.rejects(openFrom(...how), NotOpened);
  await refused(eve.exchange, one.exchange.key, info, sealed);
  await refused(two.exchange, eve.exchange.key, info, sealed);
  await refused(two.exchange, new Uint8Array(32), info, sealed);
  await refused(two.exchange, one.exchange.key, letterInfo(new Uint8Array(16), known.identity, fours), sealed);
  await refused(two.exchange, one.exchange.key, letterInfo(new Uint8Array(16).fill(3), fours, known.identity), sealed);
  for (let at = 0; at < sealed.length; at++) {
    const altered = sealed.slice();
    altered[at] ^= 1;
    await refused(two.exchange, one.exchange.key, info, altered);
    await refused(two.exchange, one.exchange.key, info, sealed.subarray(0, at));
  }
  await assert.rejects(sealAs(one.exchange, new Uint8Array(32), info, secret), WeakKey);
  assert.ok((await isSound(one.exchange.key)) && !(await isSound(new Uint8Array(32))));
});

test("an address book is sealed and opened as Rust does it", async () => {
  const sealed = people("book-1");
  for (const own of [one, two]) {
    const book = await openBook(sealed, known, 1, own);
    assert.equal(book.signature, "Anna");
    const ben = { firstName: "Ben", lastName: "", notes: "plays the oboe", isVerified: false, identity: fours };
    assert.deepEqual([...book.contacts], [["ben", ben]]);
    const fixed = { key: new Uint8Array(32).fill(8), ephemeral: await derived(new Uint8Array(32).fill(7)) };
    assert.equal(hex(await sealBook(book, known, 1, one, fixed)), hex(sealed));
    assert.deepEqual(decodeBook(encodeBook(book)), book);
    const again = await sealBook(book, known, 2, own);
    assert.deepEqual(await openBook(again, known, 2, one), book);
    await assert.rejects(openBook(again, known, 1, one), BookError, "another version");
  }
  await assert.rejects(openBook(sealed, known, 1, eve), BookError);
  const stranger = await follow("anna", [await signFirstList("anna", { key: eve.key, exchange: eve.exchange.key, name: "e", since: 1 }, eve.signer)]);
  await assert.rejects(openBook(sealed, stranger, 1, eve), BookError);
  for (let at = 0; at < sealed.length; at += 5) {
    const altered = sealed.slice();
    altered[at] ^= 1;
    // What is sealed for one device is nothing to the other.
    const opened = await Promise.allSettled([one, two].map((own) => openBook(altered, known, 1, own)));
    const refused = opened.filter(({ status }) => status === "rejected");
    assert.ok(refused.length > 0, `byte ${at}`);
    for (const { reason } of refused) assert.ok(reason instanceof BookError || reason instanceof Malformed, reason.stack);
  }
  const contact = { firstName: "", lastName: "", notes: "n".repeat(257), isVerified: false, identity: null };
  await assert.rejects(sealBook({ contacts: new Map([["ben", contact]]), signature: "" }, known, 1, one), BookError);
});

test("the words of a comparison are those that Rust shows", () => {
  const url = new URL("../../../delivery/words.txt", import.meta.url);
  const words = readFileSync(url, "utf8").split("\n").filter((line) => line && !line.startsWith("#"));
  assert.equal(words.length, 1024);
  const text = comparison(known.identity, fours, words);
  assert.equal(text, new TextDecoder().decode(people("comparison-1")));
  assert.equal(comparison(fours, known.identity, words), text);
});

test("a stream may be silent for three of the heart-beats that the hub told", () => {
  const events = new EventReader();
  const take = (text) => [...events.take(utf8.encode(text))];
  assert.equal(events.silence, 45_000);
  assert.deepEqual(take('event: heart-beat\ndata: {"interval_s":20}\n\n:\n\nevent: person\ndata: {"ne'), []);
  assert.equal(events.silence, 60_000);
  assert.deepEqual(take('ws":["inbox"]}\n\n'), [["inbox"]]);
  for (const [told, silence] of [[0, 15_000], [1e9, 120_000], ['"soon"', 120_000]]) {
    assert.deepEqual(take(`event: heart-beat\ndata: {"interval_s":${told}}\n\n`), []);
    assert.equal(events.silence, silence);
  }
});

test("the signature goes under a message as Rust puts it there, and under nothing else", () => {
  const signature = "Anna\nRoom 5";
  assert.equal(signed("Hello\n", signature), "Hello\n\n-- \nAnna\nRoom 5");
  assert.equal(signed("Hello \u3000\u0085\n", signature), "Hello\n\n-- \nAnna\nRoom 5", "white space of Unicode");
  assert.equal(signed("Hello\ufeff", signature), "Hello\ufeff\n\n-- \nAnna\nRoom 5", "which this is not");
  assert.equal(signed("", signature), "");
  assert.equal(signed("Hello\n", ""), "Hello\n");
});
