//! Codes: four messages between an account and whoever claims its ticket, and strangers who try.

use std::time::Duration;

use hub::{Hub, HubLimits, Role, Tls};
use hub_api::limits::CODE_MESSAGE_BYTES_MAX;
use hub_api::{CODE_TOKEN_HEADER, Hex, ProblemCode};
use tokio::time::timeout;

use crate::ask::Ask;
use crate::raw::{PATIENCE, hub_with, token};
use crate::scene::{self, Scene, code};

const NUMBER: u16 = 4821;
const TOKEN: [u8; 32] = [0x70; 32];
const OTHER: [u8; 32] = [0x71; 32];

#[tokio::test(flavor = "multi_thread")]
async fn four_messages_go_between_a_sender_and_whoever_claims_first() {
    let scene = Scene::start(Tls::SelfSigned).await;
    let sender = scene.person(1, Role::Reader, &[]).await.client;
    let recipient = scene.anonymous();
    sender.announce_code(NUMBER).await.expect("is free");
    sender.announce_code(NUMBER).await.expect("is its own");
    // The sender waits before anybody comes, and hears of it at once.
    let claiming = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        recipient.put_code_message(NUMBER, 0, Some(&TOKEN), b"claim".to_vec()).await
    };
    let (came, claimed) =
        tokio::join!(timeout(PATIENCE, sender.code_message(NUMBER, 0, None)), claiming);
    claimed.expect("is the first");
    let came = came.expect("in time").expect("answers");
    assert_eq!(came.as_deref(), Some(&b"claim"[..]));
    // Another one is too late, and disturbs nothing.
    let late = recipient.put_code_message(NUMBER, 0, Some(&OTHER), b"claim".to_vec()).await;
    assert_eq!(code(late), ProblemCode::CodeTaken);
    assert_eq!(code(sender.announce_code(NUMBER).await), ProblemCode::CodeTaken);
    let put = |index, token: Option<&'static [u8; 32]>, text: &'static [u8]| {
        let client = if token.is_some() { &recipient } else { &sender };
        client.put_code_message(NUMBER, index, token, text.to_vec())
    };
    put(1, None, b"answer").await.expect("is its turn");
    put(1, None, b"answer").await.expect("changes nothing");
    assert_eq!(code(put(1, None, b"another").await), ProblemCode::CodeTaken);
    let answer = recipient.code_message(NUMBER, 1, Some(&TOKEN)).await.expect("answers");
    assert_eq!(answer.as_deref(), Some(&b"answer"[..]));
    put(2, Some(&TOKEN), b"proof").await.expect("is its turn");
    put(3, None, b"ticket").await.expect("is its turn");
    let ticket = recipient.code_message(NUMBER, 3, Some(&TOKEN)).await.expect("answers");
    assert_eq!(ticket.as_deref(), Some(&b"ticket"[..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_find_nothing_and_put_nothing() {
    let scene = Scene::start(Tls::Off).await;
    let sender = scene.person(1, Role::Reader, &[]).await;
    let other = scene.person(2, Role::Administrator, &[]).await;
    sender.client.announce_code(NUMBER).await.expect("is free");
    let claim = b"claim".to_vec();
    scene.anonymous().put_code_message(NUMBER, 0, Some(&TOKEN), claim).await.expect("the first");
    assert_eq!(code(other.client.announce_code(NUMBER).await), ProblemCode::CodeTaken);
    let (shown, others) = (Hex(OTHER).to_string(), token(&scene, &other));
    let mut answers = Vec::new();
    for path in
        ["4821/messages/0", "4821/messages/1", "4821/messages/9", "1111/messages/1", "x/messages/1"]
    {
        let path = format!("/v1/codes/{path}");
        for ask in
            [Ask::get(&path).header(CODE_TOKEN_HEADER, &shown), Ask::get(&path).token(&others)]
        {
            let answer = ask.send(&scene).await;
            answers.push((answer.status, answer.body));
        }
    }
    assert_eq!(answers[0].0, 404);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "one and the same: {answers:?}");
    for index in [1, 2, 3, 9] {
        let put = other.client.put_code_message(NUMBER, index, None, b"x".to_vec()).await;
        assert_eq!(code(put), ProblemCode::NotFound);
        let stranger = scene.anonymous();
        let put = stranger.put_code_message(NUMBER, index, Some(&OTHER), b"x".to_vec()).await;
        assert_eq!(code(put), ProblemCode::NotFound);
    }
    // Too long, and nothing at all.
    let long = vec![7; CODE_MESSAGE_BYTES_MAX + 1];
    let put = sender.client.put_code_message(NUMBER, 1, None, long).await;
    assert_eq!(code(put), ProblemCode::BodyTooLarge);
    let put = sender.client.put_code_message(NUMBER, 1, None, Vec::new()).await;
    assert_eq!(code(put), ProblemCode::MalformedRequest);
    let answer = Ask::get("/v1/codes/4821/messages/0").send(&scene).await;
    assert_eq!(answer.problem(), (401, "session-required".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_tries_all_numbers_is_slowed_down_and_codes_are_bounded() {
    let limits = HubLimits {
        codes_max: 3,
        codes_per_account_max: 2,
        code_claims_per_minute_max: 4,
        ..HubLimits::default()
    };
    let scene = hub_with(limits).await;
    let (first, second) =
        (scene.person(1, Role::Reader, &[]).await, scene.person(2, Role::Reader, &[]).await);
    let (one, two) = (token(&scene, &first), token(&scene, &second));
    for (token, number, expected) in [
        (&one, 1001, 201),
        (&one, 1001, 200),
        (&one, 1002, 201),
        (&one, 1003, 429),
        (&two, 1003, 201),
        (&two, 1004, 503),
    ] {
        let path = format!("/v1/codes/{number}");
        let answer = Ask::new("PUT", &path).token(token).send(&scene).await;
        assert_eq!(answer.status, expected, "{number}: {answer:?}");
        assert_eq!(answer.header("retry-after").is_empty(), expected < 300);
    }
    // Hits and misses are counted alike, and what comes after them says nothing of the number.
    let shown = Hex(TOKEN).to_string();
    for (number, expected) in
        [(9001, 404), (9002, 404), (1001, 204), (9003, 404), (1002, 429), (9004, 429)]
    {
        let path = format!("/v1/codes/{number}/messages/0");
        let ask = Ask::new("PUT", &path).header(CODE_TOKEN_HEADER, &shown);
        let answer = ask.json(&serde_json::json!("claim")).send(&scene).await;
        assert_eq!(answer.status, expected, "{number}: {answer:?}");
    }
    // The code that was not reached is as good as before.
    let path = "/v1/codes/1002";
    assert_eq!(Ask::new("PUT", path).token(&one).send(&scene).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_was_restarted_knows_no_code_and_takes_the_same_again() {
    let scene = Scene::start(Tls::SelfSigned).await;
    let sender = scene.person(1, Role::Reader, &[]).await.client;
    sender.announce_code(NUMBER).await.expect("is free");
    let Scene { dir, hub } = scene;
    // Whoever waits is not left alone when the hub stops, however far the question came.
    let (waited, ()) =
        tokio::join!(timeout(PATIENCE, sender.code_message(NUMBER, 0, None)), hub.shutdown());
    match waited.expect("in time") {
        Ok(message) => assert_eq!(message, None),
        Err(error) => assert!(error.is_retryable(), "{error}"),
    }
    let hub = Hub::start(scene::config(&dir, Tls::SelfSigned)).await.expect("starts");
    let scene = Scene { dir, hub };
    let sender = scene.stranger(1).client;
    assert_eq!(code(sender.code_message(NUMBER, 0, None).await), ProblemCode::NotFound);
    sender.announce_code(NUMBER).await.expect("is free again");
}
