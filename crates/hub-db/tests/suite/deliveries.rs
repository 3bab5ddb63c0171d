//! Deliveries that are addressed to people, and the books that decide about them.

use hub_db::{
    AddressOutcome, AddressRoom, AddressedRecord, Decision, DeliveryNote, DeliveryState, EndedBy,
    Entry, HubDb, NewAddressed, Person, SenderPolicy, Totals,
};

use super::*;

const ROOM: AddressRoom = AddressRoom { waiting: 3, senders: 2 };

/// From the person whose device has the key of this number.
fn to(handle: &str, delivery: u8, sender: &Person, number: u8, devices: &[u8]) -> NewAddressed {
    NewAddressed {
        delivery: [delivery; 16],
        sender: sender.id,
        from: sender.handle.clone(),
        account: key(number),
        to: handle.to_owned(),
        list: 1,
        letters: devices.iter().map(|device| (key(*device), vec![*device; 80])).collect(),
        token: [delivery; 32],
        segments: 5,
        bytes: 5_000_000,
        files: 2,
        largest: 4_000_000,
        now: NOW + u64::from(delivery),
    }
}

async fn address(db: &dyn HubDb, new: &NewAddressed) -> AddressOutcome {
    db.address(new, ROOM).await.expect("decides")
}

async fn state(db: &dyn HubDb, delivery: u8) -> DeliveryState {
    db.addressed(&[delivery; 16]).await.expect("reads").expect("is there").state
}

async fn put_book(db: &dyn HubDb, person: &Person, contacts: &[&str], blocked: &[&str]) {
    let mut book = db.book(person.id).await.expect("reads");
    let own = |handles: &[&str]| handles.iter().map(|handle| (*handle).to_owned()).collect();
    (book.contacts, book.blocked) = (own(contacts), own(blocked));
    book.number += 1;
    db.put_book(person.id, &book, NOW).await.expect("decides").expect("is next");
}

fn kept(outcome: AddressOutcome) -> AddressedRecord {
    let AddressOutcome::Now(record) = outcome else { panic!("{outcome:?}") };
    *record
}

pub(crate) async fn a_contact_is_let_in_and_a_stranger_waits(db: &dyn HubDb) {
    let (anna, _) = person(db, "anna", 1).await;
    let (ben, _) = person(db, "ben", 2).await;
    let first = kept(address(db, &to("ben", 1, &anna, 1, &[2])).await);
    assert_eq!(
        (first.state, first.from.as_str(), first.to.as_str()),
        (DeliveryState::PendingApproval, "anna", "ben")
    );
    assert_eq!((first.sender, first.recipient, first.account), (anna.id, ben.id, key(1)));
    assert_eq!(
        (first.segments, first.bytes, first.files, first.largest),
        (5, 5_000_000, 2, 4_000_000)
    );
    assert_eq!((first.since, first.created, first.used), (NOW + 1, NOW + 1, NOW + 1));
    put_book(db, &ben, &["anna"], &[]).await;
    assert_eq!(state(db, 1).await, DeliveryState::Waiting, "what waited was let in");
    assert_eq!(
        kept(address(db, &to("ben", 2, &anna, 1, &[2])).await).state,
        DeliveryState::Waiting
    );

    // The same again, and not quite the same.
    let again = address(db, &to("ben", 2, &anna, 1, &[2])).await;
    assert!(matches!(again, AddressOutcome::Before(_)), "{again:?}");
    let other = NewAddressed { segments: 6, ..to("ben", 2, &anna, 1, &[2]) };
    assert_eq!(address(db, &other).await, AddressOutcome::Conflict);
    assert_eq!(address(db, &to("anna", 2, &ben, 2, &[1])).await, AddressOutcome::Conflict);

    assert_eq!(address(db, &to("carla", 3, &anna, 1, &[2])).await, AddressOutcome::Nobody);
    for devices in [&[][..], &[1], &[1, 2]] {
        let outcome = address(db, &to("ben", 3, &anna, 1, devices)).await;
        assert_eq!(outcome, AddressOutcome::OtherDevices, "{devices:?}");
    }
    let old = NewAddressed { list: 2, ..to("ben", 3, &anna, 1, &[2]) };
    assert_eq!(address(db, &old).await, AddressOutcome::OtherDevices);
    kept(address(db, &to("ben", 3, &anna, 1, &[2])).await);
    assert_eq!(address(db, &to("ben", 4, &anna, 1, &[2])).await, AddressOutcome::TooMany);
    // To oneself nobody has to agree.
    assert_eq!(kept(address(db, &to("ben", 5, &ben, 2, &[2])).await).state, DeliveryState::Waiting);

    let inbox = db.inbox(ben.id, &key(2), None, 2).await.expect("reads");
    let shown: Vec<_> =
        inbox.iter().map(|(one, letter)| (one.delivery[0], letter.clone())).collect();
    assert_eq!(shown, [(5, Some(vec![2; 80])), (3, Some(vec![2; 80]))]);
    let older = db.inbox(ben.id, &key(9), Some(inbox[1].0.number), 9).await.expect("reads");
    let shown: Vec<_> =
        older.iter().map(|(one, letter)| (one.delivery[0], letter.clone())).collect();
    assert_eq!(shown, [(2, None), (1, None)], "sealed for another device");
    let outbox = db.outbox(anna.id, None, 9).await.expect("reads");
    assert_eq!(outbox.iter().map(|one| one.delivery[0]).collect::<Vec<_>>(), [3, 2, 1]);
    assert_eq!(db.senders_waiting(ben.id, 9).await.expect("reads"), [anna.id, ben.id]);
}

pub(crate) async fn who_is_blocked_is_refused_and_ends(db: &dyn HubDb) {
    let (anna, _) = person(db, "anna", 1).await;
    let (ben, _) = person(db, "ben", 2).await;
    kept(address(db, &to("ben", 1, &anna, 1, &[2])).await);
    put_book(db, &ben, &["anna"], &["anna"]).await;
    assert_eq!(state(db, 1).await, DeliveryState::Terminated, "blocked outweighs contact");
    assert_eq!(db.entry(ben.id, "anna").await.expect("reads"), Some(Entry::Blocked));
    assert_eq!(address(db, &to("ben", 2, &anna, 1, &[2])).await, AddressOutcome::Refused);
    put_book(db, &ben, &["anna"], &[]).await;
    assert_eq!(db.entry(ben.id, "anna").await.expect("reads"), Some(Entry::Contact));
    assert_eq!(db.entry(ben.id, "carla").await.expect("reads"), None);
    let mut book = db.book(ben.id).await.expect("reads");
    assert_eq!(
        (book.number, &book.contacts[..], book.blocked.len()),
        (2, &["anna".to_owned()][..], 0)
    );
    (book.number, book.policy, book.sealed) = (3, SenderPolicy::BlockAll, Some(vec![7; 9]));
    assert!(db.put_book(ben.id, &book, NOW).await.expect("decides").is_some());
    assert_eq!(db.put_book(ben.id, &book, NOW).await.expect("decides"), None, "not the next");
    assert_eq!(db.book(ben.id).await.expect("reads"), book);
    kept(address(db, &to("ben", 3, &anna, 1, &[2])).await);
    put_book(db, &ben, &[], &[]).await;
    assert_eq!(address(db, &to("ben", 4, &anna, 1, &[2])).await, AddressOutcome::Refused);
    let asked = ["nobody", "anna", "zoe"].map(str::to_owned);
    assert_eq!(db.unknown_handles(&asked).await.expect("reads"), ["nobody", "zoe"]);
}

pub(crate) async fn pending_senders_are_few_and_decided_about(db: &dyn HubDb) {
    let (ben, _) = person(db, "ben", 2).await;
    let mut senders = Vec::new();
    for (handle, number) in [("anna", 1), ("carla", 3), ("dora", 4)] {
        senders.push(person(db, handle, number).await.0);
    }
    kept(address(db, &to("ben", 1, &senders[0], 1, &[2])).await);
    kept(address(db, &to("ben", 2, &senders[0], 1, &[2])).await);
    kept(address(db, &to("ben", 3, &senders[1], 3, &[2])).await);
    assert_eq!(address(db, &to("ben", 4, &senders[2], 4, &[2])).await, AddressOutcome::Refused);
    let pending = db.pending_senders(ben.id).await.expect("reads");
    let shown: Vec<_> =
        pending.iter().map(|one| (one.handle.as_str(), one.since, one.deliveries)).collect();
    assert_eq!(shown, [("anna", NOW + 1, 2), ("carla", NOW + 3, 1)]);
    assert_eq!(pending[0].organisation, "Library");

    let decide = async |handle: &str, decision| {
        db.decide(ben.id, handle, decision, NOW).await.expect("decides")
    };
    assert_eq!(decide("dora", Decision::Accept).await, None);
    let accepted = decide("anna", Decision::Accept).await.expect("waited");
    assert_eq!((accepted.let_in.len(), accepted.ended.len()), (2, 0));
    assert_eq!(db.book(ben.id).await.expect("reads").contacts, ["anna"]);
    let refused = decide("carla", Decision::Refuse).await.expect("waited");
    assert_eq!((refused.let_in.len(), refused.ended[0].delivery), (0, [3; 16]));
    let ended = db.addressed(&[3; 16]).await.expect("reads").expect("is kept");
    assert_eq!(ended.ended, Some((EndedBy::Recipient, "refused".to_owned())));
    // Who was refused may ask again, who is blocked may not.
    kept(address(db, &to("ben", 5, &senders[1], 3, &[2])).await);
    assert_eq!(decide("carla", Decision::Block).await.expect("waited").ended.len(), 1);
    assert_eq!(address(db, &to("ben", 6, &senders[1], 3, &[2])).await, AddressOutcome::Refused);
    assert_eq!(db.inbox(ben.id, &key(2), None, 9).await.expect("reads")[0].1, None, "no letter");
}

pub(crate) async fn what_becomes_of_a_delivery_is_noted_until_it_is_over(db: &dyn HubDb) {
    let (anna, _) = person(db, "anna", 1).await;
    let (ben, _) = person(db, "ben", 2).await;
    let note = async |delivery: u8, state, verified, now| {
        let note = DeliveryNote { state, verified };
        db.note_delivery(&[delivery; 16], note, now).await.expect("notes").is_some()
    };
    kept(address(db, &to("ben", 1, &anna, 1, &[2])).await);
    assert!(!note(1, DeliveryState::Running, 0, NOW + 10).await, "nobody has agreed");
    put_book(db, &ben, &["anna"], &[]).await;
    assert!(note(1, DeliveryState::Running, 0, NOW + 10).await);
    assert!(note(1, DeliveryState::Running, 2, NOW + 11).await);
    assert!(note(1, DeliveryState::Waiting, 2, NOW + 12).await);
    assert!(note(1, DeliveryState::Running, 2, NOW + 13).await);
    let seen = db.addressed(&[1; 16]).await.expect("reads").expect("is there");
    assert_eq!((seen.started, seen.since, seen.used), (Some(NOW + 10), NOW + 13, NOW + 13));
    assert_eq!((seen.verified, seen.restarts, seen.finished), (2, 1, None));
    db.stop_running(NOW + 14).await.expect("stops");
    assert_eq!(state(db, 1).await, DeliveryState::Waiting);
    assert!(note(1, DeliveryState::Received, 5, NOW + 15).await);
    assert!(!note(1, DeliveryState::Running, 5, NOW + 16).await, "it is over");
    let end = async |delivery: u8| {
        let ended = db.end_addressed(&[delivery; 16], EndedBy::Sender, "late", NOW + 17).await;
        ended.expect("ends").is_some()
    };
    assert!(!end(1).await, "it is over");
    let seen = db.addressed(&[1; 16]).await.expect("reads").expect("is kept");
    assert_eq!((seen.finished, seen.ended), (Some(NOW + 15), None));
    assert_eq!(db.inbox(ben.id, &key(2), None, 9).await.expect("reads")[0].1, None, "no letter");

    // Idle ones are removed, and what is over is forgotten after a while.
    kept(address(db, &to("ben", 2, &anna, 1, &[2])).await);
    kept(address(db, &to("ben", 30, &anna, 1, &[2])).await);
    kept(address(db, &to("ben", 31, &anna, 1, &[2])).await);
    assert!(end(31).await && !end(31).await);
    let sweep = async |idle, over| {
        let removed = db.sweep_addressed(NOW + idle, NOW + over, 9, NOW + 40).await;
        removed.expect("sweeps").into_iter().map(|sides| sides.delivery[0]).collect::<Vec<_>>()
    };
    let all = async |before, with_over| {
        let found = db.all_addressed(before, with_over, 2).await.expect("reads");
        found.into_iter().map(|one| (one.delivery[0], one.number)).collect::<Vec<_>>()
    };
    let numbers = |found: &[(u8, u64)]| found.iter().map(|one| one.0).collect::<Vec<_>>();
    let page = all(None, true).await;
    assert_eq!(numbers(&page), [31, 30], "the newest first, over or not");
    assert_eq!(numbers(&all(Some(page[1].1), true).await), [2, 1]);
    assert_eq!(numbers(&all(None, false).await), [30, 2]);
    // Also one that runs, and in which nothing has moved.
    assert!(note(2, DeliveryState::Running, 1, NOW + 29).await);
    assert_eq!(sweep(28, 14).await, Vec::<u8>::new());
    assert_eq!(sweep(29, 14).await, [2]);
    assert_eq!(state(db, 2).await, DeliveryState::Removed);
    assert_eq!(state(db, 30).await, DeliveryState::Waiting);
    assert_eq!(sweep(29, 15).await, Vec::<u8>::new());
    assert_eq!(db.addressed(&[1; 16]).await.expect("reads"), None);

    // Whoever begins anew could open nothing of what waits.
    db.reset_person("ben", "reset", NOW + 50).await.expect("resets");
    let seen = db.addressed(&[30; 16]).await.expect("reads").expect("is kept");
    assert_eq!(seen.ended.map(|(by, _)| by), Some(EndedBy::Hub));
}

pub(crate) async fn of_two_who_address_the_last_place_one_has_it(db: &dyn HubDb) {
    let (anna, _) = person(db, "anna", 1).await;
    person(db, "ben", 2).await;
    let room = AddressRoom { waiting: 1, senders: 2 };
    let new = [to("ben", 1, &anna, 1, &[2]), to("ben", 2, &anna, 1, &[2])];
    let racing = new.iter().map(async |new| db.address(new, room).await.expect("decides"));
    let outcomes = futures_util::future::join_all(racing).await;
    let refused = outcomes.iter().filter(|one| **one == AddressOutcome::TooMany).count();
    assert_eq!(refused, 1, "{outcomes:?}");
}

pub(crate) async fn what_went_through_is_counted_by_person(db: &dyn HubDb) {
    let (anna, _) = person(db, "anna", 1).await;
    let (ben, _) = person(db, "ben", 2).await;
    put_book(db, &ben, &["anna"], &[]).await;
    let sent = async |handle, delivery, device, bytes| {
        kept(
            address(db, &NewAddressed { bytes, ..to(handle, delivery, &anna, 1, &[device]) }).await,
        );
    };
    let note = async |delivery: u8, state| {
        let note = DeliveryNote { state, verified: 1 };
        db.note_delivery(&[delivery; 16], note, NOW).await.expect("notes");
    };
    for (delivery, bytes) in [(1, 100), (2, 30)] {
        sent("ben", delivery, 2, bytes).await;
        for state in [DeliveryState::Running, DeliveryState::Received, DeliveryState::Received] {
            note(delivery, state).await;
        }
    }
    sent("anna", 3, 1, 7).await;
    note(3, DeliveryState::Received).await;
    sent("ben", 4, 2, 1000).await;
    note(4, DeliveryState::Running).await;

    // The front-end that had it in its memory is gone.
    assert_eq!(db.stop_homeless(NOW + 9).await.expect("stops"), 1);
    assert_eq!(state(db, 4).await, DeliveryState::Waiting);

    let own =
        Totals { sent_deliveries: 3, sent_bytes: 137, received_deliveries: 1, received_bytes: 7 };
    let bens = Totals { received_deliveries: 2, received_bytes: 130, ..Totals::default() };
    assert_eq!(db.totals(anna.id).await.expect("reads"), own, "each once, and what came alone");
    assert_eq!(db.totals(ben.id).await.expect("reads"), bens);
    let all = [("anna".to_owned(), own), ("ben".to_owned(), bens)];
    assert_eq!(db.all_totals(None, 10).await.expect("lists"), all);
    assert_eq!(db.all_totals(Some("anna"), 10).await.expect("lists"), all[1..]);
    assert_eq!(db.all_totals(None, 1).await.expect("lists"), all[..1]);
}

pub(crate) async fn a_receipt_is_kept_with_the_delivery_that_it_is_for(db: &dyn HubDb) {
    let (anna, _) = person(db, "anna", 1).await;
    let (ben, _) = person(db, "ben", 2).await;
    for delivery in [1, 2] {
        kept(address(db, &to("ben", delivery, &anna, 1, &[2])).await);
    }
    let receive = async |delivery: u8, receipt: &[u8], now| {
        let noted = db.receive_addressed(&[delivery; 16], receipt, now).await;
        noted.expect("decides").is_some()
    };
    let receipt = async |delivery: u8| db.delivery_receipt(&[delivery; 16]).await.expect("reads");
    assert!(!receive(1, b"sealed", NOW + 9).await, "nobody has agreed");
    put_book(db, &ben, &["anna"], &[]).await;
    assert_eq!(receipt(1).await, None);
    assert!(receive(1, b"sealed", NOW + 9).await);
    let seen = db.addressed(&[1; 16]).await.expect("reads").expect("is there");
    assert_eq!((seen.state, seen.verified), (DeliveryState::Received, 5));
    assert_eq!((seen.started, seen.finished), (Some(NOW + 9), Some(NOW + 9)));
    assert_eq!(db.inbox(ben.id, &key(2), None, 9).await.expect("reads")[1].1, None, "no letter");
    assert_eq!(db.totals(anna.id).await.expect("reads").sent_deliveries, 1);

    assert!(!receive(1, b"another", NOW + 10).await, "the first stands");
    assert_eq!(receipt(1).await.as_deref(), Some(&b"sealed"[..]));
    assert_eq!((receipt(2).await, receipt(3).await), (None, None));
    let ended = db.end_addressed(&[2; 16], EndedBy::Sender, "late", NOW + 11).await;
    assert!(ended.expect("ends").is_some());
    assert!(!receive(2, b"sealed", NOW + 12).await, "it was ended before");
    assert_eq!(receipt(2).await, None);
}
