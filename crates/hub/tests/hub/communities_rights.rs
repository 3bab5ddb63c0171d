//! Who may do what in a community, and that names of feeds are nobody else's.

use community::{JoinChallenge, Role};
use documents::{DocumentHash, ReleaseName, jointly};
use hub::Role as HubRole;
use hub_api::{JoinEnd, ProblemCode};

use crate::ask::Ask;
use crate::interface::assert_documented;
use crate::plant::{BERLIN, CI, PARIS, Plant, change, charter, join_id, key};
use crate::raw::token;
use crate::scene::{Person, Tree, code, fetch, now};

const RELAY: u8 = 7;

/// A status for each way into a community, by the id of the operation; every answer is as documented.
async fn statuses(plant: &Plant, person: Option<&Person>) -> Vec<(&'static str, u16)> {
    let session = person.map(|person| token(&plant.scene, person));
    let (id, feed) = (plant.id(), plant.feed(CI));
    let join = join_id(b"nothing");
    let community = format!("/v1/communities/{id}");
    let release = format!("/v1/names/{feed}/releases/1");
    let target = key(BERLIN).public();
    let (roster, _) = plant.next(&[], &[]);
    let roster = change(jointly::sign(&roster, [&key(9)]), &[], &[]);
    let admission = format!("{community}/admissions/{}", "ab".repeat(16));
    let expires = serde_json::json!({ "expires": now() + 10 });
    let step = serde_json::json!({ "document": "AA" });
    let refusal = serde_json::json!({ "how": "refused", "reason": "no" });
    let envelopes = serde_json::json!({ "envelopes": [] });
    let asks = [
        ("listCharters", Ask::get(&format!("{community}/charters"))),
        ("readStanding", Ask::get(&format!("{community}/standing"))),
        ("listMembers", Ask::get(&format!("{community}/members"))),
        ("listJoins", Ask::get(&format!("{community}/joins"))),
        ("readQueue", Ask::get(&format!("{community}/queue"))),
        (
            "putRoster",
            Ask::new("PUT", &format!("{community}/roster"))
                .json(&serde_json::to_value(&roster).expect("plain data")),
        ),
        ("putAdmission", Ask::new("PUT", &admission).json(&expires)),
        ("deleteAdmission", Ask::new("DELETE", &admission)),
        (
            "challengeJoin",
            Ask::new("PUT", &format!("{community}/joins/{join}/challenge")).json(&step),
        ),
        ("endJoin", Ask::new("PUT", &format!("{community}/joins/{join}/end")).json(&refusal)),
        ("enqueue", Ask::new("POST", &format!("{release}/envelopes")).json(&envelopes)),
        ("listTargets", Ask::get(&format!("{release}/targets"))),
        ("listReceipts", Ask::get(&format!("/v1/names/{feed}/receipts"))),
        ("readReceipt", Ask::get(&format!("{release}/receipts/{target}"))),
        (
            "takeReceipts",
            Ask::new("POST", &format!("/v1/names/{feed}/receipts/taken"))
                .json(&serde_json::json!({ "ids": [] })),
        ),
        ("putReceipt", Ask::new("PUT", &format!("{release}/receipts/{target}"))),
    ];
    let document = hub_api::openapi::document(env!("CARGO_PKG_VERSION"));
    let mut found = Vec::new();
    for (what, ask) in asks {
        let ask = session.iter().fold(ask, |ask, session| ask.token(session));
        let answer = ask.send(&plant.scene).await;
        assert_documented(&document, what, &answer);
        found.push((what, answer.status));
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn each_may_what_its_role_needs_and_a_stranger_finds_nothing() {
    let mut plant = Plant::with_peers().await;
    let more =
        [plant.member("relay", RELAY, &[Role::Relay]), plant.member("cd", 8, &[Role::Publisher])];
    plant.set(&more, &[]).await;
    plant.release(CI).await;
    let stranger = plant.scene.person(20, HubRole::Publisher, &[]).await;
    let admin = plant.scene.person(21, HubRole::Administrator, &[]).await;
    // A manager of another community.
    let other = plant.scene.person(22, HubRole::Publisher, &[]).await;
    let theirs = jointly::sign(&charter(22, &[22]), [&other.key]);
    other.client.create_community(&theirs).await.expect("creates");

    let of = |list: &[u16]| {
        let names = [
            "listCharters",
            "readStanding",
            "listMembers",
            "listJoins",
            "readQueue",
            "putRoster",
            "putAdmission",
            "deleteAdmission",
            "challengeJoin",
            "endJoin",
            "enqueue",
            "listTargets",
            "listReceipts",
            "readReceipt",
            "takeReceipts",
            "putReceipt",
        ];
        names.into_iter().zip(list.iter().copied()).collect::<Vec<_>>()
    };
    // 422: it came as far as the document.
    let manager = [200, 200, 200, 200, 200, 422, 204, 204, 404, 404, 404, 404, 404, 404, 404, 404];
    let target = [200, 200, 403, 403, 200, 403, 403, 403, 403, 403, 403, 403, 403, 403, 403, 422];
    let another_target = [target[..15].to_vec(), vec![403]].concat();
    let publisher =
        [200, 200, 200, 403, 200, 403, 403, 403, 403, 403, 200, 200, 200, 404, 204, 403];
    let another = [200, 200, 200, 403, 200, 403, 403, 403, 403, 403, 404, 404, 404, 404, 404, 404];
    let relay = [200, 200, 200, 403, 200, 403, 403, 403, 403, 403, 403, 403, 403, 403, 403, 422];
    let nobody = [200, 404, 404, 404, 404, 404, 404, 404, 404, 404, 404, 404, 404, 404, 404, 404];
    let no_session = [vec![200], vec![401; 15]].concat();
    for (who, person, expected) in [
        ("the manager", Some(&plant.manager), &manager[..]),
        ("a target", Some(&plant.peer(BERLIN)), &target),
        ("another target", Some(&plant.peer(PARIS)), &another_target),
        ("the publisher", Some(&plant.peer(CI)), &publisher),
        ("another publisher", Some(&plant.peer(8)), &another),
        ("a relay", Some(&plant.peer(RELAY)), &relay),
        ("a stranger", Some(&stranger), &nobody),
        ("an administrator", Some(&admin), &nobody),
        ("a manager of another community", Some(&other), &nobody),
        ("nobody", None, &no_session),
    ] {
        assert_eq!(statuses(&plant, person).await, of(expected), "{who}");
    }
    // What is not there looks the same to everybody.
    let nowhere = charter(77, &[1]).community;
    let anonymous = plant.scene.anonymous();
    assert_eq!(code(anonymous.charters(&nowhere, 0).await), ProblemCode::NotFound);
    let manager = &plant.manager.client;
    assert_eq!(code(manager.standing(&nowhere, 0).await), ProblemCode::NotFound);
    let refused = stranger.client.community_events(&plant.id()).await.map(drop);
    assert_eq!(code(refused), ProblemCode::NotFound);
    let path = format!("/v1/communities/{}x/charters", plant.id());
    assert_eq!(Ask::get(&path).send(&plant.scene).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_sees_its_own_queue_and_a_relay_brings_what_it_says() {
    let mut plant = Plant::with_peers().await;
    plant.set(&[plant.member("relay", RELAY, &[Role::Relay])], &[]).await;
    let (id, feed) = (plant.id(), plant.feed(CI));
    let tree = plant.release(CI).await;
    assert_eq!(plant.send(CI, &[BERLIN]).await.expect("sends"), 1);
    let (berlin, paris, relay) = (plant.peer(BERLIN), plant.peer(PARIS), plant.peer(RELAY));
    assert_eq!(berlin.client.queue(&id, None).await.expect("reads").entries.len(), 1);
    assert_eq!(paris.client.queue(&id, None).await.expect("reads").entries, []);
    let (_, missing) = fetch(&relay.client, &tree.ids()).await;
    assert_eq!(missing, [], "a relay reads the feed, which is sealed");
    let target = berlin.key.public();
    let beginning = plant.beginning(CI, BERLIN, BERLIN).await;
    relay.client.begin_release(&feed, 1, &target, beginning).await.expect("brings it");
    let made_up = plant.beginning(CI, BERLIN, RELAY).await;
    let wrong = relay.client.begin_release(&feed, 1, &target, made_up).await;
    assert_eq!(code(wrong), ProblemCode::DocumentRefused, "a relay says nothing of its own");
    let (told, _) = plant.peer(CI).client.beginnings(&feed, None).await.expect("lists");
    assert_eq!(told.len(), 1);
    let receipt = plant.receipt(CI, BERLIN, BERLIN).await;
    let wrong = paris.client.put_receipt(&feed, 1, &target, receipt.clone()).await;
    assert_eq!(code(wrong), ProblemCode::Forbidden);
    relay.client.put_receipt(&feed, 1, &target, receipt).await.expect("brings it");
    assert_eq!(berlin.client.queue(&id, None).await.expect("reads").entries, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_feeds_are_their_publishers_and_follow_the_roster() {
    let plant = Plant::with_peers().await;
    let feed = plant.feed(CI);
    let (publisher, target) = (plant.peer(CI), plant.peer(BERLIN));
    let stranger = plant.scene.person(20, HubRole::Publisher, &[]).await;
    let admin = plant.scene.person(21, HubRole::Administrator, &[]).await;
    let of = |number: u8| charter(77, &[1]).community.feed(&key(number).public());
    // Before the publisher has come, after, and where there is no community.
    let broken: ReleaseName = format!("c-{}/tools", "0a".repeat(16)).parse().expect("a name");
    for name in [&feed, &plant.feed(20), &of(20), &of(21), &broken] {
        for person in [&stranger, &admin, &plant.manager] {
            let refused = person.client.put_name(name, false).await;
            assert_eq!(code(refused), ProblemCode::NameTaken, "{name}");
        }
    }
    assert_eq!(code(publisher.client.put_name(&feed, true).await), ProblemCode::Forbidden);
    assert_eq!(
        code(target.client.put_name(&plant.feed(BERLIN), false).await),
        ProblemCode::Forbidden
    );
    // Who is here by a roster alone has feeds and nothing else.
    let ordinary: ReleaseName = "team/tools".parse().expect("a name");
    assert_eq!(code(publisher.client.put_name(&ordinary, false).await), ProblemCode::Forbidden);
    let founded = jointly::sign(&charter(60, &[CI]), [&publisher.key]);
    assert_eq!(code(publisher.client.create_community(&founded).await), ProblemCode::Forbidden);
    stranger.client.put_name(&ordinary, false).await.expect("was invited");
    let given = stranger.client.transfer_name(&ordinary, &publisher.key.public()).await;
    assert_eq!(code(given), ProblemCode::Forbidden);
    let first = publisher.publish(&feed, false, &Tree::new(1, 3)).await;
    assert_eq!(code(publisher.client.put_name(&feed, true).await), ProblemCode::Forbidden);
    assert_eq!(code(stranger.client.put_name(&feed, false).await), ProblemCode::NameTaken);
    // Nobody gives rights to it or takes them, not its owner and no administrator.
    let key = stranger.key.public();
    let own = &publisher.client;
    assert_eq!(code(own.add_reader(&feed, &key).await), ProblemCode::Forbidden);
    let refused = own.remove_grant(&feed, &target.key.public()).await;
    assert_eq!(code(refused), ProblemCode::Forbidden);
    assert_eq!(code(publisher.delegate(&feed, 1, &[key]).await), ProblemCode::Forbidden);
    for person in [&publisher, &admin] {
        let refused = person.client.transfer_name(&feed, &key).await;
        assert_eq!(code(refused), ProblemCode::Forbidden);
        assert_eq!(code(person.client.delete_name(&feed).await), ProblemCode::Forbidden);
    }
    // Who is publisher no more publishes no more, though the account is of its own right.
    let mut plant = plant;
    let keeps = plant.scene.person(30, HubRole::Publisher, &[]).await;
    plant.set(&[plant.member("own", 30, &[Role::Publisher])], &[]).await;
    let theirs = plant.feed(30);
    let once = keeps.publish(&theirs, false, &Tree::new(3, 3)).await;
    plant.set(&[], &["own"]).await;
    let refused = keeps.post(&theirs, &Tree::new(3, 3), Some(once)).await;
    assert_eq!(code(refused), ProblemCode::Forbidden);
    keeps.client.delete_name(&theirs).await.expect("is nobody's feed now");
    publisher.post(&feed, &Tree::new(1, 3), Some(first)).await.expect("others go on");
}

#[tokio::test(flavor = "multi_thread")]
async fn joining_is_for_those_who_sign_and_ending_for_managers() {
    let plant = Plant::with_peers().await;
    let (id, anonymous) = (plant.id(), plant.scene.anonymous());
    let request = plant.request("new", 40, 1);
    let signed = request.sign(&key(40));
    let join = anonymous.knock(&id, &signed).await.expect("knocks").id;
    let challenge = |manager: u8, request: &[u8]| {
        let request = DocumentHash::of(request);
        let manager_key = key(manager).public();
        JoinChallenge { community: id, request, manager: manager_key, nonce: [4; 32] }
            .sign(&key(manager))
    };
    let manager = &plant.manager.client;
    let target = plant.peer(BERLIN);
    // By no manager, of another request, by whom is none, and before its turn.
    for wrong in [challenge(BERLIN, &signed), challenge(1, b"another"), b"nothing".to_vec()] {
        let refused = manager.challenge_join(&id, &join, &wrong).await;
        assert_eq!(code(refused), ProblemCode::DocumentRefused);
    }
    let good = challenge(1, &signed);
    assert_eq!(code(target.client.challenge_join(&id, &join, &good).await), ProblemCode::Forbidden);
    let answer = community::JoinAnswer::new(&request, &good, None);
    let early = anonymous.answer_join(&id, &join, &answer.sign(&key(40))).await;
    assert_eq!(code(early), ProblemCode::RosterConflict);
    manager.challenge_join(&id, &join, &good).await.expect("challenges");
    manager.challenge_join(&id, &join, &good).await.expect("again");
    let mut other = JoinChallenge::open(&good, &plant.charter, &signed).expect("opens");
    other.nonce = [5; 32];
    let other = other.sign(&plant.manager.key);
    let refused = manager.challenge_join(&id, &join, &other).await;
    assert_eq!(code(refused), ProblemCode::RosterConflict, "the first stands");
    // Somebody else's answer is none.
    let forged = anonymous.answer_join(&id, &join, &answer.sign(&key(41))).await;
    assert_eq!(code(forged), ProblemCode::DocumentRefused);
    anonymous.answer_join(&id, &join, &answer.sign(&key(40))).await.expect("answers");
    // Only a manager refuses, and only who knows the id breaks off.
    let refuse = JoinEnd::Refused { reason: "no".to_owned() };
    assert_eq!(code(target.client.end_join(&id, &join, &refuse).await), ProblemCode::Forbidden);
    assert_eq!(code(anonymous.end_join(&id, &join, &refuse).await), ProblemCode::SessionRequired);
    let unknown = join_id(b"another");
    let nothing = anonymous.abort_join(&id, &unknown, "x".to_owned()).await;
    assert_eq!(code(nothing), ProblemCode::NotFound);
    let long = anonymous.abort_join(&id, &join, "x".repeat(257)).await;
    assert_eq!(code(long), ProblemCode::MalformedRequest);
    anonymous.abort_join(&id, &join, "a stranger answered".to_owned()).await.expect("breaks off");
    let over = anonymous.joining(&id, &join, 25).await.expect("at once");
    assert_eq!(over.end, Some(JoinEnd::Aborted { reason: "a stranger answered".to_owned() }));
    assert_eq!(code(manager.end_join(&id, &join, &refuse).await), ProblemCode::RosterConflict);
    // The managers are to hear of it.
    let listed = manager.joinings(&id).await.expect("lists");
    assert_eq!(listed.iter().map(|one| &one.end).collect::<Vec<_>>(), [&over.end]);
}
