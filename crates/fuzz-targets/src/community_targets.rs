//! Targets for the decoders of the `community` crate.

use community::{
    Address, Beginning, Charter, CommunityId, Envelope, JoinAnswer, JoinChallenge, JoinRequest,
    JoinSecret, Membership, PeerName, Proposal, RelayReport, Renewal, Roster, Seed, SignedReceipt,
};
use documents::envelope::Payload;
use documents::{DocumentHash, NodeKey, jointly};

use crate::{Verdict, parse, same};

fn key(secret: u8) -> NodeKey {
    NodeKey::from_secret_bytes([secret; 32])
}

fn payload<P: Payload>(bytes: &[u8]) -> Verdict {
    same(P::decode(bytes).ok().map(|payload| payload.encode()), bytes)
}

/// A jointly signed charter: what is accepted was signed by its own managers.
#[must_use]
pub fn charter(bytes: &[u8]) -> Verdict {
    let Ok(opened) = Charter::open(bytes) else { return Verdict::Refused };
    let signers = jointly::signers::<Charter>(bytes, &opened.managers);
    assert!(signers.is_ok_and(|signers| signers >= opened.managers.threshold));
    Verdict::Accepted
}

/// A charter inside a valid envelope.
#[must_use]
pub fn charter_payload(bytes: &[u8]) -> Verdict {
    payload::<Charter>(bytes)
}

/// A roster inside a valid envelope.
#[must_use]
pub fn roster_payload(bytes: &[u8]) -> Verdict {
    payload::<Roster>(bytes)
}

/// A renewal of a roster inside a valid envelope.
#[must_use]
pub fn renewal_payload(bytes: &[u8]) -> Verdict {
    payload::<Renewal>(bytes)
}

/// A membership, which has no signature of its own.
#[must_use]
pub fn membership(bytes: &[u8]) -> Verdict {
    same(Membership::decode(bytes).ok().map(|membership| membership.encode()), bytes)
}

/// A signed join request, by whatever key it names.
#[must_use]
pub fn join_request(bytes: &[u8]) -> Verdict {
    let Ok(opened) = JoinRequest::open(bytes) else { return Verdict::Refused };
    match opened.key == key(5).public() {
        true => same(Some(opened.sign(&key(5))), bytes),
        false => Verdict::Accepted,
    }
}

/// A join request inside a valid envelope.
#[must_use]
pub fn join_request_payload(bytes: &[u8]) -> Verdict {
    payload::<JoinRequest>(bytes)
}

/// A join challenge inside a valid envelope.
#[must_use]
pub fn join_challenge_payload(bytes: &[u8]) -> Verdict {
    payload::<JoinChallenge>(bytes)
}

/// A join answer inside a valid envelope.
#[must_use]
pub fn join_answer_payload(bytes: &[u8]) -> Verdict {
    payload::<JoinAnswer>(bytes)
}

/// A beginning inside a valid envelope.
#[must_use]
pub fn beginning_payload(bytes: &[u8]) -> Verdict {
    payload::<Beginning>(bytes)
}

/// A beginning as a hub hands it over: nothing is accepted but what this target signed.
#[must_use]
pub fn beginning(bytes: &[u8]) -> Verdict {
    let opened = Beginning::open(bytes, &address(), 7).ok();
    same(opened.map(|beginning| beginning.sign(&key(5))), bytes)
}

/// A receipt inside a valid envelope.
#[must_use]
pub fn receipt_payload(bytes: &[u8]) -> Verdict {
    payload::<SignedReceipt>(bytes)
}

/// A receipt as a hub hands it over: nothing is accepted but what this target signed.
#[must_use]
pub fn signed_receipt(bytes: &[u8]) -> Verdict {
    let opened = SignedReceipt::open(bytes, &address(), 7).ok();
    same(opened.map(|receipt| receipt.sign(&key(5))), bytes)
}

/// What the golden files of a target's documents are bound to.
fn address() -> Address {
    Address {
        community: CommunityId::from_random([6; 16]),
        manifest: DocumentHash::of(b"manifest"),
        publisher: key(4).public(),
        target: key(5).public(),
    }
}

/// What a relay tells of itself, inside a valid envelope.
#[must_use]
pub fn relay_report_payload(bytes: &[u8]) -> Verdict {
    payload::<RelayReport>(bytes)
}

/// A report as a hub hands it over: nothing is accepted but what the relay that it names signed.
#[must_use]
pub fn relay_report(bytes: &[u8]) -> Verdict {
    let community = CommunityId::from_random([6; 16]);
    let Ok(opened) = RelayReport::open(bytes, &community) else { return Verdict::Refused };
    match opened.relay == key(9).public() {
        true => same(Some(opened.sign(&key(9))), bytes),
        false => Verdict::Accepted,
    }
}

/// A seed as text; white space around it is nothing.
#[must_use]
pub fn seed_text(bytes: &[u8]) -> Verdict {
    let trimmed = std::str::from_utf8(bytes).map_or(bytes, |text| text.trim().as_bytes());
    same(parse::<Seed>(trimmed), trimmed)
}

/// A proposal as text; white space around it is nothing. Whoever signs it, it stays the one it was.
#[must_use]
pub fn proposal_text(bytes: &[u8]) -> Verdict {
    let trimmed = std::str::from_utf8(bytes).map_or(bytes, |text| text.trim().as_bytes());
    let text = std::str::from_utf8(trimmed).unwrap_or_default();
    if let Ok(mut proposal) = text.parse::<Proposal>() {
        let id = proposal.id();
        if let Some(charter) = proposal.charter().cloned() {
            let signed = proposal.sign(&key(1), &charter);
            assert!(signed.is_err() || proposal.progress(&charter).missing <= 16);
        }
        assert_eq!(proposal.id(), id);
    }
    same(parse::<Proposal>(trimmed), trimmed)
}

/// A join secret as text; white space around it is nothing.
#[must_use]
pub fn join_secret_text(bytes: &[u8]) -> Verdict {
    let trimmed = std::str::from_utf8(bytes).map_or(bytes, |text| text.trim().as_bytes());
    same(parse::<JoinSecret>(trimmed), trimmed)
}

/// The id of a community, the name of a peer, or an envelope, by the first byte.
#[must_use]
pub fn community_word(bytes: &[u8]) -> Verdict {
    let Some((kind, bytes)) = bytes.split_first() else { return Verdict::Refused };
    match kind % 3 {
        // Digits have two spellings.
        0 => same(parse::<CommunityId>(bytes), &bytes.to_ascii_lowercase()),
        1 => same(parse::<PeerName>(bytes), bytes),
        _ => same(Envelope::from_slice(bytes).map(|it| it.as_bytes().to_vec()), bytes),
    }
}
