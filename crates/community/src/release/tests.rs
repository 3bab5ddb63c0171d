use super::*;
use crate::scene::{NOW, address, exchange, key, manifest, roster, tree};

fn random() -> MessageSeed {
    MessageSeed::from_random([1; 32])
}

fn seen(sequence: u64) -> Option<Seen> {
    let manifest = DocumentHash::of(b"an earlier one");
    (sequence > 0).then_some(Seen { sequence, manifest })
}

/// Release `sequence`, signed, with an envelope for `berlin-1` that names the one before it.
fn sent(sequence: u64, previous: u64) -> (Vec<u8>, Envelope) {
    let signed = manifest(sequence).sign(&key(4));
    let envelope = sealed(&signed, previous);
    (signed, envelope)
}

fn sealed(signed: &[u8], previous: u64) -> Envelope {
    let target = exchange(5).public();
    Envelope::seal(&tree(), previous, &address(signed), &exchange(4), &target, random())
        .expect("seals")
}

fn accept_in(
    roster: &Roster,
    (signed, envelope): &(Vec<u8>, Envelope),
    last: u64,
) -> Result<Addressed, ReleaseError> {
    let target = (&key(5).public(), &exchange(5));
    accept_release(signed, envelope, roster, target, |_| seen(last), NOW)
}

fn accept(sent: &(Vec<u8>, Envelope), last: u64) -> Result<Addressed, ReleaseError> {
    accept_in(&roster(), sent, last)
}

#[test]
fn a_release_reaches_its_target_with_its_key() {
    let sent = sent(7, 4);
    let accepted = accept(&sent, 4).expect("accepted");
    assert_eq!(accepted.task, Task::CarryOut(tree()));
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
    let gone = Roster { publishers: std::collections::BTreeMap::new(), ..roster() };
    for sequence in [1, 7, 8] {
        let error = ReleaseError::NoPublisher { signer: key(4).public(), sequence };
        assert_eq!(accept_in(&gone, &sent(sequence, 0), 0), Err(error), "dated back or not");
    }
}

/// TUF: mix and match, and wrong software.
#[test]
fn a_release_for_others_or_of_another_feed_is_refused() {
    let name = roster().community.feed(&key(9).public());
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
        let envelope = Envelope::seal(&tree(), 0, &address, &publisher, &target, random());
        let envelope = envelope.expect("seals");
        assert_eq!(accept(&(signed.clone(), envelope), 0), not_addressed);
    }
}

/// TUF: rollback; C-12.
#[test]
fn what_was_answered_is_never_carried_out_again() {
    let error = |last| ReleaseError::Replayed { last, offered: 7 };
    assert_eq!(accept(&sent(7, 0), 8), Err(error(8)));
    // The same one again, and another one of its number.
    let (signed, envelope) = sent(7, 0);
    let target = (&key(5).public(), &exchange(5));
    let answered = Some(Seen { sequence: 7, manifest: DocumentHash::of(&signed) });
    let again = accept_release(&signed, &envelope, &roster(), target, |_| answered, NOW);
    assert_eq!(again, Err(error(7)));
    assert_eq!(accept(&sent(7, 0), 7), Err(ReleaseError::Forked { sequence: 7 }));
}

/// TUF: fast-forward, and a hub that leaves one out.
#[test]
fn a_release_waits_for_the_one_before_it() {
    let error = ReleaseError::Missing { sequence: 7, missing: 6, last: 4 };
    assert_eq!(accept(&sent(7, 6), 4), Err(error));
    assert!(accept(&sent(7, 6), 6).is_ok());
    assert!(accept(&sent(7, 3), 4).is_ok(), "a publisher that came back from a backup");
}

fn answers_only(sent: &(Vec<u8>, Envelope), last: u64) -> Unusable {
    match accept(sent, last).expect("accepted").task {
        Task::AnswerOnly(why) => why,
        Task::CarryOut(_) => panic!("it would be carried out"),
    }
}

/// TUF: indefinite freeze.
#[test]
fn an_expired_release_is_answered_when_it_is_next_and_not_before() {
    let expired = Manifest { expires: NOW, ..manifest(7) }.sign(&key(4));
    let next = (expired.clone(), sealed(&expired, 0));
    assert_eq!(answers_only(&next, 0), Unusable::Expired { expires: NOW, now: NOW });
    let later = (expired.clone(), sealed(&expired, 6));
    assert!(matches!(accept(&later, 0), Err(ReleaseError::Missing { .. })));
}

/// A publisher's broken program stops no target: it answers, and goes on with the next.
#[test]
fn an_impossible_release_is_answered_and_not_carried_out() {
    for length in [0, u32::MAX] {
        let tree = TreeRef(ChunkRef { length, ..tree().0 });
        let signed = manifest(7).sign(&key(4));
        let target = exchange(5).public();
        let envelope = Envelope::seal(&tree, 0, &address(&signed), &exchange(4), &target, random());
        let why = answers_only(&(signed, envelope.expect("seals")), 0);
        assert_eq!(why, Unusable::Malformed("its root has an impossible length"));
    }
    for previous in [7, 8] {
        assert!(matches!(answers_only(&sent(7, previous), 0), Unusable::Malformed(_)));
    }
    let totals = content::Totals { files: 1, directories: 0, symlinks: 0, bytes: 9 };
    for wrong in [
        Manifest { sealed_root: None, ..manifest(7) },
        Manifest { sealed_root: Some(vec![1]), ..manifest(7) },
        Manifest { totals: Some(totals), ..manifest(7) },
    ] {
        let signed = wrong.sign(&key(4));
        let sent = (signed.clone(), sealed(&signed, 0));
        assert!(matches!(answers_only(&sent, 0), Unusable::Malformed(_)));
    }
}

#[test]
fn an_envelope_has_one_length() {
    assert!(Envelope::from_slice(&[0; ENVELOPE_BYTES]).is_some());
    assert!(Envelope::from_slice(&[0; ENVELOPE_BYTES - 1]).is_none());
    assert!(Envelope::from_slice(&[0; ENVELOPE_BYTES + 1]).is_none());
}
