//! Golden files: the bytes of each released version of each document.
//!
//! Ed25519 signatures are deterministic, and so is HPKE with fixed randomness.

use documents::envelope::{Attributed, Payload};
use documents::{envelope, jointly};
use proptest::prelude::*;

use crate::report::Beside;
use crate::scene::{
    NOW, address, beginning, challenge, charter, exchange, key, manifest, membership, proposal,
    receipt, renewal, report, request, roster, seed, tree,
};
use crate::{
    Beginning, Charter, Envelope, JoinAnswer, JoinChallenge, JoinRequest, JoinSecret, Membership,
    MessageSeed, RelayReport, Renewal, Role, Roster, Route, Seed, SignedReceipt,
};

fn golden(name: &str, bytes: &[u8]) {
    golden::compare(env!("CARGO_MANIFEST_DIR"), name, bytes);
}

fn answer() -> JoinAnswer {
    let challenge = challenge(&request().sign(&key(5))).sign(&key(1));
    let secret = JoinSecret::from_random([7; 16]);
    JoinAnswer::new(&request(), &challenge, Some(&secret))
}

/// A membership with everything that only a relay has.
fn relay() -> Membership {
    let route = membership("berlin-1", 5).routes[0].clone();
    Membership {
        roles: [Role::Relay].into(),
        addresses: vec![Route { url: "https://relay.example:7333".into(), ..route }],
        ..membership("relay-1", 9)
    }
}

/// A report with nothing that may be left out, but that the hub beside is silent.
fn silence() -> RelayReport {
    RelayReport { turns: None, beside: Beside::Silent { since: NOW - 7 }, ..report() }
}

#[test]
fn every_released_document_has_its_golden_file() {
    golden("charter-1", &jointly::sign(&charter(), [&key(1), &key(2)]));
    golden("charter-last-1", &jointly::sign(&charter().ending(NOW, NOW + 1), [&key(1)]));
    golden("roster-1", &jointly::sign(&roster(), [&key(1)]));
    golden("renewal-1", &renewal(&roster()).sign(&key(8)));
    golden("membership-1", &membership("berlin-1", 5).encode());
    golden("membership-of-relay-1", &relay().encode());
    let request = request().sign(&key(5));
    golden("join-request-1", &request);
    golden("join-challenge-1", &challenge(&request).sign(&key(1)));
    golden("join-answer-1", &answer().sign(&key(5)));
    golden("seed-1", seed().to_string().as_bytes());
    golden("join-secret-1", JoinSecret::from_random([7; 16]).to_string().as_bytes());
    golden("proposal-1", proposal().to_string().as_bytes());
    golden("exchange-key-1", exchange(5).public().as_bytes());
    let signed = manifest(7).sign(&key(4));
    let target = exchange(5).public();
    let random = MessageSeed::from_random([1; 32]);
    let envelope = Envelope::seal(&tree(), 4, &address(&signed), &exchange(4), &target, random);
    golden("envelope-1", envelope.expect("seals").as_bytes());
    golden("beginning-1", &beginning().sign(&key(5)));
    golden("receipt-1", &receipt().sign(&key(5)));
    golden("relay-report-1", &report().sign(&key(9)));
    golden("relay-report-of-silence-1", &silence().sign(&key(9)));
}

#[test]
fn documents_read_as_they_were_written() {
    fn both<P: Payload + PartialEq + std::fmt::Debug>(document: &P) {
        assert_eq!(P::decode(&document.encode()).as_ref(), Ok(document));
    }
    both(&charter());
    both(&roster());
    both(&renewal(&roster()));
    let membership = membership("berlin-1", 5);
    assert_eq!(Membership::decode(&membership.encode()), Ok(membership));
    assert_eq!(Membership::decode(&relay().encode()), Ok(relay()));
    both(&request());
    both(&challenge(b"request"));
    both(&answer());
    both(&beginning());
    both(&receipt());
    both(&report());
    both(&silence());
    both(&RelayReport { turns: None, beside: Beside::Idle, ..report() });
    assert_eq!(proposal().to_string().parse(), Ok(proposal()));
    both(&JoinRequest { admission: None, ..request() });
    both(&JoinAnswer { proof: None, ..answer() });
}

/// A document of one kind is none of another, whatever its bytes.
#[test]
fn a_signature_is_of_one_kind() {
    let receipt = envelope::sign(&receipt(), &key(5));
    assert!(envelope::open::<JoinRequest>(&receipt, &key(5).public()).is_err());
    let roster = jointly::sign(&roster(), [&key(1)]);
    assert!(jointly::open::<Charter>(&roster, &charter().managers).is_err());
}

fn refuse_or_repeat<P: Payload>(bytes: &[u8]) {
    if let Ok(document) = P::decode(bytes) {
        assert_eq!(document.encode(), bytes, "a second encoding");
    }
}

fn refuse_or_repeat_membership(bytes: &[u8]) {
    if let Ok(membership) = Membership::decode(bytes) {
        assert_eq!(membership.encode(), bytes, "a second encoding");
    }
}

fn altered<P: Attributed>(document: &P, at: usize, with: u8) {
    let mut bytes = document.encode();
    let at = at % bytes.len();
    bytes[at] = with;
    refuse_or_repeat::<P>(&bytes);
}

proptest! {
    #[test]
    fn whatever_comes_in_is_refused_or_has_one_encoding(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        at in any::<usize>(),
        with in any::<u8>(),
    ) {
        refuse_or_repeat::<Charter>(&bytes);
        refuse_or_repeat::<Roster>(&bytes);
        refuse_or_repeat::<Renewal>(&bytes);
        refuse_or_repeat_membership(&bytes);
        refuse_or_repeat::<JoinChallenge>(&bytes);
        refuse_or_repeat::<Beginning>(&bytes);
        refuse_or_repeat::<SignedReceipt>(&bytes);
        refuse_or_repeat::<RelayReport>(&bytes);
        altered(&request(), at, with);
        altered(&answer(), at, with);
        altered(&beginning(), at, with);
        altered(&receipt(), at, with);
        altered(&report(), at, with);
        altered(&silence(), at, with);
        for mut bytes in [charter().encode(), roster().encode(), membership("a", 5).encode()] {
            let at = at % bytes.len();
            bytes[at] = with;
            refuse_or_repeat::<Charter>(&bytes);
            refuse_or_repeat::<Roster>(&bytes);
            refuse_or_repeat_membership(&bytes);
        }
        drop(String::from_utf8_lossy(&bytes).parse::<Seed>());
        drop(String::from_utf8_lossy(&bytes).parse::<crate::Proposal>());
    }
}
