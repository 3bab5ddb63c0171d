//! What a hub tells those who watch it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hub::{Hub, HubConfig, Role, Tls};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::raw::PATIENCE;
use crate::scene::{self, Scene, Tree, name};

/// Status and body of a GET.
pub(crate) async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.expect("connects");
    let request = format!("GET {path} HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sends");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("text");
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    let (_, body) = answer.split_once("\r\n\r\n").expect("a head");
    (status.expect("a status"), body.to_owned())
}

fn watched(dir: &tempfile::TempDir) -> HubConfig {
    let metrics_listen = Some("127.0.0.1:0".parse().expect("an address"));
    HubConfig { metrics_listen, ..scene::config(dir, Tls::Off) }
}

/// The value of a series, by its whole name with labels.
pub(crate) fn value(text: &str, series: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_tell_what_happened_on_a_port_of_their_own() {
    let dir = tempfile::tempdir().expect("a directory");
    let scene = Scene { hub: Hub::start(watched(&dir)).await.expect("starts"), dir };
    let owner = scene.person(1, Role::Publisher, &[]).await;
    let tree = Tree::new(1, 100);
    owner.publish(&name("team/secret"), false, &tree).await;

    let observed = scene.hub.metrics_addr.expect("listens");
    let (status, text) = get(observed, "/metrics").await;
    assert_eq!(status, 200);
    assert!(text.ends_with("# EOF\n"), "OpenMetrics text is ended");
    assert_eq!(value(&text, "consign_hub_releases_accepted_total"), Some(1.0));
    let upload =
        r#"consign_hub_http_requests_total{method="POST",route="/v1/chunks",status="200"}"#;
    assert_eq!(value(&text, upload), Some(1.0), "{text}");
    let bytes = value(&text, "consign_hub_received_bytes_total").expect("counted");
    assert!(bytes > 300_000.0, "a hundred chunks of 3000 random bytes: {bytes}");
    let chunks = value(&text, "consign_hub_store_chunks").expect("counted");
    assert_eq!(chunks, (tree.chunks.len() + tree.metadata.len()) as f64);
    for check in ["database", "store", "space", "running"] {
        let series = format!("consign_hub_ready{{check=\"{check}\"}}");
        assert_eq!(value(&text, &series), Some(1.0), "{check}");
    }
    assert!(value(&text, "consign_hub_resident_bytes").expect("known") > 1e6);
    // What belongs to people is in none of them.
    for private in ["secret", &owner.key.public().to_string()] {
        assert!(!text.contains(private), "{private}");
    }
    let own = scene.hub.local_addr;
    assert_eq!(get(own, "/metrics").await.0, 404, "the port for clients tells nothing");
    assert_eq!(get(observed, "/v1/hub").await.0, 404, "and the other one serves nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_names_the_part_that_fails() {
    let dir = tempfile::tempdir().expect("a directory");
    let scene = Scene { hub: Hub::start(watched(&dir)).await.expect("starts"), dir };
    let own = scene.hub.local_addr;
    let (status, body) = get(own, "/readyz").await;
    let told = r#"{"database":"ok","store":"ok","space":"ok","stopping":false}"#;
    assert_eq!((status, body.as_str()), (200, told));
    assert_eq!(get(own, "/readyz?for=other").await.0, 400);
    let Scene { dir, hub } = scene;
    hub.shutdown().await;

    // No disk has so much room.
    let config = HubConfig { free_reserve_bytes: 1 << 60, ..watched(&dir) };
    let scene = Scene { hub: Hub::start(config).await.expect("starts again"), dir };
    for address in [scene.hub.local_addr, scene.hub.metrics_addr.expect("listens")] {
        let (status, body) = get(address, "/readyz").await;
        assert_eq!(status, 503);
        assert!(body.contains(r#""space":"full""#), "{body}");
        assert_eq!(get(address, "/readyz?for=reading").await.0, 200, "reading goes on");
        assert_eq!(get(address, "/healthz").await.0, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_stops_refuses_newcomers_and_finishes_what_is_under_way() {
    let dir = tempfile::tempdir().expect("a directory");
    let scene = Scene { hub: Hub::start(watched(&dir)).await.expect("starts"), dir };
    let own = scene.hub.local_addr;
    // A request under way keeps the hub from ending at once, and its connection open.
    let mut open = TcpStream::connect(own).await.expect("connects");
    let head = "POST /v1/chunks/have HTTP/1.1\r\nHost: hub\r\nContent-Length: 32\r\n\
                Expect: 100-continue\r\n\r\n";
    open.write_all(head.as_bytes()).await.expect("sends");
    // It says so once it waits for the body.
    let mut first = [0; 25];
    open.read_exact(&mut first).await.expect("answers");
    assert_eq!(&first, b"HTTP/1.1 100 Continue\r\n\r\n");

    let stopping = tokio::spawn(scene.hub.shutdown());
    let started = Instant::now();
    // New connections are refused, once it has seen that it shall stop.
    while TcpStream::connect(own).await.is_ok() {
        assert!(started.elapsed() < PATIENCE, "still accepts");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(!stopping.is_finished(), "waits for the request under way");
    open.write_all(&[0; 32]).await.expect("sends the rest");
    let mut answer = String::new();
    open.read_to_string(&mut answer).await.expect("text");
    assert!(answer.starts_with("HTTP/1.1 "), "was answered: {answer:?}");
    stopping.await.expect("stops");
}
