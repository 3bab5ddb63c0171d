//! A community's life at a hub: founded, joined, sent to, answered.

use community::{
    CommunityId, ExchangeKey, Inclusion, JoinAnswer, JoinChallenge, JoinSecret, Renewal, Role,
    Roster, accept_membership,
};
use documents::{DocumentHash, Quorum, ReleaseName, jointly};
use hub::{Database, Hub, HubConfig, Role as HubRole, Tls};
use hub_api::limits::LISTED_RECEIPT_BYTES_MAX;
use hub_api::{CommunityNews, Hex, JoinEnd, ProblemCode, ReceiptsPage};
use testkit::Postgres;
use tokio::time::timeout;

use crate::ask::Ask;
use crate::plant::{BERLIN, CI, MANAGER, PARIS, Plant, hears, join_id, key, peer};
use crate::postgres::address_file;
use crate::raw::{PATIENCE, token};
use crate::scene::{Person, Scene, code, fetch, head, now};

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_joins_gets_a_release_and_answers_it() {
    let mut plant = Plant::start().await;
    let id = plant.id();
    let managing = plant.peer(MANAGER);
    let manager = &managing.client;
    let machine = plant.peer(BERLIN);
    let anonymous = plant.scene.anonymous();
    let charters = anonymous.charters(&id, 0).await.expect("everybody reads them");
    assert_eq!(charters, [jointly::sign(&plant.charter, [&plant.manager.key])]);
    assert_eq!(anonymous.charters(&id, 1).await.expect("reads"), [] as [Vec<u8>; 0]);
    let mut news = manager.community_events(&id).await.expect("listens");
    plant.set(&[plant.member("ci", CI, &[Role::Publisher])], &[]).await;
    hears(&mut news, CommunityNews::Standing).await;

    // It joins with a secret, and waits for each step of the manager.
    let secret = JoinSecret::from_random([7; 16]);
    let admission = secret.admission(&id, &peer("berlin"));
    let mut request = plant.request("berlin", BERLIN, 3);
    request.admission = Some(admission);
    let signed = request.sign(&machine.key);
    assert_eq!(code(anonymous.knock(&id, &signed).await), ProblemCode::NotFound, "no admission");
    manager.admit(&id, admission, now() + 100).await.expect("keeps a place");
    let accepted = anonymous.knock(&id, &signed).await.expect("knocks");
    assert_eq!(accepted.id, join_id(&signed));
    hears(&mut news, CommunityNews::Joins).await;
    let listed = manager.joinings(&id).await.expect("lists");
    assert_eq!((listed.len(), &listed[0].request.0), (1, &signed));
    let challenge = JoinChallenge {
        community: id,
        request: DocumentHash::of(&signed),
        manager: plant.manager.key.public(),
        nonce: [4; 32],
    };
    let challenge = challenge.sign(&plant.manager.key);
    let waiting = anonymous.joining(&id, &accepted.id, 25);
    let challenging = async {
        manager.challenge_join(&id, &accepted.id, &challenge).await.expect("challenges");
    };
    let (waited, ()) = tokio::join!(waiting, challenging);
    let came = waited.expect("waits").challenge.expect("the challenge").0;
    JoinChallenge::open(&came, &plant.charter, &signed).expect("is the manager's");
    let answer = JoinAnswer::new(&request, &came, Some(&secret)).sign(&machine.key);
    for _ in 0..2 {
        anonymous.answer_join(&id, &accepted.id, &answer).await.expect("answers");
    }
    let listed = manager.joinings(&id).await.expect("lists");
    let answer = listed[0].answer.as_ref().expect("the answer");
    let (asked, answered) =
        JoinAnswer::open(&answer.0, &plant.charter, &signed, &came).expect("is the machine's");
    answered.admit(&asked, &secret).expect("knows the secret");
    let admitted = JoinEnd::Admitted;
    let early = manager.end_join(&id, &accepted.id, &admitted).await;
    assert_eq!(code(early), ProblemCode::RosterConflict, "the roster does not have it");
    plant.set(&[plant.member("berlin", BERLIN, &[Role::Target])], &[]).await;
    manager.end_join(&id, &accepted.id, &admitted).await.expect("ends it");
    let over = anonymous.joining(&id, &accepted.id, 25).await.expect("reads");
    assert_eq!(over.end, Some(JoinEnd::Admitted));
    let again = plant.request("berlin", BERLIN, 9);
    let again = community::JoinRequest { admission: Some(admission), ..again }.sign(&machine.key);
    assert_eq!(code(anonymous.knock(&id, &again).await), ProblemCode::NotFound, "used up");

    // What it sees is its own, and verifies.
    let standing = machine.client.standing(&id, 0).await.expect("reads");
    assert_eq!(standing.charters.len(), 1);
    let roster = Roster::accept(&standing.roster.0, None, &plant.charter, None, now());
    let roster = roster.expect("is good").roster;
    let proof = standing.membership.expect("it is a member");
    let inclusion =
        Inclusion { index: proof.index, path: proof.path.into_iter().map(|hash| hash.0).collect() };
    let exchange = ExchangeKey::derive(&machine.key).public();
    let keys = (&machine.key.public(), &exchange);
    let own =
        accept_membership(&proof.membership.0, &inclusion, &roster, keys).expect("is counted");
    assert_eq!(own.peer, peer("berlin"));

    // A release for it alone comes to it alone.
    let mut news = machine.client.community_events(&id).await.expect("listens");
    let publisher = plant.peer(CI);
    let mut answers = publisher.client.community_events(&id).await.expect("listens");
    let tree = plant.release(CI).await;
    assert_eq!(plant.send(CI, &[BERLIN, PARIS]).await.expect("sends"), 1, "paris is no member");
    assert_eq!(plant.send(CI, &[BERLIN]).await.expect("sends again"), 0);
    hears(&mut news, CommunityNews::Queue).await;
    let waiting = machine.client.queue(&id, None).await.expect("reads").entries;
    assert_eq!(waiting.len(), 1);
    assert_eq!(waiting[0].name, plant.feed(CI).to_string());
    assert_eq!((waiting[0].sequence, &waiting[0].envelope.0), (1, &vec![BERLIN; 92]));
    let (_, missing) = fetch(&machine.client, &tree.ids()).await;
    assert_eq!(missing, [], "it reads the feed");

    // It answers, twice for the answer to the first was lost, and the publisher takes it.
    let feed = plant.feed(CI);
    let target = machine.key.public();
    let receipt = plant.receipt(CI, BERLIN, BERLIN).await;
    for _ in 0..2 {
        machine.client.put_receipt(&feed, 1, &target, receipt.clone()).await.expect("is taken");
    }
    assert_eq!(machine.client.queue(&id, None).await.expect("reads").entries, []);
    hears(&mut answers, CommunityNews::Receipts).await;
    let (listed, next) = publisher.client.receipts(&feed, None).await.expect("lists");
    let told: Vec<_> = listed.iter().map(|it| (it.sequence, it.target, it.bytes)).collect();
    assert_eq!(told, [(1, Hex(*target.as_bytes()), receipt.len() as u64)]);
    assert_eq!(next, None);
    assert_eq!(listed[0].signed.as_ref().map(|signed| &signed.0), Some(&receipt), "it came along");
    assert_eq!(publisher.client.receipt(&feed, 1, &target).await.expect("reads"), receipt);
    for _ in 0..2 {
        publisher.client.receipts_taken(&feed, &[listed[0].id]).await.expect("takes");
    }
    assert_eq!(publisher.client.receipts(&feed, None).await.expect("lists").0, []);
    let gone = publisher.client.receipt(&feed, 1, &target).await;
    assert_eq!(code(gone), ProblemCode::NotFound);
    let (targets, _) = publisher.client.release_targets(&feed, 1, None).await.expect("reads");
    assert_eq!(targets.len(), 1);
    assert!(targets[0].answered.is_some() && targets[0].taken.is_some(), "{targets:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_tells_that_it_begins_and_nobody_tells_it_for_another() {
    let plant = Plant::with_peers().await;
    let (feed, publisher) = (plant.feed(CI), plant.peer(CI));
    let (berlin, paris) = (plant.peer(BERLIN), plant.peer(PARIS));
    plant.release(CI).await;
    plant.send(CI, &[BERLIN]).await.expect("sends");
    let own = berlin.key.public();
    let signed = plant.beginning(CI, BERLIN, BERLIN).await;
    let begun = async || {
        let (targets, _) = publisher.client.release_targets(&feed, 1, None).await.expect("reads");
        assert_eq!(targets.len(), 1);
        let (told, next) = publisher.client.beginnings(&feed, None).await.expect("lists");
        assert_eq!(next, None);
        let told: Vec<_> =
            told.into_iter().map(|it| (it.sequence, it.target, it.beginning.0)).collect();
        (targets[0].begun, told)
    };
    assert_eq!(begun().await, (None, vec![]));
    // Neither its publisher nor another target brings what a target does, even what it signed.
    for other in [&publisher, &paris] {
        let said = other.client.begin_release(&feed, 1, &own, signed.clone()).await;
        assert_eq!(code(said), ProblemCode::Forbidden);
    }
    let said = berlin.client.begin_release(&feed, 9, &own, signed.clone()).await;
    assert_eq!(code(said), ProblemCode::NotFound);
    // Nobody's word but its own is taken, and of nothing else.
    let forged = plant.beginning(CI, BERLIN, PARIS).await;
    let others = plant.beginning(CI, PARIS, PARIS).await;
    let receipt = plant.receipt(CI, BERLIN, BERLIN).await;
    for wrong in [forged, others, receipt, b"none".to_vec(), vec![]] {
        let said = berlin.client.begin_release(&feed, 1, &own, wrong).await;
        assert_eq!(code(said), ProblemCode::DocumentRefused);
    }
    assert_eq!(begun().await, (None, vec![]));

    let mut news = publisher.client.community_events(&plant.id()).await.expect("listens");
    berlin.client.begin_release(&feed, 1, &own, signed.clone()).await.expect("tells");
    hears(&mut news, CommunityNews::Receipts).await;
    let first = begun().await;
    assert!(first.0.is_some());
    assert_eq!(first.1, [(1, Hex(*own.as_bytes()), signed.clone())]);
    berlin.client.begin_release(&feed, 1, &own, signed).await.expect("tells again");
    assert_eq!(begun().await, first, "the first time stands");
    // No other peer learns of it.
    for other in [&berlin, &paris] {
        assert_eq!(code(other.client.beginnings(&feed, None).await), ProblemCode::Forbidden);
    }
    // It waits as before: a beginning answers nothing, and is over with the receipt.
    let waiting = berlin.client.queue(&plant.id(), None).await.expect("reads").entries;
    assert_eq!(waiting.len(), 1);
    let receipt = plant.receipt(CI, BERLIN, BERLIN).await;
    berlin.client.put_receipt(&feed, 1, &own, receipt).await.expect("answers");
    assert_eq!(begun().await, (first.0, vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn short_receipts_come_with_their_list_and_long_ones_are_read_alone() {
    let plant = Plant::with_peers().await;
    let (ci, feed) = (plant.peer(CI), plant.feed(CI));
    plant.release(CI).await;
    plant.send(CI, &[BERLIN, PARIS]).await.expect("sends");
    let mut receipts = Vec::new();
    for (number, body) in [(BERLIN, vec![7; 300]), (PARIS, vec![8; LISTED_RECEIPT_BYTES_MAX])] {
        let (target, receipt) = (plant.peer(number), plant.receipt_of(CI, number, &body).await);
        let put = target.client.put_receipt(&feed, 1, &target.key.public(), receipt.clone()).await;
        put.expect("answers");
        receipts.push(receipt);
    }
    let (listed, next) = ci.client.receipts(&feed, None).await.expect("lists");
    assert_eq!((listed.len(), next), (2, None));
    assert_eq!(listed[0].signed.as_ref().map(|signed| &signed.0), Some(&receipts[0]));
    assert_eq!((&listed[1].signed, listed[1].bytes), (&None, receipts[1].len() as u64));
    let paris = plant.peer(PARIS).key.public();
    assert_eq!(ci.client.receipt(&feed, 1, &paris).await.expect("reads"), receipts[1]);
    // Who does not ask for them gets the list alone.
    let session = token(&plant.scene, &ci);
    for (query, with) in [("", false), ("?signed=false", false), ("?signed=true&limit=1", true)] {
        let ask = Ask::get(&format!("/v1/names/{feed}/receipts{query}")).token(&session);
        let page = ask.send(&plant.scene).await.json();
        let page: ReceiptsPage = serde_json::from_value(page).expect("a page");
        assert_eq!(page.receipts[0].signed.is_some(), with, "{query}");
        assert_eq!(page.next.is_some(), with, "a page of one, where one was asked for");
    }
    let ask = Ask::get(&format!("/v1/names/{feed}/receipts?signed=perhaps")).token(&session);
    assert_eq!(ask.send(&plant.scene).await.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_revoked_gets_nothing_more_at_once() {
    let mut plant = Plant::with_peers().await;
    let (id, feed) = (plant.id(), plant.feed(CI));
    let (berlin, paris) = (plant.peer(BERLIN), plant.peer(PARIS));
    let tree = plant.release(CI).await;
    assert_eq!(plant.send(CI, &[BERLIN, PARIS]).await.expect("sends"), 2);
    let mut news = berlin.client.community_events(&id).await.expect("listens");
    let receipt = plant.receipt(CI, BERLIN, BERLIN).await;
    let session = token(&plant.scene, &berlin);
    let path = format!("/v1/communities/{id}/queue");
    let ask = Ask::get(&path).token(&session);
    assert_eq!(ask.send(&plant.scene).await.status, 200);

    plant.set(&[], &["berlin"]).await;
    let ended = timeout(PATIENCE, async { while let Ok(Some(_)) = news.next().await {} }).await;
    ended.expect("its stream ends");
    // Its session is good for nothing, and a new one is not to be had.
    assert_eq!(ask.send(&plant.scene).await.problem(), (403, "not-registered".to_owned()));
    assert_eq!(code(berlin.client.queue(&id, None).await), ProblemCode::NotRegistered);
    assert_eq!(code(berlin.client.standing(&id, 0).await), ProblemCode::NotRegistered);
    let late = berlin.client.put_receipt(&feed, 1, &berlin.key.public(), receipt.clone()).await;
    assert_eq!(code(late), ProblemCode::NotRegistered);
    let (targets, _) = plant.peer(CI).client.release_targets(&feed, 1, None).await.expect("reads");
    assert_eq!(targets.len(), 1, "nothing waits for it");
    assert_eq!(paris.client.queue(&id, None).await.expect("reads").entries.len(), 1);
    let (_, missing) = fetch(&paris.client, &tree.ids()).await;
    assert_eq!(missing, [], "others are not touched");

    // Back in the roster it is a peer again; what was sent before is not held for it.
    plant.set(&[plant.member("berlin", BERLIN, &[Role::Target])], &[]).await;
    assert_eq!(berlin.client.queue(&id, None).await.expect("reads").entries, []);
    let late = berlin.client.put_receipt(&feed, 1, &berlin.key.public(), receipt).await;
    assert_eq!(code(late), ProblemCode::NotFound);
    assert_eq!(plant.send(CI, &[BERLIN]).await.expect("sends"), 1);
    // With its publisher goes what was sent.
    plant.set(&[], &["ci"]).await;
    for target in [&berlin, &paris] {
        assert_eq!(target.client.queue(&id, None).await.expect("reads").entries, []);
        let (came, missing) = fetch(&target.client, &tree.ids()).await;
        assert_eq!((came.len(), missing.len()), (0, 3));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn charters_follow_each_other_and_change_who_manages() {
    let mut plant = Plant::with_peers().await;
    let id = plant.id();
    let second = plant.scene.person(2, hub::Role::Reader, &[]).await;
    assert_eq!(code(second.client.members(&id, None).await), ProblemCode::NotFound);
    let mut next = plant.charter.clone();
    next.number = 2;
    next.previous = Some(plant.charter.hash());
    next.managers = Quorum { keys: [second.key.public()].into(), threshold: 1 };
    // The old managers and the new ones sign.
    let half = jointly::sign(&next, [&second.key]);
    let refused = plant.manager.client.add_charter(&id, &half).await;
    assert_eq!(code(refused), ProblemCode::DocumentRefused);
    let whole = jointly::sign(&next, [&plant.manager.key, &second.key]);
    let mut news = plant.manager.client.community_events(&id).await.expect("listens");
    plant.manager.client.add_charter(&id, &whole).await.expect("adds");
    let ended = timeout(PATIENCE, async { while let Ok(Some(_)) = news.next().await {} }).await;
    ended.expect("who manages no more hears no more");
    assert_eq!(code(plant.manager.client.members(&id, None).await), ProblemCode::NotFound);
    second.client.add_charter(&id, &whole).await.expect("is there");
    let charters = plant.scene.anonymous().charters(&id, 0).await.expect("reads");
    assert_eq!((charters.len(), &charters[1]), (2, &whole));
    let standing = plant.peer(BERLIN).client.standing(&id, 1).await.expect("reads");
    assert_eq!(standing.charters.iter().map(|it| &it.0).collect::<Vec<_>>(), [&whole]);

    // A roster under the old charter comes too late; one under the new begins to count anew.
    let (old, _) = plant.next(&[], &["paris"]);
    let change = crate::plant::change(jointly::sign(&old, [&second.key]), &[], &["paris"]);
    let refused = second.client.put_roster(&id, &change).await;
    assert_eq!(code(refused), ProblemCode::DocumentRefused);
    (plant.charter, plant.manager, plant.number) = (next, second, 0);
    plant.set(&[], &["paris"]).await;
    assert_eq!(plant.manager.client.members(&id, None).await.expect("lists").members.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn renewals_come_from_whom_the_roster_names() {
    let mut plant = Plant::start().await;
    let id = plant.id();
    plant.renewers = [BERLIN].into();
    plant.set(&[plant.member("berlin", BERLIN, &[]), plant.member("paris", PARIS, &[])], &[]).await;
    let (berlin, paris) = (plant.peer(BERLIN), plant.peer(PARIS));
    let hash = {
        let standing = berlin.client.standing(&id, 0).await.expect("reads");
        assert_eq!(standing.renewal, None);
        Roster::open(&standing.roster.0, &plant.charter).expect("opens").seen().hash
    };
    let renewal = |number: u8, roster, issued| {
        let renewer = key(number).public();
        let expires = now() + 1000;
        Renewal { community: id, renewer, roster, issued, expires }.sign(&key(number))
    };
    let first = renewal(BERLIN, hash, now() - 10);
    for _ in 0..2 {
        berlin.client.put_renewal(&id, &first).await.expect("renews");
    }
    let standing = paris.client.standing(&id, 0).await.expect("reads");
    assert_eq!(standing.renewal.map(|renewal| renewal.0), Some(first.clone()));
    let newer = renewal(BERLIN, hash, now());
    plant.manager.client.put_renewal(&id, &newer).await.expect("brings it");
    assert_eq!(code(berlin.client.put_renewal(&id, &first).await), ProblemCode::RosterConflict);
    // By somebody else, of another roster, of a time to come, garbage.
    for wrong in [
        renewal(PARIS, hash, now()),
        renewal(BERLIN, DocumentHash::of(b"another"), now()),
        renewal(BERLIN, hash, now() + 4000),
        b"no document".to_vec(),
    ] {
        let refused = berlin.client.put_renewal(&id, &wrong).await;
        assert_eq!(code(refused), ProblemCode::DocumentRefused);
    }
    assert_eq!(code(paris.client.put_renewal(&id, &newer).await), ProblemCode::Forbidden);
}

#[tokio::test(flavor = "multi_thread")]
async fn members_are_listed_by_pages_and_standing_has_a_tag() {
    let mut plant = Plant::start().await;
    let id = plant.id();
    let names: Vec<String> = (10..20).map(|number| format!("m-{number}")).collect();
    let some: Vec<_> = names
        .iter()
        .zip(10..)
        .map(|(name, number)| plant.member(name, number, &[Role::Target]))
        .collect();
    plant.set(&some, &[]).await;
    let session = token(&plant.scene, &plant.manager);
    let mut listed = Vec::new();
    let mut after = String::new();
    loop {
        let path = format!("/v1/communities/{id}/members?limit=3&after={after}");
        let page = Ask::get(&path).token(&session).send(&plant.scene).await.json();
        let page: hub_api::MembersPage = serde_json::from_value(page).expect("a page");
        listed.extend(page.members.into_iter().map(|it| it.0));
        let Some(next) = page.next else { break };
        after = next;
    }
    assert_eq!(listed, some.iter().map(community::Membership::encode).collect::<Vec<_>>());
    let target = token(&plant.scene, &plant.peer(10));
    let ask = Ask::get(&format!("/v1/communities/{id}/standing?charter=1")).token(&target);
    let tag = ask.send(&plant.scene).await.header("etag").to_owned();
    let again = ask.header("If-None-Match", &tag);
    assert_eq!(again.send(&plant.scene).await.status, 304);
    plant.set(&[], &["m-15"]).await;
    assert_eq!(again.send(&plant.scene).await.status, 200);
}

/// A hub on the same data, or on a copy of them.
#[tokio::test(flavor = "multi_thread")]
async fn a_feed_alone_leaves_out_what_an_earlier_database_had() {
    let plant = Plant::with_peers().await;
    let (ci, feed) = (plant.peer(CI), plant.feed(CI));
    let tree = plant.release(CI).await;
    let numbered = |person: &Person, name: &ReleaseName, sequence: u64| {
        let previous = Some((sequence - 1, DocumentHash::from_bytes([9; 32])));
        let manifest = tree.manifest(person, name, previous);
        let signed = manifest.sign(&person.key);
        let newest = head(person, &manifest, &signed);
        (signed, newest)
    };
    let (signed, newest) = numbered(&ci, &feed, 5);
    // Who leaves something out says which is the newest here: nobody does so by accident.
    for after in [None, Some(0), Some(2), Some(4)] {
        let refused = ci.client.post_release_after(&feed, &signed, &newest, after).await;
        assert_eq!(code(refused), ProblemCode::ReleaseConflict, "{after:?}");
    }
    for _ in 0..2 {
        let accepted = ci.client.post_release_after(&feed, &signed, &newest, Some(1)).await;
        assert_eq!(accepted.expect("publishes").sequence, 5);
    }
    let envelopes = [(key(BERLIN).public(), vec![1; 92])];
    assert_eq!(ci.client.address_release(&feed, 5, &envelopes).await.expect("queues"), 1);
    let lost = ci.client.address_release(&feed, 3, &envelopes).await;
    assert_eq!(code(lost), ProblemCode::NotFound);
    let queue = plant.peer(BERLIN).client.queue(&plant.id(), None).await.expect("reads").entries;
    assert_eq!((queue.len(), queue[0].sequence, &queue[0].manifest.0), (1, 5, &signed));
    let (earlier, head_of_it) = numbered(&ci, &feed, 3);
    let refused = ci.client.post_release_after(&feed, &earlier, &head_of_it, Some(5)).await;
    assert_eq!(code(refused), ProblemCode::ReleaseConflict, "numbers grow");

    // Readers of other names follow the chain.
    let owner = plant.scene.person(50, HubRole::Publisher, &[]).await;
    let tools: ReleaseName = "team/tools".parse().expect("a name");
    owner.publish(&tools, false, &tree).await;
    let (signed, newest) = numbered(&owner, &tools, 3);
    let refused = owner.client.post_release_after(&tools, &signed, &newest, Some(1)).await;
    assert_eq!(code(refused), ProblemCode::DocumentRefused);
}

async fn hub_on(dir: tempfile::TempDir, data: &str, database: Option<Database>) -> Scene {
    let place = dir.path().join(data);
    let local = "127.0.0.1:0".parse().expect("an address");
    let config = HubConfig { database, ..HubConfig::new(&place, local) };
    let hub = Hub::start(HubConfig { free_reserve_bytes: 0, tls: Tls::Off, ..config }).await;
    Scene { hub: hub.expect("starts"), dir }
}

/// What is there of a community after one target has answered and the other has not.
async fn is_all_there(scene: &Scene, plant_id: CommunityId) {
    let [berlin, paris, ci] = [BERLIN, PARIS, CI].map(|number| scene.stranger(number));
    let feed = plant_id.feed(&ci.key.public());
    let standing = paris.client.standing(&plant_id, 0).await.expect("reads");
    assert!(standing.membership.is_some());
    assert_eq!(berlin.client.queue(&plant_id, None).await.expect("reads").entries, []);
    let waiting = paris.client.queue(&plant_id, None).await.expect("reads").entries;
    assert_eq!((waiting.len(), &waiting[0].envelope.0), (1, &vec![PARIS; 92]));
    let (receipts, _) = ci.client.receipts(&feed, None).await.expect("lists");
    assert_eq!(receipts.len(), 1);
    let receipt = ci.client.receipt(&feed, 1, &berlin.key.public()).await.expect("reads");
    assert_eq!(receipt.len() as u64, receipts[0].bytes);
    let manager = scene.stranger(MANAGER);
    assert_eq!(manager.client.joinings(&plant_id).await.expect("lists").len(), 1);
}

async fn fill(plant: &mut Plant) {
    plant.add_peers().await;
    plant.release(CI).await;
    assert_eq!(plant.send(CI, &[BERLIN, PARIS]).await.expect("sends"), 2);
    let (berlin, feed) = (plant.peer(BERLIN), plant.feed(CI));
    let receipt = plant.receipt(CI, BERLIN, BERLIN).await;
    berlin.client.put_receipt(&feed, 1, &berlin.key.public(), receipt).await.expect("answers");
    let request = plant.request("new", 40, 1).sign(&key(40));
    plant.scene.anonymous().knock(&plant.id(), &request).await.expect("knocks");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_community_comes_back_from_a_backup() {
    let mut plant = Plant::start().await;
    fill(&mut plant).await;
    let id = plant.id();
    is_all_there(&plant.scene, id).await;
    let copies = tempfile::tempdir().expect("a directory");
    let to = copies.path().join("backup");
    hub::backup(plant.scene.dir.path(), &to).await.expect("backs up");
    hub::restore(&to, &copies.path().join("again")).await.expect("is whole");
    let second = hub_on(copies, "again", None).await;
    is_all_there(&second, id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_community_is_kept_by_a_server_and_found_again() {
    let Some(server) = Postgres::start() else { return };
    let dir = tempfile::tempdir().expect("a directory");
    let database = address_file(dir.path(), &server.create_database());
    let mut plant = Plant::at(hub_on(dir, ".", Some(database)).await).await;
    fill(&mut plant).await;
    let id = plant.id();
    is_all_there(&plant.scene, id).await;
    let Scene { dir, hub } = plant.scene;
    hub.shutdown().await;
    is_all_there(&hub_on(dir, ".", None).await, id).await;
}
