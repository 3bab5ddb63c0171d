//! Thousands of idle event streams: what each costs, and that others are served.

use hub::{HubLimits, Role};
use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;

use crate::raw::{PATIENCE, Wire, hub_with};
use crate::scene::{Tree, name};

const STREAMS: usize = 2000;

/// Memory of this process that is no file's, in bytes.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("reads");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("a line");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kib * 1024
}

/// Both ends of each connection are in this process, so the hub's part is less than measured.
#[tokio::test(flavor = "multi_thread")]
async fn idle_event_streams_are_cheap_and_hold_nobody_up() {
    let limits = HubLimits { connections_per_address_max: None, ..HubLimits::default() };
    let scene = hub_with(limits).await;
    let owner = scene.person(1, Role::Publisher, &[]).await;
    let open = name("team/open");
    owner.client.put_name(&open, true).await.expect("puts");

    let before = resident_bytes();
    let mut streams = Vec::with_capacity(STREAMS);
    for _ in 0..STREAMS {
        let mut stream = Wire::connect(&scene).await;
        stream.send(b"GET /v1/events?name=team/open HTTP/1.1\r\nHost: hub\r\n\r\n").await;
        streams.push(stream);
    }
    for stream in &mut streams {
        assert!(stream.head().await.starts_with("HTTP/1.1 200"));
    }
    let each = resident_bytes().saturating_sub(before) / STREAMS as u64;
    println!("{STREAMS} idle event streams take {each} bytes each");
    assert!(each < 64 * 1024, "{each} bytes each");

    // Others are served as if nobody waited.
    let tree = Tree::new(1, 20);
    owner.client.upload(tree.frames()).await.expect("uploads");
    owner.post(&open, &tree, None).await.expect("publishes");
    // And nobody waits in vain.
    for stream in &mut streams {
        let hearing = async {
            let mut heard = Vec::new();
            while !heard.windows(8).any(|text| text == b"release\n") {
                let came = stream.0.read_buf(&mut heard).await.expect("reads");
                assert_ne!(came, 0, "the stream goes on");
            }
        };
        timeout(PATIENCE, hearing).await.expect("hears of the release");
    }
}
