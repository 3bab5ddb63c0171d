//! The audit log.

use hub_db::{Actor, AuditEntry, HubDb};

use super::*;

pub(crate) async fn the_audit_log_is_read_backwards(db: &dyn HubDb) {
    let actors = [Actor::Local, Actor::Account(key(7)), Actor::Console("anna's".to_owned())];
    let entries: Vec<_> = (0u64..6)
        .map(|number| AuditEntry {
            time: NOW + number,
            actor: actors[usize::try_from(number % 3).expect("small")].clone(),
            action: "grant".to_owned(),
            subject: format!("team/tools {number}"),
            detail: "{\"role\": \"reader\"}".to_owned(),
        })
        .collect();
    for entry in &entries {
        db.record(entry).await.expect("records");
    }
    let newest = db.audit(None, 2).await.expect("lists");
    assert_eq!(
        newest.iter().map(|(_, entry)| entry).collect::<Vec<_>>(),
        [&entries[5], &entries[4]]
    );
    let rest = db.audit(Some(newest[1].0), 10).await.expect("lists");
    assert_eq!(rest.len(), 4);
    assert!(rest.iter().map(|(_, entry)| entry).eq(entries[..4].iter().rev()));
    // What a stranger sends may hold anything.
    let odd = AuditEntry { subject: "a\0b\u{10ffff}'\"; --".to_owned(), ..entries[0].clone() };
    db.record(&odd).await.expect("records");
    let (_, stored) = db.audit(None, 1).await.expect("lists").pop().expect("one");
    assert!(stored.subject.ends_with("b\u{10ffff}'\"; --"), "{stored:?}");
}

pub(crate) async fn an_act_that_came_to_nothing_is_withdrawn(db: &dyn HubDb) {
    let entry = |subject: &str| AuditEntry {
        time: NOW,
        actor: Actor::Local,
        action: "grant".to_owned(),
        subject: subject.to_owned(),
        detail: "{}".to_owned(),
    };
    db.record(&entry("done")).await.expect("records");
    let id = db.record(&entry("refused")).await.expect("records");
    assert_eq!(db.audit(None, 9).await.expect("lists")[0], (id, entry("refused")));
    db.withdraw(id).await.expect("withdraws");
    let left = db.audit(None, 9).await.expect("lists");
    assert_eq!(left.into_iter().map(|(_, entry)| entry).collect::<Vec<_>>(), [entry("done")]);
}

fn entry(number: u64) -> AuditEntry {
    AuditEntry {
        time: NOW + number,
        actor: Actor::Local,
        action: "grant".to_owned(),
        subject: format!("team/tools {number}"),
        detail: "{}".to_owned(),
    }
}

/// A link that shows what it was made from.
fn linking(previous: &[u8; 32], number: u64, entry: &AuditEntry) -> [u8; 32] {
    let mut link = *previous;
    link[0] = link[0].wrapping_mul(31).wrapping_add(entry.subject.len() as u8);
    link[1] = number as u8;
    link
}

pub(crate) async fn what_was_chained_keeps_its_place_and_its_link(db: &dyn HubDb) {
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(db.record(&entry(number)).await.expect("records"));
    }
    assert!(db.chained(0, 9).await.expect("lists").is_empty());
    assert_eq!(db.last_chained().await.expect("reads"), None);
    // In the order in which the acts were done; and once.
    for id in [ids[2], ids[0], ids[2]] {
        db.chain(id, linking).await.expect("chains");
    }
    db.withdraw(ids[2]).await.expect("leaves what is chained");
    db.withdraw(ids[1]).await.expect("withdraws");
    // What was cut off is chained when it is old enough.
    for expected in [1, 0] {
        assert_eq!(db.chain_older(NOW + 4, linking).await.expect("chains"), expected);
    }
    let chained = db.chained(0, 9).await.expect("lists");
    let mut link = [0; 32];
    for (number, (found, expected)) in (1..).zip(chained.iter().zip([2, 0, 3])) {
        link = linking(&link, number, &entry(expected));
        assert_eq!((found.number, found.link, &found.entry), (number, link, &entry(expected)));
    }
    assert_eq!(chained.len(), 3);
    assert_eq!(db.chained(1, 1).await.expect("lists"), chained[1..2]);
    assert_eq!(db.last_chained().await.expect("reads"), chained.last().cloned());
    assert_eq!(db.audit(None, 9).await.expect("lists").len(), 4, "one is still under way");

    for number in [1, 3] {
        db.keep_audit_head(number, &[number as u8; 9]).await.expect("keeps");
    }
    db.keep_audit_head(3, b"again").await.expect("keeps");
    let heads = db.audit_heads(0, 9).await.expect("lists");
    assert_eq!(heads, [vec![1; 9], b"again".to_vec()]);
    assert!(db.audit_heads(1, 2).await.expect("lists").is_empty());
}

pub(crate) async fn the_beginning_of_the_audit_log_is_removed_up_to_a_head(db: &dyn HubDb) {
    let head_before = |time| async move { db.audit_head_before(time).await.expect("reads") };
    assert_eq!(head_before(NOW + 99).await, None);
    // The second one is as young as the fifth: nothing behind it is older than both.
    for number in [0, 4, 1, 2, 4, 5] {
        let id = db.record(&entry(number)).await.expect("records");
        db.chain(id, linking).await.expect("chains");
    }
    let open = db.record(&entry(0)).await.expect("records");
    for number in [1, 3, 6] {
        db.keep_audit_head(number, &[number as u8; 9]).await.expect("keeps");
    }
    assert_eq!(head_before(NOW).await, None);
    assert_eq!(head_before(NOW + 4).await, Some(vec![1; 9]));
    assert_eq!(head_before(NOW + 5).await, Some(vec![3; 9]));
    assert_eq!(head_before(NOW + 99).await, Some(vec![6; 9]));

    assert_eq!(db.prune_audit(3).await.expect("removes"), 3);
    let left = db.chained(0, 9).await.expect("lists");
    let numbers: Vec<u64> = left.iter().map(|entry| entry.number).collect();
    assert_eq!(numbers, [4, 5, 6]);
    assert_eq!(db.audit_heads(0, 9).await.expect("lists"), [vec![3; 9], vec![6; 9]]);
    assert_eq!(db.prune_audit(3).await.expect("removes"), 0);
    // What is under way stays, and is chained behind the last one.
    db.chain(open, linking).await.expect("chains");
    let last = db.last_chained().await.expect("reads").expect("one");
    assert_eq!((last.number, last.link), (7, linking(&left[2].link, 7, &entry(0))));
}

pub(crate) async fn entries_are_chained_one_behind_the_other_by_many_at_once(db: &dyn HubDb) {
    let all = (0..20).map(|number| async move {
        let id = db.record(&entry(number)).await.expect("records");
        db.chain(id, linking).await.expect("chains");
    });
    futures_util::future::join_all(all).await;
    let chained = db.chained(0, 99).await.expect("lists");
    let mut link = [0; 32];
    for (number, one) in (1..).zip(&chained) {
        link = linking(&link, number, &one.entry);
        assert_eq!((one.number, one.link), (number, link));
    }
    assert_eq!(chained.len(), 20);
}
