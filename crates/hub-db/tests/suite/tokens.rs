//! Machine tokens.

use hub_db::{Caller, Grant, HubDb, NewToken, TokenId, TokenScope};

use super::*;

fn token(number: u8, account: &Account, scope: TokenScope, names: &[&str]) -> NewToken {
    NewToken {
        secret_hash: [number; 32],
        account: account.id,
        label: format!("machine {number}"),
        scope,
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        created: NOW,
        expires: NOW + 1000,
    }
}

/// A token of `account` with the secret hash `[number; 32]`.
pub(crate) async fn create_token(db: &dyn HubDb, account: &Account, number: u8) -> TokenId {
    let new = token(number, account, TokenScope::Read, &[]);
    db.create_token(&new).await.expect("creates")
}

fn caller(id: TokenId, account: &Account) -> Caller {
    Caller::Token { id, account: account.id, key: account.key }
}

pub(crate) async fn tokens_are_found_by_their_secret_until_they_end(db: &dyn HubDb) {
    let account = publisher(db, 1).await;
    let new = token(1, &account, TokenScope::Publish, &["team/b", "team/a", "team/a"]);
    let id = db.create_token(&new).await.expect("creates");
    assert_eq!(TokenId::from_number(id.number()), id);
    let found = async |secret: u8, now| db.token(&[secret; 32], now).await.expect("reads");
    let (record, of) = found(1, NOW).await.expect("is there");
    assert_eq!((record.id, record.account, of), (id, account.id, account.clone()));
    assert_eq!((record.label.as_str(), record.scope), ("machine 1", TokenScope::Publish));
    assert_eq!((record.created, record.expires), (NOW, NOW + 1000));
    assert_eq!(record.names, ["team/a", "team/b"]);
    assert_eq!(record.last_used, None);
    assert_eq!(found(1, NOW + 1).await.expect("is there").0.last_used, Some(NOW));
    assert_eq!(found(1, NOW + 59).await.expect("is there").0.last_used, Some(NOW));
    found(1, NOW + 60).await.expect("is there");
    let listed = db.tokens(account.id).await.expect("lists");
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].last_used, Some(NOW + 60));

    assert!(found(2, NOW).await.is_none(), "another secret");
    assert!(found(1, NOW + 1000).await.is_none(), "it has ended");
    db.drop_expired(NOW + 1000).await.expect("drops");
    assert!(db.tokens(account.id).await.expect("lists").is_empty());
}

pub(crate) async fn tokens_are_revoked_by_their_owner_and_with_the_account(db: &dyn HubDb) {
    let (account, other) = (publisher(db, 1).await, publisher(db, 2).await);
    let mut ids = vec![];
    for number in 1..=3 {
        let new = token(number, &account, TokenScope::Read, &[]);
        ids.push(db.create_token(&new).await.expect("creates"));
    }
    assert!(!db.revoke_token(ids[0], Some(other.id)).await.expect("is another's"));
    assert!(db.token(&[1; 32], NOW).await.expect("reads").is_some());
    assert!(db.revoke_token(ids[0], Some(account.id)).await.expect("revokes"));
    assert!(!db.revoke_token(ids[0], None).await.expect("was revoked"));
    assert!(db.token(&[1; 32], NOW).await.expect("reads").is_none());
    assert!(db.revoke_token(ids[1], None).await.expect("an administrator may"));
    let listed = db.tokens(account.id).await.expect("lists");
    assert_eq!(listed.iter().map(|it| it.id).collect::<Vec<_>>(), [ids[2]]);
    db.revoke_account(&account.key, NOW).await.expect("revokes");
    assert!(db.token(&[3; 32], NOW).await.expect("reads").is_none());
}

pub(crate) async fn a_token_reads_the_names_it_lists_as_its_account_does(db: &dyn HubDb) {
    let (owner, other) = (publisher(db, 1).await, publisher(db, 2).await);
    let mine = name_of(db, &owner, "team/mine", false).await;
    let more = name_of(db, &owner, "team/more", false).await;
    let shared = name_of(db, &other, "other/shared", false).await;
    let foreign = name_of(db, &other, "other/foreign", false).await;
    let public = name_of(db, &other, "other/public", true).await;
    for (name, number) in [(mine, 1), (more, 2), (shared, 3), (foreign, 4), (public, 5)] {
        db.publish(&release(name, 1), &[chunk(number)]).await.expect("publishes");
    }
    let list = delegation(shared, &other, 1, &[owner.key]);
    assert!(db.set_delegation(&list).await.expect("stores"));
    db.add_holders(owner.id.into(), &[chunk(6)]).await.expect("adds");

    let readable = async |caller: Caller| {
        let ids: Vec<_> = (1..=7).map(chunk).collect();
        let found = db.readable(&caller, &ids).await.expect("looks up");
        ids.iter().map(|id| found.contains(id)).collect::<Vec<_>>()
    };
    let seen = async |caller: Caller| {
        let names = db.names(&caller, "", 10).await.expect("lists");
        names.into_iter().map(|name| name.name).collect::<Vec<_>>()
    };
    let of = async |name, caller: Caller| db.grant_of(name, &caller).await.expect("reads");

    let all = token(1, &owner, TokenScope::Publish, &[]);
    let all = caller(db.create_token(&all).await.expect("creates"), &owner);
    assert_eq!(readable(all).await, [true, true, true, false, true, true, false]);
    assert_eq!(seen(all).await, ["other/public", "other/shared", "team/mine", "team/more"]);
    assert_eq!(of(mine, all).await, Some(Grant::Publisher), "a token administers nothing");
    assert_eq!(of(shared, all).await, Some(Grant::Publisher));

    let listed = ["team/mine", "other/shared", "other/foreign"];
    let some = token(2, &owner, TokenScope::Publish, &listed);
    let some_id = db.create_token(&some).await.expect("creates");
    let some = caller(some_id, &owner);
    assert_eq!(readable(some).await, [true, false, true, false, true, false, false]);
    assert_eq!(seen(some).await, ["other/public", "other/shared", "team/mine"]);
    assert_eq!(of(mine, some).await, Some(Grant::Publisher));
    assert_eq!(of(more, some).await, None);
    assert_eq!(of(foreign, some).await, None, "its account may not");
    assert!(db.name("team/mine", &some).await.expect("reads").is_some());
    assert!(db.name("team/more", &some).await.expect("reads").is_none());

    // What it uploads is its own until it is published, and not another token's.
    db.add_holders(some.holder().expect("holds"), &[chunk(7)]).await.expect("adds");
    assert_eq!(readable(some).await, [true, false, true, false, true, false, true]);
    assert_eq!(readable(all).await, [true, true, true, false, true, true, false]);
    assert_eq!(readable((&owner).into()).await, [true, true, true, false, true, true, false]);

    let read = token(3, &owner, TokenScope::Read, &["team/mine"]);
    let read = caller(db.create_token(&read).await.expect("creates"), &owner);
    assert_eq!(of(mine, read).await, Some(Grant::Reader));

    // A token in another's name, one that was revoked, and one of a revoked account.
    let stolen = Caller::Token { id: some_id, account: other.id, key: other.key };
    let public_only = [false, false, false, false, true, false, false];
    assert_eq!(readable(stolen).await, public_only);
    assert!(db.revoke_token(some_id, None).await.expect("revokes"));
    assert_eq!(readable(some).await, public_only);
    assert_eq!(seen(some).await, ["other/public"]);
    assert_eq!(of(mine, some).await, None);
    db.revoke_account(&owner.key, NOW).await.expect("revokes");
    assert_eq!(readable(all).await, public_only);
}

pub(crate) async fn dropped_holders_of_tokens_are_gone(db: &dyn HubDb) {
    let owner = publisher(db, 1).await;
    let new = token(1, &owner, TokenScope::Publish, &[]);
    let token = caller(db.create_token(&new).await.expect("creates"), &owner);
    let name = name_of(db, &owner, "team/tools", false).await;
    db.publish(&release(name, 1), &[chunk(2)]).await.expect("publishes");
    db.add_holders(token.holder().expect("holds"), &[chunk(1), chunk(2)]).await.expect("adds");
    db.drop_holders(&[chunk(1), chunk(2)]).await.expect("drops");
    assert_eq!(db.held_chunks(None, 10).await.expect("lists"), [chunk(2)], "the name keeps its");
}

pub(crate) async fn a_token_is_in_force_until_it_or_its_account_ends(db: &dyn HubDb) {
    let (account, other) = (publisher(db, 1).await, publisher(db, 2).await);
    let mut ids = vec![];
    for number in 1..=2 {
        let new = token(number, &account, TokenScope::Read, &["team/a", "team/b"]);
        ids.push(db.create_token(&new).await.expect("creates"));
    }
    let holds = async |id, account, now| db.token_in_force(id, account, now).await.expect("asks");
    assert!(holds(ids[0], account.id, NOW + 999).await);
    assert!(!holds(ids[0], account.id, NOW + 1000).await, "it has ended");
    assert!(!holds(ids[0], other.id, NOW).await, "another's");
    assert!(db.revoke_token(ids[0], None).await.expect("revokes"));
    assert!(!holds(ids[0], account.id, NOW).await);
    assert!(holds(ids[1], account.id, NOW).await);
    db.revoke_account(&account.key, NOW).await.expect("revokes");
    assert!(!holds(ids[1], account.id, NOW).await);
}
