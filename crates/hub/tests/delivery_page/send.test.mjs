// The sender's side: what is chosen, the stream it becomes, and the machine that sends it. Time is counted here, chance
// is a seed.

import assert from "node:assert/strict";
import test from "node:test";

import { ID, SECRET, golden, random } from "./support.mjs";

const { base64url, concat, hex, join } = await import("../../assets/delivery/bytes.js");
const { decodeHeader, encodeHeader } = await import("../../assets/delivery/header.js");
const { SEGMENT_BYTES } = await import("../../assets/delivery/layout.js");
const { NotNow } = await import("../../assets/delivery/hub.js");
const { linkText, parseLink } = await import("../../assets/delivery/link.js");
const { Outgoing } = await import("../../assets/delivery/outgoing.js");
const { ReceivePlan } = await import("../../assets/delivery/plan.js");
const { Refused } = await import("../../assets/delivery/me/account.js");
const { Sender, announce } = await import("../../assets/delivery/sender.js");
const { begin, look } = await import("../../assets/delivery/me/keeping.js");
const { nobody, signReceipt } = await import("../../assets/delivery/receipt.js");
const { SendPlan, WINDOW } = await import("../../assets/delivery/send_plan.js");
const { isSame, survey } = await import("../../assets/delivery/survey.js");
const { Vault, recipientToken } = await import("../../assets/delivery/vault.js");
const { blake3 } = await import("../../assets/delivery/vendor/noble-hashes/blake3.js");

const text = new TextDecoder();

/** What stands for a file of a browser. */
function file(bytes, lastModified = 1_790_000_000_500) {
  return Object.assign(new Blob([bytes]), { lastModified, name: "f" });
}

test("what is chosen becomes a header that every recipient reads, a directory before what is in it", () => {
  const chosen = [
    { path: "plans/deep/a", file: file("abc") },
    { path: "plans/empty", file: null },
    { path: "plans", file: null },
    { path: "Größe", file: file("") },
  ];
  const { items, files } = survey(chosen, 5);
  const header = { subject: "s", message: "m", sent: 5, items };
  const read = decodeHeader(encodeHeader(header));
  assert.deepEqual(read, header);
  const names = items.map(({ path, kind, size }) => [text.decode(path), kind, size]);
  assert.deepEqual(names, [
    ["plans", "directory", 0],
    ["plans/deep", "directory", 0],
    ["plans/deep/a", "file", 3],
    ["plans/empty", "directory", 0],
    ["Größe", "file", 0],
  ]);
  assert.deepEqual(files.map(({ size }) => size), [3, 0]);
  assert.equal(items[2].mtime, 1_790_000_000);
  assert.ok(isSame(items, survey(chosen, 9).items));
  assert.ok(!isSame(items, survey([...chosen, { path: "b", file: file("") }], 5).items));
  assert.ok(!isSame(items, survey([{ path: "plans/deep/a", file: file("abcd") }, ...chosen.slice(1)], 5).items));
  const old = { ...header, items: [{ ...items[2], path: items[4].path, mtime: -7 }] };
  assert.deepEqual(decodeHeader(encodeHeader(old)), old, "before 1970");
});

test("what no file system or header holds is refused by name", () => {
  for (const path of ["", "a//b", "..", "a/../b", "a\0b", "x".repeat(256), `${"x/".repeat(2047)}xx`]) {
    assert.throws(() => survey([{ path, file: file("") }], 5), { name: "Problem" }, path);
  }
  const one = { path: "a", file: file("") };
  for (const other of [one, { path: "a/b", file: file("") }, { path: "a", file: null }]) {
    assert.throws(() => survey([one, other], 5), /called “a”/);
  }
});

test("segments are the stream that the header describes, at every cut", async () => {
  const next = random(7);
  const noise = (length) => Uint8Array.from({ length }, () => next() * 256);
  const contents = [noise(10), noise(0), noise(SEGMENT_BYTES + 3), noise(1), noise(0), noise(SEGMENT_BYTES)];
  const { items, files } = survey(contents.map((bytes, at) => ({ path: `f${at}`, file: file(bytes) })), 5);
  const encoded = encodeHeader({ subject: "s", message: "m", sent: 5, items });
  const outgoing = new Outgoing(encoded, files);
  const stream = concat(Uint8Array.of(encoded.length & 255, encoded.length >> 8, 0, 0, 0, 0, 0, 0), encoded, ...contents);
  assert.deepEqual([outgoing.streamBytes, outgoing.segments, outgoing.items], [stream.length, 3, 6]);
  for (let number = 0; number < outgoing.segments; number++) {
    const expected = stream.subarray(number * SEGMENT_BYTES, (number + 1) * SEGMENT_BYTES);
    assert.ok(Buffer.compare(await outgoing.segment(number), expected) === 0, `segment ${number}`);
  }
  files[2] = file(noise(7));
  await assert.rejects(new Outgoing(encoded, files).segment(1), /“f2” cannot be read any more/);
  files[2] = { slice: () => ({ arrayBuffer: () => Promise.reject(new Error("changed")) }) };
  await assert.rejects(new Outgoing(encoded, files).segment(1), { name: "Problem" });
});

test("segments are sealed and links are written as Rust does it", async () => {
  const vault = new Vault(ID, SECRET, "segment");
  const sealed = await vault.seal(7, new TextEncoder().encode("a short segment"));
  assert.equal(hex(sealed), hex(golden("segment-raw-1")));
  const receipt = await new Vault(ID, SECRET, "receipt").openAny(0, golden("sealed-receipt-1"));
  assert.equal(hex(receipt), hex(golden("receipt-1")));
  const written = text.decode(golden("link-1"));
  const { origin, pathname, hash } = new URL(written);
  const delivery = parseLink(pathname, hash);
  const base = written.slice(0, written.indexOf("/d/"));
  assert.ok(base.startsWith(origin));
  const candidates = [new Uint8Array(32), ...Array.from({ length: 255 }, (_, at) => new Uint8Array(32).fill(at + 1))];
  assert.ok(candidates.some((fingerprint) => linkText(`${base}/`, fingerprint, delivery) === written));
});

/** A hub of one delivery, with faults, between the two machines; the twin of the model in `delivery_plan::tests`. */
function run(segments, seed, faults) {
  const chance = random(seed);
  const hub = { announced: false, base: null, held: new Set(), verified: 0, receipt: false, taken: false, change: 0 };
  let now = 0;
  let sender = new SendPlan(segments, chance, now);
  let recipient = new ReceivePlan(0, segments, chance, now);
  let [pending, reports, kept] = [[], [], 0];
  const nextOf = () => {
    if (hub.base === null) return null;
    let number = hub.base;
    while (hub.held.has(number)) number += 1;
    return number;
  };
  const status = () => ({ change: hub.change, next: nextOf(), verified: hub.verified, hasReceipt: hub.receipt });
  const leave = () => ((hub.base = null), (hub.change += 1));
  const answer = (action, outOfTime) => {
    if (action.do === "announce") {
      hub.announced = true;
      hub.change += 1;
      sender.handleAnnounced(status());
    } else if (!hub.announced) {
      sender.handleFailed(action, true, now);
    } else if (action.do === "ask") {
      if (hub.change <= action.after && !outOfTime) return false;
      sender.handleStatus(status());
    } else {
      const { number } = action;
      const isAhead = hub.base !== null && number >= hub.base + WINDOW;
      if (isAhead && !outOfTime) return false;
      if (hub.base === null || isAhead || number < hub.base) sender.handleNotTaken(number, nextOf());
      else hub.held.add(number), sender.handleTaken(number, hub.verified);
    }
    return true;
  };
  for (let round = 0; round < 4000; round++) {
    // What breaks at the end, nothing heals by breaking once more.
    const breaks = faults && round < 60;
    let did = false;
    for (let action = sender.pollAction(now); action; action = sender.pollAction(now)) {
      pending.push(action);
      did = true;
      assert.ok(pending.filter((one) => one.do === "put").length <= WINDOW + 1);
      assert.ok(pending.filter((one) => one.do !== "put").length <= 1);
    }
    for (let action = recipient.pollAction(now); action; action = recipient.pollAction(now)) {
      did = true;
      if (action.do === "report") reports.push(action.verified);
      else if (action.do === "close") leave();
      else if (!hub.announced) recipient.handleClosed(now);
      else {
        assert.equal(action.from, kept);
        hub.base = action.from;
        hub.held.clear();
        hub.change += 1;
        recipient.handleOpened();
      }
    }
    const at = Math.floor(chance() * pending.length);
    if (pending.length > 0 && breaks && chance() < 0.1) {
      sender.handleFailed(pending.splice(at, 1)[0], false, now);
      did = true;
    } else if (pending.length > 0 && answer(pending[at], chance() < 0.05)) {
      pending.splice(at, 1);
      did = true;
    }
    if (hub.base !== null && hub.held.has(hub.base) && chance() < 0.7) {
      const number = hub.base;
      hub.held.delete(number);
      hub.base += 1;
      hub.change += 1;
      if (recipient.isNext(number)) recipient.handleSegment(), (kept += 1);
      did = true;
    }
    if (reports.length > 0 && chance() < 0.5) {
      const verified = reports.shift();
      if (!hub.announced) recipient.handleReportFailed(now);
      else {
        hub.verified = Math.max(hub.verified, verified);
        hub.receipt ||= verified === segments;
        hub.change += 1;
        recipient.handleReported(verified, sender.phase === "done", now);
      }
      did = true;
    }
    if (sender.phase === "done" && kept === segments) return;
    const fault = breaks ? chance() : 1;
    if (fault < 0.01) {
      Object.assign(hub, { announced: false, base: null, held: new Set(), verified: 0, receipt: false, change: 0 });
      recipient.handleClosed(now);
    } else if (fault < 0.02) {
      if (hub.base !== null) leave(), recipient.handleClosed(now);
    } else if (fault < 0.025) {
      [sender, pending] = [new SendPlan(segments, chance, now), []];
    } else if (fault < 0.03) {
      if (hub.base !== null) leave();
      [recipient, reports] = [new ReceivePlan(kept, segments, chance, now), []];
    }
    if (!did) now = Math.max(now + 1, Math.min(sender.pollTimeout() ?? now + 20, recipient.pollTimeout() ?? now + 20, now + 20_000));
  }
  assert.fail(`seed ${seed}: ${sender.phase}, ${recipient.phase}, ${kept} of ${segments}, ${JSON.stringify(pending)}`);
}

test("a delivery arrives, whatever breaks on its way", () => {
  for (let seed = 0; seed < 40; seed++) run(1 + (seed % 12), seed, false);
  for (let seed = 0; seed < 2000; seed++) run(1 + (seed % 25), seed, true);
});

test("the phases say what is waited for", () => {
  const plan = new SendPlan(2, random(1), 0);
  const status = (change, next, verified, hasReceipt = false) => ({ change, next, verified, hasReceipt });
  assert.equal(plan.phase, "hub");
  assert.deepEqual(plan.pollAction(0), { do: "announce" });
  plan.handleAnnounced(status(1, null, 0));
  assert.equal(plan.phase, "recipient");
  assert.deepEqual(plan.pollAction(0), { do: "ask", after: 1 });
  assert.equal(plan.pollAction(0), null, "one question at a time");
  plan.handleStatus(status(2, 0, 0));
  assert.deepEqual([0, 1, 2].map(() => plan.pollAction(0)?.do), ["ask", "put", "put"]);
  assert.equal(plan.phase, "sending");
  plan.handleTaken(0, 0);
  plan.handleTaken(1, 1);
  assert.equal(plan.phase, "receipt");
  plan.handleStatus(status(3, 2, 2, true));
  assert.deepEqual([plan.phase, plan.pollAction(0), plan.pollTimeout()], ["done", null, null]);
});

const NAME = hex(ID);
const PATH = `/v1/deliveries/${NAME}`;
const TERMS = { seconds: 86_400, downloads: 2 };

/** A delivery of three segments. */
function three() {
  const contents = new Uint8Array(2 * SEGMENT_BYTES + 9).map((_, at) => at);
  const { items, files } = survey([{ path: "f", file: file(contents) }], 5);
  const header = encodeHeader({ subject: "s", message: "", sent: 5, items });
  return { header, outgoing: new Outgoing(header, files), files };
}

/** A hub that keeps one delivery, of which it has some segments already; it stops taking any when it is full. */
function keeping(kept, { full = Infinity, altered = [] } = {}) {
  const asked = [];
  const hub = { asked, kept, receipt: undefined, ended: undefined };
  const locker = () => ({ kept: hub.kept, until: 9, downloads: 0, downloads_max: 2 });
  const status = () => ({ change: hub.kept, next: hub.kept, verified: 0, receipt: hub.receipt, ended: hub.ended, locker: locker() });
  hub.call = async (method, path, body, { headers = {} } = {}) => {
    asked.push({ method, path, body: body instanceof Uint8Array ? body.slice() : body });
    const number = path.match(/segments\/(\d+)$/)?.[1];
    // A hub answers a question when something has changed; this one lets the others run.
    if (path.includes("?after=")) await new Promise((resolve) => setTimeout(resolve, 5));
    if (number === undefined) return { json: async () => status() };
    if (hub.kept >= full) throw new Refused(507, { code: "storage-full", title: "The hub has no room left" });
    if (headers["consign-segment-digest"] !== hex(blake3(body)) || altered.pop()) throw new Refused(422, { code: "wrong-bytes" });
    const taken = Number(number) === hub.kept;
    if (taken) hub.kept += 1;
    return { json: async () => ({ taken, next: hub.kept, verified: 0 }) };
  };
  hub.read = async (path) => (await hub.call("GET", path)).json();
  return hub;
}

const watcher = { waits() {}, progress() {} };
const kept = (more = {}) => ({ id: ID, name: NAME, secret: SECRET, locker: TERMS, until: null, ...more });

for (const [begun, altered] of [[0, []], [1, []], [3, []], [0, [true]]]) {
  test(`a hub that keeps a delivery gets what it lacks, each segment with its digest: ${begun} are there, ${altered.length} altered`, async () => {
    const { outgoing } = three();
    const hub = keeping(begun, { altered: [...altered] });
    const { locker, digest } = await new Sender(hub, kept(), outgoing, watcher).run();
    assert.deepEqual(locker, { kept: 3, until: 9, downloads: 0, downloads_max: 2 });
    const vault = new Vault(ID, SECRET, "segment");
    const tags = await Promise.all([0, 1, 2].map(async (number) => vault.tag(number, await three().outgoing.segment(number))));
    assert.equal(hex(digest), hex(blake3(join(tags))));
    const { streamBytes: bytes } = outgoing;
    const announced = { segments: 3, bytes, recipient: hex(blake3(recipientToken(SECRET))), ...TERMS };
    assert.deepEqual(hub.asked[0], { method: "PUT", path: `${PATH}/locker`, body: announced });
    const puts = hub.asked.filter(({ path }) => path.includes("/segments/"));
    const numbers = puts.map(({ path }) => Number(path.split("/").at(-1)));
    assert.equal(Math.min(...numbers, 3), begun, "nothing twice");
    for (const [at, { body }] of puts.entries()) {
      const opened = await vault.open(numbers[at], (await three().outgoing.segment(numbers[at])).length, body);
      assert.deepEqual(opened.tag, tags[numbers[at]]);
    }
  });
}

test("a hub that is full stops a delivery at once, in its words", async () => {
  const { outgoing } = three();
  await assert.rejects(new Sender(keeping(1, { full: 1 }), kept(), outgoing, watcher).run(), { code: "storage-full" });
});

test("a delivery that passes through has a time when its link has one", async () => {
  const { outgoing } = three();
  for (const [until, told] of [[null, {}], [77, { until: 77 }]]) {
    const hub = keeping(0);
    await announce(hub, kept({ locker: null, until }), outgoing);
    const { segments, streamBytes: bytes } = outgoing;
    assert.deepEqual(hub.asked, [{ method: "PUT", path: PATH, body: { segments, bytes, recipient: hex(blake3(recipientToken(SECRET))), ...told } }]);
  }
});

test("a locker is asked for before anything is said, and once more when a recipient lets its sender in", async () => {
  const { header } = three();
  const refusing = (code) => ({ call: async () => Promise.reject(new Refused(409, { code })) });
  const sending = (to) => ({ ...kept(), to, header, since: 5, ended: null });
  await begin(refusing("delivery-conflict"), sending("ben"));
  await assert.rejects(begin(refusing("delivery-conflict"), sending(null)), { code: "delivery-conflict" });
  await assert.rejects(begin(refusing("locker-refused"), sending("ben")), { code: "locker-refused" });
});

test("the receipt of what a hub keeps is found later, and no other is believed", async () => {
  const { header, outgoing } = three();
  const hub = keeping(0);
  const { locker, digest } = await new Sender(hub, kept(), outgoing, watcher).run();
  const sending = { ...kept(), to: null, header, since: 5, ended: null, kept: { locker, digest } };
  assert.deepEqual(await look(hub, sending), { locker });
  const { items, streamBytes } = outgoing;
  const receipt = async (more = {}) => {
    const signed = await signReceipt({ id: ID, digest, items, streamBytes, received: 7, ...more }, await nobody(new Uint8Array(32).fill(5)));
    return base64url(await new Vault(ID, SECRET, "receipt").seal(0, signed));
  };
  hub.receipt = await receipt();
  assert.equal((await look(hub, sending)).sent.received, 7);
  for (const other of [{ digest: new Uint8Array(32) }, { items: 9 }, { streamBytes: 9 }, { id: new Uint8Array(16) }]) {
    hub.receipt = await receipt(other);
    await assert.rejects(look(hub, sending), /not of the recipient/);
  }
  hub.receipt = base64url(new Uint8Array(200));
  await assert.rejects(look(hub, sending), /not of the recipient/);
  hub.receipt = undefined;
  hub.ended = { by: "hub", reason: "its time was over" };
  await assert.rejects(look(hub, sending), /The hub ended the delivery: its time was over/);
  const forgotten = { read: async () => Promise.reject(new Refused(404, {})) };
  await assert.rejects(look(forgotten, sending), /does not have it any more/);
  const silent = { read: async () => Promise.reject(new NotNow("hub")) };
  await assert.rejects(look(silent, sending), { name: "NotNow" });
});
