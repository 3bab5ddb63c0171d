//! Front-ends: leases, homes, who is online where.
//!
//! A lease of no length is over at once, and one of an hour is not: nothing here waits.

use std::time::Duration;

use hub_db::{Beaten, Down, Entered, FrontEnd, FrontEndId, HubDb, WantedClients};

use super::*;

const HOUR: Duration = Duration::from_hours(1);
const OVER: Duration = Duration::ZERO;

fn front_end(number: u8) -> FrontEnd {
    FrontEnd {
        id: FrontEndId([number; 16]),
        address: Some(format!("127.0.0.1:{number}")),
        keeps_chunks: false,
        version: "1.2.3".to_owned(),
        started: NOW,
        load: "{}".to_owned(),
    }
}

pub(crate) async fn of_several_front_ends_one_is_the_manager(db: &dyn HubDb) {
    let [one, other] = [1, 2].map(|number| FrontEndId([number; 16]));
    assert_eq!(db.manager().await.expect("reads"), None);
    let first = db.manage(one, HOUR).await.expect("asks");
    assert_eq!((first.holder, first.term, first.is_held), (one, 1, true));
    let refused = db.manage(other, HOUR).await.expect("asks");
    assert_eq!((refused.holder, refused.term), (one, 1), "somebody is");
    assert_eq!(db.manage(one, HOUR).await.expect("asks"), first, "it goes on");

    // Who lets its lease end is another manager after, by its own hand too.
    assert!(!db.manage(one, OVER).await.expect("asks").is_held);
    let taken = db.manage(other, HOUR).await.expect("asks");
    assert_eq!((taken.holder, taken.term), (other, 2));
    assert_eq!(db.manage(one, HOUR).await.expect("asks").holder, other, "it came too late");
    db.resign(one).await.expect("has no place to give");
    assert_eq!(db.manage(one, HOUR).await.expect("asks").holder, other);
    db.resign(other).await.expect("resigns");
    let again = db.manage(other, HOUR).await.expect("asks");
    assert_eq!((again.holder, again.term), (other, 3));
    db.forget_front_ends().await.expect("forgets");
    assert_eq!(db.manager().await.expect("reads"), None);
}

pub(crate) async fn of_many_who_would_manage_one_does(db: &dyn HubDb) {
    let asking = (0..8).map(|number| db.manage(FrontEndId([number; 16]), HOUR));
    let answers = futures_util::future::join_all(asking).await;
    let holders: Vec<_> = answers.into_iter().map(|it| it.expect("asks").holder).collect();
    assert!(holders.iter().all(|holder| *holder == holders[0]), "{holders:?}");
}

pub(crate) async fn a_front_end_lives_while_it_beats(db: &dyn HubDb) {
    let one = front_end(1);
    assert_eq!(db.enter(&one, HOUR).await.expect("enters"), Entered::Now);
    let louder = FrontEnd { load: "{\"deliveries\":7}".to_owned(), ..one.clone() };
    assert_eq!(db.beat(&louder, HOUR).await.expect("beats"), Beaten::Continued);
    let seen = db.front_ends().await.expect("lists");
    assert_eq!(seen.len(), 1);
    assert_eq!((&seen[0].front_end, seen[0].is_live), (&louder, true));
    assert_eq!(db.drop_front_ends(OVER).await.expect("drops"), 0);

    assert_eq!(db.beat(&one, OVER).await.expect("beats"), Beaten::Continued);
    assert!(!db.front_ends().await.expect("lists")[0].is_live);
    assert_eq!(db.beat(&one, HOUR).await.expect("beats"), Beaten::Lapsed);
    assert!(db.front_ends().await.expect("lists")[0].is_live);
    db.beat(&one, OVER).await.expect("beats");
    assert_eq!(db.drop_front_ends(HOUR).await.expect("drops"), 0, "not yet");
    assert_eq!(db.drop_front_ends(OVER).await.expect("drops"), 1);
    assert_eq!(db.front_ends().await.expect("lists"), []);
}

pub(crate) async fn chunks_are_kept_by_one_front_end(db: &dyn HubDb) {
    let [one, other] = [1, 2].map(|number| FrontEnd { keeps_chunks: true, ..front_end(number) });
    assert_eq!(db.enter(&one, HOUR).await.expect("enters"), Entered::Now);
    let refused = db.enter(&other, HOUR).await.expect("asks");
    assert_eq!(refused, Entered::ChunksKept(Box::new(one.clone())));
    assert_eq!(db.enter(&one, HOUR).await.expect("enters"), Entered::Now, "it does itself");
    assert_eq!(db.enter(&front_end(3), HOUR).await.expect("enters"), Entered::Now);
    db.beat(&one, OVER).await.expect("beats");
    assert_eq!(db.enter(&other, HOUR).await.expect("enters"), Entered::Now);
}

pub(crate) async fn a_thing_is_at_home_at_one_live_front_end(db: &dyn HubDb) {
    let (one, other) = (front_end(1), front_end(2));
    for front_end in [&one, &other] {
        db.enter(front_end, HOUR).await.expect("enters");
    }
    let (thing, second) = ([7; 16], [8; 16]);
    assert_eq!(db.home(&thing).await.expect("reads"), None);
    assert_eq!(db.take_home(&thing, one.id).await.expect("takes"), one.id);
    assert_eq!(db.take_home(&thing, other.id).await.expect("asks"), one.id);
    assert_eq!(db.take_home(&second, other.id).await.expect("takes"), other.id);
    assert_eq!(db.home(&thing).await.expect("reads"), Some(one.clone()));
    let mut homes = db.homes(&[thing, [9; 16], second]).await.expect("reads");
    homes.sort_by_key(|(thing, _)| *thing);
    assert_eq!(homes, [(thing, one.clone()), (second, other.clone())]);
    assert_eq!(db.homes(&[]).await.expect("reads"), []);

    // What it had is for others to take once its lease is over, and its own no more when it comes again.
    db.beat(&one, OVER).await.expect("beats");
    assert_eq!(db.home(&thing).await.expect("reads"), None);
    assert_eq!(db.homes(&[thing]).await.expect("reads"), []);
    assert_eq!(db.take_home(&thing, other.id).await.expect("takes"), other.id);
    assert_eq!(db.beat(&one, HOUR).await.expect("beats"), Beaten::Lapsed);
    assert_eq!(db.take_home(&thing, one.id).await.expect("asks"), other.id);

    assert_eq!(db.keep_homes(other.id, &[second]).await.expect("forgets"), 1);
    assert_eq!(db.home(&thing).await.expect("reads"), None);
    assert_eq!(db.home(&second).await.expect("reads"), Some(other.clone()));
    db.leave(other.id).await.expect("goes");
    assert_eq!(db.take_home(&second, one.id).await.expect("takes"), one.id);
}

pub(crate) async fn people_are_online_where_they_listen(db: &dyn HubDb) {
    let (one, other) = (front_end(1), front_end(2));
    for front_end in [&one, &other] {
        db.enter(front_end, HOUR).await.expect("enters");
    }
    let (anna, _) = person(db, "anna", 1).await;
    let (ben, _) = person(db, "ben", 2).await;
    let both = [anna.id, ben.id];
    assert_eq!(db.online(&both).await.expect("reads"), []);
    db.set_online(anna.id, one.id, Some(50)).await.expect("notes");
    db.set_online(anna.id, other.id, Some(40)).await.expect("notes");
    assert_eq!(db.online(&both).await.expect("reads"), [(anna.id, 40)]);
    assert_eq!(db.online(&[ben.id]).await.expect("reads"), []);
    db.set_online(anna.id, other.id, None).await.expect("notes");
    assert_eq!(db.online(&both).await.expect("reads"), [(anna.id, 50)]);
    db.beat(&one, OVER).await.expect("beats");
    assert_eq!(db.online(&both).await.expect("reads"), [], "the front-end is gone");
}

pub(crate) async fn a_challenge_is_answered_at_one_front_end(db: &dyn HubDb) {
    let answer = async |now| db.answer_challenge(&[1; 32], 100, now).await.expect("notes");
    assert!(answer(50).await);
    assert!(!answer(99).await);
    assert!(db.answer_challenge(&[2; 32], 100, 99).await.expect("notes"));
    assert!(answer(100).await, "it was forgotten when it ended");
}

pub(crate) async fn a_hub_is_down_until_it_is_up(db: &dyn HubDb) {
    assert_eq!(db.down().await.expect("reads"), None);
    let down = Down { since: 5, until: 10, why: "a disk is changed".to_owned() };
    db.set_down(Some(&down)).await.expect("notes");
    assert_eq!(db.down().await.expect("reads"), Some(down.clone()));
    let longer = Down { since: 7, until: 20, why: "two disks".to_owned() };
    db.set_down(Some(&longer)).await.expect("notes");
    assert_eq!(db.down().await.expect("reads"), Some(Down { since: 5, ..longer }));
    db.set_down(None).await.expect("notes");
    assert_eq!(db.down().await.expect("reads"), None);
}

pub(crate) async fn what_clients_are_to_be_is_as_it_was_set_last(db: &dyn HubDb) {
    assert_eq!(db.wanted_clients().await.expect("reads"), WantedClients::default());
    let text = |text: &str| Some(text.to_owned());
    let (newest, place) = (text("0.2.0"), text("https://example.org/"));
    let wanted = WantedClients { newest, place, minimum: text("0.1.0") };
    db.want_clients(&wanted).await.expect("notes");
    assert_eq!(db.wanted_clients().await.expect("reads"), wanted);
    let less = WantedClients { place: None, minimum: None, ..wanted };
    db.want_clients(&less).await.expect("notes");
    assert_eq!(db.wanted_clients().await.expect("reads"), less);
}
