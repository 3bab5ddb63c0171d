//! Queues and receipts.

use hub_db::{Answerable, Answered, HubDb, Member, NewEntry, NewRoster, PeerRoles, Retention};

use super::*;

/// Whose feeds are in community 1 and in community 2.
const CI: u8 = 1;
const OTHER: u8 = 2;

/// The feed of a publisher, with this many releases. Its community has the targets 50 to 52.
async fn feed(db: &dyn HubDb, community: u8, number: u8, releases: u64) -> NameId {
    let owner = match db.account(&key(number)).await.expect("looks up") {
        Some(owner) => owner,
        None => publisher(db, number).await,
    };
    let id = community_of(community);
    if db.community(&id).await.expect("looks up").is_none() {
        let members = [CI, OTHER].map(|number| member(number, PUBLISHER)).into_iter();
        let members = members.chain((50..=52).map(|number| member(number, TARGET)));
        let new = NewRoster { changed: members.collect(), ..roster(community, 1) };
        start(db, community).await;
        let publishers = vec![key(CI), key(OTHER)];
        assert!(db.set_roster(&NewRoster { publishers, ..new }).await.expect("sets"));
    }
    let id = name_of(db, &owner, &id.feed(&owner.key), false).await;
    for sequence in 1..=releases {
        db.publish(&release(id, sequence), &[chunk(1)]).await.expect("publishes");
    }
    id
}

/// The name of a feed in community 1.
fn named(number: u8) -> String {
    community_of(1).feed(&key(number))
}

fn entries(targets: &[u8]) -> Vec<NewEntry> {
    let entry = |number: &u8| NewEntry { target: key(*number), envelope: vec![*number; 92] };
    targets.iter().map(entry).collect()
}

async fn waiting(db: &dyn HubDb, target: u8) -> Vec<(String, u64)> {
    let queue = db.queue(&community_of(1), &key(target), 0, 100).await.expect("reads");
    assert!(queue.is_sorted_by_key(|entry| entry.id));
    assert!(queue.iter().all(|entry| entry.envelope == [target; 92]), "one's own envelope");
    queue.into_iter().map(|entry| (entry.name, entry.sequence)).collect()
}

pub(crate) async fn entries_wait_for_their_target_in_order(db: &dyn HubDb) {
    let (ci, other) = (feed(db, 1, CI, 3).await, feed(db, 1, OTHER, 1).await);
    assert_eq!(db.enqueue(ci, 2, &entries(&[50, 51]), NOW).await.expect("queues"), Some(2));
    assert_eq!(db.enqueue(other, 1, &entries(&[50]), NOW + 1).await.expect("queues"), Some(1));
    assert_eq!(db.enqueue(ci, 3, &entries(&[50]), NOW + 2).await.expect("queues"), Some(1));
    // In the order in which they came, whoever sent them.
    let expected = [(CI, 2), (OTHER, 1), (CI, 3)];
    assert_eq!(waiting(db, 50).await, expected.map(|(publisher, it)| (named(publisher), it)));
    assert_eq!(waiting(db, 51).await, [(named(CI), 2)]);
    assert_eq!(waiting(db, 52).await, []);
    // A page of it, and the rest.
    let first = db.queue(&community_of(1), &key(50), 0, 2).await.expect("reads");
    let rest = db.queue(&community_of(1), &key(50), first[1].id, 2).await.expect("reads");
    assert_eq!((first.len(), rest.len(), rest[0].sequence), (2, 1, 3));
    assert_eq!((first[0].queued, &first[0].manifest[..]), (NOW, &[1, 2, 3][..]));
    // Sending once more is nothing new, and moves nobody to the end.
    let again = db.enqueue(ci, 2, &entries(&[50, 52]), NOW + 9).await.expect("queues");
    assert_eq!(again, Some(1));
    assert_eq!(waiting(db, 50).await, expected.map(|(publisher, it)| (named(publisher), it)));
    assert_eq!(db.enqueue(ci, 9, &entries(&[50]), NOW).await.expect("queues"), None);
    let many: Vec<NewEntry> = (0..3000u32)
        .map(|number| {
            let mut target = [9; 32];
            target[..4].copy_from_slice(&number.to_be_bytes());
            NewEntry { target: AccountKey(target), envelope: vec![0; 92] }
        })
        .collect();
    let changed = many.iter().enumerate().map(|(number, entry)| Member {
        peer: format!("many-{number}"),
        key: entry.target,
        ..member(9, TARGET)
    });
    let changed = changed.collect();
    assert!(db.set_roster(&NewRoster { changed, ..next(db, 1).await }).await.expect("sets"));
    assert_eq!(db.enqueue(ci, 1, &many, NOW).await.expect("queues"), Some(3000));
    let ids: Vec<i64> = {
        let mut ids = Vec::new();
        for entry in [&many[0], &many[1500], &many[2999]] {
            ids.push(db.queue(&community_of(1), &entry.target, 0, 9).await.expect("reads")[0].id);
        }
        ids
    };
    assert!(ids.is_sorted(), "in the order in which they were given");
}

pub(crate) async fn what_waits_is_counted_for_each_community_alone(db: &dyn HubDb) {
    let ci = feed(db, 1, CI, 2).await;
    let counted = async |community, limit| {
        let backlog = db.backlog(&community_of(community), limit).await.expect("counts");
        (backlog.entries, backlog.oldest)
    };
    assert_eq!(counted(1, 9).await, (0, None));
    db.enqueue(ci, 1, &entries(&[50, 51]), NOW).await.expect("queues");
    db.enqueue(ci, 2, &entries(&[50]), NOW + 7).await.expect("queues");
    assert_eq!(counted(1, 9).await, (3, Some(NOW)));
    assert_eq!(counted(1, 2).await, (2, Some(NOW)), "no more than was asked for");
    assert_eq!(counted(2, 9).await, (0, None), "another community");
    for target in [50, 51] {
        db.answer_entry((ci, 1), &key(target), b"receipt", NOW + 8).await.expect("answers");
    }
    assert_eq!(counted(1, 9).await, (1, Some(NOW + 7)), "what was answered waits no more");
    db.withdraw_entry((ci, 2), &key(50)).await.expect("withdraws");
    assert_eq!(counted(1, 9).await, (0, None));
}

pub(crate) async fn an_entry_is_answered_once(db: &dyn HubDb) {
    let ci = feed(db, 1, CI, 2).await;
    db.enqueue(ci, 1, &entries(&[50, 51]), NOW).await.expect("queues");
    let answer = async |sequence, target, receipt: &[u8]| {
        db.answer_entry((ci, sequence), &key(target), receipt, NOW + 5).await.expect("answers")
    };
    assert_eq!(answer(1, 50, b"first").await, Answered::Now);
    assert_eq!(answer(1, 50, b"second").await, Answered::Before);
    assert_eq!(answer(1, 52, b"x").await, Answered::NotQueued);
    assert_eq!(answer(2, 50, b"x").await, Answered::NotQueued);
    assert_eq!(waiting(db, 50).await, []);
    assert_eq!(waiting(db, 51).await, [(named(CI), 1)]);
    let receipts = db.receipts(ci, 0, 9).await.expect("reads");
    assert_eq!(receipts.len(), 1);
    assert_eq!((receipts[0].bytes, receipts[0].answered), (5, NOW + 5));
    let receipt =
        async |sequence, target| db.receipt((ci, sequence), &key(target)).await.expect("reads");
    assert_eq!(receipt(1, 50).await.as_deref(), Some(&b"first"[..]));
    assert_eq!((receipt(1, 51).await, receipt(2, 50).await), (None, None));
    // What was answered is not queued again.
    assert_eq!(db.enqueue(ci, 1, &entries(&[50]), NOW).await.expect("queues"), Some(0));
    assert_eq!(waiting(db, 50).await, []);
}

pub(crate) async fn of_two_racing_answers_one_counts(db: &dyn HubDb) {
    let ci = feed(db, 1, CI, 1).await;
    db.enqueue(ci, 1, &entries(&[50]), NOW).await.expect("queues");
    let target = key(50);
    let answers = (0..8u8).map(|number| {
        let target = &target;
        async move { db.answer_entry((ci, 1), target, &[number], NOW).await.expect("answers") }
    });
    let answers = futures_util::future::join_all(answers).await;
    let counted = answers.iter().filter(|answer| **answer == Answered::Now).count();
    assert_eq!(counted, 1, "{answers:?}");
    let kept = db.receipt((ci, 1), &target).await.expect("reads");
    let winner = answers.iter().position(|answer| *answer == Answered::Now).expect("one");
    assert_eq!(kept, Some(vec![u8::try_from(winner).expect("small")]));
}

pub(crate) async fn answers_that_come_together_are_each_told_their_own(db: &dyn HubDb) {
    let (ci, other) = (feed(db, 1, CI, 2).await, feed(db, 1, OTHER, 1).await);
    for entry in [(ci, 1), (ci, 2), (other, 1)] {
        db.enqueue(entry.0, entry.1, &entries(&[50, 51]), NOW).await.expect("queues");
    }
    db.answer_entry((ci, 2), &key(51), b"before", NOW + 1).await.expect("answers");
    // More than go into one commit, of which most are repetitions and some nobody waits for.
    let asked = (0..600u32).map(|number| {
        let entry = [(ci, 1), (ci, 2), (other, 1), (other, 2)][number as usize % 4];
        (entry, key(50 + (number / 4 % 3) as u8), number.to_le_bytes())
    });
    let asked: Vec<_> = asked.collect();
    let answers = asked.iter().map(|(entry, target, receipt)| async move {
        db.answer_entry(*entry, target, receipt, NOW + 5).await.expect("answers")
    });
    let told = futures_util::future::join_all(answers).await;
    for (entry, target) in [(ci, 1), (ci, 2), (other, 1), (other, 2)]
        .into_iter()
        .flat_map(|entry| (50..=52).map(move |number| (entry, key(number))))
    {
        let of_entry =
            || asked.iter().zip(&told).filter(|((of, by, _), _)| (*of, *by) == (entry, target));
        let kept = db.receipt(entry, &target).await.expect("reads");
        if entry == (other, 2) || target == key(52) {
            assert!(
                of_entry().all(|(_, told)| *told == Answered::NotQueued),
                "{entry:?} {target:?}"
            );
            assert_eq!(kept, None);
            continue;
        }
        let now: Vec<_> = of_entry().filter(|(_, told)| **told == Answered::Now).collect();
        assert!(of_entry().all(|(_, told)| *told != Answered::NotQueued), "{entry:?} {target:?}");
        if (entry, target) == ((ci, 2), key(51)) {
            assert_eq!((now.len(), kept.as_deref()), (0, Some(&b"before"[..])));
        } else {
            assert_eq!(now.len(), 1, "{entry:?} {target:?}");
            assert_eq!(kept.as_deref(), Some(&now[0].0.2[..]), "what is told to be kept is kept");
        }
    }
}

pub(crate) async fn who_answers_is_asked_for_with_the_release(db: &dyn HubDb) {
    let ci = feed(db, 1, CI, 2).await;
    let hash = |sequence| release(ci, sequence).hash;
    let seen = |sequence| Answerable::Release { name: ci, owner: key(CI), hash: hash(sequence) };
    let name = named(CI);
    let ask = async |number, name: &str, sequence| {
        db.answerable(&key(number), name, sequence).await.expect("looks up")
    };
    // Targets by their roster's grant, and the publisher.
    for number in [50, CI] {
        assert_eq!(ask(number, &name, 1).await, seen(1));
        assert_eq!(ask(number, &name, 2).await, seen(2));
        assert_eq!(ask(number, &name, 3).await, Answerable::NotFound);
        assert_eq!(ask(number, &name, u64::MAX).await, Answerable::NotFound);
        assert_eq!(ask(number, &named(OTHER), 1).await, Answerable::NotFound);
        assert_eq!(ask(number, "a/\0b", 1).await, Answerable::NotFound);
    }
    // Who is nobody, and who has nothing to do with it.
    assert_eq!(ask(77, &name, 1).await, Answerable::NoAccount);
    let stranger = publisher(db, 78).await;
    assert_eq!(ask(78, &name, 1).await, Answerable::NotFound);
    let owner = db.account(&key(CI)).await.expect("looks up").expect("is there");
    let public = name_of(db, &owner, "team/tools", true).await;
    db.publish(&release(public, 1), &[chunk(1)]).await.expect("publishes");
    assert!(matches!(ask(78, "team/tools", 1).await, Answerable::Release { .. }));
    // From the next question on.
    db.revoke_account(&stranger.key, NOW).await.expect("revokes");
    assert_eq!(ask(78, "team/tools", 1).await, Answerable::NoAccount);
    let removed = vec![member(50, TARGET).peer];
    assert!(db.set_roster(&NewRoster { removed, ..next(db, 1).await }).await.expect("sets"));
    assert_eq!(ask(50, &name, 1).await, Answerable::NoAccount, "its roster made it");
    assert_eq!(ask(51, &name, 1).await, seen(1));
}

pub(crate) async fn receipts_are_kept_until_they_are_taken(db: &dyn HubDb) {
    let (ci, other) = (feed(db, 1, CI, 2).await, feed(db, 1, OTHER, 1).await);
    for sequence in [1, 2] {
        db.enqueue(ci, sequence, &entries(&[50, 51]), NOW).await.expect("queues");
    }
    for (sequence, target) in [(2, 51), (1, 50)] {
        db.answer_entry((ci, sequence), &key(target), b"r", NOW + 5).await.expect("answers");
    }
    let found = db.receipts(ci, 0, 9).await.expect("reads");
    let told: Vec<_> = found.iter().map(|it| (it.sequence, it.target)).collect();
    assert_eq!(told, [(1, key(50)), (2, key(51))], "in order of their entries");
    let page = db.receipts(ci, found[0].id, 1).await.expect("reads");
    assert_eq!(page, found[1..]);
    assert_eq!(db.receipts(other, 0, 9).await.expect("reads"), []);
    let signed = async |name, ids: &[i64]| db.signed_receipts(name, ids).await.expect("reads");
    let (first, second) = (found[0].id, found[1].id);
    let both = [(first, b"r".to_vec()), (second, b"r".to_vec())];
    assert_eq!(signed(ci, &[second, first, 0, i64::MAX]).await, both, "in order of their entries");
    assert_eq!(signed(ci, &[second]).await, both[1..]);
    assert_eq!((signed(ci, &[]).await, signed(other, &[first, second]).await), (vec![], vec![]));
    // Those of another name are not its publisher's to take.
    let ids: Vec<i64> = found.iter().map(|it| it.id).collect();
    assert_eq!(db.take_receipts(other, &ids, NOW + 7).await.expect("takes"), 0);
    assert_eq!(db.take_receipts(ci, &ids[..1], NOW + 7).await.expect("takes"), 1);
    assert_eq!(db.take_receipts(ci, &ids[..1], NOW + 8).await.expect("takes"), 0, "once");
    assert_eq!(db.receipts(ci, 0, 9).await.expect("reads"), found[1..]);
    assert_eq!(db.receipt((ci, 1), &key(50)).await.expect("reads"), None, "its bytes are gone");
    assert_eq!(signed(ci, &[first, second]).await, both[1..]);
    let stands = db.queued_targets((ci, 1), None, 9).await.expect("reads");
    let told: Vec<_> = stands.iter().map(|it| (it.target, it.answered, it.taken)).collect();
    assert_eq!(told, [(key(50), Some(NOW + 5), Some(NOW + 7)), (key(51), None, None)]);
    let after = db.queued_targets((ci, 1), Some(&key(50)), 9).await.expect("reads");
    assert_eq!(after, stands[1..]);
}

pub(crate) async fn a_beginning_is_noted_once_and_only_of_what_waits(db: &dyn HubDb) {
    let (ci, other) = (feed(db, 1, CI, 2).await, feed(db, 1, OTHER, 1).await);
    db.enqueue(ci, 1, &entries(&[50, 51]), NOW).await.expect("queues");
    let begin = async |entry, target, now| {
        db.begin_entry(entry, &key(target), b"b", now).await.expect("notes")
    };
    let listed = async |name, after| db.beginnings(name, after, 9).await.expect("lists");
    assert_eq!(listed(ci, 0).await, []);
    assert!(begin((ci, 1), 50, NOW + 2).await);
    assert!(!begin((ci, 1), 50, NOW + 3).await, "the first time stands");
    let found = listed(ci, 0).await;
    let told: Vec<_> = found.iter().map(|it| (it.sequence, it.target, &it.signed[..])).collect();
    assert_eq!(told, [(1, key(50), &b"b"[..])]);
    assert_eq!(listed(ci, found[0].id).await, []);
    assert_eq!(listed(other, 0).await, []);
    for nothing in [(ci, 2), (ci, 9), (other, 1)] {
        assert!(!begin(nothing, 50, NOW + 3).await, "nothing waits");
    }
    assert!(!begin((ci, 1), 77, NOW + 3).await);
    db.answer_entry((ci, 1), &key(51), b"r", NOW + 4).await.expect("answers");
    assert!(!begin((ci, 1), 51, NOW + 5).await, "it was answered");
    let stands = db.queued_targets((ci, 1), None, 9).await.expect("reads");
    let told: Vec<_> = stands.iter().map(|it| (it.target, it.begun, it.answered)).collect();
    assert_eq!(told, [(key(50), Some(NOW + 2), None), (key(51), None, Some(NOW + 4))]);
    // What is answered is no longer worked on; since when it was stays known.
    db.answer_entry((ci, 1), &key(50), b"r", NOW + 6).await.expect("answers");
    assert_eq!(listed(ci, 0).await, []);
    let stands = db.queued_targets((ci, 1), None, 9).await.expect("reads");
    assert_eq!((stands[0].begun, stands[0].answered), (Some(NOW + 2), Some(NOW + 6)));
    // Nothing is begun before it was sent, whatever a clock says; pages follow the order of queueing.
    db.enqueue(ci, 2, &entries(&[51, 50]), NOW).await.expect("queues");
    assert!(begin((ci, 2), 50, NOW - 9).await);
    assert!(begin((ci, 2), 51, NOW + 9).await);
    let stands = db.queued_targets((ci, 2), None, 9).await.expect("reads");
    let told: Vec<_> = stands.iter().map(|it| (it.target, it.begun)).collect();
    assert_eq!(told, [(key(50), Some(NOW)), (key(51), Some(NOW + 9))]);
    let pages = (listed(ci, 0).await, db.beginnings(ci, 0, 1).await.expect("lists"));
    assert_eq!(pages.0.iter().map(|it| it.target).collect::<Vec<_>>(), [key(51), key(50)]);
    assert_eq!(pages.1, pages.0[..1]);
}

pub(crate) async fn a_release_is_kept_while_somebody_waits_for_it(db: &dyn HubDb) {
    let ci = feed(db, 1, CI, 4).await;
    db.set_retention(ci, &Retention { last: Some(1), days: None }).await.expect("sets");
    db.enqueue(ci, 1, &entries(&[50]), NOW).await.expect("queues");
    db.enqueue(ci, 2, &entries(&[50]), NOW).await.expect("queues");
    db.answer_entry((ci, 2), &key(50), b"r", NOW).await.expect("answers");
    let gone = async || {
        let gone = db.expire_releases(NOW).await.expect("expires");
        gone.into_iter().map(|(_, sequence)| sequence).collect::<Vec<_>>()
    };
    assert_eq!(gone().await, [3], "1 waits for a target, the receipt of 2 for the publisher");
    let receipts = db.receipts(ci, 0, 9).await.expect("reads");
    db.take_receipts(ci, &[receipts[0].id], NOW).await.expect("takes");
    assert_eq!(gone().await, [2]);
    db.answer_entry((ci, 1), &key(50), b"r", NOW).await.expect("answers");
    assert_eq!(gone().await, [] as [u64; 0]);
    let receipts = db.receipts(ci, 0, 9).await.expect("reads");
    db.take_receipts(ci, &[receipts[0].id], NOW).await.expect("takes");
    assert_eq!(gone().await, [1]);
}

pub(crate) async fn who_is_no_target_gets_nothing_queued(db: &dyn HubDb) {
    let ci = feed(db, 1, CI, 1).await;
    // A stranger, a publisher, and somebody of another community.
    feed(db, 2, CI, 0).await;
    let elsewhere = member(60, TARGET);
    let new = NewRoster { changed: vec![elsewhere], ..next(db, 2).await };
    assert!(db.set_roster(&new).await.expect("sets"));
    let queued = db.enqueue(ci, 1, &entries(&[50, 77, OTHER, 60]), NOW).await.expect("queues");
    assert_eq!(queued, Some(1));
    let stands = db.queued_targets((ci, 1), None, 9).await.expect("reads");
    assert_eq!(stands.iter().map(|it| it.target).collect::<Vec<_>>(), [key(50)]);
    // Other names are nobody's feed.
    let owner = db.account(&key(CI)).await.expect("looks up").expect("is there");
    let tools = name_of(db, &owner, "team/tools", false).await;
    db.publish(&release(tools, 1), &[chunk(1)]).await.expect("publishes");
    assert_eq!(db.enqueue(tools, 1, &entries(&[50]), NOW).await.expect("queues"), None);
}

pub(crate) async fn who_belongs_to_a_community_no_more_waits_no_more(db: &dyn HubDb) {
    let (ci, other) = (feed(db, 1, CI, 2).await, feed(db, 1, OTHER, 1).await);
    let second = feed(db, 2, CI, 1).await;
    for (name, sequence) in [(ci, 1), (ci, 2), (other, 1), (second, 1)] {
        let queued = db.enqueue(name, sequence, &entries(&[50, 51, 52]), NOW).await;
        assert_eq!(queued.expect("queues"), Some(3));
    }
    db.answer_entry((ci, 1), &key(50), b"r", NOW).await.expect("answers");
    let no_target = member(51, PeerRoles::default());
    let mut new = NewRoster { changed: vec![no_target], ..next(db, 1).await };
    new.removed = vec![member(50, TARGET).peer];
    assert!(db.set_roster(&new).await.expect("sets"));
    assert_eq!((waiting(db, 50).await, waiting(db, 51).await), (vec![], vec![]));
    assert_eq!(waiting(db, 52).await.len(), 3);
    assert_eq!(db.receipts(ci, 0, 9).await.expect("reads").len(), 1, "what was answered stays");
    for target in [50, 51] {
        let there = db.queue(&community_of(2), &key(target), 0, 9).await.expect("reads");
        assert_eq!(there.len(), 1, "in another community");
    }
    assert_eq!(db.enqueue(ci, 2, &entries(&[50, 51]), NOW).await.expect("queues"), Some(0));
    db.delete_name(second).await.expect("deletes");
    assert_eq!(db.queue(&community_of(2), &key(50), 0, 9).await.expect("reads"), []);
}

pub(crate) async fn what_a_publisher_sent_goes_with_it(db: &dyn HubDb) {
    let (ci, other) = (feed(db, 1, CI, 2).await, feed(db, 1, OTHER, 1).await);
    for (name, sequence) in [(ci, 1), (ci, 2), (other, 1)] {
        db.enqueue(name, sequence, &entries(&[50, 51]), NOW).await.expect("queues");
    }
    db.answer_entry((ci, 1), &key(50), b"r", NOW).await.expect("answers");
    let new = NewRoster { publishers: vec![key(OTHER)], ..next(db, 1).await };
    assert!(db.set_roster(&new).await.expect("sets"));
    assert_eq!(waiting(db, 50).await, [(named(OTHER), 1)]);
    assert_eq!(waiting(db, 51).await, [(named(OTHER), 1)]);
    assert_eq!(db.receipts(ci, 0, 9).await.expect("reads").len(), 1);
    assert_eq!(db.enqueue(ci, 2, &entries(&[50]), NOW).await.expect("queues"), None);
}

pub(crate) async fn what_waits_for_anybody_is_listed_and_withdrawn(db: &dyn HubDb) {
    let (ci, other) = (feed(db, 1, CI, 2).await, feed(db, 1, OTHER, 1).await);
    let elsewhere = feed(db, 2, CI, 1).await;
    db.enqueue(ci, 1, &entries(&[50, 51]), NOW).await.expect("queues");
    db.enqueue(other, 1, &entries(&[50]), NOW).await.expect("queues");
    db.enqueue(elsewhere, 1, &entries(&[50]), NOW).await.expect("queues");
    db.enqueue(ci, 2, &entries(&[52]), NOW).await.expect("queues");
    db.answer_entry((ci, 1), &key(51), b"receipt", NOW).await.expect("answers");
    let waiting = async |after, limit| {
        let found = db.waiting(&community_of(1), after, limit).await.expect("reads");
        assert!(found.iter().all(|it| it.envelope == [it.target.0[0]; 92]), "its own envelope");
        found
    };
    let places = |found: &[hub_db::WaitingEntry]| -> Vec<_> {
        found.iter().map(|it| (it.name.clone(), it.sequence, it.target)).collect()
    };
    let all = waiting(0, 9).await;
    let expected = [(named(CI), 1, key(50)), (named(OTHER), 1, key(50)), (named(CI), 2, key(52))];
    assert_eq!(places(&all), expected);
    assert_eq!(places(&waiting(all[0].id, 1).await), expected[1..2]);
    let withdraw =
        async |entry, target| db.withdraw_entry(entry, &key(target)).await.expect("withdraws");
    assert!(withdraw((ci, 1), 50).await);
    assert!(!withdraw((ci, 1), 50).await, "it is gone");
    assert!(!withdraw((ci, 1), 51).await, "what was answered stays");
    assert_eq!(places(&waiting(0, 9).await), expected[1..]);
    assert_eq!(db.receipts(ci, 0, 9).await.expect("reads").len(), 1);
}
