//! Retention and pins.

use hub_db::{HubDb, Retention};

use super::*;

const DAY: u64 = 86_400;

/// Ten releases, one a day, the newest accepted at `NOW`.
async fn ten(db: &dyn HubDb, owner: &Account, name: &str) -> NameId {
    let id = name_of(db, owner, name, false).await;
    for sequence in 1..=10 {
        let accepted = NOW - (10 - sequence) * DAY;
        let new = NewRelease { accepted, ..release(id, sequence) };
        db.publish(&new, &[chunk(1)]).await.expect("publishes");
    }
    id
}

async fn kept(db: &dyn HubDb, name: NameId) -> Vec<u64> {
    let releases = db.releases(name, None, 20).await.expect("lists");
    releases.into_iter().map(|release| release.sequence).rev().collect()
}

pub(crate) async fn a_release_is_kept_if_any_rule_keeps_it(db: &dyn HubDb) {
    let owner = publisher(db, 1).await;
    let cases: [(Retention, &[u64]); 6] = [
        (Retention { last: None, days: None }, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        (Retention { last: Some(3), days: None }, &[8, 9, 10]),
        (Retention { last: None, days: Some(1) }, &[9, 10]),
        (Retention { last: Some(2), days: Some(4) }, &[6, 7, 8, 9, 10]),
        (Retention { last: Some(0), days: Some(0) }, &[10]),
        (Retention { last: Some(0), days: None }, &[10]),
    ];
    let mut names = vec![];
    for (number, (rules, _)) in cases.iter().enumerate() {
        let id = ten(db, &owner, &format!("team/n{number}")).await;
        assert_eq!(db.retention(id).await.expect("reads"), Retention::default());
        db.set_retention(id, rules).await.expect("sets");
        assert_eq!(db.retention(id).await.expect("reads"), *rules);
        names.push(id);
    }
    let went = db.expire_releases(NOW).await.expect("expires");
    for (id, (rules, expected)) in names.iter().zip(&cases) {
        assert_eq!(kept(db, *id).await, *expected, "{rules:?}");
    }
    let of_three = went.iter().filter(|(name, _)| name == "team/n1").map(|(_, it)| *it);
    assert_eq!(of_three.collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7]);
    assert!(went.is_sorted());
    assert!(db.expire_releases(NOW).await.expect("expires").is_empty(), "once is enough");
    // The next one follows the latest as ever.
    db.publish(&release(names[4], 11), &[]).await.expect("publishes");
}

pub(crate) async fn pinned_releases_are_kept(db: &dyn HubDb) {
    let owner = publisher(db, 1).await;
    let name = ten(db, &owner, "team/tools").await;
    assert!(db.set_pinned(name, 2, true).await.expect("pins"));
    assert!(db.set_pinned(name, 4, true).await.expect("pins"));
    assert!(!db.set_pinned(name, 11, true).await.expect("there is none"));
    assert!(db.release(name, 2).await.expect("reads").expect("is there").pinned);
    assert!(!db.release(name, 3).await.expect("reads").expect("is there").pinned);
    db.set_retention(name, &Retention { last: Some(1), days: None }).await.expect("sets");
    db.expire_releases(NOW).await.expect("expires");
    assert_eq!(kept(db, name).await, [2, 4, 10]);
    assert!(db.set_pinned(name, 4, false).await.expect("unpins"));
    let went = db.expire_releases(NOW).await.expect("expires");
    assert_eq!(went, [("team/tools".to_owned(), 4)]);
    assert_eq!(kept(db, name).await, [2, 10]);
    let closures = db.closures().await.expect("lists");
    assert_eq!(closures.len(), 2, "nothing is collected for what went");
}
