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
