//! Names and grants.

use hub_db::{Account, Caller, HubDb, NamePut, NewRelease};

use super::*;

pub(crate) async fn a_name_keeps_its_owner(db: &dyn HubDb) {
    let (owner, other) = (publisher(db, 1).await, publisher(db, 2).await);
    let put = async |account: &Account, public| {
        db.put_name("team/tools", account.id, public, NOW).await.expect("answers")
    };
    assert_eq!(put(&owner, false).await, NamePut::Created);
    assert_eq!(put(&owner, true).await, NamePut::Updated);
    assert_eq!(put(&other, false).await, NamePut::OwnedByAnother);
    let seen = db.name("team/tools", &Caller::Anonymous).await.expect("reads").expect("public");
    assert_eq!((seen.owner, seen.owner_key, seen.public), (owner.id, owner.key, true));
}

pub(crate) async fn names_are_seen_by_those_who_may_read_them(db: &dyn HubDb) {
    let (owner, reader, other) =
        (publisher(db, 1).await, publisher(db, 2).await, publisher(db, 3).await);
    name_of(db, &owner, "team/private", false).await;
    name_of(db, &owner, "team/public", true).await;
    db.add_reader("team/private", &reader.key).await.expect("grants");

    let listed = async |caller: Caller| {
        let names = db.names(&caller, "", 10).await.expect("lists");
        names.into_iter().map(|name| name.name).collect::<Vec<_>>()
    };
    assert_eq!(listed((&owner).into()).await, ["team/private", "team/public"]);
    assert_eq!(listed((&reader).into()).await, ["team/private", "team/public"]);
    assert_eq!(listed((&other).into()).await, ["team/public"]);
    assert_eq!(listed(Caller::Anonymous).await, ["team/public"]);
    assert_eq!(db.name("team/private", &(&other).into()).await.expect("reads"), None);
    let rest = db.names(&(&owner).into(), "team/private", 10).await.expect("lists");
    assert_eq!(rest.len(), 1);
    assert_eq!(db.names(&(&owner).into(), "", 1).await.expect("lists").len(), 1);

    assert!(db.remove_grant("team/private", &reader.key).await.expect("revokes"));
    assert!(!db.remove_grant("team/private", &reader.key).await.expect("was revoked"));
    assert_eq!(listed((&reader).into()).await, ["team/public"]);
}

pub(crate) async fn of_many_who_create_a_name_one_owns_it(db: &dyn HubDb) {
    let mut accounts = vec![];
    for number in 1..=6 {
        accounts.push(publisher(db, number).await);
    }
    let puts = accounts.iter().map(async |it| db.put_name("team/tools", it.id, true, NOW).await);
    let results = futures_util::future::join_all(puts).await;
    let results: Vec<NamePut> = results.into_iter().map(|it| it.expect("answers")).collect();
    let count = |wanted| results.iter().filter(|result| **result == wanted).count();
    assert_eq!((count(NamePut::Created), count(NamePut::OwnedByAnother)), (1, 5), "{results:?}");
}

/// Pages go by the order of bytes, in every database and language.
pub(crate) async fn names_are_in_order_of_their_bytes(db: &dyn HubDb) {
    let owner = publisher(db, 1).await;
    let mut names = ["team/b", "team/B", "team-x/a", "team/a-b", "team/ab", "team/a.c", "team/a_d"];
    for name in names {
        name_of(db, &owner, name, false).await;
    }
    names.sort_unstable();
    let mut listed: Vec<String> = vec![];
    let mut everything: Vec<String> = vec![];
    loop {
        let after = listed.last().map_or("", String::as_str);
        let page = db.names(&(&owner).into(), after, 2).await.expect("lists");
        let all = db.all_names(after, 2).await.expect("lists");
        if page.is_empty() {
            break;
        }
        listed.extend(page.into_iter().map(|name| name.name));
        everything.extend(all.into_iter().map(|name| name.name));
    }
    assert_eq!(listed, names);
    assert_eq!(everything, names);
    // What no name holds may still be asked for.
    let after = db.names(&(&owner).into(), "team/a_d\0", 10).await.expect("lists");
    assert_eq!(after.len(), 2, "{after:?}");
    assert_eq!(db.name("team/\0", &(&owner).into()).await.expect("reads"), None);
    assert!(db.names(&Caller::Anonymous, "", 10).await.expect("lists").is_empty());
}

pub(crate) async fn usage_is_counted_by_name(db: &dyn HubDb) {
    let owner = publisher(db, 1).await;
    let name = name_of(db, &owner, "team/tools", false).await;
    name_of(db, &owner, "team/empty", false).await;
    let chunks: Vec<_> = (0..700).map(chunk).collect();
    db.publish(&release(name, 1), &chunks[..600]).await.expect("publishes");
    let larger = NewRelease { stored_bytes: 99, ..release(name, 2) };
    db.publish(&larger, &chunks[500..]).await.expect("publishes");
    let usage = db.name_usage().await.expect("counts");
    let told: Vec<_> = usage
        .iter()
        .map(|it| (it.name.as_str(), it.releases, it.stored_bytes_latest, it.chunks_held))
        .collect();
    assert_eq!(told, [("team/empty", 0, 0, 0), ("team/tools", 2, 99, 700)]);
}

pub(crate) async fn a_deleted_name_is_not_made_anew_by_a_setting(db: &dyn HubDb) {
    let owner = publisher(db, 1).await;
    let name = name_of(db, &owner, "team/tools", false).await;
    assert!(db.set_public(name, true).await.expect("sets"));
    let seen = db.name("team/tools", &Caller::Anonymous).await.expect("reads");
    assert!(seen.is_some_and(|seen| seen.public && seen.id == name));
    db.delete_name(name).await.expect("deletes");
    assert!(!db.set_public(name, true).await.expect("asks"));
    assert_eq!(db.name("team/tools", &Caller::Anonymous).await.expect("reads"), None);
    // Nor is what somebody else made of the name since touched.
    let other = publisher(db, 2).await;
    let anew = name_of(db, &other, "team/tools", false).await;
    assert!(anew != name && !db.set_public(name, true).await.expect("asks"));
    assert_eq!(db.name("team/tools", &Caller::Anonymous).await.expect("reads"), None);
}
