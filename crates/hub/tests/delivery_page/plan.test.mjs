// The recipient's machine, and the stream it is fed from. Time is counted here, chance is a seed.

import assert from "node:assert/strict";
import test from "node:test";

import { golden, random } from "./support.mjs";

const { ReceivePlan } = await import("../../assets/delivery/plan.js");
const { concat, littleEndian } = await import("../../assets/delivery/bytes.js");
const { BrokenStream, RecordReader } = await import("../../assets/delivery/records.js");

/** The hub has no receipt. */
const NOT_THERE = { isThere: false, isTaken: false, change: 1 };

function actions(plan, now) {
  const found = [];
  for (let action = plan.pollAction(now); action; action = plan.pollAction(now)) found.push(action);
  return found;
}

test("segments are asked for from the first that lacks, reported, and the receipt is handed in until it is taken", () => {
  const plan = new ReceivePlan(3, 5, random(1), 0);
  assert.deepEqual(actions(plan, 0), [{ do: "open", from: 3 }, { do: "report", verified: 3 }]);
  plan.handleReported(3, NOT_THERE, 1);
  plan.handleOpened();
  assert.equal(plan.phase, "receiving");
  assert.ok(plan.isNext(3));
  plan.handleSegment();
  assert.deepEqual(actions(plan, 2), [], "the next report waits for its turn");
  assert.deepEqual(actions(plan, plan.pollTimeout()), [{ do: "report", verified: 4 }]);
  plan.handleReported(4, NOT_THERE, 600);
  plan.isNext(4);
  plan.handleSegment();
  assert.equal(plan.phase, "handing-in");
  assert.deepEqual(actions(plan, 601), [{ do: "close" }, { do: "report", verified: 5 }]);
  plan.handleReported(5, NOT_THERE, 602);
  assert.deepEqual(actions(plan, 603), []);
  assert.deepEqual(actions(plan, 602 + 500), [{ do: "report", verified: 5 }], "again, for hubs forget");
  plan.handleReported(5, { isThere: true, isTaken: true, change: 7 }, 1200);
  assert.equal(plan.phase, "done");
  assert.equal(plan.pollTimeout(), null);
});

test("with the receipt at the hub its next change is awaited, and no hub is asked without a pause", () => {
  const there = (change) => ({ isThere: true, isTaken: false, change });
  const plan = new ReceivePlan(3, 3, random(1), 0);
  assert.deepEqual(actions(plan, 0), [{ do: "report", verified: 3 }]);
  plan.handleReported(3, there(8), 10);
  assert.deepEqual(actions(plan, 10), [{ do: "await", after: 8 }], "at once");
  assert.equal(plan.pollTimeout(), null, "until the hub answers");
  // Something else changed.
  plan.handleAwaited(there(9), 10);
  assert.deepEqual(actions(plan, 11), []);
  assert.equal(plan.pollTimeout(), 510);
  assert.deepEqual(actions(plan, 510), [{ do: "await", after: 9 }]);
  // The hub was restarted, and knows the delivery from the sender again.
  plan.handleAwaited(NOT_THERE, 510);
  assert.deepEqual(actions(plan, 1010), [{ do: "report", verified: 3 }]);
  plan.handleReported(3, there(2), 1020);
  assert.deepEqual(actions(plan, 1020), [{ do: "await", after: 2 }]);
  plan.handleReportFailed(1030);
  assert.deepEqual(actions(plan, plan.pollTimeout()), [{ do: "report", verified: 3 }], "handed in anew");
  plan.handleReported(3, there(4), 2000);
  assert.deepEqual(actions(plan, 2000), [{ do: "await", after: 4 }]);
  plan.handleAwaited({ ...there(5), isTaken: true }, 2000);
  assert.equal(plan.phase, "done");
  assert.deepEqual(actions(plan, 9000), []);
});

test("a stream that breaks is opened again, later each time, and soon after something came", () => {
  const plan = new ReceivePlan(0, 9, random(2), 0);
  let now = 0;
  const delays = [];
  for (let round = 0; round < 9; round++) {
    assert.deepEqual(actions(plan, now), [{ do: "open", from: 0 }]);
    plan.handleClosed(now);
    assert.equal(plan.phase, "connecting");
    delays.push(plan.pollTimeout() - now);
    now = plan.pollTimeout();
  }
  for (const [round, delay] of delays.entries()) {
    const full = Math.min(250 * 2 ** round, 30_000);
    assert.ok(delay >= full / 2 && delay <= full, `${delay} of ${full}`);
  }
  actions(plan, now);
  plan.handleOpened();
  plan.isNext(0);
  plan.handleSegment();
  plan.handleClosed(now);
  assert.ok(plan.pollTimeout() - now <= 250);
});

test("what comes out of order is not kept, and a segment that is damaged again and again ends it", () => {
  const plan = new ReceivePlan(0, 3, random(3), 0);
  let now = 0;
  actions(plan, now);
  plan.handleOpened();
  for (const wrong of [1, 2]) assert.ok(!plan.isNext(wrong), "not the next");
  assert.ok(!plan.isNext(0), "nothing of that stream any more");
  assert.deepEqual(actions(plan, now), [{ do: "close" }]);
  for (let times = 1; times <= 3; times++) {
    now = plan.pollTimeout();
    assert.deepEqual(actions(plan, now), [{ do: "open", from: 0 }]);
    plan.handleOpened();
    assert.ok(plan.isNext(0));
    plan.handleDamaged();
    if (times < 3) assert.deepEqual(actions(plan, now), [{ do: "close" }]);
  }
  assert.equal(plan.phase, "broken");
  assert.deepEqual(actions(plan, now + 1e6), []);
});

test("any breaks end with every segment once and in order", () => {
  for (let seed = 0; seed < 200; seed++) {
    const next = random(seed);
    const plan = new ReceivePlan(0, 12, random(seed + 1000), 0);
    const kept = [];
    let now = 0;
    for (let round = 0; plan.phase !== "done"; round++) {
      assert.ok(round < 5000, `seed ${seed} goes on for ever`);
      for (const action of actions(plan, now)) {
        if (action.do === "open" && next() < 0.3) plan.handleClosed(now);
        else if (action.do === "open") {
          plan.handleOpened();
          let number = action.from;
          while (number < 12 && next() < 0.7 && plan.isNext(number)) {
            if (next() < 0.1) {
              plan.handleDamaged();
              break;
            }
            kept.push(number++);
            plan.handleSegment();
          }
          plan.handleClosed(now);
        } else if (action.do === "report") {
          if (next() < 0.3) plan.handleReportFailed(now);
          else plan.handleReported(action.verified, { isThere: next() < 0.6, isTaken: next() < 0.3, change: round }, now);
        } else if (action.do === "await") {
          assert.equal(plan.verified, 12, "before everything is here nothing is awaited");
          if (next() < 0.3) plan.handleReportFailed(now);
          else plan.handleAwaited({ isThere: next() < 0.6, isTaken: next() < 0.3, change: round }, now);
        }
      }
      if (plan.phase === "broken") break;
      now = plan.pollTimeout() ?? now;
    }
    assert.deepEqual(kept, kept.map((_, at) => at), `seed ${seed}`);
  }
});

const record = (number, bytes) => {
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, bytes.length, true);
  return concat(littleEndian(number), length, bytes);
};

test("segments and heart-beats come whole however the stream is cut", () => {
  const body = Uint8Array.from({ length: 3000 }, (_, at) => at);
  const stream = concat(record(4, body), record(5, new Uint8Array()), record(5, body.subarray(0, 1)), littleEndian(6));
  for (const size of [1, 2, 7, 12, 13, 1000, 5000]) {
    const reader = new RecordReader();
    const found = [];
    for (let at = 0; at < stream.length; at += size) found.push(...reader.take(stream.subarray(at, at + size)));
    const expected = [{ number: 4, bytes: body }, { number: 5, bytes: null }, { number: 5, bytes: body.subarray(0, 1) }];
    assert.deepEqual(found, expected, `pieces of ${size}`);
  }
});

test("a segment that claims too much is refused by its head", () => {
  const head = (length) => {
    const bytes = record(0, new Uint8Array());
    new DataView(bytes.buffer).setUint32(8, length, true);
    return bytes;
  };
  assert.deepEqual([...new RecordReader().take(head((1 << 20) + 128))], []);
  assert.throws(() => [...new RecordReader().take(head((1 << 20) + 129))], BrokenStream);
  const far = concat(new Uint8Array(8).fill(255), new Uint8Array(4));
  assert.throws(() => [...new RecordReader().take(far)], BrokenStream);
});
