//! HTTP as any client sees it: ranges, caching, problem documents, limits, silence.

use crate::scene;

use std::time::Duration;

use content::ChunkId;
use hub::{Hub, HubConfig, HubLimits, Role, Tls};
use scene::{Scene, Tree, name};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Sends bytes as they are and reads until the hub closes.
async fn raw(scene: &Scene, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(scene.hub.local_addr).await.expect("connects");
    // The hub may close before it has read everything.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let reading = stream.read_to_end(&mut answer);
    let _ = tokio::time::timeout(Duration::from_secs(10), reading).await.expect("closes in time");
    String::from_utf8_lossy(&answer).into_owned()
}

async fn get(scene: &Scene, path: &str, headers: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n{headers}\r\n");
    raw(scene, request.as_bytes()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_has_ranges_and_is_kept_by_caches() {
    let scene = Scene::start(Tls::Off).await;
    let owner = scene.person(1, Role::Publisher, &[]).await;
    let mut tree = Tree::of(vec!["0123456789".into()]);
    owner.publish(&name("team/open"), true, &tree).await;
    let path = format!("/v1/chunks/{}", ChunkId::of(b"0123456789"));
    let answer = get(&scene, &path, "").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("cache-control: public, max-age=31536000, immutable"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n0123456789"), "{answer}");
    let answer = get(&scene, &path, "Range: bytes=2-4\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 206"), "{answer}");
    assert!(answer.contains("content-range: bytes 2-4/10"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n234"), "{answer}");
    let answer = get(&scene, &path, "Range: bytes=10-\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 416"), "{answer}");
    let tag = format!("If-None-Match: \"{}\"\r\n", ChunkId::of(b"0123456789"));
    let answer = get(&scene, &path, &tag).await;
    assert!(answer.starts_with("HTTP/1.1 304"), "{answer}");
    // The tag is no way around the access rule.
    tree = Tree::of(vec!["private".into()]);
    owner.publish(&name("team/closed"), false, &tree).await;
    let path = format!("/v1/chunks/{}", ChunkId::of(b"private"));
    let tag = format!("If-None-Match: \"{}\"\r\n", ChunkId::of(b"private"));
    assert!(get(&scene, &path, &tag).await.starts_with("HTTP/1.1 404"));
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_problem_documents_everywhere() {
    let scene = Scene::start(Tls::Off).await;
    let post = |path: &str, headers: &str, body: &str| {
        let length = body.len();
        format!(
            "POST {path} HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\
             Content-Length: {length}\r\n{headers}\r\n{body}"
        )
    };
    let json = "Content-Type: application/json\r\n";
    let secret = "consign-secret-word";
    let body = format!(r#"{{"key":"{secret}"}}"#);
    for (request, expected) in [
        (post("/nowhere", "", ""), "404 not-found"),
        (post("/v1/hub", "", ""), "405 method-not-allowed"),
        (post("/v1/sessions", "", "{}"), "415 unsupported-media-type"),
        (post("/v1/sessions/challenge", json, &body), "400 malformed-request"),
        (post("/v1/chunks/have", "", "odd"), "400 malformed-request"),
        (post("/v1/chunks/fetch", "", &"x".repeat(32 * 1025)), "413 body-too-large"),
        (post("/v1/chunks", "", ""), "401 session-required"),
        (post("/v1/chunks/have", "Authorization: Bearer abcd\r\n", ""), "401 session-expired"),
        (post("/v1/chunks/have", "Authorization: Basic abcd\r\n", ""), "401 session-expired"),
    ] {
        let answer = raw(&scene, request.as_bytes()).await;
        let (status, code) = expected.split_once(' ').expect("two words");
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{expected}: {answer}");
        assert!(answer.contains("content-type: application/problem+json"), "{answer}");
        assert!(answer.contains(&format!(r#""code":"{code}""#)), "{expected}: {answer}");
        assert!(!answer.contains(secret), "{answer}");
    }
    for query in ["before=x", "limit=-1"] {
        let answer = get(&scene, &format!("/v1/names/a/b/releases?{query}"), "").await;
        assert!(answer.contains("malformed-request"), "{answer}");
    }
    let answer = get(&scene, "/v1/names/UPPER/%ff/head", "").await;
    assert!(answer.contains("not-found"), "{answer}");
    let answer = get(&scene, "/healthz", &format!("X-Long: {}\r\n", "x".repeat(20_000))).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    let many: String = (0..100).map(|number| format!("X-{number}: 1\r\n")).collect();
    let answer = get(&scene, "/healthz", &many).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    assert!(get(&scene, "/healthz", "").await.ends_with("ok\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_is_bounded() {
    let dir = tempfile::tempdir().expect("a directory");
    let short = Duration::from_millis(300);
    let limits = HubLimits { header_time: short, idle_time: short, ..HubLimits::default() };
    let config = HubConfig { limits, ..scene::config(&dir, Tls::Off) };
    let scene = Scene { hub: Hub::start(config).await.expect("starts"), dir };
    // Nothing, half a head, half a body: each connection is closed within the time `raw` waits.
    assert_eq!(raw(&scene, b"").await, "");
    raw(&scene, b"GET /healthz HTTP/1.1\r\nHost: h").await;
    let half = b"POST /v1/chunks/have HTTP/1.1\r\nHost: hub\r\nContent-Length: 64\r\n\r\nhalf";
    let answer = raw(&scene, half).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("request-timeout"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_and_false_uploads_are_refused_and_leave_nothing() {
    let scene = Scene::start(Tls::Off).await;
    let owner = scene.person(1, Role::Publisher, &[]).await;
    let tree = Tree::new(1, 3);
    let frame = &tree.frames()[0];
    let [mut head, payload] = wire::encode_frame(frame);
    // The first entry claims another id; the frame's own check is left as it was.
    let mut altered = head.to_vec();
    altered[48] ^= 1;
    head = altered.into();
    let whole = [head, payload].concat();
    let falsified = content::Frame::from_bytes(&whole.into()).expect("looks like a frame");
    let refused = owner.client.upload(vec![falsified.clone()]).await;
    let code = scene::code(refused);
    assert!(["malformed-frames", "wrong-bytes"].contains(&code.as_str()), "{code}");
    let claimed: Vec<_> = falsified.entries().iter().map(|entry| entry.id).collect();
    let have = owner.client.have(&claimed).await.expect("answers");
    assert!(!have.contains(&true), "{have:?}");
}
