//! Communities, and what their rosters give and take.

use hub_db::{
    CommunityKey, Grant, HubDb, Member, NewEntry, NewRoster, PeerRoles, RegisterError, Renewal,
    RosterOrder,
};

use super::*;

pub(crate) const PUBLISHER: PeerRoles = PeerRoles { publisher: true, relay: false, target: false };
pub(crate) const RELAY: PeerRoles = PeerRoles { publisher: false, relay: true, target: false };
pub(crate) const TARGET: PeerRoles = PeerRoles { publisher: false, relay: false, target: true };

pub(crate) fn community_of(number: u8) -> CommunityKey {
    CommunityKey([number; 16])
}

pub(crate) fn member(number: u8, roles: PeerRoles) -> Member {
    let peer = format!("peer-{number}");
    Member { peer, key: key(number), roles, payload: vec![number; 5] }
}

/// Begins a community.
pub(crate) async fn start(db: &dyn HubDb, number: u8) {
    let community = community_of(number);
    assert!(db.create_community(&community, b"charter 1", None, NOW).await.expect("creates"));
}

fn order(charter: u64, number: u64) -> RosterOrder {
    RosterOrder { charter, number }
}

/// The first roster of a community, with nobody in it.
pub(crate) fn roster(community: u8, number: u64) -> NewRoster {
    NewRoster {
        community: community_of(community),
        order: order(1, number),
        previous: None,
        signed: format!("roster {number}").into_bytes(),
        renewal: None,
        changed: vec![],
        removed: vec![],
        publishers: vec![],
        now: NOW,
    }
}

/// The roster after the one that is there, with the same publishers and no change.
pub(crate) async fn next(db: &dyn HubDb, community: u8) -> NewRoster {
    let stands = db.community(&community_of(community)).await.expect("reads").expect("is there");
    let previous = stands.roster.map(|(order, _)| order);
    let number = previous.map_or(1, |previous| previous.number + 1);
    let (_, members) = db.all_members(&community_of(community)).await.expect("reads");
    let publishers = members.iter().filter(|it| it.roles.publisher).map(|it| it.key).collect();
    NewRoster { previous, publishers, ..roster(community, number) }
}

/// Sets a roster after the one that is there.
async fn change(db: &dyn HubDb, community: u8, changed: &[Member], removed: &[u8]) {
    let mut new = next(db, community).await;
    let gone: Vec<AccountKey> = removed.iter().map(|number| key(*number)).collect();
    new.publishers.retain(|key| !gone.contains(key) && !changed.iter().any(|it| it.key == *key));
    new.publishers.extend(changed.iter().filter(|it| it.roles.publisher).map(|it| it.key));
    new.changed = changed.to_vec();
    new.removed = removed.iter().map(|number| member(*number, TARGET).peer).collect();
    assert!(db.set_roster(&new).await.expect("sets"));
}

pub(crate) async fn a_community_is_managed_here_or_mirrored(db: &dyn HubDb) {
    start(db, 1).await;
    let (two, mirror) = (community_of(2), key(9));
    assert!(db.create_community(&two, b"charter 1", Some(&mirror), NOW).await.expect("creates"));
    let of = async |number| {
        let found = db.community(&community_of(number)).await.expect("reads");
        found.expect("is there").mirror
    };
    assert_eq!((of(1).await, of(2).await), (None, Some(mirror)));
    assert!(!db.create_community(&two, b"charter 1", None, NOW).await.expect("is there"));
    assert_eq!(of(2).await, Some(mirror));
}

pub(crate) async fn charters_follow_one_another(db: &dyn HubDb) {
    let (one, two) = (community_of(1), community_of(2));
    start(db, 1).await;
    start(db, 2).await;
    assert!(!db.create_community(&one, b"another", None, NOW).await.expect("is there"));
    for number in [1, 3] {
        assert!(!db.add_charter(&one, number, b"x").await.expect("does not follow"));
    }
    assert!(db.add_charter(&one, 2, b"charter 2").await.expect("adds"));
    assert!(!db.add_charter(&one, 2, b"other 2").await.expect("is there"));
    assert!(db.add_charter(&one, 3, b"charter 3").await.expect("adds"));
    assert!(!db.add_charter(&community_of(3), 2, b"x").await.expect("is no community"));
    let read = async |after, limit| db.charters(&one, after, limit).await.expect("reads");
    assert_eq!(read(0, 2).await, [b"charter 1", b"charter 2"]);
    assert_eq!(read(2, 9).await, [b"charter 3"]);
    assert_eq!(read(3, 9).await, [] as [Vec<u8>; 0]);
    let stands = db.community(&one).await.expect("reads").expect("is there");
    assert_eq!((stands.charter, &stands.signed_charter[..]), (3, &b"charter 3"[..]));
    assert_eq!((stands.roster, stands.renewal), (None, None));
    let stands = db.community(&two).await.expect("reads").expect("is there");
    assert_eq!((stands.charter, &stands.signed_charter[..]), (1, &b"charter 1"[..]));
    assert_eq!(db.community(&community_of(3)).await.expect("reads"), None);
}

pub(crate) async fn a_roster_replaces_the_one_it_was_computed_on(db: &dyn HubDb) {
    start(db, 1).await;
    let set = async |order, previous| {
        let new = NewRoster { order, previous, ..roster(1, 1) };
        db.set_roster(&new).await.expect("decides")
    };
    assert!(!set(order(2, 1), None).await, "under a charter that is not there");
    assert!(!set(order(1, 2), Some(order(1, 1))).await, "on a roster that is not there");
    assert!(set(order(1, 5), None).await);
    assert!(!set(order(1, 6), None).await, "as if there were none");
    assert!(!set(order(1, 6), Some(order(1, 4))).await, "on an older one");
    for number in [4, 5] {
        assert!(!set(order(1, number), Some(order(1, 5))).await, "not behind it");
    }
    assert!(db.add_charter(&community_of(1), 2, b"charter 2").await.expect("adds"));
    assert!(!set(order(1, 6), Some(order(1, 5))).await, "under an older charter");
    assert!(set(order(2, 1), Some(order(1, 5))).await, "a new charter counts anew");
    let stands = db.community(&community_of(1)).await.expect("reads").expect("is there");
    assert_eq!(stands.roster, Some((order(2, 1), b"roster 1".to_vec())));
    assert!(!db.set_roster(&roster(9, 1)).await.expect("is no community"));
}

pub(crate) async fn of_two_racing_rosters_one_counts(db: &dyn HubDb) {
    start(db, 1).await;
    let racing = (0..8u8).map(|number| async move {
        let changed = vec![member(number, TARGET)];
        db.set_roster(&NewRoster { changed, ..roster(1, 1) }).await.expect("decides")
    });
    let set = futures_util::future::join_all(racing).await;
    assert_eq!(set.iter().filter(|set| **set).count(), 1, "{set:?}");
    assert_eq!(db.members(&community_of(1), "", 9).await.expect("reads").len(), 1);
}

pub(crate) async fn peers_are_in_order_of_their_bytes_and_may_exchange_keys(db: &dyn HubDb) {
    start(db, 1).await;
    start(db, 2).await;
    let named = |peer: &str, number| Member { peer: peer.to_owned(), ..member(number, TARGET) };
    let all = [named("Z", 1), named("a", 2), named("a-b", 3), named("a.b", 4), named("é", 5)];
    let mut given = all.to_vec();
    given.reverse();
    change(db, 1, &given, &[]).await;
    change(db, 2, &[named("elsewhere", 1)], &[]).await;
    let (place, found) = db.all_members(&community_of(1)).await.expect("reads");
    assert_eq!((place, &found[..]), (Some(order(1, 1)), &all[..]));
    let page = db.members(&community_of(1), "a", 2).await.expect("reads");
    assert_eq!(page, all[2..4]);
    assert_eq!(db.member(&community_of(1), &key(4)).await.expect("reads"), Some(all[3].clone()));
    assert_eq!(db.member(&community_of(2), &key(4)).await.expect("reads"), None);
    let exchanged = [named("a", 3), named("a-b", 2)];
    change(db, 1, &exchanged, &[]).await;
    let page = db.members(&community_of(1), "Z", 2).await.expect("reads");
    assert_eq!(page, exchanged);
    // Nobody at all, and no community.
    start(db, 3).await;
    assert_eq!(db.all_members(&community_of(3)).await.expect("reads"), (None, vec![]));
    assert_eq!(db.all_members(&community_of(4)).await.expect("reads"), (None, vec![]));
}

pub(crate) async fn renewals_are_newer_and_of_the_roster_in_force(db: &dyn HubDb) {
    start(db, 1).await;
    let renewal = |issued: u64| Renewal { signed: issued.to_be_bytes().to_vec(), issued };
    let renew = async |number, issued| {
        db.renew_roster(&community_of(1), order(1, number), &renewal(issued))
            .await
            .expect("decides")
    };
    let there =
        async || db.community(&community_of(1)).await.expect("reads").expect("is there").renewal;
    assert!(!renew(1, 5).await, "there is no roster");
    change(db, 1, &[], &[]).await;
    assert_eq!(there().await, None);
    assert!(renew(1, 5).await);
    assert!(!renew(1, 5).await);
    assert!(!renew(1, 4).await);
    assert!(!renew(2, 9).await, "another roster");
    assert!(renew(1, 6).await);
    assert_eq!(there().await, Some(renewal(6)));
    // With the next roster comes its own, or none.
    let new = NewRoster { renewal: Some(renewal(3)), ..next(db, 1).await };
    assert!(db.set_roster(&new).await.expect("sets"));
    assert_eq!(there().await, Some(renewal(3)));
    change(db, 1, &[], &[]).await;
    assert_eq!(there().await, None);
}

/// Its role, and whether it is in force.
async fn account(db: &dyn HubDb, number: u8) -> Option<(Role, bool)> {
    let account = db.account(&key(number)).await.expect("looks up")?;
    Some((account.role, account.revoked.is_none()))
}

async fn is_in_force(db: &dyn HubDb, number: u8) -> bool {
    account(db, number).await.expect("is there").1
}

pub(crate) async fn a_roster_makes_accounts_and_takes_them_back(db: &dyn HubDb) {
    start(db, 1).await;
    start(db, 2).await;
    change(db, 1, &[member(10, PUBLISHER), member(11, TARGET), member(12, RELAY)], &[]).await;
    assert_eq!(account(db, 10).await, Some((Role::Publisher, true)));
    assert_eq!(account(db, 11).await, Some((Role::Reader, true)));
    assert_eq!(account(db, 12).await, Some((Role::Reader, true)));
    // Roles come and go with the rosters of all communities.
    change(db, 2, &[member(11, PUBLISHER)], &[]).await;
    assert_eq!(account(db, 11).await, Some((Role::Publisher, true)));
    change(db, 1, &[member(11, PUBLISHER)], &[]).await;
    change(db, 2, &[member(11, TARGET)], &[]).await;
    assert_eq!(account(db, 11).await, Some((Role::Publisher, true)));
    change(db, 1, &[member(11, TARGET)], &[]).await;
    assert_eq!(account(db, 11).await, Some((Role::Reader, true)));
    // It is in force while it belongs to any.
    change(db, 1, &[], &[10, 11]).await;
    assert_eq!(account(db, 10).await, Some((Role::Reader, false)));
    assert_eq!(account(db, 11).await, Some((Role::Reader, true)));
    change(db, 2, &[], &[11]).await;
    assert_eq!(account(db, 11).await, Some((Role::Reader, false)));
    change(db, 2, &[member(10, PUBLISHER)], &[]).await;
    assert_eq!(account(db, 10).await, Some((Role::Publisher, true)), "it is back");
    // A new key for the same peer: the old one belongs to nobody.
    let replaced = Member { key: key(13), ..member(12, RELAY) };
    change(db, 1, &[replaced], &[]).await;
    assert_eq!(account(db, 12).await, Some((Role::Reader, false)));
    assert_eq!(account(db, 13).await, Some((Role::Reader, true)));
}

pub(crate) async fn accounts_of_their_own_right_are_no_rosters_to_change(db: &dyn HubDb) {
    start(db, 1).await;
    publisher(db, 10).await;
    let mut guest = invitation(77, Role::Reader, 9);
    guest.grants.clear();
    db.create_invitation(&guest).await.expect("invites");
    let register = async |number| db.register(&key(number), &[77; 32], NETWORK, NOW).await;
    register(11).await.expect("registers");
    change(db, 1, &[10, 11, 12, 13, 14].map(|number| member(number, PUBLISHER)), &[]).await;
    assert_eq!(account(db, 11).await, Some((Role::Reader, true)), "the operator's decision");
    // Registering makes it one's own.
    let of_community = async |number| {
        db.account(&key(number)).await.expect("looks up").expect("is there").of_community
    };
    assert!(of_community(12).await && !of_community(10).await);
    let owner = db.account(&key(10)).await.expect("looks up").expect("is there");
    let tools = name_of(db, &owner, "team/tools", false).await;
    assert!(!db.transfer_name(tools, &key(12)).await.expect("is for feeds alone"));
    register(12).await.expect("registers");
    assert!(!of_community(12).await);
    assert_eq!(account(db, 12).await, Some((Role::Publisher, true)));
    assert!(db.revoke_account(&key(13), NOW).await.expect("revokes"));
    change(db, 1, &[], &[10, 11, 12, 13, 14]).await;
    for number in [10, 11, 12] {
        assert!(is_in_force(db, number).await, "{number}");
    }
    assert_eq!(account(db, 14).await, Some((Role::Reader, false)));
    // What an administrator has revoked no roster brings back, and no invitation.
    change(db, 1, &[member(13, TARGET)], &[]).await;
    assert!(!is_in_force(db, 13).await);
    assert!(matches!(register(13).await, Err(RegisterError::Revoked)));
    // What a roster has taken an invitation gives: otherwise a manager could bar any key.
    assert!(matches!(register(14).await, Ok(account) if account.revoked.is_none()));
    assert_eq!(account(db, 14).await, Some((Role::Reader, true)));
    // Revoked while no roster names it: neither.
    change(db, 1, &[member(15, TARGET)], &[]).await;
    change(db, 1, &[], &[15]).await;
    assert!(db.revoke_account(&key(15), NOW).await.expect("revokes"));
    assert!(!db.revoke_account(&key(15), NOW).await.expect("is revoked"));
    change(db, 1, &[member(15, TARGET)], &[]).await;
    assert!(!is_in_force(db, 15).await);
}

pub(crate) async fn targets_and_relays_read_the_feeds_of_publishers(db: &dyn HubDb) {
    start(db, 1).await;
    start(db, 2).await;
    let feed = |community, number| community_of(community).feed(&key(number));
    let readers = async |community, number| {
        let grants = db.grants(&feed(community, number)).await.expect("reads");
        assert!(grants.iter().all(|it| it.grant == Grant::Reader));
        grants.into_iter().map(|it| it.key.0[0]).collect::<Vec<_>>()
    };
    assert_eq!(feed(1, 10), format!("c-{}/{}", "01".repeat(16), "0a".repeat(32)));
    let peers = [member(10, PUBLISHER), member(11, TARGET), member(12, RELAY)];
    change(db, 1, &peers, &[]).await;
    change(db, 2, &[member(10, PUBLISHER), member(11, TARGET)], &[]).await;
    assert_eq!(readers(1, 10).await, [11, 12]);
    // Another publisher, and another target.
    change(db, 1, &[member(13, PUBLISHER), member(14, TARGET)], &[]).await;
    for number in [10, 13] {
        assert_eq!(readers(1, number).await, [11, 12, 14]);
    }
    // Gone, another role, another key.
    let replaced = Member { key: key(15), ..member(14, TARGET) };
    change(db, 1, &[member(12, PUBLISHER), replaced], &[11]).await;
    for number in [10, 12, 13] {
        assert_eq!(readers(1, number).await, [15]);
    }
    change(db, 1, &[member(13, TARGET)], &[10]).await;
    assert_eq!((readers(1, 10).await, readers(1, 13).await), (vec![], vec![]));
    assert_eq!(readers(1, 12).await, [13, 15]);
    assert_eq!(readers(2, 10).await, [11], "another community's are left alone");
}

pub(crate) async fn a_community_that_ends_leaves_its_charters_and_one_that_is_removed_nothing(
    db: &dyn HubDb,
) {
    let ids = [1, 2, 3].map(community_of);
    let release_of = async |community: u8| {
        let owner = db.account(&key(10)).await.expect("looks up").expect("is there");
        let feed = name_of(db, &owner, &community_of(community).feed(&key(10)), false).await;
        let [own, shared] = [chunk(community.into()), chunk(100)];
        db.publish(&release(feed, 1), &[own, shared]).await.expect("publishes");
        let entry = |number: u8| NewEntry { target: key(number), envelope: vec![number; 92] };
        let queued = db.enqueue(feed, 1, &[entry(11), entry(12)], NOW).await.expect("queues");
        assert_eq!(queued, Some(2));
    };
    for community in [1, 2, 3] {
        start(db, community).await;
        let peers = [member(10, PUBLISHER), member(11, TARGET), member(12, TARGET)];
        change(db, community, &peers, &[]).await;
        if community < 3 {
            change(db, community, &[member(20 + community, TARGET)], &[]).await;
        }
        release_of(community).await;
        db.admit(&community_of(community), &[community; 16], NOW + 9).await.expect("admits");
    }
    let listed = db.communities().await.expect("lists");
    assert_eq!(
        listed.iter().map(|it| (it.community, it.members)).collect::<Vec<_>>(),
        [(ids[0], 4), (ids[1], 4), (ids[2], 3),]
    );
    for number in [1, 3] {
        let ended = db.end_community(&ids[0], number, b"last", NOW).await.expect("decides");
        assert!(!ended, "the last charter is the next one");
    }
    assert!(!db.end_community(&community_of(9), 1, b"last", NOW).await.expect("is none"));
    assert!(!db.remove_community(&community_of(9), NOW).await.expect("is none"));
    assert!(db.end_community(&ids[0], 2, b"last", NOW).await.expect("ends"));
    assert!(db.remove_community(&ids[1], NOW).await.expect("removes"));
    for (community, left) in [(ids[0], &[&b"charter 1"[..], b"last"][..]), (ids[1], &[])] {
        assert_eq!(db.charters(&community, 0, 9).await.expect("reads"), left);
        assert_eq!(db.all_members(&community).await.expect("reads"), (None, vec![]));
        assert_eq!(db.joins(&community, 9).await.expect("reads"), []);
        assert!(!db.withdraw_admission(&community, &[community.0[0]; 16]).await.expect("none"));
        for target in [11, 12] {
            assert_eq!(db.queue(&community, &key(target), 0, 9).await.expect("reads"), []);
        }
        assert_eq!(db.grants(&community.feed(&key(10))).await.expect("reads"), []);
    }
    let stands = db.community(&ids[0]).await.expect("reads").expect("is there");
    assert_eq!((stands.charter, stands.roster, stands.renewal), (2, None, None));
    assert_eq!(db.community(&ids[1]).await.expect("reads"), None);
    assert!(!db.add_charter(&ids[1], 2, b"x").await.expect("is none"));
    // Who belongs nowhere else is out; releases are gone with what they held, those of others stay.
    for (number, stays) in [(21, false), (22, false), (10, true), (11, true)] {
        assert_eq!(is_in_force(db, number).await, stays, "{number}");
    }
    let names = db.all_names("", 9).await.expect("reads");
    let names: Vec<String> = names.into_iter().map(|name| name.name).collect();
    assert_eq!(names, [ids[2].feed(&key(10))]);
    let reader = Caller::from(&db.account(&key(11)).await.expect("looks up").expect("is there"));
    let readable = async |number| {
        let chunks = [chunk(number)];
        !db.readable(&reader, &chunks).await.expect("reads").is_empty()
    };
    assert!(!readable(1).await && !readable(2).await && readable(3).await && readable(100).await);
    assert_eq!(db.queue(&ids[2], &key(12), 0, 9).await.expect("reads").len(), 1);
    // It can begin anew where it was removed, and not where it ended.
    start(db, 2).await;
    assert!(!db.create_community(&ids[0], b"charter 1", None, NOW).await.expect("is there"));
}

/// As many as a community may well have: some statements for all of them, and as many for one.
pub(crate) async fn a_large_roster_is_set_at_once(db: &dyn HubDb) {
    start(db, 1).await;
    let many = (0..10_000u32).map(|number| {
        let mut key = [9; 32];
        key[..4].copy_from_slice(&number.to_be_bytes());
        let roles = if number < 4 { PUBLISHER } else { TARGET };
        let peer = format!("peer-{number}");
        Member { peer, key: AccountKey(key), roles, payload: vec![7; 300] }
    });
    let changed: Vec<Member> = many.collect();
    let publishers = changed[..4].iter().map(|it| it.key).collect::<Vec<_>>();
    let began = std::time::Instant::now();
    let first = NewRoster { changed, publishers: publishers.clone(), ..roster(1, 1) };
    assert!(db.set_roster(&first).await.expect("sets"));
    let (set, began) = (began.elapsed(), std::time::Instant::now());
    let feed = community_of(1).feed(&publishers[3]);
    assert_eq!(db.grants(&feed).await.expect("reads").len(), 9996);
    let mut one = NewRoster { removed: vec!["peer-77".to_owned()], ..next(db, 1).await };
    one.publishers = publishers;
    assert!(db.set_roster(&one).await.expect("sets"));
    eprintln!("10000 members {set:?}, one removed {:?}", began.elapsed());
    assert_eq!(db.grants(&feed).await.expect("reads").len(), 9995);
}
