//! Grants, transfers and deletion of names.

use hub_db::{Caller, Grant, GrantRecord, HubDb, NamePut, PublishError};

use super::*;

pub(crate) async fn grants_replace_one_another_and_are_listed(db: &dyn HubDb) {
    let owner = publisher(db, 1).await;
    let other = publisher(db, 2).await;
    let id = name_of(db, &owner, "team/tools", false).await;
    let of = async |caller: Caller| db.grant_of(id, &caller).await.expect("reads");
    assert_eq!(of((&owner).into()).await, Some(Grant::Owner));
    assert_eq!(of((&other).into()).await, None);
    assert_eq!(of(Caller::Anonymous).await, None);

    db.set_grant("team/tools", &other.key, Grant::Reader).await.expect("grants");
    assert_eq!(of((&other).into()).await, Some(Grant::Reader));
    db.set_grant("team/tools", &other.key, Grant::Publisher).await.expect("grants");
    assert_eq!(of((&other).into()).await, Some(Grant::Publisher));
    // A key without an account yet, and one beside its ownership.
    db.set_grant("team/tools", &key(0), Grant::Reader).await.expect("grants");
    db.set_grant("team/tools", &owner.key, Grant::Reader).await.expect("grants");
    db.set_grant("team/other", &key(7), Grant::Reader).await.expect("grants");

    let record = |number, grant| GrantRecord { key: key(number), grant };
    let listed = db.grants("team/tools").await.expect("lists");
    let expected = [record(1, Grant::Owner), record(0, Grant::Reader), record(2, Grant::Publisher)];
    assert_eq!(listed, expected, "the owner once, and first");
    assert!(db.grants("team/none").await.expect("lists").is_empty());

    assert!(db.remove_grant("team/tools", &other.key).await.expect("removes"));
    assert!(!db.remove_grant("team/tools", &other.key).await.expect("was removed"));
    assert_eq!(of((&other).into()).await, None);
    // Being public grants nobody anything.
    name_of(db, &owner, "team/tools", true).await;
    assert_eq!(of((&other).into()).await, None);
}

pub(crate) async fn a_name_is_transferred_to_accounts_that_may_publish(db: &dyn HubDb) {
    let (owner, next, gone) =
        (publisher(db, 1).await, publisher(db, 2).await, publisher(db, 3).await);
    let id = name_of(db, &owner, "team/tools", false).await;
    db.create_invitation(&invitation(4, Role::Reader, 1)).await.expect("invites");
    db.register(&key(4), &[4; 32], NOW).await.expect("registers");
    db.revoke_account(&gone.key, NOW).await.expect("revokes");
    for refused in [key(3), key(4), key(5)] {
        assert!(!db.transfer_name(id, &refused).await.expect("answers"), "{refused:?}");
    }
    assert_eq!(db.grant_of(id, &(&owner).into()).await.expect("reads"), Some(Grant::Owner));

    db.set_grant("team/tools", &next.key, Grant::Publisher).await.expect("grants");
    assert!(db.transfer_name(id, &next.key).await.expect("transfers"));
    let record = db.name("team/tools", &(&next).into()).await.expect("reads").expect("its owner");
    assert_eq!((record.owner, record.owner_key), (next.id, next.key));
    assert_eq!(db.name("team/tools", &(&owner).into()).await.expect("reads"), None);
    assert_eq!(db.grants("team/tools").await.expect("lists").len(), 1, "no grant beside it");
    let taken = db.put_name("team/tools", owner.id, true, NOW).await.expect("answers");
    assert_eq!(taken, NamePut::OwnedByAnother);
}

pub(crate) async fn a_deleted_name_leaves_nothing_behind(db: &dyn HubDb) {
    let (owner, reader) = (publisher(db, 1).await, publisher(db, 2).await);
    let id = name_of(db, &owner, "team/tools", true).await;
    let kept = name_of(db, &owner, "team/kept", true).await;
    db.set_grant("team/tools", &reader.key, Grant::Reader).await.expect("grants");
    db.set_grant("team/kept", &reader.key, Grant::Reader).await.expect("grants");
    db.publish(&release(id, 1), &[chunk(1), chunk(2)]).await.expect("publishes");
    db.publish(&release(kept, 1), &[chunk(2)]).await.expect("publishes");
    db.delete_name(id).await.expect("deletes");

    assert_eq!(db.name("team/tools", &(&owner).into()).await.expect("reads"), None);
    assert_eq!(db.latest_release(id).await.expect("reads"), None);
    assert!(db.grants("team/tools").await.expect("lists").is_empty());
    assert!(!can_read(db, &Caller::Anonymous, chunk(1)).await);
    assert!(can_read(db, &Caller::Anonymous, chunk(2)).await, "another name lists it");
    assert_eq!(db.grants("team/kept").await.expect("lists").len(), 2);
    let late = db.publish(&release(id, 2), &[]).await;
    assert!(matches!(late, Err(PublishError::NoName)), "{late:?}");

    // Somebody else may have the name now, and begins anew.
    let again = name_of(db, &reader, "team/tools", true).await;
    assert_ne!(again, id);
    db.publish(&release(again, 1), &[]).await.expect("is its first");
    assert!(!can_read(db, &Caller::Anonymous, chunk(1)).await);
}
