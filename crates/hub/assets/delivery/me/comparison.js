// Words by which two people make sure that each knows the other (docs/format.md, section 16.4).

import { blake3 } from "../vendor/noble-hashes/blake3.js";
import { ascending } from "./devices.js";
import { concat } from "../bytes.js";

const PURPOSE = new TextEncoder().encode("consign 2026-11-22 comparison of two people, version 1");
const WORDS = 9;
const WORD_BITS = 10n;

/**
 * @param {Uint8Array} one An identity.
 * @param {Uint8Array} other Another one.
 * @param {string[]} words The list of all of them.
 * @returns {string} In groups of three.
 */
export function comparison(one, other, words) {
  const both = ascending(one, other) < 0 ? concat(one, other) : concat(other, one);
  const derived = blake3(both, { context: PURPOSE });
  let bits = 0n;
  for (let at = 15; at >= 0; at--) bits = (bits << 8n) | BigInt(derived[at]);
  const chosen = Array.from({ length: WORDS }, (_, at) => words[Number((bits >> (BigInt(at) * WORD_BITS)) & 1023n)]);
  return [0, 3, 6].map((at) => chosen.slice(at, at + 3).join(" ")).join("  ");
}
