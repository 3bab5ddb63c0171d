// What the tests of the page's modules share: golden files of the formats, and Web Crypto where Node hides it.

import { webcrypto } from "node:crypto";
import { readFileSync } from "node:fs";

globalThis.crypto ??= webcrypto;

const { unhex } = await import("../../assets/delivery/bytes.js");

/** The bytes of a format as `crates/delivery`, or another crate, has them. */
export function golden(name, owner = "delivery") {
  const url = new URL(`../../../${owner}/golden/${name}.hex`, import.meta.url);
  return unhex(readFileSync(url, "utf8").trim());
}

export const ID = new Uint8Array(16).fill(1);
export const SECRET = new Uint8Array(32).fill(2);

/** Numbers that are the same for the same seed (mulberry32). */
export function random(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
