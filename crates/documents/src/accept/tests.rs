use content::ChunkId;
use content::closure::ClosureEntry;

use super::*;
use crate::{Delegation, NodeKey, SessionProof, Tenure};

const NOW: u64 = 1_800_000_000;

fn key() -> NodeKey {
    NodeKey::from_secret_bytes([1; 32])
}

fn name() -> ReleaseName {
    "team/tools".parse().expect("a name")
}

fn manifest(sequence: u64, previous: Option<DocumentHash>) -> Manifest {
    let entry = ClosureEntry { id: ChunkId::of(&sequence.to_le_bytes()), stored_length: 9 };
    Manifest {
        publisher: key().public(),
        name: name(),
        sequence,
        previous,
        issued: NOW - 10,
        expires: NOW + 1000,
        tree: entry,
        closure: entry,
        totals: None,
        parameters: 1,
        sealed_root: None,
    }
}

fn head_of(manifest: &Manifest) -> Head {
    Head {
        publisher: manifest.publisher,
        name: manifest.name.clone(),
        sequence: manifest.sequence,
        manifest: DocumentHash::of(&manifest.sign(&key())),
        issued: NOW - 10,
        expires: NOW + 100,
    }
}

/// Releases 1 to 3 of one history.
fn history() -> Vec<Manifest> {
    let first = manifest(1, None);
    let second = manifest(2, Some(DocumentHash::of(&first.sign(&key()))));
    let third = manifest(3, Some(DocumentHash::of(&second.sign(&key()))));
    vec![first, second, third]
}

fn seen(manifest: &Manifest) -> Seen {
    Seen { sequence: manifest.sequence, manifest: DocumentHash::of(&manifest.sign(&key())) }
}

fn accept(head: &[u8], manifest: &[u8], seen: Option<&Seen>) -> Result<Accepted, AcceptError> {
    accept_head(head, manifest, &Authority::of_owner(key().public()), &name(), seen, NOW)
}

/// Signs both and offers them to somebody who saw `last`.
fn offer(
    head: &Head,
    manifest: &Manifest,
    last: Option<&Manifest>,
) -> Result<Accepted, AcceptError> {
    accept(&head.sign(&key()), &manifest.sign(&key()), last.map(seen).as_ref())
}

#[test]
fn the_newest_release_is_accepted_from_every_honest_position() {
    let releases = history();
    let third = &releases[2];
    for last in [None, Some(&releases[0]), Some(&releases[1]), Some(third)] {
        let accepted = offer(&head_of(third), third, last).expect("acceptable");
        assert_eq!(accepted.manifest, *third);
        assert_eq!(accepted.seen, seen(third));
        assert_eq!(accepted.hash, seen(third).manifest);
    }
    offer(&head_of(&releases[0]), &releases[0], None).expect("the first one too");
}

#[test]
fn another_publisher_is_the_wrong_key() {
    let other = NodeKey::from_secret_bytes([2; 32]);
    let mut manifest = manifest(1, None);
    manifest.publisher = other.public();
    let mut head = head_of(&manifest);
    head.manifest = DocumentHash::of(&manifest.sign(&other));
    let wrong = AcceptError::WrongKey { expected: key().public(), found: other.public() };
    assert_eq!(accept(&head.sign(&other), &manifest.sign(&other), None), Err(wrong.clone()));
    // The pinned key under a document that names another signer is no better.
    assert_eq!(offer(&head, &manifest, None), Err(wrong));
}

#[test]
fn a_release_by_a_publisher_the_owner_named_continues_the_owners() {
    let ben = NodeKey::from_secret_bytes([2; 32]);
    let first = manifest(1, None);
    let hash = DocumentHash::of(&first.sign(&key()));
    let second = Manifest { publisher: ben.public(), ..manifest(2, Some(hash)) };
    let signed = second.sign(&ben);
    let head = Head { manifest: DocumentHash::of(&signed), ..head_of(&second) }.sign(&ben);
    let delegation = |tenure| Delegation {
        owner: key().public(),
        name: name(),
        number: 1,
        issued: NOW,
        expires: NOW + 1,
        publishers: [(ben.public(), tenure)].into(),
    };
    let accept = |tenure| {
        let list = delegation(tenure).sign(&key());
        let authority = Authority::new(key().public(), [&list[..]], &name(), NOW);
        accept_head(&head, &signed, &authority, &name(), Some(&seen(&first)), NOW)
    };
    for tenure in [Tenure::Current, Tenure::Until(2)] {
        assert_eq!(accept(tenure).map(|accepted| accepted.manifest), Ok(second.clone()));
    }
    let (owner, found) = (key().public(), ben.public());
    let refused = Err(AcceptError::NotDelegated { owner, found, sequence: 2 });
    assert_eq!(accept(Tenure::Until(1)), refused);
    // A publisher cannot take the owner's name either.
    let as_owner = Head { publisher: key().public(), ..head_of(&second) }.sign(&ben);
    let list = delegation(Tenure::Current).sign(&key());
    let authority = Authority::new(key().public(), [&list[..]], &name(), NOW);
    let forged = accept_head(&as_owner, &signed, &authority, &name(), None, NOW);
    assert_eq!(forged, Err(AcceptError::BadSignature { expected: key().public() }));
}

#[test]
fn an_older_release_is_the_one_asked_for_by_who_may_have_signed_it() {
    let second = &history()[1];
    let signed = second.sign(&key());
    let authority = Authority::of_owner(key().public());
    assert_eq!(accept_numbered(&signed, &authority, &name(), 2), Ok(second.clone()));
    let found = || "team/tools@2".to_owned();
    let wrong = AcceptError::WrongName { expected: "team/tools@1".into(), found: found() };
    assert_eq!(accept_numbered(&signed, &authority, &name(), 1), Err(wrong));
    let other: ReleaseName = "team/other".parse().expect("a name");
    let wrong = AcceptError::WrongName { expected: "team/other@2".into(), found: found() };
    assert_eq!(accept_numbered(&signed, &authority, &other, 2), Err(wrong));
    let stranger = Authority::of_owner(NodeKey::from_secret_bytes([2; 32]).public());
    assert!(matches!(
        accept_numbered(&signed, &stranger, &name(), 2),
        Err(AcceptError::WrongKey { .. })
    ));
}

#[test]
fn a_document_that_names_the_publisher_but_was_signed_by_another_is_a_bad_signature() {
    let other = NodeKey::from_secret_bytes([2; 32]);
    let manifest = manifest(1, None);
    let bad = Err(AcceptError::BadSignature { expected: key().public() });
    let (head, signed) = (head_of(&manifest), manifest.sign(&key()));
    assert_eq!(accept(&head.sign(&other), &signed, None), bad);
    assert_eq!(accept(&head.sign(&key()), &manifest.sign(&other), None), bad);
}

#[test]
fn a_document_of_another_kind_is_the_wrong_context() {
    let manifest = manifest(1, None);
    let (head, signed) = (head_of(&manifest).sign(&key()), manifest.sign(&key()));
    let wrong = |expected, found| Err(AcceptError::WrongContext { expected, found });
    assert_eq!(accept(&signed, &signed, None), wrong(Context::Head, Context::Release));
    assert_eq!(accept(&head, &head, None), wrong(Context::Release, Context::Head));
    let proof = SessionProof { hub: [0; 32], challenge: [1; 32], key: key().public() };
    assert_eq!(accept(&proof.sign(&key()), &signed, None), wrong(Context::Head, Context::Session));
}

#[test]
fn another_name_of_the_same_publisher_is_the_wrong_name() {
    let mut other = manifest(1, None);
    other.name = "team/other".parse().expect("a name");
    let wrong =
        AcceptError::WrongName { expected: "team/tools".into(), found: "team/other".into() };
    assert_eq!(offer(&head_of(&other), &other, None), Err(wrong.clone()));
    let mut head = head_of(&other);
    head.name = name();
    assert_eq!(offer(&head, &other, None), Err(wrong));
}

#[test]
fn an_older_head_is_a_replay() {
    let releases = history();
    let offered = offer(&head_of(&releases[1]), &releases[1], Some(&releases[2]));
    assert_eq!(offered, Err(AcceptError::Replayed { seen: 3, offered: 2 }));
}

#[test]
fn an_older_manifest_under_the_newest_head_is_a_roll_back() {
    let releases = history();
    let offered = offer(&head_of(&releases[2]), &releases[0], Some(&releases[1]));
    assert_eq!(offered, Err(AcceptError::RolledBack { seen: 2, offered: 1 }));
}

#[test]
fn another_release_of_the_same_number_is_a_fork() {
    let releases = history();
    let mut fork = releases[1].clone();
    fork.issued += 1;
    let (seen_hash, offered_hash) = (seen(&releases[1]).manifest, seen(&fork).manifest);
    let forked = AcceptError::ForkedHistory { sequence: 2, seen: seen_hash, offered: offered_hash };
    assert_eq!(offer(&head_of(&fork), &fork, Some(&releases[1])), Err(forked));
}

#[test]
fn an_expired_head_is_refused_even_when_its_release_is_good() {
    let manifest = manifest(1, None);
    let mut head = head_of(&manifest);
    head.expires = NOW;
    assert_eq!(
        offer(&head, &manifest, None),
        Err(AcceptError::ExpiredHead { expires: NOW, now: NOW })
    );
    head.expires = NOW + 1;
    offer(&head, &manifest, None).expect("good for one more second");
}

#[test]
fn an_expired_release_is_refused_even_under_a_good_head() {
    let mut manifest = manifest(1, None);
    manifest.expires = NOW;
    assert_eq!(
        offer(&head_of(&manifest), &manifest, None),
        Err(AcceptError::ExpiredRelease { expires: NOW, now: NOW })
    );
}

#[test]
fn a_successor_that_names_another_predecessor_breaks_the_chain() {
    let releases = history();
    let broken = |sequence| Err(AcceptError::BrokenChain { sequence });
    let mut third = releases[2].clone();
    third.previous = Some(DocumentHash::of(b"rewritten"));
    assert_eq!(offer(&head_of(&third), &third, Some(&releases[1])), broken(3));
    third.previous = None;
    for last in [None, Some(&releases[0]), Some(&releases[1])] {
        assert_eq!(offer(&head_of(&third), &third, last), broken(3));
    }
    let first = manifest(1, Some(DocumentHash::of(b"nothing comes before 1")));
    assert_eq!(offer(&head_of(&first), &first, None), broken(1));
}

#[test]
fn a_manifest_the_head_does_not_speak_of_is_a_mismatch() {
    let releases = history();
    let offered = offer(&head_of(&releases[2]), &releases[1], None);
    assert_eq!(offered, Err(AcceptError::HeadMismatch));
    let mut head = head_of(&releases[2]);
    head.sequence = 4;
    assert_eq!(offer(&head, &releases[2], None), Err(AcceptError::HeadMismatch));
}

#[test]
fn oversized_documents_are_refused_before_they_are_parsed() {
    let manifest = manifest(1, None);
    let head = head_of(&manifest).sign(&key());
    // A valid document grown by trailing bytes: only the length check can say "too large".
    let mut endless = manifest.sign(&key());
    endless.resize(DOCUMENT_BYTES_MAX + 1, 0);
    let too_large = Err(AcceptError::TooLarge { length: DOCUMENT_BYTES_MAX + 1 });
    assert_eq!(accept(&head, &endless, None), too_large);
    assert_eq!(accept(&endless, &manifest.sign(&key()), None), too_large);
    endless.truncate(DOCUMENT_BYTES_MAX);
    assert!(matches!(accept(&head, &endless, None), Err(AcceptError::Malformed(_))));
}

#[test]
fn a_document_cut_short_is_malformed() {
    let manifest = manifest(1, None);
    let (head, signed) = (head_of(&manifest).sign(&key()), manifest.sign(&key()));
    for length in 0..signed.len() {
        let offered = accept(&head, &signed[..length], None);
        assert!(matches!(offered, Err(AcceptError::Malformed(_))), "{length} bytes");
    }
    for length in 0..head.len() {
        let offered = accept(&head[..length], &signed, None);
        assert!(matches!(offered, Err(AcceptError::Malformed(_))), "{length} bytes");
    }
}

#[test]
fn no_flipped_bit_is_accepted() {
    let manifest = manifest(1, None);
    let (head, signed) = (head_of(&manifest).sign(&key()), manifest.sign(&key()));
    for bit in 0..signed.len() * 8 {
        let mut altered = signed.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        accept(&head, &altered, None).expect_err("altered");
    }
    for bit in 0..head.len() * 8 {
        let mut altered = head.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        accept(&altered, &signed, None).expect_err("altered");
    }
}

#[test]
fn a_full_chain_is_verified_in_order() {
    let releases = history();
    let signed: Vec<Vec<u8>> = releases.iter().map(|release| release.sign(&key())).collect();
    let verify = |documents: &[&Vec<u8>], seen: Option<&Seen>| {
        verify_chain(documents, &Authority::of_owner(key().public()), &name(), seen)
    };
    let [first, second, third] = [&signed[0], &signed[1], &signed[2]];
    let chain = verify(&[first, second, third], None).expect("whole");
    assert_eq!(chain.last().map(|last| last.seen), Some(seen(&releases[2])));
    verify(&[third], Some(&seen(&releases[1]))).expect("continues");
    let broken = |sequence| Err(AcceptError::BrokenChain { sequence });
    assert_eq!(verify(&[second, third], None), broken(2));
    assert_eq!(verify(&[first, third], None), broken(3));
    assert_eq!(
        verify(&[second, first], Some(&seen(&releases[0]))),
        Err(AcceptError::Replayed { seen: 2, offered: 1 })
    );
    let mut fork = releases[2].clone();
    fork.previous = Some(DocumentHash::of(b"rewritten"));
    assert_eq!(verify(&[first, second, &fork.sign(&key())], None), broken(3));
}

#[test]
fn the_publisher_can_be_peeked_at_before_it_is_pinned() {
    let signed = manifest(1, None).sign(&key());
    assert_eq!(Manifest::peek_publisher(&signed), Ok(key().public()));
    assert!(Manifest::peek_publisher(&signed[1..]).is_err());
    // It proves nothing: an unsigned claim is shown as well.
    let forged = manifest(1, None).sign(&NodeKey::from_secret_bytes([9; 32]));
    assert_eq!(Manifest::peek_publisher(&forged), Ok(key().public()));
}
