// The link: which delivery, and the secret that opens it (docs/format.md, section 15.5).

import { blake3 } from "./vendor/noble-hashes/blake3.js";
import { base64url, concat, equal, unbase64url, unhex } from "./bytes.js";
import { Problem } from "./problem.js";

const PLAIN = "1.";
const LOCKED = "2.";
/** What a guess is to cost, as OWASP advised in 2023. */
const ITERATIONS = 600_000;
const SECRET_BYTES = 32;
const FINGERPRINT_BYTES = 32;
const CHECK_BYTES = 4;
const utf8 = new TextEncoder();
const CHECK = utf8.encode("consign delivery 1 link check");
const MASK = utf8.encode("consign delivery 1 link mask");
const WHOLE = "Copy the whole link that the sender gave you, to its last letter.";

/**
 * @typedef {object} Link
 * @property {Uint8Array} id Sixteen bytes.
 * @property {string} name The id as the hub knows it.
 * @property {Uint8Array} secret Thirty-two bytes that nobody else may see.
 * @property {boolean} isLocked The secret is of no use before it was unlocked.
 * @property {{ key: Uint8Array, secret: CryptoKey }} [signer] The device that signs the receipt; without one, a key
 *   that is made for it.
 */

/**
 * @param {string} path Of the page: `/d/ID`.
 * @param {string} fragment With its `#`.
 * @returns {Link}
 */
export function parseLink(path, fragment) {
  const name = path.match(/\/d\/([0-9a-f]{32})$/)?.[1];
  const id = name && unhex(name);
  if (!name || !id) throw new Problem("This is not the address of a delivery.", WHOLE);
  const text = fragment.replace(/^#/, "");
  if (text === "") throw new Problem("The link lacks its key, which stands behind the #.", WHOLE);
  const isLocked = text.startsWith(LOCKED);
  if (!isLocked && !text.startsWith(PLAIN)) {
    throw new Problem(
      "The link is of a kind that this hub does not know.",
      "The sender's program may be newer than the hub: ask the sender for a ticket, and collect it with `consign receive`.",
    );
  }
  const bytes = unbase64url(text.slice(PLAIN.length));
  const most = SECRET_BYTES + FINGERPRINT_BYTES + CHECK_BYTES;
  const isWhole = bytes?.length === SECRET_BYTES + CHECK_BYTES || bytes?.length === most;
  if (!bytes || !isWhole) throw new Problem("The link is cut short or altered.", WHOLE);
  const given = bytes.subarray(0, bytes.length - CHECK_BYTES);
  if (!equal(checkOf(id, given), bytes.subarray(given.length))) {
    throw new Problem("The link was altered: its letters do not fit together.", WHOLE);
  }
  return { id, name, secret: given.slice(0, SECRET_BYTES), isLocked };
}

/**
 * @param {Uint8Array} id
 * @param {Uint8Array} given
 */
function checkOf(id, given) {
  return blake3(concat(id, given), { context: CHECK }).subarray(0, CHECK_BYTES);
}

/**
 * The link of a delivery, for whoever is to have it.
 * @param {string} url Of the hub.
 * @param {Uint8Array} fingerprint By which terminals know the hub; all zero where they need none.
 * @param {{ id: Uint8Array, name: string, secret: Uint8Array }} delivery
 */
export function linkText(url, fingerprint, { id, name, secret }) {
  const given = fingerprint.some((byte) => byte !== 0) ? concat(secret, fingerprint) : secret;
  return `${url.replace(/\/+$/, "")}/d/${name}#${PLAIN}${base64url(concat(given, checkOf(id, given)))}`;
}

/**
 * The link that a passphrase makes of a locked one. Nothing here tells a wrong passphrase: a link that was
 * stolen is no help in guessing.
 * @param {Link} link
 * @param {string} passphrase
 * @returns {Promise<Link>}
 */
export async function unlock(link, passphrase) {
  const typed = utf8.encode(passphrase.trim().normalize("NFC"));
  const key = await crypto.subtle.importKey("raw", typed, "PBKDF2", false, ["deriveBits"]);
  const parameters = { name: "PBKDF2", hash: "SHA-256", salt: link.id, iterations: ITERATIONS };
  const stretched = new Uint8Array(await crypto.subtle.deriveBits(parameters, key, 256));
  const mask = blake3(stretched, { context: MASK });
  return { ...link, secret: link.secret.map((byte, at) => byte ^ mask[at]), isLocked: false };
}
