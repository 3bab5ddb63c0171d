//! Refusals while the body is still being sent: the client must see them, not a broken connection.

use std::time::Duration;

use bytes::Bytes;
use content::Frame;
use hub::{Hub, HubConfig, HubLimits, Role, Tls};
use hub_api::ProblemCode;

use crate::raw::{Wire, hub_with, post, token};
use crate::scene::{self, Scene, code, frames};

/// Much more than the systems of both sides hold.
fn long_upload() -> Vec<Frame> {
    let mut bytes = vec![0; 40 << 20];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    let bytes = Bytes::from(bytes);
    let chunks: Vec<_> = (0..80).map(|at| bytes.slice(at << 19..(at + 1) << 19)).collect();
    frames(&chunks)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_store_is_told_in_the_middle_of_an_upload() {
    for tls in [Tls::Off, Tls::SelfSigned] {
        let dir = tempfile::tempdir().expect("a directory");
        let config = HubConfig { quota_bytes: Some(1 << 20), ..scene::config(&dir, tls) };
        let scene = Scene { hub: Hub::start(config).await.expect("starts"), dir };
        let owner = scene.person(1, Role::Publisher, &[]).await;
        let frames = long_upload();
        for _ in 0..5 {
            let refused = owner.client.upload(frames.clone()).await;
            assert_eq!(code(refused), ProblemCode::StorageFull);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_before_the_body_is_read_is_told() {
    for tls in [Tls::Off, Tls::SelfSigned] {
        let scene = Scene::start(tls).await;
        let reader = scene.person(1, Role::Reader, &[]).await;
        let frames = long_upload();
        for _ in 0..5 {
            let refused = reader.client.upload(frames.clone()).await;
            assert_eq!(code(refused), ProblemCode::Forbidden);
        }
    }
}

/// As clients do that read no answer before they have sent everything.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_sends_on_can_still_read_the_refusal() {
    let scene = hub_with(HubLimits::default()).await;
    let owner = scene.person(1, Role::Publisher, &[]).await;
    let token = token(&scene, &owner);
    let length = 100 << 20;
    let head = post("/v1/chunks", Some(&token), &format!("Content-Length: {length}\r\n"));
    let part = vec![7; 1 << 20];
    for _ in 0..3 {
        let mut wire = Wire::connect(&scene).await;
        wire.send(head.as_bytes()).await;
        for _ in 0..20 {
            assert!(wire.send_on(&part).await, "the hub takes what comes");
        }
        let answer = wire.rest().await;
        assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
        assert!(answer.contains("body-too-large"), "{answer}");
    }
}

/// The hub does not listen to somebody for ever whom it has refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_stops_is_cut() {
    let linger_time = Duration::from_millis(300);
    let scene = hub_with(HubLimits { linger_time, ..HubLimits::default() }).await;
    let owner = scene.person(1, Role::Publisher, &[]).await;
    let token = token(&scene, &owner);
    let head = post("/v1/chunks", Some(&token), "Content-Length: 1000000000000\r\n");
    let mut wire = Wire::connect(&scene).await;
    wire.send(head.as_bytes()).await;
    let part = vec![7; 1 << 16];
    while wire.send_on(&part).await {}
}
