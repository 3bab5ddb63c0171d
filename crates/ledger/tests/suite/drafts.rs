//! Sending.

use ledger::{
    Confirmed, Draft, DraftError, Ledger, PackageFilter, Recorded, TargetFilter, TargetRecord,
};

use super::*;

async fn drafted(ledger: &dyn Ledger) -> Vec<Draft> {
    ledger.drafts().await.expect("reads")
}

async fn targets(ledger: &dyn Ledger, id: PackageId) -> Vec<TargetRecord> {
    ledger.targets(id, TargetFilter::All, None, 100).await.expect("reads")
}

pub(crate) async fn a_release_is_a_draft_until_it_is_confirmed(ledger: &dyn Ledger) {
    assert_eq!(drafted(ledger).await, []);
    assert_eq!(ledger.last_sequence(&feed(1, "office")).await.expect("reads"), None);
    let id = ledger.draft(&package(1), &addressees(&[2, 1])).await.expect("drafts");
    assert_eq!(ledger.last_sequence(&feed(1, "office")).await.expect("reads"), Some(1));
    assert_eq!(ledger.last_sequence(&feed(1, "other")).await.expect("reads"), None);

    let drafts = drafted(ledger).await;
    assert_eq!(drafts.len(), 1);
    let Draft { package: found, targets: addressed, resume } = &drafts[0];
    let new = package(1);
    assert_eq!((found.id, found.sent, &resume[..]), (id, None, &[9, 8, 7][..]));
    assert_eq!(addressed, &addressees(&[2, 1]));
    assert_eq!((found.community, &found.feed, found.sequence), (new.community, &new.feed, 1));
    assert_eq!((found.manifest, found.tree, found.bytes), (new.manifest, new.tree, 1001));
    assert_eq!((&found.name, &found.version), (&new.name, &new.version));
    assert_eq!((&found.description, &found.selector), (&new.description, &new.selector));
    assert_eq!((found.built, found.expires), (new.built, new.expires));
    assert_eq!(found.counts.pending, 2);
    assert!(targets(ledger, id).await.iter().all(|target| target.sent.is_none()));

    assert_eq!(ledger.confirm(id, NOW).await.expect("confirms"), Confirmed::Now);
    assert_eq!(ledger.confirm(id, NOW + 9).await.expect("confirms"), Confirmed::Before);
    let unknown = PackageId::from_number(id.number() + 1);
    assert_eq!(ledger.confirm(unknown, NOW).await.expect("confirms"), Confirmed::Unknown);
    assert_eq!(drafted(ledger).await, []);
    let listed = ledger.packages(&PackageFilter::default(), None, 10).await.expect("reads");
    assert_eq!((listed.len(), listed[0].sent), (1, Some(NOW)));
    let sent = targets(ledger, id).await;
    assert!(sent.iter().all(|target| target.sent == Some(NOW)), "{sent:?}");
    assert_eq!(sent.iter().map(|it| it.key).collect::<Vec<_>>(), [key(2), key(1)]);
}

pub(crate) async fn a_feed_takes_one_draft_at_a_time_and_numbers_that_grow(ledger: &dyn Ledger) {
    let first = ledger.draft(&package(5), &addressees(&[1])).await.expect("drafts");
    let refused = ledger.draft(&package(6), &addressees(&[1])).await.expect_err("one is open");
    assert!(
        matches!(refused, DraftError::Unfinished { package, sequence: 5 } if package == first),
        "{refused}"
    );
    // Another manifest with the same number is another release.
    let other = NewPackage { manifest: manifest(&feed(9, "x"), 5), ..package(5) };
    let refused = ledger.draft(&other, &addressees(&[1])).await.expect_err("one is open");
    assert!(matches!(refused, DraftError::Unfinished { sequence: 5, .. }), "{refused}");
    // Another feed has drafts and numbers of its own.
    ledger.draft(&package_of(2, 1, "tools"), &[]).await.expect("drafts");
    assert_eq!(drafted(ledger).await.len(), 2);

    ledger.confirm(first, NOW).await.expect("confirms");
    for new in [other, package(4)] {
        let refused = ledger.draft(&new, &addressees(&[1])).await.expect_err("does not grow");
        assert!(
            matches!(refused, DraftError::NotNext { last: 5, offered } if offered == new.sequence),
            "{refused}"
        );
    }
    ledger.draft(&package(6), &addressees(&[1])).await.expect("drafts");
}

pub(crate) async fn the_same_release_again_adds_the_targets_that_are_missing(ledger: &dyn Ledger) {
    let id = ledger.draft(&package(1), &addressees(&[1])).await.expect("drafts");
    let again = NewPackage { resume: vec![6], ..package(1) };
    assert_eq!(ledger.draft(&again, &addressees(&[1])).await.expect("is the same"), id);
    assert_eq!(drafted(ledger).await[0].resume, [6]);
    ledger.confirm(id, NOW).await.expect("confirms");
    // Nobody is new.
    assert_eq!(ledger.draft(&again, &addressees(&[1])).await.expect("is the same"), id);
    assert_eq!(drafted(ledger).await, []);
    assert_eq!(ledger.confirm(id, NOW).await.expect("confirms"), Confirmed::Before);
    // Two are.
    assert_eq!(ledger.draft(&again, &addressees(&[3, 1, 2])).await.expect("drafts"), id);
    let drafts = drafted(ledger).await;
    assert_eq!(drafts[0].targets, addressees(&[3, 2]));
    assert_eq!((drafts[0].package.sent, &drafts[0].resume[..]), (Some(NOW), &[6][..]));
    let refused = ledger.draft(&package(2), &[]).await.expect_err("one is open");
    assert!(matches!(refused, DraftError::Unfinished { sequence: 1, .. }), "{refused}");
    assert_eq!(ledger.confirm(id, NOW + 7).await.expect("confirms"), Confirmed::Now);
    let sent: Vec<_> = targets(ledger, id).await.iter().map(|target| target.sent).collect();
    assert_eq!(sent, [Some(NOW), Some(NOW + 7), Some(NOW + 7)]);
}

pub(crate) async fn a_discarded_draft_leaves_nothing_behind(ledger: &dyn Ledger) {
    let id = ledger.draft(&package(1), &addressees(&[1, 2])).await.expect("drafts");
    assert!(ledger.discard(id).await.expect("discards"));
    assert!(!ledger.discard(id).await.expect("is gone"));
    assert_eq!((drafted(ledger).await, targets(ledger, id).await), (vec![], vec![]));
    // Its number is free again.
    let other = NewPackage { manifest: manifest(&feed(9, "x"), 1), ..package(1) };
    let id = ledger.draft(&other, &addressees(&[1])).await.expect("drafts");
    ledger.confirm(id, NOW).await.expect("confirms");
    // What was sent stays.
    assert!(!ledger.discard(id).await.expect("nothing is drafted"));
    ledger.draft(&other, &addressees(&[2])).await.expect("adds one");
    assert!(ledger.discard(id).await.expect("discards"));
    let left: Vec<_> = targets(ledger, id).await.iter().map(|target| target.key).collect();
    assert_eq!(left, [key(1)]);
    assert_eq!(drafted(ledger).await, []);
}

pub(crate) async fn what_somebody_answered_is_not_discarded(ledger: &dyn Ledger) {
    // The publisher stopped after it had told the hub, and before it wrote that down.
    let id = ledger.draft(&package(1), &addressees(&[1, 2])).await.expect("drafts");
    let answer = answer(1, 1, package::Verdict::Passed);
    let recorded = ledger.record(&feed(1, "office"), 1, &answer).await.expect("records");
    assert_eq!(recorded, Recorded::Now);
    assert!(!ledger.discard(id).await.expect("the hub has it"));
    assert_eq!(drafted(ledger).await[0].targets, addressees(&[2]));
    assert_eq!(ledger.confirm(id, NOW + 99).await.expect("confirms"), Confirmed::Now);
    let sent: Vec<_> = targets(ledger, id).await.iter().map(|target| target.sent).collect();
    assert_eq!(sent, [Some(NOW + 60), Some(NOW + 99)]);
}

pub(crate) async fn of_two_racing_drafts_one_is_taken(ledger: &dyn Ledger) {
    for sequence in 1..=10 {
        let one = package(sequence);
        let other = NewPackage { manifest: manifest(&feed(9, "x"), sequence), ..one.clone() };
        let targets = addressees(&[1]);
        let (one, other) =
            tokio::join!(ledger.draft(&one, &targets), ledger.draft(&other, &targets));
        let (taken, refused) = match (one, other) {
            (Ok(taken), Err(refused)) | (Err(refused), Ok(taken)) => (taken, refused),
            both => panic!("one of them is taken: {both:?}"),
        };
        assert!(
            matches!(refused, DraftError::Unfinished { package, .. } if package == taken),
            "{refused}"
        );
        ledger.confirm(taken, NOW).await.expect("confirms");
    }
}

pub(crate) async fn the_last_release_sent_to_each_target_is_known(ledger: &dyn Ledger) {
    let office = feed(1, "office");
    sent(ledger, &package(1), &[1, 2, 3]).await;
    sent(ledger, &package(4), &[1, 2]).await;
    sent(ledger, &package_of(2, 9, "tools"), &[1, 3]).await;
    ledger.draft(&package(5), &addressees(&[1])).await.expect("drafts");
    let keys = [1, 2, 3, 4].map(key);
    let last = ledger.last_sent(&office, &keys, u64::MAX).await.expect("reads");
    assert_eq!(last, [(key(1), 4), (key(2), 4), (key(3), 1)].into());
    let before = ledger.last_sent(&office, &keys, 4).await.expect("reads");
    assert_eq!(before, [(key(1), 1), (key(2), 1), (key(3), 1)].into());
    let last = ledger.last_sent(&feed(2, "office"), &keys, u64::MAX).await.expect("reads");
    assert_eq!(last, [(key(1), 9), (key(3), 9)].into());
    assert_eq!(ledger.last_sent(&office, &[], u64::MAX).await.expect("reads"), [].into());
    let many: Vec<PublicKey> = (0..5000u32)
        .map(|number| PublicKey::from_bytes(*ChunkId::of(&number.to_le_bytes()).as_bytes()))
        .chain([key(3)])
        .collect();
    let last = ledger.last_sent(&office, &many, u64::MAX).await.expect("reads");
    assert_eq!(last, [(key(3), 1)].into());
}
