use super::*;
use crate::scene::{NOW, address, exchange, key, manifest, peer, roster, tree};

/// Release `sequence`, signed, with an envelope for `berlin-1` that names the one before it.
fn sent(sequence: u64, previous: u64) -> (Vec<u8>, Envelope) {
    let signed = manifest(sequence).sign(&key(4));
    let envelope = sealed(&signed, previous);
    (signed, envelope)
}

fn sealed(signed: &[u8], previous: u64) -> Envelope {
    let target = exchange(5).public();
    Envelope::seal(&tree(), previous, &address(signed), &exchange(4), &target, [1; 32])
        .expect("seals")
}

fn accept_in(
    roster: &Roster,
    (signed, envelope): &(Vec<u8>, Envelope),
    last: u64,
) -> Result<Addressed, ReleaseError> {
    let target = (&key(5).public(), &exchange(5));
    accept_release(signed, envelope, roster, target, |_| last, NOW)
}

fn accept(sent: &(Vec<u8>, Envelope), last: u64) -> Result<Addressed, ReleaseError> {
    accept_in(&roster(), sent, last)
}

#[test]
fn a_release_reaches_its_target_with_its_key() {
    let sent = sent(7, 4);
    let accepted = accept(&sent, 4).expect("accepted");
    assert_eq!(accepted.tree, tree());
    assert_eq!((accepted.manifest, accepted.hash), (manifest(7), DocumentHash::of(&sent.0)));
    assert_eq!(sent.1.as_bytes().len(), 92, "targets.md allows 120");
}

/// TUF: arbitrary installation, and the compromise of keys that may not publish.
#[test]
fn nobody_but_a_publisher_of_the_roster_is_accepted() {
    let signed = Manifest { publisher: key(9).public(), ..manifest(7) }.sign(&key(9));
    let foreign = (signed.clone(), sealed(&signed, 0));
    let error = ReleaseError::NoPublisher { signer: key(9).public(), sequence: 7 };
    assert_eq!(accept(&foreign, 0), Err(error));
    let forged = manifest(7).sign(&key(9));
    let forged = (forged.clone(), sealed(&forged, 0));
    assert!(matches!(accept(&forged, 0), Err(ReleaseError::Document(_))));
}

#[test]
fn a_publisher_that_was_revoked_sends_nothing_any_more() {
    let mut roster = roster();
    let publisher = roster.publishers.values_mut().next().expect("one");
    publisher.tenure = Tenure::Until(7);
    assert!(accept_in(&roster, &sent(7, 0), 0).is_ok());
    let error = ReleaseError::NoPublisher { signer: key(4).public(), sequence: 8 };
    assert_eq!(accept_in(&roster, &sent(8, 7), 7), Err(error));
    let gone = Roster { publishers: std::collections::BTreeMap::new(), ..roster };
    assert!(matches!(accept_in(&gone, &sent(7, 0), 0), Err(ReleaseError::NoPublisher { .. })));
}

/// TUF: mix and match, and wrong software.
#[test]
fn a_release_for_others_or_of_another_feed_is_refused() {
    let name = roster().community.feed(&peer("other"));
    let signed = Manifest { name, ..manifest(7) }.sign(&key(4));
    let other = (signed.clone(), sealed(&signed, 0));
    assert!(matches!(accept(&other, 0), Err(ReleaseError::OtherFeed { .. })));
    let not_addressed = Err(ReleaseError::NotAddressed { sequence: 7 });
    // An envelope of another release, of another target, and one that the hub made.
    let (signed, _) = sent(7, 0);
    let (_, of_other) = sent(6, 0);
    assert_eq!(accept(&(signed.clone(), of_other), 0), not_addressed);
    let elsewhere = Address { target: key(6).public(), ..address(&signed) };
    for (address, publisher, target) in
        [(elsewhere, exchange(4), exchange(6)), (address(&signed), exchange(9), exchange(5))]
    {
        let target = target.public();
        let envelope = Envelope::seal(&tree(), 0, &address, &publisher, &target, [1; 32]);
        let envelope = envelope.expect("seals");
        assert_eq!(accept(&(signed.clone(), envelope), 0), not_addressed);
    }
}

/// TUF: rollback; C-12.
#[test]
fn what_was_answered_is_never_carried_out_again() {
    for last in [7, 8] {
        let error = ReleaseError::Replayed { last, offered: 7 };
        assert_eq!(accept(&sent(7, 0), last), Err(error));
    }
}

/// TUF: fast-forward, and a hub that leaves one out.
#[test]
fn a_release_waits_for_the_one_before_it() {
    let error = ReleaseError::Missing { sequence: 7, missing: 6, last: 4 };
    assert_eq!(accept(&sent(7, 6), 4), Err(error));
    assert!(accept(&sent(7, 6), 6).is_ok());
    assert!(accept(&sent(7, 3), 4).is_ok(), "a publisher that came back from a backup");
}

/// TUF: indefinite freeze.
#[test]
fn an_expired_release_is_told_from_one_that_is_not_next() {
    let expired = Manifest { expires: NOW, ..manifest(7) }.sign(&key(4));
    let next = (expired.clone(), sealed(&expired, 0));
    let error = ReleaseError::Expired { sequence: 7, expires: NOW, now: NOW };
    assert_eq!(accept(&next, 0), Err(error));
    let later = (expired.clone(), sealed(&expired, 6));
    assert!(matches!(accept(&later, 0), Err(ReleaseError::Missing { .. })));
}

#[test]
fn an_impossible_root_is_refused() {
    for length in [0, u32::MAX] {
        let tree = TreeRef(ChunkRef { length, ..tree().0 });
        let signed = manifest(7).sign(&key(4));
        let target = exchange(5).public();
        let envelope = Envelope::seal(&tree, 0, &address(&signed), &exchange(4), &target, [1; 32]);
        let error = ReleaseError::Malformed { sequence: 7 };
        assert_eq!(accept(&(signed, envelope.expect("seals")), 0), Err(error));
    }
}

#[test]
fn an_envelope_has_one_length() {
    assert!(Envelope::from_slice(&[0; ENVELOPE_BYTES]).is_some());
    assert!(Envelope::from_slice(&[0; ENVELOPE_BYTES - 1]).is_none());
    assert!(Envelope::from_slice(&[0; ENVELOPE_BYTES + 1]).is_none());
}
