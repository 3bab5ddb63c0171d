// What of a list is read out.

import assert from "node:assert/strict";
import test from "node:test";

const { News, ofDelivery, ofSender, ofSending } = await import("../../assets/delivery/me/news.js");

const plain = (text) => text.replaceAll("\u00a0", " ");

test("what comes and what ends is read out once, and nothing of what was there before", () => {
  const news = new News();
  const delivery = (more) => ({ delivery: "aa", from: "anna", files: 1, bytes: 5, state: "waiting", since: 0, letter: "x", ...more });
  const say = (...listed) => news.handle(listed.map(ofDelivery)).map(plain);
  assert.deepEqual(say(delivery()), [], "it was there");
  const other = { delivery: "bb", from: "carla" };
  assert.deepEqual(say(delivery({ state: "running" }), delivery({ ...other, state: "pending-approval" })), []);
  assert.deepEqual(say(delivery({ verified: 3, state: "running" }), delivery(other)), ["A delivery of carla came: 1 file, 5 B."]);
  const [said, ...more] = say(delivery({ state: "terminated", ended: { by: "sender", reason: "a mistake" } }), delivery(other));
  assert.match(said, /^The delivery of anna: ended by anna .*: a mistake\.$/);
  assert.deepEqual(more, []);
  assert.deepEqual(say(delivery({ state: "terminated" }), delivery(other)), []);

  const senders = new News();
  assert.deepEqual(senders.handle([]), []);
  assert.deepEqual(senders.handle([ofSender("dora")]), ["dora waits to be let in."]);
  assert.deepEqual(senders.handle([ofSender("dora")]), []);

  const sendings = new News();
  sendings.handle([ofSending("cc", "ben", null)]);
  assert.deepEqual(sendings.handle([ofSending("cc", "ben", "received now"), ofSending("dd", "ben", null)]), ["The delivery to ben: received now."]);
});
