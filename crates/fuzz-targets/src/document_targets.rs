//! Targets for the decoders of the `documents` crate.

use content::closure::ClosureEntry;
use content::{ChunkId, ChunkRef, TreeRef};
use documents::audit::AuditHead;
use documents::{
    Authority, Capability, Context, DOCUMENT_BYTES_MAX, Delegation, Head, Invitation, Manifest,
    NodeKey, Registration, ReleaseName, SessionProof, SessionToken, UtcTime, Validity,
};

use crate::{Verdict, parse, same};

/// The key the golden documents are signed with.
fn key() -> NodeKey {
    NodeKey::from_secret_bytes([1; 32])
}

fn name() -> ReleaseName {
    "team/tools".parse().expect("a name")
}

/// A signed manifest.
#[must_use]
pub fn manifest(bytes: &[u8]) -> Verdict {
    let peeked = Manifest::peek_publisher(bytes);
    let opened = Manifest::open(bytes, &key().public()).ok();
    assert!(opened.is_none() || peeked == Ok(key().public()), "peeking sees what opening sees");
    same(opened.map(|(manifest, _)| manifest.sign(&key())), bytes)
}

/// A manifest inside a valid envelope.
#[must_use]
pub fn manifest_payload(bytes: &[u8]) -> Verdict {
    manifest(&signed(bytes, Context::Release))
}

/// A signed head.
#[must_use]
pub fn head(bytes: &[u8]) -> Verdict {
    same(Head::open(bytes, &key().public()).ok().map(|(head, _)| head.sign(&key())), bytes)
}

/// A head inside a valid envelope.
#[must_use]
pub fn head_payload(bytes: &[u8]) -> Verdict {
    head(&signed(bytes, Context::Head))
}

/// A signed delegation.
#[must_use]
pub fn delegation(bytes: &[u8]) -> Verdict {
    let opened = Delegation::open(bytes, &key().public()).ok();
    assert!(opened.is_none() || Delegation::peek_owner(bytes) == Ok(key().public()));
    same(opened.map(|(delegation, _)| delegation.sign(&key())), bytes)
}

/// A delegation inside a valid envelope.
#[must_use]
pub fn delegation_payload(bytes: &[u8]) -> Verdict {
    delegation(&signed(bytes, Context::Delegation))
}

/// The signed head of an audit log.
#[must_use]
pub fn audit_head(bytes: &[u8]) -> Verdict {
    let head = AuditHead::open(bytes).ok().filter(|head| head.key == key().public());
    same(head.map(|head| head.sign(&key())), bytes)
}

/// The head of an audit log inside a valid envelope.
#[must_use]
pub fn audit_head_payload(bytes: &[u8]) -> Verdict {
    audit_head(&signed(bytes, Context::AuditHead))
}

/// A signed session proof.
#[must_use]
pub fn session_proof(bytes: &[u8]) -> Verdict {
    same(SessionProof::open(bytes, &key().public()).ok().map(|it| it.sign(&key())), bytes)
}

/// A session proof inside a valid envelope.
#[must_use]
pub fn session_proof_payload(bytes: &[u8]) -> Verdict {
    session_proof(&signed(bytes, Context::Session))
}

/// A signed registration.
#[must_use]
pub fn registration(bytes: &[u8]) -> Verdict {
    same(Registration::open(bytes, &key().public()).ok().map(|it| it.sign(&key())), bytes)
}

/// A registration inside a valid envelope.
#[must_use]
pub fn registration_payload(bytes: &[u8]) -> Verdict {
    registration(&signed(bytes, Context::Registration))
}

/// A session token.
#[must_use]
pub fn session_token(bytes: &[u8]) -> Verdict {
    let token = SessionToken::verify(bytes, &key().public(), 0).ok();
    same(token.map(|token| token.issue(&key())), bytes)
}

/// A session token inside a valid envelope.
#[must_use]
pub fn session_token_payload(bytes: &[u8]) -> Verdict {
    session_token(&signed(bytes, Context::Token))
}

/// A head and a manifest, one behind the other; the first two bytes are the head's length.
#[must_use]
pub fn accept_head(bytes: &[u8]) -> Verdict {
    let Some((length, both)) = bytes.split_first_chunk() else { return Verdict::Refused };
    let length = usize::from(u16::from_le_bytes(*length));
    let Some((head, manifest)) = both.split_at_checked(length) else { return Verdict::Refused };
    let now = 1_700_000_000;
    let authority = Authority::of_owner(key().public());
    match documents::accept_head(head, manifest, &authority, &name(), None, now) {
        Ok(accepted) => {
            assert!(accepted.manifest.expires > now && accepted.manifest.name == name());
            same(Some(accepted.manifest.sign(&key())), manifest)
        }
        Err(_) => Verdict::Refused,
    }
}

/// Bytes as the sealed root of a manifest.
#[must_use]
pub fn sealed_root(bytes: &[u8]) -> Verdict {
    let tree = TreeRef(ChunkRef::plain(ChunkId::of(b"tree"), 150));
    let capability = Capability::derive(&[6; 32], &name());
    let manifest = Manifest {
        publisher: key().public(),
        name: name(),
        sequence: 2,
        previous: None,
        issued: 0,
        expires: 0,
        tree: ClosureEntry::from(&tree.0),
        closure: ClosureEntry::from(&tree.0),
        totals: None,
        parameters: 1,
        sealed_root: Some(bytes.to_vec()),
    };
    let again = capability.open_root(&manifest).ok().map(|opened| {
        let nonce = *bytes.first_chunk().expect("opened, so it has a nonce");
        capability.seal_root(&opened, &name(), 2, nonce)
    });
    same(again, bytes)
}

/// A capability as text.
#[must_use]
pub fn capability_text(bytes: &[u8]) -> Verdict {
    same(parse::<Capability>(bytes), bytes)
}

/// An invitation as text.
#[must_use]
pub fn invitation_text(bytes: &[u8]) -> Verdict {
    same(parse::<Invitation>(bytes), bytes)
}

/// The name of a release.
#[must_use]
pub fn release_name(bytes: &[u8]) -> Verdict {
    same(parse::<ReleaseName>(bytes), bytes)
}

/// When a certificate is valid. Nothing can be encoded again; what is said must be a date.
#[must_use]
pub fn certificate_validity(bytes: &[u8]) -> Verdict {
    let Some(validity) = Validity::of(bytes) else { return Verdict::Refused };
    for time in [validity.begins, validity.ends] {
        // A leap second, or the 31st of a shorter month, at the end of the last year.
        assert!(UtcTime::at(time.saturating_sub(86_400)).year <= 9999, "{validity:?}");
    }
    let renewal = validity.renewal();
    assert!(renewal <= validity.ends && renewal >= validity.begins.min(validity.ends));
    Verdict::Accepted
}

/// A COSE_Sign1 around `payload`, written from `docs/format.md` and not with the code under
/// test. Longer payloads than fit a document are signed as they are: they must be refused.
fn signed(payload: &[u8], context: Context) -> Vec<u8> {
    const PROTECTED: &[u8] = &[0x43, 0xa1, 0x01, 0x27];
    let payload = &payload[..payload.len().min(2 * DOCUMENT_BYTES_MAX)];
    let mut to_sign = vec![0x84, 0x6a];
    to_sign.extend_from_slice(b"Signature1");
    to_sign.extend_from_slice(PROTECTED);
    byte_string(context.as_str().as_bytes(), &mut to_sign);
    byte_string(payload, &mut to_sign);
    let mut signed = vec![0xd2, 0x84];
    signed.extend_from_slice(PROTECTED);
    signed.push(0xa0);
    byte_string(payload, &mut signed);
    byte_string(&key().sign(&to_sign), &mut signed);
    signed
}

fn byte_string(bytes: &[u8], into: &mut Vec<u8>) {
    let length = u32::try_from(bytes.len()).expect("cut above").to_be_bytes();
    match length {
        [0, 0, 0, short @ 0..=23] => into.push(0x40 | short),
        [0, 0, 0, one] => into.extend_from_slice(&[0x58, one]),
        [0, 0, high, low] => into.extend_from_slice(&[0x59, high, low]),
        [a, b, c, d] => into.extend_from_slice(&[0x5a, a, b, c, d]),
    }
    into.extend_from_slice(bytes);
}
