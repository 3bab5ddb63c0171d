// What a device proves to a hub (docs/format.md, sections 6.4 and 6.5), and the invitation it registers with (7).

import { Malformed, Reader, write } from "../cbor.js";
import { sign } from "../signed.js";
import { unbase64url } from "../bytes.js";

const SESSION = "consign/session/1";
const REGISTRATION = "consign/registration/1";
const PREFIX = "consign-invite-1:";
const INVITATION_BYTES_MAX = 2048;
const SECRET_BYTES = 16;

/**
 * @param {import("../signed.js").Signer} signer
 * @param {Uint8Array} hub What it is recognised by.
 * @param {Uint8Array} answered The challenge, or the secret of the invitation.
 */
function claim(signer, hub, answered) {
  return write.map(write.unsigned(1), write.bytes(signer.key), write.bytes(hub), write.bytes(answered));
}

/**
 * Proves a key over a challenge of the hub's, and is of no use at another hub.
 * @param {import("../signed.js").Signer} signer
 * @param {Uint8Array} hub
 * @param {Uint8Array} challenge
 */
export function signSession(signer, hub, challenge) {
  return sign(SESSION, claim(signer, hub, challenge), signer);
}

/**
 * Proves the key that is to be registered.
 * @param {import("../signed.js").Signer} signer
 * @param {Uint8Array} hub
 * @param {Uint8Array} secret Of the invitation.
 */
export function signRegistration(signer, hub, secret) {
  return sign(REGISTRATION, claim(signer, hub, secret), signer);
}

/**
 * @param {string} text As `consign invite` prints it.
 * @returns {{ url: string, secret: Uint8Array } | null} `null` when it is none.
 */
export function parseInvitation(text) {
  const coded = text.trim();
  if (!coded.startsWith(PREFIX) || coded.length > INVITATION_BYTES_MAX) return null;
  const bytes = unbase64url(coded.slice(PREFIX.length));
  if (!bytes) return null;
  try {
    const reader = new Reader(bytes);
    if (reader.array() !== 4 || reader.unsigned() !== 1) return null;
    const url = reader.text();
    reader.bytes();
    const secret = reader.bytes();
    reader.finish();
    return secret.length === SECRET_BYTES ? { url, secret } : null;
  } catch (error) {
    if (error instanceof Malformed) return null;
    throw error;
  }
}
