//! People and their devices.

use hub_db::{
    Belonging, Details, DeviceAdded, HubDb, ListKept, LoginTurn, NewList, NewPerson, Person,
    PersonId, PersonMade,
};

use super::*;

pub(crate) fn details() -> Details {
    let text = |text: &str| text.to_owned();
    Details {
        first_name: text("Anna"),
        last_name: text("Meier"),
        organisation: text("Library"),
        address: text("Street 1"),
        email: text("anna@example.org"),
    }
}

fn new(handle: &str, account: &Account) -> NewPerson {
    NewPerson {
        handle: handle.to_owned(),
        password: format!("hash of {handle}"),
        details: details(),
        account: account.id,
        list: vec![1],
        now: NOW,
    }
}

/// A person whose first device has the key of this number.
pub(crate) async fn person(db: &dyn HubDb, handle: &str, number: u8) -> (Person, Account) {
    let account = publisher(db, number).await;
    let made = db.create_person(&new(handle, &account)).await.expect("makes");
    let person = db.person(handle).await.expect("reads").expect("is there");
    assert_eq!(made, PersonMade::Now(person.id));
    (person, account)
}

async fn log_in(db: &dyn HubDb, handle: &str, number: u8) -> DeviceAdded {
    let password = format!("hash of {handle}");
    db.add_device(handle, &password, &key(number), 3, NOW + 1).await.expect("decides")
}

async fn listed(db: &dyn HubDb, person: PersonId) -> Vec<(AccountKey, bool)> {
    let devices = db.devices(person).await.expect("reads");
    devices.iter().map(|device| (device.key, device.is_listed)).collect()
}

fn list(person: &Person, number: u64, keys: &[u8]) -> NewList {
    let previous = u8::try_from(number - 1).expect("small");
    NewList {
        person: person.id,
        previous: (previous > 0).then(|| vec![previous]),
        number,
        signed: vec![previous + 1],
        keys: keys.iter().map(|number| key(*number)).collect(),
        now: NOW + 2,
    }
}

pub(crate) async fn a_handle_is_given_once(db: &dyn HubDb) {
    let (anna, account) = person(db, "anna", 1).await;
    assert_eq!((anna.details.clone(), anna.created), (details(), NOW));
    assert_eq!((anna.first_online, anna.last_online), (None, None));
    let other = publisher(db, 2).await;
    let made = db.create_person(&new("anna", &other)).await.expect("decides");
    assert_eq!(made, PersonMade::HandleTaken);
    let made = db.create_person(&new("ben", &account)).await.expect("decides");
    assert_eq!(made, PersonMade::IsDevice);
    db.revoke_account(&other.key, NOW).await.expect("revokes");
    let made = db.create_person(&new("ben", &other)).await.expect("decides");
    assert_eq!(made, PersonMade::NoAccount);
    assert_eq!(db.person("ben").await.expect("reads"), None);

    let belonging = db.belonging(account.id).await.expect("reads");
    let expected = Belonging { person: anna.id, handle: "anna".to_owned(), is_listed: true };
    assert_eq!(belonging, Some(expected));
    assert_eq!(db.belonging(other.id).await.expect("reads"), None);
    assert_eq!(db.password("anna").await.expect("reads").as_deref(), Some("hash of anna"));
    assert_eq!(db.device_lists(anna.id).await.expect("reads"), [vec![1]]);
    let changed = Details { first_name: "Ann".to_owned(), ..Details::default() };
    db.put_details(anna.id, &changed).await.expect("puts");
    db.note_presence(anna.id, NOW + 5).await.expect("notes");
    db.note_presence(anna.id, NOW + 9).await.expect("notes");
    let anna = db.person("anna").await.expect("reads").expect("is there");
    assert_eq!(anna.details, changed);
    assert_eq!((anna.first_online, anna.last_online), (Some(NOW + 5), Some(NOW + 9)));
}

pub(crate) async fn of_two_who_want_a_handle_one_has_it(db: &dyn HubDb) {
    let accounts = [publisher(db, 1).await, publisher(db, 2).await];
    let racing = accounts
        .iter()
        .map(async |account| db.create_person(&new("anna", account)).await.expect("decides"));
    let made = futures_util::future::join_all(racing).await;
    assert_eq!(made.iter().filter(|made| **made == PersonMade::HandleTaken).count(), 1, "{made:?}");
    assert_eq!(made.iter().filter(|made| matches!(made, PersonMade::Now(_))).count(), 1);
}

pub(crate) async fn a_device_logs_in_and_is_listed_by_another(db: &dyn HubDb) {
    let (anna, account) = person(db, "anna", 1).await;
    let (_, of_ben) = person(db, "ben", 9).await;
    assert_eq!(log_in(db, "anna", 2).await, DeviceAdded::Now);
    assert_eq!(log_in(db, "anna", 2).await, DeviceAdded::Before);
    assert_eq!(log_in(db, "ben", 2).await, DeviceAdded::OfAnother);
    assert_eq!(log_in(db, "carla", 3).await, DeviceAdded::Changed);
    assert_eq!(log_in(db, "anna", 3).await, DeviceAdded::Now);
    assert_eq!(log_in(db, "anna", 4).await, DeviceAdded::TooMany);
    let made = db.account(&key(2)).await.expect("reads").expect("is there");
    assert_eq!((made.role, made.revoked), (Role::Reader, None));
    assert_eq!(listed(db, anna.id).await, [(key(1), true), (key(2), false), (key(3), false)]);

    // Of devices that are theirs alone, and after the list that is the newest.
    let kept = async |list: &NewList| db.put_list(list).await.expect("decides");
    assert_eq!(kept(&list(&anna, 2, &[1, 9])).await, ListKept::NoDevice(of_ben.key));
    assert_eq!(kept(&list(&anna, 3, &[1])).await, ListKept::NotNext);
    assert_eq!(kept(&list(&anna, 2, &[1, 2])).await, ListKept::Now(vec![]));
    assert_eq!(kept(&list(&anna, 2, &[1])).await, ListKept::NotNext);
    assert_eq!(listed(db, anna.id).await, [(key(1), true), (key(2), true), (key(3), false)]);
    db.put_room(made.id, 7, 5).await.expect("notes");
    assert_eq!(db.devices(anna.id).await.expect("reads")[1].room, Some((7, 5)));

    // Who is left out is out; who waits goes on waiting.
    assert_eq!(kept(&list(&anna, 3, &[2])).await, ListKept::Now(vec![account.key]));
    assert_eq!(listed(db, anna.id).await, [(key(2), true), (key(3), false)]);
    assert!(db.account(&account.key).await.expect("reads").expect("is kept").revoked.is_some());
    assert_eq!(db.belonging(account.id).await.expect("reads"), None);
    assert_eq!(log_in(db, "anna", 1).await, DeviceAdded::Revoked);
    assert_eq!(db.device_lists(anna.id).await.expect("reads"), [[1], [2], [3]]);

    let remove = async |number| db.remove_device(anna.id, &key(number), NOW).await.expect("asks");
    assert!(!remove(2).await, "is listed");
    assert!(!remove(9).await, "is another's");
    assert!(remove(3).await && !remove(3).await);
    assert_eq!(log_in(db, "anna", 3).await, DeviceAdded::Revoked);
}

pub(crate) async fn of_two_racing_lists_of_devices_one_is_kept(db: &dyn HubDb) {
    let (anna, _) = person(db, "anna", 1).await;
    log_in(db, "anna", 2).await;
    let racing = [list(&anna, 2, &[1, 2]), list(&anna, 2, &[1])];
    let racing = racing.iter().map(async |list| db.put_list(list).await.expect("decides"));
    let kept = futures_util::future::join_all(racing).await;
    assert_eq!(kept.iter().filter(|kept| **kept == ListKept::NotNext).count(), 1, "{kept:?}");
    assert_eq!(db.device_lists(anna.id).await.expect("reads").len(), 2);
}

pub(crate) async fn a_new_password_logs_out_who_is_not_listed(db: &dyn HubDb) {
    let (anna, _) = person(db, "anna", 1).await;
    log_in(db, "anna", 2).await;
    let change =
        async |old: &str| db.change_password(anna.id, old, "new", NOW).await.expect("asks");
    assert_eq!(change("hash of ben").await, None);
    assert_eq!(change("hash of anna").await, Some(vec![key(2)]));
    assert_eq!(change("hash of anna").await, None, "it is another by now");
    assert_eq!(listed(db, anna.id).await, [(key(1), true)]);
    assert_eq!(log_in(db, "anna", 3).await, DeviceAdded::Changed);

    // Who has lost all begins anew.
    assert_eq!(db.reset_person("carla", "reset", NOW).await.expect("asks"), None);
    let reset = db.reset_person("anna", "reset", NOW).await.expect("resets");
    assert_eq!(reset, Some(vec![key(1)]));
    assert_eq!(db.device_lists(anna.id).await.expect("reads"), Vec::<Vec<u8>>::new());
    let added = db.add_device("anna", "reset", &key(3), 3, NOW).await.expect("decides");
    assert_eq!(added, DeviceAdded::Now);
    assert_eq!(db.put_list(&list(&anna, 1, &[3])).await.expect("keeps"), ListKept::Now(vec![]));
    assert_eq!(listed(db, anna.id).await, [(key(3), true)]);
}

pub(crate) async fn a_code_by_mail_is_taken_once_within_its_time(db: &dyn HubDb) {
    let (anna, _) = person(db, "anna", 1).await;
    let (ben, _) = person(db, "ben", 2).await;
    let begin = async |handle: &str, code: u8, now: u64| {
        db.begin_recovery(handle, &[code; 32], 2, now - 60, now).await.expect("decides")
    };
    let take = async |handle: &str, code: u8, now: u64| {
        db.take_recovery(handle, &[code; 32], now - 60).await.expect("decides")
    };
    let details = |email: &str| Details { email: email.to_owned(), ..Details::default() };
    db.put_details(anna.id, &details("")).await.expect("puts");
    assert_eq!(begin("anna", 1, NOW).await, None, "she has told no address");
    db.put_details(anna.id, &details("anna@example.org")).await.expect("puts");
    db.put_details(ben.id, &details("ben@example.org")).await.expect("puts");
    assert_eq!(begin("carla", 1, NOW).await, None, "nobody");
    assert_eq!(begin("anna", 1, NOW).await.as_deref(), Some("anna@example.org"));
    assert_eq!(begin("anna", 2, NOW + 1).await.as_deref(), Some("anna@example.org"));
    assert_eq!(begin("anna", 3, NOW + 2).await, None, "two within the time");
    assert_eq!(begin("ben", 4, NOW + 2).await.as_deref(), Some("ben@example.org"));
    assert_eq!(take("anna", 4, NOW + 2).await, None, "another person's");
    assert_eq!(take("anna", 3, NOW + 2).await, None, "it was never made");
    assert_eq!(take("anna", 1, NOW + 60).await, None, "its time is over");
    assert_eq!(take("anna", 2, NOW + 60).await, Some(anna.id));
    assert_eq!(take("anna", 2, NOW + 60).await, None, "once");
    assert_eq!(begin("anna", 5, NOW + 3).await.as_deref(), Some("anna@example.org"));
    assert_eq!(begin("anna", 6, NOW + 4).await.as_deref(), Some("anna@example.org"));
    assert_eq!(take("anna", 5, NOW + 5).await, Some(anna.id));
    assert_eq!(take("anna", 6, NOW + 5).await, None, "the others went with it");
}

pub(crate) async fn failed_logins_count_by_network_for_a_while(db: &dyn HubDb) {
    let begin = async |handle: &str, network: &str, now: u64| {
        db.begin_login(handle, network, 3, now - 60, now).await.expect("decides")
    };
    for second in 0..3 {
        assert_eq!(begin("anna", "192.0.2.0", NOW + second).await, LoginTurn::Now);
    }
    assert_eq!(begin("anna", "192.0.2.0", NOW + 3).await, LoginTurn::NotBefore(NOW));
    assert_eq!(begin("anna", "198.51.100.0", NOW + 3).await, LoginTurn::Now, "another network");
    assert_eq!(begin("ben", "192.0.2.0", NOW + 3).await, LoginTurn::Now, "another handle");
    // One place is free again, and no more.
    assert_eq!(begin("anna", "192.0.2.0", NOW + 60).await, LoginTurn::Now);
    assert_eq!(begin("anna", "192.0.2.0", NOW + 60).await, LoginTurn::NotBefore(NOW + 1));
    db.forget_logins("anna", "198.51.100.0").await.expect("forgets");
    assert_eq!(begin("anna", "192.0.2.0", NOW + 60).await, LoginTurn::NotBefore(NOW + 1));
    db.forget_logins("anna", "192.0.2.0").await.expect("forgets");
    assert_eq!(begin("anna", "192.0.2.0", NOW + 60).await, LoginTurn::Now);
    // Tried at once, no more are let through.
    let racing = (0..8).map(async |_| begin("carla", "192.0.2.0", NOW).await);
    let turns = futures_util::future::join_all(racing).await;
    assert_eq!(turns.iter().filter(|turn| **turn == LoginTurn::Now).count(), 3, "{turns:?}");
    db.drop_expired(NOW + 25 * 3600).await.expect("drops");
    assert_eq!(begin("carla", "192.0.2.0", NOW + 1).await, LoginTurn::Now, "is forgotten");
}
