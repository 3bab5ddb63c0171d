//! Grants, transfers and deletion of names.

use hub_db::{Caller, Grant, GrantRecord, HubDb, NamePut, NewDelegation, PublishError};

use super::*;

pub(crate) async fn grants_replace_one_another_and_are_listed(db: &dyn HubDb) {
    let owner = publisher(db, 1).await;
    let other = publisher(db, 2).await;
    let id = name_of(db, &owner, "team/tools", false).await;
    let of = async |caller: Caller| db.grant_of(id, &caller).await.expect("reads");
    assert_eq!(of((&owner).into()).await, Some(Grant::Owner));
    assert_eq!(of((&other).into()).await, None);
    assert_eq!(of(Caller::Anonymous).await, None);

    db.add_reader("team/tools", &other.key).await.expect("grants");
    assert_eq!(of((&other).into()).await, Some(Grant::Reader));
    assert!(db.set_delegation(&delegation(id, &owner, 1, &[other.key])).await.expect("stores"));
    assert_eq!(of((&other).into()).await, Some(Grant::Publisher));
    // A key without an account yet, and one beside its ownership.
    db.add_reader("team/tools", &key(0)).await.expect("grants");
    db.add_reader("team/tools", &owner.key).await.expect("grants");
    db.add_reader("team/other", &key(7)).await.expect("grants");

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

pub(crate) async fn a_list_of_publishers_replaces_the_one_before_as_a_whole(db: &dyn HubDb) {
    let owner = publisher(db, 1).await;
    let id = name_of(db, &owner, "team/tools", false).await;
    let other = name_of(db, &owner, "team/other", false).await;
    assert_eq!(db.delegation(id).await.expect("reads"), None);
    let set = async |list: NewDelegation| db.set_delegation(&list).await.expect("answers");
    db.add_reader("team/tools", &key(2)).await.expect("grants");
    assert!(set(delegation(other, &owner, 1, &[key(3)])).await);
    assert!(set(delegation(id, &owner, 2, &[key(2), key(3)])).await);
    let listed = async |name| {
        let grants = db.grants(name).await.expect("lists");
        grants[1..].iter().map(|one| (one.key, one.grant)).collect::<Vec<_>>()
    };
    let both = [(key(2), Grant::Publisher), (key(3), Grant::Publisher)];
    assert_eq!(listed("team/tools").await, both);
    // The same number, and a smaller one: of a request that came twice, or too late.
    assert!(
        !set(delegation(id, &owner, 2, &[])).await && !set(delegation(id, &owner, 1, &[])).await
    );
    assert_eq!(db.delegation(id).await.expect("reads"), Some(vec![2; 3]));
    // Who is not on it any more keeps nothing; readers are no business of it.
    db.add_reader("team/tools", &key(4)).await.expect("grants");
    assert!(set(delegation(id, &owner, 3, &[key(3)])).await);
    assert_eq!(listed("team/tools").await, [(key(3), Grant::Publisher), (key(4), Grant::Reader)]);
    assert_eq!(listed("team/other").await, [(key(3), Grant::Publisher)]);
    assert_eq!(db.delegation(id).await.expect("reads"), Some(vec![3; 3]));
}

pub(crate) async fn a_name_is_transferred_to_accounts_that_may_publish(db: &dyn HubDb) {
    let (owner, next, gone) =
        (publisher(db, 1).await, publisher(db, 2).await, publisher(db, 3).await);
    let id = name_of(db, &owner, "team/tools", false).await;
    db.create_invitation(&invitation(4, Role::Reader, 1)).await.expect("invites");
    db.register(&key(4), &[4; 32], NETWORK, NOW).await.expect("registers");
    db.revoke_account(&gone.key, NOW).await.expect("revokes");
    for refused in [key(3), key(4), key(5)] {
        assert!(!db.transfer_name(id, &refused).await.expect("answers"), "{refused:?}");
    }
    assert_eq!(db.grant_of(id, &(&owner).into()).await.expect("reads"), Some(Grant::Owner));

    let list = delegation(id, &owner, 7, &[next.key, key(8)]);
    assert!(db.set_delegation(&list).await.expect("stores"));
    assert!(db.transfer_name(id, &next.key).await.expect("transfers"));
    let record = db.name("team/tools", &(&next).into()).await.expect("reads").expect("its owner");
    assert_eq!((record.owner, record.owner_key), (next.id, next.key));
    assert_eq!(db.name("team/tools", &(&owner).into()).await.expect("reads"), None);
    // The new owner needs no grant beside it, and has named no publisher yet.
    let listed = db.grants("team/tools").await.expect("lists");
    let record = |number, grant| GrantRecord { key: key(number), grant };
    assert_eq!(listed, [record(2, Grant::Owner), record(8, Grant::Reader)]);
    assert_eq!(db.delegation(id).await.expect("reads"), None);
    let late = delegation(id, &owner, 8, &[key(9)]);
    assert!(!db.set_delegation(&late).await.expect("answers"), "of the owner before");
    assert!(db.set_delegation(&delegation(id, &next, 1, &[])).await.expect("stores"));
    let taken = db.put_name("team/tools", owner.id, true, NOW).await.expect("answers");
    assert_eq!(taken, NamePut::OwnedByAnother);
}

pub(crate) async fn a_deleted_name_leaves_nothing_behind(db: &dyn HubDb) {
    let (owner, reader) = (publisher(db, 1).await, publisher(db, 2).await);
    let id = name_of(db, &owner, "team/tools", true).await;
    let kept = name_of(db, &owner, "team/kept", true).await;
    db.add_reader("team/tools", &reader.key).await.expect("grants");
    db.add_reader("team/kept", &reader.key).await.expect("grants");
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
