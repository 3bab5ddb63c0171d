// The sender's side: what is chosen, the stream it becomes, and the machine that sends it. Time is counted here, chance
// is a seed.

import assert from "node:assert/strict";
import test from "node:test";

import { ID, SECRET, golden, random } from "./support.mjs";

const { concat, hex } = await import("../../assets/delivery/bytes.js");
const { decodeHeader, encodeHeader } = await import("../../assets/delivery/header.js");
const { SEGMENT_BYTES } = await import("../../assets/delivery/layout.js");
const { linkText, parseLink } = await import("../../assets/delivery/link.js");
const { Outgoing } = await import("../../assets/delivery/outgoing.js");
const { ReceivePlan } = await import("../../assets/delivery/plan.js");
const { SendPlan, WINDOW } = await import("../../assets/delivery/send_plan.js");
const { isSame, survey } = await import("../../assets/delivery/survey.js");
const { Vault } = await import("../../assets/delivery/vault.js");

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
