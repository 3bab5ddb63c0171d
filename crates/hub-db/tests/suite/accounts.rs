//! Accounts and invitations.

use hub_db::{Caller, HubDb, NETWORK_WINDOW, RegisterError, Role};

use super::*;

pub(crate) async fn invitations_are_used_as_often_as_they_allow(db: &dyn HubDb) {
    db.create_invitation(&invitation(1, Role::Reader, 2)).await.expect("invites");
    let unknown = db.register(&key(1), &[2; 32], NETWORK, NOW).await;
    assert!(matches!(unknown, Err(RegisterError::Unknown)), "{unknown:?}");
    let late = db.register(&key(1), &[1; 32], NETWORK, NOW + 10).await;
    assert!(matches!(late, Err(RegisterError::Expired)), "{late:?}");

    let first = db.register(&key(1), &[1; 32], NETWORK, NOW).await.expect("registers");
    assert_eq!((first.role, first.created, first.revoked), (Role::Reader, NOW, None));
    let again = db.register(&key(1), &[1; 32], NETWORK, NOW).await.expect("costs no use");
    assert_eq!(again, first);
    db.register(&key(2), &[1; 32], NETWORK, NOW).await.expect("the second use");
    let third = db.register(&key(3), &[1; 32], NETWORK, NOW).await;
    assert!(matches!(third, Err(RegisterError::UsedUp)), "{third:?}");
    assert_eq!(db.account(&key(3)).await.expect("reads"), None);

    assert_eq!(db.drop_expired_invitations(NOW).await.expect("none yet"), 0);
    assert_eq!(db.drop_expired_invitations(NOW + 10).await.expect("deletes"), 1);
    assert_eq!(db.account(&key(1)).await.expect("reads"), Some(first));
}

pub(crate) async fn a_network_registers_so_many_keys_a_day(db: &dyn HubDb) {
    let day = NETWORK_WINDOW.as_secs();
    let mut open = invitation(1, Role::Reader, 9);
    open.each_network = Some(2);
    open.expires = NOW + 10 * day;
    db.create_invitation(&open).await.expect("invites");
    let [here, there] = ["192.0.2.0/24", "198.51.100.0/24"];
    db.register(&key(1), &[1; 32], here, NOW).await.expect("the first");
    db.register(&key(2), &[1; 32], here, NOW + 5).await.expect("the second");
    db.register(&key(1), &[1; 32], here, NOW + 6).await.expect("repeated");
    let crowded = db.register(&key(3), &[1; 32], here, NOW + 7).await;
    let Err(RegisterError::Crowded { until }) = crowded else { panic!("{crowded:?}") };
    assert_eq!(until, NOW + day, "when the first counts no more");
    db.register(&key(3), &[1; 32], there, NOW + 7).await.expect("another network");
    db.register(&key(4), &[1; 32], here, NOW + day).await.expect("a day after the first");
    let crowded = db.register(&key(5), &[1; 32], here, NOW + day).await;
    assert!(matches!(crowded, Err(RegisterError::Crowded { until }) if until == NOW + 5 + day));
    let [left] = &db.invitations(NOW).await.expect("reads")[..] else { panic!("one") };
    assert_eq!((left.uses_left, left.each_network), (5, Some(2)));
}

pub(crate) async fn an_invitation_raises_roles_and_grants_names(db: &dyn HubDb) {
    let owner = publisher(db, 9).await;
    let name = name_of(db, &owner, "team/granted", false).await;
    db.create_invitation(&invitation(1, Role::Reader, 1)).await.expect("invites");
    db.create_invitation(&invitation(2, Role::Publisher, 1)).await.expect("invites");
    db.create_invitation(&invitation(3, Role::Reader, 1)).await.expect("invites");

    let reader = db.register(&key(1), &[1; 32], NETWORK, NOW).await.expect("registers");
    let seen = db.name("team/granted", &(&reader).into()).await.expect("reads");
    assert_eq!(seen.map(|seen| seen.id), Some(name));
    let raised = db.register(&key(1), &[2; 32], NETWORK, NOW).await.expect("registers");
    assert_eq!((raised.id, raised.role), (reader.id, Role::Publisher));
    let kept = db.register(&key(1), &[3; 32], NETWORK, NOW).await.expect("registers");
    assert_eq!(kept.role, Role::Publisher, "an invitation never lowers a role");
}

pub(crate) async fn revoked_accounts_stay_revoked(db: &dyn HubDb) {
    let account = publisher(db, 1).await;
    assert!(db.revoke_account(&account.key, NOW).await.expect("revokes"));
    assert!(!db.revoke_account(&account.key, NOW + 1).await.expect("was revoked"));
    let revoked = db.account(&account.key).await.expect("reads").expect("is kept");
    assert_eq!(revoked.revoked, Some(NOW));
    db.create_invitation(&invitation(2, Role::Reader, 1)).await.expect("invites");
    let refused = db.register(&account.key, &[2; 32], NETWORK, NOW).await;
    assert!(matches!(refused, Err(RegisterError::Revoked)), "{refused:?}");
}

pub(crate) async fn invitations_end_with_the_account_that_made_them(db: &dyn HubDb) {
    let (creator, other) = (publisher(db, 1).await, publisher(db, 2).await);
    let by = |number: u8, uses: u32, account: Option<&Account>| NewInvitation {
        creator: account.map(|account| account.id),
        ..invitation(number, Role::Administrator, uses)
    };
    for new in [by(11, 1, Some(&creator)), by(12, 2, Some(&creator)), by(13, 1, Some(&creator))] {
        assert!(db.create_invitation(&new).await.expect("invites").is_some());
    }
    for new in [by(21, 1, Some(&other)), by(22, 1, None)] {
        assert!(db.create_invitation(&new).await.expect("invites").is_some());
    }
    db.register(&key(3), &[12; 32], NETWORK, NOW).await.expect("one of two uses");
    db.register(&key(4), &[13; 32], NETWORK, NOW).await.expect("the only use");
    assert!(db.revoke_account(&creator.key, NOW).await.expect("revokes"));
    for secret in [11, 12] {
        let refused = db.register(&key(5), &[secret; 32], NETWORK, NOW).await;
        assert!(matches!(refused, Err(RegisterError::Unknown)), "{refused:?}");
    }
    // Whom it invited before stays, and may ask again.
    assert_eq!(db.account(&key(3)).await.expect("reads").expect("is there").revoked, None);
    db.register(&key(4), &[13; 32], NETWORK, NOW).await.expect("costs no use");
    for (number, secret) in [(6, 21), (7, 22)] {
        db.register(&key(number), &[secret; 32], NETWORK, NOW).await.expect("is another's");
    }
    let late = db.create_invitation(&by(14, 1, Some(&creator))).await.expect("asks");
    assert_eq!(late, None, "a request that was under way");
    let refused = db.register(&key(5), &[14; 32], NETWORK, NOW).await;
    assert!(matches!(refused, Err(RegisterError::Unknown)), "{refused:?}");
}

pub(crate) async fn invitations_are_listed_while_they_are_good(db: &dyn HubDb) {
    let mut first = invitation(1, Role::Reader, 2);
    first.grants = vec!["team/two".to_owned(), "team/one".to_owned(), "team/one".to_owned()];
    let mut second = invitation(2, Role::Administrator, 1);
    (second.created, second.expires) = (NOW + 1, NOW + 20);
    second.grants.clear();
    let first_id = db.create_invitation(&first).await.expect("invites").expect("may");
    let second_id = db.create_invitation(&second).await.expect("invites").expect("may");

    let listed = db.invitations(NOW).await.expect("lists");
    assert_eq!(listed.iter().map(|it| it.id).collect::<Vec<_>>(), [first_id, second_id]);
    assert_eq!(listed[0].grants, ["team/one", "team/two"]);
    assert_eq!((listed[0].role, listed[0].uses_left), (Role::Reader, 2));
    assert_eq!((listed[0].created, listed[0].expires), (NOW, NOW + 10));
    assert_eq!((listed[1].role, listed[1].grants.len()), (Role::Administrator, 0));

    db.register(&key(1), &[1; 32], NETWORK, NOW).await.expect("registers");
    assert_eq!(db.invitations(NOW).await.expect("lists")[0].uses_left, 1);
    assert_eq!(db.invitations(NOW + 10).await.expect("lists").len(), 1, "one has ended");
    db.register(&key(2), &[1; 32], NETWORK, NOW).await.expect("registers");
    assert_eq!(db.invitations(NOW).await.expect("lists")[0].id, second_id, "one is used up");

    assert!(db.revoke_invitation(second_id).await.expect("revokes"));
    assert!(!db.revoke_invitation(second_id).await.expect("was revoked"));
    let refused = db.register(&key(3), &[2; 32], NETWORK, NOW).await;
    assert!(matches!(refused, Err(RegisterError::Unknown)), "{refused:?}");
}

pub(crate) async fn an_administrator_is_a_publisher_too(db: &dyn HubDb) {
    for (number, role) in [(1, Role::Reader), (2, Role::Administrator), (3, Role::Publisher)] {
        db.create_invitation(&invitation(number, role, 1)).await.expect("invites");
    }
    let role = async |secret: u8| {
        db.register(&key(1), &[secret; 32], NETWORK, NOW).await.expect("registers").role
    };
    assert_eq!(role(1).await, Role::Reader);
    assert_eq!(role(2).await, Role::Administrator);
    assert_eq!(role(3).await, Role::Administrator, "an invitation never lowers a role");
    assert!(Role::Administrator > Role::Publisher && Role::Publisher > Role::Reader);
}

pub(crate) async fn accounts_are_listed_by_pages(db: &dyn HubDb) {
    let mut made = vec![];
    for number in 1..=5 {
        made.push(publisher(db, number).await);
    }
    db.revoke_account(&key(3), NOW + 1).await.expect("revokes");
    made[2].revoked = Some(NOW + 1);
    let first = db.accounts(None, 3).await.expect("lists");
    assert_eq!(first, made[..3]);
    assert_eq!(db.accounts(Some(first[2].id), 9).await.expect("lists"), made[3..]);
    assert!(db.accounts(Some(made[4].id), 9).await.expect("lists").is_empty());
}

pub(crate) async fn of_many_racing_registrations_as_many_as_allowed_succeed(db: &dyn HubDb) {
    let mut invited = invitation(1, Role::Reader, 3);
    invited.grants.clear();
    db.create_invitation(&invited).await.expect("invites");
    let registrations =
        (1..=8).map(async |number| db.register(&key(number), &[1; 32], NETWORK, NOW).await);
    let results = futures_util::future::join_all(registrations).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 3, "{results:?}");
    let refused = results.iter().filter(|it| matches!(it, Err(RegisterError::UsedUp))).count();
    assert_eq!(refused, 5, "{results:?}");
    assert_eq!(db.accounts(None, 10).await.expect("lists").len(), 3);
}

/// The keys' rights end with the next query, whoever asks it.
pub(crate) async fn a_revoked_account_reads_what_is_public(db: &dyn HubDb) {
    let owner = publisher(db, 1).await;
    let caller = Caller::from(&owner);
    let private = name_of(db, &owner, "team/private", false).await;
    name_of(db, &owner, "team/public", true).await;
    db.add_holders(owner.id.into(), &[chunk(1)]).await.expect("adds");
    db.publish(&release(private, 1), &[chunk(2)]).await.expect("publishes");
    assert!(can_read(db, &caller, chunk(1)).await && can_read(db, &caller, chunk(2)).await);
    db.revoke_account(&owner.key, NOW).await.expect("revokes");
    assert!(!can_read(db, &caller, chunk(1)).await && !can_read(db, &caller, chunk(2)).await);
    let seen = db.names(&caller, "", 10).await.expect("lists");
    assert_eq!(seen.into_iter().map(|name| name.name).collect::<Vec<_>>(), ["team/public"]);
    assert_eq!(db.name("team/private", &caller).await.expect("reads"), None);
    assert_eq!(db.grant_of(private, &caller).await.expect("reads"), None);
}
