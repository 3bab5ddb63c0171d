//! Guests: who sends by a code or a ticket without an account, and may do nothing else.

use bytes::Bytes;
use hub::{GuestConfig, Hub, HubConfig, HubLimits, Role, Tls};
use hub_api::limits::SEGMENT_BYTES_MAX;
use hub_api::openapi::operations;
use hub_api::{DeliveryAnnouncement, DeliveryParty, ProblemCode};
use serde_json::json;

use crate::ask::Ask;
use crate::deliveries::{ID, TOKEN, announcement};
use crate::interface::example;
use crate::raw::token;
use crate::scene::{self, Person, Scene, code};

const MIB: u64 = 1 << 20;

/// A hub where each network may send so much in a day without an account.
pub(crate) async fn hub(bytes_per_day: u64, limits: HubLimits) -> Scene {
    let dir = tempfile::tempdir().expect("a directory");
    let guests = Some(GuestConfig { bytes_per_day });
    let trusted_proxies = vec!["127.0.0.1".parse().expect("an address")];
    let config = scene::config(&dir, Tls::Off);
    let config = HubConfig { guests, limits, trusted_proxies, ..config };
    Scene { hub: Hub::start(config).await.expect("starts"), dir }
}

async fn announce(guest: &Person, id: u8, bytes: u64) -> Result<(), ProblemCode> {
    let announcement = DeliveryAnnouncement { bytes, ..announcement(4) };
    match guest.client.announce_delivery([id; 16], &announcement).await {
        Ok(_) => Ok(()),
        refused => Err(code(refused)),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_account_sends_nothing_where_nobody_said_so() {
    let scene = Scene::start(Tls::Off).await;
    let stranger = scene.stranger(7);
    assert_eq!(announce(&stranger, 1, MIB).await, Err(ProblemCode::NotRegistered));
    // Nor by a token that was given while there were guests.
    let token = token(&scene, &stranger);
    let put = Ask::new("PUT", "/v1/codes/4821").token(&token).send(&scene).await;
    assert_eq!(put.problem_code(), "not-registered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_sends_and_ends_and_is_let_in_nowhere_else() {
    let scene = hub(100 * MIB, HubLimits::default()).await;
    let guest = scene.stranger(7);
    guest.client.announce_delivery(ID, &announcement(2)).await.expect("announces");
    guest.client.announce_code(4821).await.expect("is free");
    let recipient = scene.anonymous();
    let mut stream = recipient.delivery_segments(ID, &TOKEN, 0).await.expect("opens");
    guest.client.put_segment(ID, 0, Bytes::from_static(b"sealed")).await.expect("is wanted");
    let came = stream.next().await.expect("reads").expect("is there");
    assert_eq!(came, (0, Bytes::from_static(b"sealed")));
    let other = scene.stranger(8);
    let asked = other.client.delivery_status(ID, None, None).await;
    assert_eq!(code(asked), ProblemCode::NotFound, "another guest's");
    guest.client.end_delivery(ID, None, "enough").await.expect("ends");

    // Whatever else wants a session does not take that of a guest.
    let (shown, may) = (
        token(&scene, &guest),
        [
            "announceDelivery",
            "putSegment",
            "readDelivery",
            "endDelivery",
            "announceCode",
            "readCodeMessage",
            "putCodeMessage",
        ],
    );
    let mut refused = Vec::new();
    for operation in operations() {
        let (method, path) = (operation.method.as_str().to_uppercase(), example(operation.path));
        let ask = || Ask::new(&method, &path).json(&json!({}));
        if ask().send(&scene).await.problem_code() != "session-required" {
            continue;
        }
        let answer = ask().token(&shown).send(&scene).await.problem_code();
        if !may.contains(&operation.id) {
            // A receipt of a target is looked at together with who may put it.
            let expected =
                if operation.id == "putReceipt" { "not-found" } else { "not-registered" };
            assert_eq!(answer, expected, "{}", operation.id);
            refused.push(operation.id);
        }
    }
    for one in
        ["openLocker", "addressDelivery", "createToken", "putName", "listInbox", "listAccounts"]
    {
        assert!(refused.contains(&one), "{one} is not among {refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_account_was_taken_away_is_no_guest() {
    let scene = hub(100 * MIB, HubLimits::default()).await;
    let person = scene.person(1, Role::Reader, &[]).await;
    let administrator = scene.person(2, Role::Administrator, &[]).await;
    assert_eq!(announce(&person, 1, MIB).await, Ok(()));
    administrator.client.revoke_account(&person.key.public()).await.expect("revokes");
    assert_eq!(announce(&person, 2, MIB).await, Err(ProblemCode::NotRegistered));
    let anew = scene.stranger(1);
    assert_eq!(announce(&anew, 3, MIB).await, Err(ProblemCode::NotRegistered));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_sends_no_more_in_a_day_than_it_may_whatever_it_says() {
    let scene = hub(2 * MIB, HubLimits::default()).await;
    let guest = scene.stranger(7);
    let long = DeliveryAnnouncement { bytes: 2 * MIB + 1, ..announcement(4) };
    let refused = guest.client.announce_delivery(ID, &long).await.expect_err("is too much");
    let told = format!("{refused:?}");
    assert!(told.contains("2097152 of them are left"), "{told}");
    // Who says less than they send is stopped on the way, and both sides are told why.
    let less = DeliveryAnnouncement { bytes: 5, ..announcement(4) };
    guest.client.announce_delivery(ID, &less).await.expect("announces");
    let recipient = scene.anonymous();
    let mut stream = recipient.delivery_segments(ID, &TOKEN, 0).await.expect("opens");
    let segment = Bytes::from(vec![7; SEGMENT_BYTES_MAX]);
    guest.client.put_segment(ID, 0, segment.clone()).await.expect("is wanted");
    assert!(stream.next().await.expect("reads").is_some());
    let put = guest.client.put_segment(ID, 1, segment).await;
    assert!(!put.is_ok_and(|taken| taken.taken), "more than a day's");
    for shown in [None, Some(&TOKEN)] {
        let client = if shown.is_some() { &recipient } else { &guest.client };
        let status = client.delivery_status(ID, shown, None).await.expect("answers");
        let end = status.ended.expect("it is over");
        assert_eq!(end.by, DeliveryParty::Hub);
        assert!(end.reason.contains("has no account"), "{}", end.reason);
    }
    // Another key is no other network, and an account is none at all.
    assert_eq!(announce(&scene.stranger(8), 2, MIB).await, Err(ProblemCode::GuestRefused));
    let person = scene.person(1, Role::Reader, &[]).await;
    assert_eq!(announce(&person, 3, 100 * MIB).await, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn guests_are_counted_by_their_network_and_not_by_their_keys() {
    let limits = HubLimits {
        deliveries_per_account_max: 1,
        deliveries_max: 4,
        codes_per_account_max: 1,
        codes_max: 4,
        ..HubLimits::default()
    };
    let scene = hub(100 * MIB, limits).await;
    let from = |key: u8, network: u8| {
        let shown = token(&scene, &scene.stranger(key));
        let address = format!("198.51.100.{network}");
        move |ask: Ask| ask.token(&shown).header("X-Forwarded-For", &address)
    };
    let begin = |id: u8| {
        let body = serde_json::to_value(announcement(1)).expect("json");
        Ask::new("PUT", &format!("/v1/deliveries/{}", hex(id))).json(&body)
    };
    let number = |id: u8| Ask::new("PUT", &format!("/v1/codes/{}", 1000 + u16::from(id)));
    for ask in [&begin as &dyn Fn(u8) -> Ask, &number] {
        let mut answers = Vec::new();
        for (key, network) in [(1, 1), (2, 1), (3, 2), (4, 3)] {
            answers.push(from(key, network)(ask(key)).send(&scene).await.status);
        }
        assert_eq!(answers, [201, 429, 201, 503], "one of a network, and half of all are left");
    }
    let person = scene.person(9, Role::Reader, &[]).await;
    assert_eq!(announce(&person, 9, MIB).await, Ok(()));
    person.client.announce_code(9000).await.expect("is free");
}

fn hex(id: u8) -> String {
    format!("{id:02x}").repeat(16)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_opens_so_many_sessions_in_a_minute() {
    let limits = HubLimits { deliveries_per_account_max: 100, ..HubLimits::default() };
    let scene = hub(100 * MIB, limits).await;
    for key in 1..=30 {
        assert_eq!(announce(&scene.stranger(key), key, 1).await, Ok(()));
    }
    let refused = announce(&scene.stranger(31), 31, 1).await;
    assert_eq!(refused, Err(ProblemCode::TooManyRequests));
    let person = scene.person(50, Role::Reader, &[]).await;
    assert_eq!(announce(&person, 99, MIB).await, Ok(()), "who has an account comes in");
}
