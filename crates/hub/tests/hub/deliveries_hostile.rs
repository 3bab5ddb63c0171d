//! Live deliveries: strangers, senders that send what they must not, recipients that take nothing.

use std::time::Duration;

use bytes::Bytes;
use hub::{HubLimits, Role, Tls};
use hub_api::limits::SEGMENT_BYTES_MAX;
use hub_api::{DELIVERY_TOKEN_HEADER, DeliveryAnnouncement, DeliveryVerified, Hex, ProblemCode};
use serde_json::json;
use tokio::time::timeout;

use crate::ask::Ask;
use crate::deliveries::{ID, TOKEN, announcement};
use crate::raw::{PATIENCE, Wire, hub_with, token};
use crate::scene::{Scene, code};

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_and_another_account_see_what_is_not_there() {
    let scene = Scene::start(Tls::Off).await;
    let sender = scene.person(1, Role::Reader, &[]).await;
    let other = scene.person(2, Role::Administrator, &[]).await;
    sender.client.announce_delivery(ID, &announcement(4)).await.expect("announces");
    let (right, wrong) = (Hex(TOKEN).to_string(), Hex([0x71; 32]).to_string());
    let (here, nowhere) = (Hex(ID).to_string(), Hex([9; 16]).to_string());
    let others = token(&scene, &other);
    let reason = json!({ "reason": "" });
    let verified = json!({ "segments": 0 });
    let mut answers = Vec::new();
    for (id, shown) in [(&here, &*wrong), (&nowhere, &right), (&nowhere, &wrong), (&here, "short")]
    {
        let path = format!("/v1/deliveries/{id}");
        for ask in [
            Ask::get(&path),
            Ask::get(&format!("{path}/segments")),
            Ask::new("POST", &format!("{path}/verified")).json(&verified),
            Ask::new("DELETE", &path).json(&reason),
        ] {
            let answer = ask.header(DELIVERY_TOKEN_HEADER, shown).send(&scene).await;
            answers.push((answer.status, answer.body));
        }
    }
    for id in [&here, &nowhere] {
        let path = format!("/v1/deliveries/{id}");
        for ask in [
            Ask::get(&path),
            Ask::new("PUT", &format!("{path}/segments/0")),
            Ask::new("DELETE", &path).json(&reason),
        ] {
            let answer = ask.token(&others).send(&scene).await;
            answers.push((answer.status, answer.body));
        }
        // An account is no recipient.
        let answer = Ask::get(&format!("{path}/segments")).token(&others).send(&scene).await;
        answers.push((answer.status, answer.body));
    }
    assert_eq!(answers[0].0, 404);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "one and the same: {answers:?}");
    // Nobody at all is told that somebody must be it.
    let answer = Ask::get(&format!("/v1/deliveries/{here}")).send(&scene).await;
    assert_eq!(answer.problem(), (401, "session-required".to_owned()));
    // Who names another's delivery learns that it is taken, and changes nothing.
    let conflict = other.client.announce_delivery(ID, &announcement(4)).await;
    assert_eq!(code(conflict), ProblemCode::DeliveryConflict);
    let conflict = sender.client.announce_delivery(ID, &announcement(5)).await;
    assert_eq!(code(conflict), ProblemCode::DeliveryConflict);
    let status = sender.client.delivery_status(ID, None, None).await.expect("answers");
    assert!(!status.recipient.here && status.ended.is_none(), "{status:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_that_are_not_wanted_are_not_taken() {
    let scene = Scene::start(Tls::Off).await;
    let sender = scene.person(1, Role::Reader, &[]).await;
    sender.client.announce_delivery(ID, &announcement(4)).await.expect("announces");
    let recipient = scene.anonymous();
    let mut stream = recipient.delivery_segments(ID, &TOKEN, 0).await.expect("opens");
    let put = |number: u64, bytes: &'static [u8]| {
        let client = &sender.client;
        async move { client.put_segment(ID, number, Bytes::from_static(bytes)).await }
    };
    assert_eq!(code(put(4, b"beyond").await), ProblemCode::MalformedRequest);
    assert_eq!(code(put(0, b"").await), ProblemCode::MalformedRequest);
    let long = Bytes::from(vec![7; SEGMENT_BYTES_MAX + 1]);
    let refused = sender.client.put_segment(ID, 0, long).await;
    assert_eq!(code(refused), ProblemCode::BodyTooLarge);
    // Without a length, and cut short: the place is given back each time.
    let (path, session) = (format!("/v1/deliveries/{}", Hex(ID)), token(&scene, &sender));
    let head = format!(
        "PUT {path}/segments/0 HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer {session}\r\n"
    );
    let mut endless = Wire::connect(&scene).await;
    endless.send(format!("{head}Transfer-Encoding: chunked\r\n\r\n").as_bytes()).await;
    let piece = [format!("{:x}\r\n", 1 << 20).as_bytes(), &[7; 1 << 20], b"\r\n"].concat();
    while endless.send_on(&piece).await {}
    let mut cut = Wire::connect(&scene).await;
    cut.send(format!("{head}Content-Length: 100\r\n\r\nhalf").as_bytes()).await;
    drop(cut);

    let offered =
        timeout(PATIENCE, async { while !put(0, b"zero").await.expect("answers").taken {} });
    offered.await.expect("the place is free again");
    let came = timeout(PATIENCE, stream.next()).await.expect("in time").expect("reads");
    assert_eq!(came, Some((0, Bytes::from_static(b"zero"))));
    let replayed = put(0, b"other").await.expect("answers");
    assert_eq!((replayed.taken, replayed.next), (false, Some(1)));
    // What was not handed out cannot be verified.
    let claim = DeliveryVerified { segments: 2, receipt: None };
    let refused = recipient.delivery_verified(ID, &TOKEN, &claim).await;
    assert_eq!(code(refused), ProblemCode::MalformedRequest);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recipient_that_takes_nothing_holds_its_sender_back() {
    // 64 MiB: many times what the systems of both ends hold for a connection.
    const SEGMENTS: u64 = 64;
    let turn_time = Duration::from_millis(500);
    let scene = hub_with(HubLimits { turn_time, ..HubLimits::default() }).await;
    let sender = scene.person(1, Role::Reader, &[]).await;
    let announced = DeliveryAnnouncement { segments: SEGMENTS, ..announcement(1) };
    sender.client.announce_delivery(ID, &announced).await.expect("announces");
    let recipient = scene.anonymous();
    let mut stream = recipient.delivery_segments(ID, &TOKEN, 0).await.expect("opens");
    let segment = Bytes::from(vec![7; SEGMENT_BYTES_MAX]);
    let mut next = 0;
    // Refused twice in a row: what was held is not on its way somewhere.
    let mut refusals = 0;
    while refusals < 2 {
        let taken = sender.client.put_segment(ID, next, segment.clone()).await.expect("answers");
        refusals = if taken.taken { 0 } else { refusals + 1 };
        next = taken.next.expect("somebody listens");
        assert!(next < SEGMENTS / 2, "the hub takes all, wherever it puts it");
    }
    // Now it takes them, and all goes on.
    let sending = async {
        while next < SEGMENTS {
            let taken = sender.client.put_segment(ID, next, segment.clone()).await;
            next = taken.expect("answers").next.unwrap_or(SEGMENTS);
        }
    };
    let receiving = async {
        let mut came = 0;
        while let Some((number, bytes)) = stream.next().await.expect("reads") {
            assert!(number == came && bytes == segment, "segment {number}");
            came += 1;
        }
        came
    };
    let ((), came) =
        timeout(PATIENCE, async { tokio::join!(sending, receiving) }).await.expect("goes on");
    assert_eq!(came, SEGMENTS);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_has_so_many_deliveries_and_the_hub_so_many() {
    let limits =
        HubLimits { deliveries_max: 3, deliveries_per_account_max: 2, ..HubLimits::default() };
    let scene = hub_with(limits).await;
    let (first, second) =
        (scene.person(1, Role::Reader, &[]).await, scene.person(2, Role::Reader, &[]).await);
    let (one, two) = (token(&scene, &first), token(&scene, &second));
    let body = serde_json::to_value(announcement(1)).expect("JSON");
    for (token, id, expected) in [
        (&one, 1, 201),
        (&one, 1, 200),
        (&one, 2, 201),
        (&one, 3, 429),
        (&two, 3, 201),
        (&two, 4, 503),
    ] {
        let path = format!("/v1/deliveries/{}", Hex([id; 16]));
        let answer = Ask::new("PUT", &path).token(token).json(&body).send(&scene).await;
        assert_eq!(answer.status, expected, "{id}: {answer:?}");
        assert_eq!(answer.header("retry-after").is_empty(), expected < 300);
    }
    first.client.end_delivery([1; 16], None, "done").await.expect("ends");
    let path = format!("/v1/deliveries/{}", Hex([3; 16]));
    let answer = Ask::new("PUT", &path).token(&one).json(&body).send(&scene).await;
    assert_eq!(answer.problem(), (409, "delivery-conflict".to_owned()));
    let path = format!("/v1/deliveries/{}", Hex([5; 16]));
    let answer = Ask::new("PUT", &path).token(&one).json(&body).send(&scene).await;
    assert_eq!(answer.status, 201, "{answer:?}");
}
