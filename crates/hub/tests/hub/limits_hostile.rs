//! Requests without measure: each is refused, and others are served meanwhile.

use hub::{HubLimits, Role};
use hub_api::limits::{FETCH_IDS_MAX, HEADERS_MAX, REQUEST_BYTES_MAX, UPLOAD_BYTES_MAX};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::raw::{Wire, hub_with, post, token};
use crate::scene::{Scene, Tree};

/// The answer to a request that goes on in `parts` after its head, or until the hub closes.
async fn answer(scene: &Scene, head: &str, parts: impl IntoIterator<Item = Vec<u8>>) -> String {
    let mut wire = Wire::connect(scene).await;
    wire.send(head.as_bytes()).await;
    let mut others = 0;
    for part in parts {
        if !wire.send_on(&part).await {
            break;
        }
        others += 1;
        if others % 100 == 0 {
            // Somebody else, while this one is at it.
            Wire::connect(scene).await.assert_healthy().await;
        }
    }
    wire.rest().await
}

fn assert_refused(answer: &str, status: u16, code: &str) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    assert!(answer.contains(&format!(r#""code":"{code}""#)), "{answer}");
}

fn chunked(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn header_floods_are_refused() {
    let scene = hub_with(HubLimits::default()).await;
    let get = "GET /healthz HTTP/1.1\r\nHost: hub\r\n";
    for count in [HEADERS_MAX + 1, 100, 5000] {
        let many: String = (0..count).map(|number| format!("X-{number}: 1\r\n")).collect();
        let answer = answer(&scene, &format!("{get}{many}\r\n"), []).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{count}: {answer}");
    }
    for bytes in [17_000, 200_000] {
        let long = "x".repeat(bytes);
        let answer = answer(&scene, &format!("{get}X-Long: {long}\r\n\r\n"), []).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{bytes}: {answer}");
    }
    // Without end: the hub keeps no more of it than a buffer.
    let endless = std::iter::repeat_n(vec![b'x'; 64 * 1024], 1000);
    let answer = answer(&scene, &format!("{get}X-Long: "), endless).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    Wire::connect(&scene).await.assert_healthy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_say_that_they_are_too_large_are_not_read() {
    let scene = hub_with(HubLimits::default()).await;
    let owner = scene.person(1, Role::Publisher, &[]).await;
    let token = token(&scene, &owner);
    let json = "Content-Type: application/json\r\n";
    for (path, token, headers, bytes_max) in [
        ("/v1/chunks", Some(&*token), "", UPLOAD_BYTES_MAX),
        ("/v1/chunks/fetch", None, "", FETCH_IDS_MAX * 32),
        ("/v1/sessions", None, json, REQUEST_BYTES_MAX),
    ] {
        let headers = format!("{headers}Content-Length: {}\r\n", bytes_max + 1);
        let answer = answer(&scene, &post(path, token, &headers), []).await;
        assert_refused(&answer, 413, "body-too-large");
    }
    Wire::connect(&scene).await.assert_healthy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_turn_out_too_large_are_refused() {
    let scene = hub_with(HubLimits::default()).await;
    let json = format!("Content-Type: application/json\r\n{CHUNKED}");
    let part = chunked(&vec![b' '; 64 * 1024]);
    for (path, headers) in [("/v1/chunks/fetch", CHUNKED), ("/v1/sessions", &*json)] {
        let endless = std::iter::repeat_n(part.clone(), 1000);
        let answer = answer(&scene, &post(path, None, headers), endless).await;
        assert_refused(&answer, 413, "body-too-large");
    }
    Wire::connect(&scene).await.assert_healthy().await;
}

/// Frames that are right, one after the other, without end.
#[tokio::test(flavor = "multi_thread")]
async fn uploads_that_turn_out_too_large_are_refused() {
    let scene = hub_with(HubLimits::default()).await;
    let owner = scene.person(1, Role::Publisher, &[]).await;
    let token = token(&scene, &owner);
    let frames = Tree::new(1, 300).frames();
    let frame = wire::encode_frame(&frames[0]).concat();
    let endless = std::iter::repeat_n(chunked(&frame), UPLOAD_BYTES_MAX / frame.len() + 10);
    let answer = answer(&scene, &post("/v1/chunks", Some(&token), CHUNKED), endless).await;
    assert_refused(&answer, 413, "body-too-large");
    // What is no stream of frames is not listened to for so long.
    let endless = std::iter::repeat_n(chunked(&[7; 64 * 1024]), 1000);
    let answer = self::answer(&scene, &post("/v1/chunks", Some(&token), CHUNKED), endless).await;
    assert_refused(&answer, 400, "malformed-frames");
    Wire::connect(&scene).await.assert_healthy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_trickles_on_ends_with_the_time_for_a_request() {
    let request_time = Duration::from_millis(500);
    let scene = hub_with(HubLimits { request_time, ..HubLimits::default() }).await;
    let mut wire = Wire::connect(&scene).await;
    wire.send(post("/v1/chunks/have", None, "Content-Length: 32000\r\n").as_bytes()).await;
    let (mut reading, mut writing) = wire.0.into_split();
    let dripping = tokio::spawn(async move {
        while writing.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    Wire::connect(&scene).await.assert_healthy().await;
    let mut answer = [0; 12];
    reading.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 408");
    dripping.abort();
}
