// What is told of a delivery while it runs. Time is counted here.

import assert from "node:assert/strict";
import test from "node:test";

const { Course, segmentAt } = await import("../../assets/delivery/course.js");

const MIB = 1 << 20;
const plain = (text) => text.replaceAll("\u00a0", " ");

/** Goes on by one segment each second. */
function run(course, { from, to, total, at }) {
  for (let segment = from; segment <= to; segment++) course.handleProgress(Math.min(segment * MIB, total), total, (at + segment - from) * 1000);
}

test("segment, bytes, rate and what is left are told, the rate of the last seconds alone", () => {
  const course = new Course();
  const total = 100 * MIB;
  course.handleProgress(0, total, 0);
  assert.equal(plain(course.text()), "segment 1 of 100 · 0 B of 105 MB");
  run(course, { from: 1, to: 20, total, at: 1 });
  assert.equal(plain(course.text()), "segment 21 of 100 · 21.0 MB of 105 MB · 1.05 MB/s · about 1 min left");
  // Twice as fast: after some seconds nothing is left of how it was.
  for (let half = 1; half <= 20; half++) course.handleProgress((20 + half) * MIB, total, 20_000 + half * 500);
  assert.match(plain(course.text()), /^segment 41 of 100 · 41\.9 MB of 105 MB · 2\.10 MB\/s · about 30 s left$/);
  course.handleProgress(total, total, 31_000);
  assert.equal(plain(course.text()), "segment 100 of 100 · 105 MB of 105 MB");
});

test("what stands still has no rate, however fast it was", () => {
  const course = new Course();
  run(course, { from: 0, to: 10, total: 100 * MIB, at: 0 });
  for (let second = 11; second < 40; second++) course.handleProgress(10 * MIB, 100 * MIB, second * 1000);
  assert.equal(plain(course.text()), "segment 11 of 100 · 10.5 MB of 105 MB");
});

test("after a break it is told where it goes on, and how often it had to", () => {
  const course = new Course();
  const total = 50 * MIB;
  course.handleProgress(0, total, 0);
  course.handleBreak();
  course.handleProgress(MIB, total, 1000);
  assert.ok(!course.text().includes("restart"), "nothing had come before the first break");
  run(course, { from: 2, to: 6, total, at: 2 });
  course.handleBreak();
  course.handleBreak();
  assert.equal(plain(course.text()), "segment 7 of 50 · 6.29 MB of 52.4 MB · goes on at segment 7");
  run(course, { from: 6, to: 9, total, at: 60 });
  assert.equal(plain(course.text()), "segment 10 of 50 · 9.44 MB of 52.4 MB · 1.05 MB/s · about 41 s left · went on at segment 7, 1 restart");
  course.handleBreak();
  run(course, { from: 9, to: 10, total, at: 90 });
  assert.match(plain(course.text()), /· went on at segment 10, 2 restarts$/);
});

test("what was here when the page was opened again counts as a restart, and not into the rate", () => {
  const course = new Course(true);
  course.handleProgress(0, 50 * MIB, 0);
  course.handleProgress(30 * MIB, 50 * MIB, 0);
  assert.equal(plain(course.text()), "segment 31 of 50 · 31.5 MB of 52.4 MB · goes on at segment 31");
  run(course, { from: 31, to: 34, total: 50 * MIB, at: 1 });
  assert.equal(plain(course.text()), "segment 35 of 50 · 35.7 MB of 52.4 MB · 1.05 MB/s · about 16 s left · went on at segment 31, 1 restart");
});

test("a hub that was restarted knows nothing at first, and it goes on all the same where it was", () => {
  const course = new Course();
  run(course, { from: 0, to: 8, total: 50 * MIB, at: 0 });
  course.handleProgress(0, 50 * MIB, 9000);
  course.handleProgress(8 * MIB, 50 * MIB, 10_000);
  run(course, { from: 9, to: 9, total: 50 * MIB, at: 11 });
  assert.match(plain(course.text()), /^segment 10 of 50 .* · went on at segment 9, 1 restart$/);
});

test("a stream of nothing and the last segment are counted, too", () => {
  assert.deepEqual([segmentAt(0, 0), segmentAt(0, 5), segmentAt(5, 5), segmentAt(MIB, MIB + 1), segmentAt(MIB + 1, MIB + 1)], [1, 1, 1, 2, 2]);
});
