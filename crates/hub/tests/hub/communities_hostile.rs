//! Forged, replayed and overlarge: what a hub must not take from members of a community, or others.

use community::{Membership, Role, Roster};
use documents::jointly;
use hub::Role as HubRole;
use hub_api::limits::{ENVELOPE_BYTES_MAX, ENVELOPES_MAX, JOININGS_UNANNOUNCED_MAX};
use hub_api::{Base64Bytes, ProblemCode};
use serde_json::json;

use crate::ask::Ask;
use crate::plant::{BERLIN, CI, PARIS, Plant, change, charter, key};
use crate::raw::token;
use crate::scene::{code, now};

#[tokio::test(flavor = "multi_thread")]
async fn forged_and_altered_rosters_are_refused_and_change_nothing() {
    let mut plant = Plant::with_peers().await;
    let id = plant.id();
    let extra = plant.member("extra", 9, &[Role::Target]);
    let (good, _) = plant.next(std::slice::from_ref(&extra), &[]);
    let manager = &plant.manager.client;
    // Signed by a member, though a manager brings it.
    let forged = change(jointly::sign(&good, [&key(CI)]), std::slice::from_ref(&extra), &[]);
    let refused = manager.put_roster(&id, &forged).await;
    assert_eq!(code(refused), ProblemCode::DocumentRefused);
    // One left out, one slipped in, one altered, one twice, of another community, no membership.
    let altered = Membership {
        routes: Vec::new(),
        labels: [("a".into(), "b".into())].into(),
        ..extra.clone()
    };
    let elsewhere = Membership { community: charter(9, &[1]).community, ..extra.clone() };
    let more = plant.member("more", 10, &[Role::Target]);
    for members in [
        vec![],
        vec![extra.clone(), more],
        vec![altered],
        vec![extra.clone(), extra.clone()],
        vec![elsewhere],
    ] {
        let refused = plant.put(&good, &members, &[]).await;
        assert_eq!(code(refused), ProblemCode::DocumentRefused, "{members:?}");
    }
    let refused = plant.put(&good, std::slice::from_ref(&extra), &["berlin"]).await;
    assert_eq!(code(refused), ProblemCode::DocumentRefused);
    let mut garbage = change(jointly::sign(&good, [&plant.manager.key]), &[], &[]);
    garbage.members.push(Base64Bytes(b"no membership".to_vec()));
    let refused = manager.put_roster(&id, &garbage).await;
    assert_eq!(code(refused), ProblemCode::DocumentRefused);
    // Two peers with one key, a publisher that is none, one that has expired.
    let twin = plant.member("twin", BERLIN, &[Role::Target]);
    let (with_twin, _) = plant.next(std::slice::from_ref(&twin), &[]);
    let refused = plant.put(&with_twin, &[twin], &[]).await;
    assert_eq!(code(refused), ProblemCode::DocumentRefused);
    let mut stranger = good.clone();
    let entry = stranger.publishers.values().next().expect("one").clone();
    stranger.publishers.insert(key(BERLIN).public(), entry);
    let expired = Roster { expires: now() - 1, ..good.clone() };
    for roster in [stranger, expired] {
        let refused = plant.put(&roster, std::slice::from_ref(&extra), &[]).await;
        assert_eq!(code(refused), ProblemCode::DocumentRefused);
    }
    let page = manager.members(&id, None).await.expect("lists");
    assert_eq!(page.members.len(), 3, "nothing has changed");

    // An older one, and another one of the same number, though signed well.
    plant.set(std::slice::from_ref(&extra), &[]).await;
    let replayed = Roster { number: plant.number - 1, ..plant.next(&[], &[]).0 };
    let fork = Roster { number: plant.number, ..plant.next(&[], &["extra"]).0 };
    for (roster, removed) in [(&replayed, &[][..]), (&fork, &["extra"])] {
        let refused = plant.put(roster, &[], removed).await;
        assert_eq!(code(refused), ProblemCode::RosterConflict);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_whose_answer_was_lost_may_be_sent_again() {
    let plant = Plant::start().await;
    let id = plant.id();
    let one = plant.member("one", 9, &[Role::Target]);
    let (roster, _) = plant.next(std::slice::from_ref(&one), &[]);
    let change = change(jointly::sign(&roster, [&plant.manager.key]), &[one], &[]);
    for _ in 0..2 {
        plant.manager.client.put_roster(&id, &change).await.expect("is done");
    }
    let signed = jointly::sign(&plant.charter, [&plant.manager.key]);
    plant.manager.client.create_community(&signed).await.expect("is there");
    plant.manager.client.add_charter(&id, &signed).await.expect("is there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_community_is_begun_by_its_manager_who_may_publish_here() {
    let plant = Plant::start().await;
    let publisher = plant.scene.person(2, HubRole::Publisher, &[]).await;
    let reader = plant.scene.person(3, HubRole::Reader, &[]).await;
    let create = async |person: &crate::scene::Person, charter: &community::Charter| {
        let signed = jointly::sign(charter, [&person.key]);
        person.client.create_community(&signed).await
    };
    assert_eq!(code(create(&reader, &charter(50, &[3])).await), ProblemCode::Forbidden);
    let mut theirs = charter(50, &[2]);
    let signed = jointly::sign(&theirs, [&publisher.key]);
    let brought = plant.manager.client.create_community(&signed).await;
    assert_eq!(code(brought), ProblemCode::Forbidden, "it is not this one's to begin");
    theirs.expires = now() - 1;
    assert_eq!(code(create(&publisher, &theirs).await), ProblemCode::DocumentRefused);
    let unsigned = jointly::sign(&charter(50, &[2]), [&key(4)]);
    let refused = publisher.client.create_community(&unsigned).await;
    assert_eq!(code(refused), ProblemCode::DocumentRefused);
    let refused = publisher.client.create_community(b"nothing").await;
    assert_eq!(code(refused), ProblemCode::DocumentRefused);
    // The id of another community.
    let taken = create(&publisher, &charter(6, &[2])).await;
    assert_eq!(code(taken), ProblemCode::RosterConflict);
    create(&publisher, &charter(50, &[2])).await.expect("creates");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_at_the_door_keeps_nobody_out_who_is_expected() {
    let plant = Plant::with_peers().await;
    let (id, anonymous) = (plant.id(), plant.scene.anonymous());
    let knock = async |number: u32| {
        let mut request = plant.request("berlin", 40, 0);
        request.nonce[..4].copy_from_slice(&number.to_be_bytes());
        anonymous.knock(&id, &request.sign(&key(40))).await
    };
    for number in 0..JOININGS_UNANNOUNCED_MAX {
        knock(number).await.expect("there is room");
    }
    assert_eq!(code(knock(5000).await), ProblemCode::TooManyRequests);
    knock(0).await.expect("who is in is in");
    let manager = &plant.manager.client;
    manager.admit(&id, [7; 16], now() + 100).await.expect("keeps a place");
    let mut expected = plant.request("new", 41, 1);
    expected.admission = Some([7; 16]);
    let signed = expected.sign(&key(41));
    anonymous.knock(&id, &signed).await.expect("finds its place");
    assert_eq!(manager.joinings(&id).await.expect("lists").len(), 101);
    // Forged, for another community, and too long.
    let forged = anonymous.knock(&id, &expected.sign(&key(42))).await;
    assert_eq!(code(forged), ProblemCode::DocumentRefused);
    let mut other = plant.request("new", 41, 1);
    other.community = charter(9, &[1]).community;
    let refused = anonymous.knock(&id, &other.sign(&key(41))).await;
    assert_eq!(code(refused), ProblemCode::DocumentRefused);
    let refused = anonymous.knock(&id, &[7; 5000]).await;
    assert_eq!(code(refused), ProblemCode::DocumentRefused);
    assert_eq!(code(anonymous.knock(&id, &[7; 9000]).await), ProblemCode::BodyTooLarge);
    for expires in [0, now(), u64::MAX] {
        let refused = manager.admit(&id, [8; 16], expires).await;
        assert_eq!(code(refused), ProblemCode::MalformedRequest);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_are_their_targets_and_of_this_release() {
    let plant = Plant::with_peers().await;
    let feed = plant.feed(CI);
    plant.release(CI).await;
    let berlin = plant.peer(BERLIN);
    let target = berlin.key.public();
    let good = plant.receipt(CI, BERLIN, BERLIN).await;
    let put = async |sequence, signed: Vec<u8>| {
        berlin.client.put_receipt(&feed, sequence, &target, signed).await
    };
    // Nothing waits for it yet, or there is no such release.
    assert_eq!(code(put(1, good.clone()).await), ProblemCode::NotFound);
    assert_eq!(code(put(2, good.clone()).await), ProblemCode::NotFound);
    plant.send(CI, &[BERLIN, PARIS]).await.expect("sends");
    let others = plant.receipt(CI, PARIS, PARIS).await;
    let forged = plant.receipt(CI, BERLIN, PARIS).await;
    for wrong in [others, forged, b"no receipt".to_vec(), vec![]] {
        assert_eq!(code(put(1, wrong).await), ProblemCode::DocumentRefused);
    }
    put(1, good).await.expect("is its own");
    assert_eq!(plant.peer(CI).client.receipts(&feed, None).await.expect("lists").0.len(), 1);
    // The queue of the publisher's is bounded for each request.
    let session = token(&plant.scene, &plant.peer(CI));
    let envelope = |target: u8, bytes: usize| {
        let target = hub_api::Hex(*key(target).public().as_bytes());
        json!({ "target": target, "envelope": Base64Bytes(vec![0; bytes]) })
    };
    let many = vec![envelope(BERLIN, 2); ENVELOPES_MAX + 1];
    for wrong in [many, vec![envelope(BERLIN, ENVELOPE_BYTES_MAX + 1)]] {
        let ask = Ask::new("POST", &format!("/v1/names/{feed}/releases/1/envelopes"));
        let ask = ask.token(&session).json(&json!({ "envelopes": wrong }));
        let refused = ask.send(&plant.scene).await;
        assert_eq!(refused.problem(), (400, "malformed-request".to_owned()));
    }
}
