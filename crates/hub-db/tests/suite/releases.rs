//! Releases.

use hub_db::{Caller, EventId, HubDb, NewRelease, PublishError, RenewError};

use super::*;

pub(crate) async fn releases_follow_one_another(db: &dyn HubDb) {
    let owner = publisher(db, 1).await;
    let name = name_of(db, &owner, "team/tools", false).await;
    let early = db.publish(&release(name, 2), &[]).await;
    assert!(matches!(early, Err(PublishError::NotNext { latest: 0, offered: 2 })), "{early:?}");
    let first = db.publish(&release(name, 1), &[]).await.expect("publishes");
    let again = db.publish(&release(name, 1), &[]).await;
    assert!(matches!(again, Err(PublishError::NotNext { latest: 1, offered: 1 })), "{again:?}");
    let forked = NewRelease { previous: Some([7; 32]), ..release(name, 2) };
    let forked = db.publish(&forked, &[]).await;
    assert!(matches!(forked, Err(PublishError::WrongPrevious)), "{forked:?}");
    let second = db.publish(&release(name, 2), &[]).await.expect("publishes");
    assert!(second > first);

    let stored = db.latest_release(name).await.expect("reads").expect("there is one");
    assert_eq!((stored.event, stored.sequence, stored.hash), (second, 2, [2; 32]));
    assert_eq!((stored.manifest, stored.head), (vec![1, 2, 3], vec![4, 5]));
    assert_eq!((stored.tree, stored.closure), (chunk(900), chunk(1002)));
    assert_eq!((stored.stored_bytes, stored.issued), (77, NOW));
    let record = db.name("team/tools", &(&owner).into()).await.expect("reads").expect("owned");
    assert_eq!(record.latest, Some(2));
}

pub(crate) async fn a_publisher_leaves_out_what_an_earlier_database_had(db: &dyn HubDb) {
    let owner = publisher(db, 1).await;
    let name = name_of(db, &owner, "team/tools", false).await;
    let after = |latest, sequence| NewRelease { after: Some(latest), ..release(name, sequence) };
    db.publish(&after(0, 3), &[]).await.expect("nothing is here");
    // Whoever believes another one to be the latest knows too little to leave anything out.
    for (latest, sequence) in [(2, 5), (4, 5), (3, 3), (3, 2)] {
        let refused = db.publish(&after(latest, sequence), &[]).await;
        assert!(matches!(refused, Err(PublishError::NotNext { latest: 3, .. })), "{refused:?}");
    }
    // What leaves nothing out is compared as ever.
    let forked = NewRelease { previous: Some([7; 32]), ..after(3, 4) };
    let forked = db.publish(&forked, &[]).await;
    assert!(matches!(forked, Err(PublishError::WrongPrevious)), "{forked:?}");
    db.publish(&after(3, 6), &[]).await.expect("publishes");
    db.publish(&release(name, 7), &[]).await.expect("publishes");
    let numbers: Vec<u64> = db
        .releases(name, None, 10)
        .await
        .expect("reads")
        .iter()
        .map(|release| release.sequence)
        .collect();
    assert_eq!(numbers, [7, 6, 3]);
}

pub(crate) async fn of_two_racing_releases_one_is_accepted(db: &dyn HubDb) {
    let owner = publisher(db, 1).await;
    let name = name_of(db, &owner, "team/tools", false).await;
    let (one, two) = (release(name, 1), NewRelease { hash: [99; 32], ..release(name, 1) });
    let chunks = (0..2000).map(chunk).collect::<Vec<_>>();
    let (one, two) = tokio::join!(db.publish(&one, &chunks), db.publish(&two, &chunks));
    assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
}

pub(crate) async fn a_refused_release_gives_nobody_chunks(db: &dyn HubDb) {
    let owner = publisher(db, 1).await;
    let name = name_of(db, &owner, "team/tools", true).await;
    db.publish(&release(name, 3), &[chunk(1)]).await.expect_err("does not follow");
    assert!(!can_read(db, &Caller::Anonymous, chunk(1)).await);
    assert!(!can_read(db, &(&owner).into(), chunk(1)).await);
}

pub(crate) async fn heads_are_renewed_for_the_latest_release_alone(db: &dyn HubDb) {
    let owner = publisher(db, 1).await;
    let name = name_of(db, &owner, "team/tools", true).await;
    db.publish(&release(name, 1), &[]).await.expect("publishes");
    db.renew_head(name, &[1; 32], b"newer").await.expect("renews");
    db.publish(&release(name, 2), &[]).await.expect("publishes");
    let late = db.renew_head(name, &[1; 32], b"too late").await;
    assert!(matches!(late, Err(RenewError::NotLatest)), "{late:?}");
    let first = db.release(name, 1).await.expect("reads").expect("is there");
    assert_eq!(first.head, b"newer");
}

pub(crate) async fn releases_are_listed_newest_first_and_events_in_order(db: &dyn HubDb) {
    let owner = publisher(db, 1).await;
    let name = name_of(db, &owner, "team/tools", true).await;
    let other = name_of(db, &owner, "team/other", true).await;
    let mut events = vec![];
    for sequence in 1..=5 {
        db.publish(&release(other, sequence), &[]).await.expect("publishes");
        events.push(db.publish(&release(name, sequence), &[]).await.expect("publishes"));
    }
    let listed = async |before, limit| {
        let releases = db.releases(name, before, limit).await.expect("lists");
        releases.into_iter().map(|release| release.sequence).collect::<Vec<_>>()
    };
    assert_eq!(listed(None, 2).await, [5, 4]);
    assert_eq!(listed(Some(4), 10).await, [3, 2, 1]);
    assert_eq!(listed(Some(1), 10).await, [0u64; 0]);
    assert_eq!(db.release(name, 6).await.expect("reads"), None);
    assert_eq!(db.release(name, u64::MAX).await.expect("reads"), None);

    let after = db.releases_after(name, events[1], 2).await.expect("lists");
    assert_eq!(after, [(events[2], 3), (events[3], 4)]);
    assert_eq!(db.releases_after(name, EventId(0), 100).await.expect("lists").len(), 5);
    let mut closures = db.closures().await.expect("lists");
    closures.sort_by_key(|id| *id.as_bytes());
    let mut expected = (1001..=1005).map(chunk).collect::<Vec<_>>();
    expected.sort_by_key(|id| *id.as_bytes());
    assert_eq!(closures, expected, "each closure once");
}

pub(crate) async fn a_mirror_takes_releases_in_any_order(db: &dyn HubDb) {
    let owner = publisher(db, 1).await;
    let id = name_of(db, &owner, "a/tools", false).await;
    let mirrored = |sequence| NewRelease { head: Vec::new(), ..release(id, sequence) };
    let take = async |sequence| db.mirror_release(&mirrored(sequence), &[chunk(1)]).await;
    for sequence in [7, 5] {
        assert!(take(sequence).await.expect("takes"));
    }
    assert!(!take(7).await.expect("is there"), "and changes nothing");
    let other = NewRelease { hash: [99; 32], ..mirrored(7) };
    let refused = db.mirror_release(&other, &[chunk(1)]).await;
    assert!(matches!(refused, Err(PublishError::WrongPrevious)), "another one has its number");
    let all = db.releases(id, None, 9).await.expect("reads");
    assert_eq!(all.iter().map(|it| it.sequence).collect::<Vec<_>>(), [7, 5]);
    assert!(all[0].head.is_empty());
    let caller = Caller::from(&owner);
    let readable = db.readable(&caller, &[chunk(1)]).await.expect("asks");
    assert_eq!(readable.len(), 1, "the name holds its chunks");
    db.delete_name(id).await.expect("deletes");
    let gone = db.mirror_release(&mirrored(8), &[chunk(1)]).await;
    assert!(matches!(gone, Err(PublishError::NoName)));
}
