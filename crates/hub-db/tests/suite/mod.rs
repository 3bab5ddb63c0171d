//! What every implementation of [`HubDb`] must do.

use content::ChunkId;
use hub_db::{
    Account, AccountKey, Caller, EventId, HubDb, LOOKUP_IDS_MAX, NameId, NamePut, NewInvitation,
    NewRelease, PublishError, RegisterError, RenewError, Role,
};

/// Runs the suite; `$open` gives something to keep alive and the database.
#[macro_export]
macro_rules! suite {
    ($open:ident) => {
        $crate::suite!($open:
            invitations_are_used_as_often_as_they_allow,
            an_invitation_raises_roles_and_grants_names,
            revoked_accounts_stay_revoked,
            a_name_keeps_its_owner,
            names_are_seen_by_those_who_may_read_them,
            releases_follow_one_another,
            of_two_racing_releases_one_is_accepted,
            a_refused_release_gives_nobody_chunks,
            heads_are_renewed_for_the_latest_release_alone,
            releases_are_listed_newest_first_and_events_in_order,
            chunks_are_readable_through_their_holders_alone,
            lookups_of_every_size_agree_with_single_ones,
            dropped_holders_are_gone,
        );
    };
    ($open:ident: $($test:ident),* $(,)?) => {
        $(
            #[tokio::test]
            async fn $test() {
                let (_keep, db) = $open().await;
                suite::$test(&db).await;
            }
        )*
    };
}

const NOW: u64 = 1_000_000;

fn key(number: u8) -> AccountKey {
    AccountKey([number; 32])
}

fn chunk(number: u32) -> ChunkId {
    ChunkId::of(&number.to_le_bytes())
}

fn invitation(number: u8, role: Role, uses: u32) -> NewInvitation {
    let grants = vec!["team/granted".to_owned()];
    NewInvitation { secret_hash: [number; 32], role, grants, uses, expires: NOW + 10 }
}

pub(crate) async fn publisher(db: &dyn HubDb, number: u8) -> Account {
    let mut invited = invitation(number, Role::Publisher, 1);
    invited.grants.clear();
    db.create_invitation(&invited).await.expect("invites");
    db.register(&key(number), &[number; 32], NOW).await.expect("registers")
}

async fn name_of(db: &dyn HubDb, owner: &Account, name: &str, public: bool) -> NameId {
    db.put_name(name, owner.id, public, NOW).await.expect("puts");
    db.name(name, &owner.into()).await.expect("reads").expect("its owner sees it").id
}

fn release(name: NameId, sequence: u64) -> NewRelease {
    let hash = |sequence: u64| [u8::try_from(sequence).expect("small"); 32];
    NewRelease {
        name,
        sequence,
        hash: hash(sequence),
        previous: (sequence > 1).then(|| hash(sequence - 1)),
        manifest: vec![1, 2, 3],
        head: vec![4, 5],
        tree: chunk(900),
        closure: chunk(1000 + u32::try_from(sequence).expect("small")),
        stored_bytes: 77,
        issued: NOW,
    }
}

async fn can_read(db: &dyn HubDb, caller: &Caller, id: ChunkId) -> bool {
    db.readable(caller, &[id]).await.expect("looks up").contains(&id)
}

pub(crate) async fn invitations_are_used_as_often_as_they_allow(db: &dyn HubDb) {
    db.create_invitation(&invitation(1, Role::Reader, 2)).await.expect("invites");
    let unknown = db.register(&key(1), &[2; 32], NOW).await;
    assert!(matches!(unknown, Err(RegisterError::Unknown)), "{unknown:?}");
    let late = db.register(&key(1), &[1; 32], NOW + 10).await;
    assert!(matches!(late, Err(RegisterError::Expired)), "{late:?}");

    let first = db.register(&key(1), &[1; 32], NOW).await.expect("registers");
    assert_eq!((first.role, first.created, first.revoked), (Role::Reader, NOW, None));
    let again = db.register(&key(1), &[1; 32], NOW).await.expect("costs no use");
    assert_eq!(again, first);
    db.register(&key(2), &[1; 32], NOW).await.expect("the second use");
    let third = db.register(&key(3), &[1; 32], NOW).await;
    assert!(matches!(third, Err(RegisterError::UsedUp)), "{third:?}");
    assert_eq!(db.account(&key(3)).await.expect("reads"), None);

    assert_eq!(db.drop_expired_invitations(NOW).await.expect("none yet"), 0);
    assert_eq!(db.drop_expired_invitations(NOW + 10).await.expect("deletes"), 1);
    assert_eq!(db.account(&key(1)).await.expect("reads"), Some(first));
}

pub(crate) async fn an_invitation_raises_roles_and_grants_names(db: &dyn HubDb) {
    let owner = publisher(db, 9).await;
    let name = name_of(db, &owner, "team/granted", false).await;
    db.create_invitation(&invitation(1, Role::Reader, 1)).await.expect("invites");
    db.create_invitation(&invitation(2, Role::Publisher, 1)).await.expect("invites");
    db.create_invitation(&invitation(3, Role::Reader, 1)).await.expect("invites");

    let reader = db.register(&key(1), &[1; 32], NOW).await.expect("registers");
    let seen = db.name("team/granted", &(&reader).into()).await.expect("reads");
    assert_eq!(seen.map(|seen| seen.id), Some(name));
    let raised = db.register(&key(1), &[2; 32], NOW).await.expect("registers");
    assert_eq!((raised.id, raised.role), (reader.id, Role::Publisher));
    let kept = db.register(&key(1), &[3; 32], NOW).await.expect("registers");
    assert_eq!(kept.role, Role::Publisher, "an invitation never lowers a role");
}

pub(crate) async fn revoked_accounts_stay_revoked(db: &dyn HubDb) {
    let account = publisher(db, 1).await;
    assert!(db.revoke_account(&account.key, NOW).await.expect("revokes"));
    assert!(!db.revoke_account(&account.key, NOW + 1).await.expect("was revoked"));
    let revoked = db.account(&account.key).await.expect("reads").expect("is kept");
    assert_eq!(revoked.revoked, Some(NOW));
    db.create_invitation(&invitation(2, Role::Reader, 1)).await.expect("invites");
    let refused = db.register(&account.key, &[2; 32], NOW).await;
    assert!(matches!(refused, Err(RegisterError::Revoked)), "{refused:?}");
}

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
    db.grant_reader("team/private", &reader.key).await.expect("grants");

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

    assert!(db.revoke_reader("team/private", &reader.key).await.expect("revokes"));
    assert!(!db.revoke_reader("team/private", &reader.key).await.expect("was revoked"));
    assert_eq!(listed((&reader).into()).await, ["team/public"]);
}

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

pub(crate) async fn chunks_are_readable_through_their_holders_alone(db: &dyn HubDb) {
    let (owner, reader, other) =
        (publisher(db, 1).await, publisher(db, 2).await, publisher(db, 3).await);
    let private = name_of(db, &owner, "team/private", false).await;
    let callers: [Caller; 4] =
        [(&owner).into(), (&reader).into(), (&other).into(), Caller::Anonymous];
    let rights = async |id: ChunkId| {
        let mut rights = vec![];
        for caller in &callers {
            rights.push(can_read(db, caller, id).await);
        }
        rights
    };
    assert_eq!(rights(chunk(1)).await, [false; 4], "an id alone opens nothing");
    db.add_holders(owner.id.into(), &[chunk(1), chunk(2)]).await.expect("adds");
    assert_eq!(rights(chunk(1)).await, [true, false, false, false], "its uploader's");
    db.publish(&release(private, 1), &[chunk(1), chunk(3)]).await.expect("publishes");
    assert_eq!(rights(chunk(3)).await, [true, false, false, false], "the name's owner's");
    db.grant_reader("team/private", &reader.key).await.expect("grants");
    assert_eq!(rights(chunk(1)).await, [true, true, false, false]);
    assert_eq!(rights(chunk(2)).await, [true, false, false, false], "in no release");
    db.revoke_reader("team/private", &reader.key).await.expect("revokes");
    assert_eq!(rights(chunk(1)).await, [true, false, false, false]);
    db.put_name("team/private", owner.id, true, NOW).await.expect("publishes to all");
    assert_eq!(rights(chunk(3)).await, [true; 4]);
    assert_eq!(rights(chunk(2)).await, [true, false, false, false]);
    db.put_name("team/private", owner.id, false, NOW).await.expect("takes back");
    assert_eq!(rights(chunk(3)).await, [true, false, false, false]);

    // The holder of account n and of name n are not the same.
    db.add_holders(other.id.into(), &[chunk(4)]).await.expect("adds");
    db.add_holders(private.into(), &[chunk(5)]).await.expect("adds");
    assert_eq!(rights(chunk(4)).await, [false, false, true, false]);
    assert_eq!(rights(chunk(5)).await, [true, false, false, false]);
}

pub(crate) async fn lookups_of_every_size_agree_with_single_ones(db: &dyn HubDb) {
    let owner = publisher(db, 1).await;
    let caller = (&owner).into();
    let ids = (0..3000).map(chunk).collect::<Vec<_>>();
    let held = ids.iter().copied().step_by(3).collect::<Vec<_>>();
    for size in [1, 2, 31, 33, 513, held.len()] {
        db.add_holders(owner.id.into(), &held[..size]).await.expect("adds");
        for length in [0, 1, 2, 64, 65, LOOKUP_IDS_MAX] {
            let found = db.readable(&caller, &ids[..length]).await.expect("looks up");
            let expected = length.div_ceil(3).min(size);
            assert_eq!(found.len(), expected, "{length} of {size}");
            assert!(found.iter().all(|id| held.contains(id)));
        }
    }
    assert!(db.readable(&Caller::Anonymous, &ids[..64]).await.expect("looks up").is_empty());
}

pub(crate) async fn dropped_holders_are_gone(db: &dyn HubDb) {
    let (owner, other) = (publisher(db, 1).await, publisher(db, 2).await);
    let mut ids = (0..1500).map(chunk).collect::<Vec<_>>();
    ids.sort_by_key(|id| *id.as_bytes());
    for holder in [&owner, &other] {
        db.add_holders(holder.id.into(), &ids).await.expect("adds");
    }
    let page = db.held_chunks(None, 1000).await.expect("lists");
    assert_eq!(page, ids[..1000], "each once, in order");
    let page = db.held_chunks(page.last().copied(), 1000).await.expect("lists");
    assert_eq!(page, ids[1000..]);
    db.drop_holders(&ids[10..1400]).await.expect("drops");
    let rest = db.held_chunks(None, 5000).await.expect("lists");
    assert_eq!(rest, [&ids[..10], &ids[1400..]].concat());
}
