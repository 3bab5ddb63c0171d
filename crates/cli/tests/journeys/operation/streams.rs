//! Ten thousand idle event streams over TLS at a hub in a process of its own, and others' work beside
//! them.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use testkit::tls::{Dialler, Wire};
use testkit::{noise, parts};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::process::{PATIENCE, address_of, start_hub, until};
use crate::world::Node;

const STREAMS: usize = 10_000;
/// A hub takes 4,096 connections of one address.
const ADDRESSES: usize = 4;
/// Handshakes at once: each has ten seconds, on a machine that may be busy with something else.
const HANDSHAKES: usize = 32;
/// What a stream may take of the hub's memory, stated in `docs/operations.md`, section Limits; some
/// 24 KiB were measured.
const STREAM_BYTES_MAX: u64 = 40 * 1024;
/// Files that the hub must be able to open, so that three quarters of its connections are this many
/// streams.
const FILES: u64 = 16_384 + 512;
/// What others fetch meanwhile.
const FETCHED_BYTES: usize = 64 << 20;

/// Raises the limit on open files, which the hub inherits; whether that is allowed.
fn raise_open_files() -> bool {
    let now = getrlimit(Resource::Nofile);
    let enough = |limit: Option<u64>| limit.is_none_or(|limit| limit >= FILES);
    if enough(now.current) {
        return true;
    }
    let maximum = if enough(now.maximum) { now.maximum } else { Some(FILES) };
    setrlimit(Resource::Nofile, Rlimit { current: Some(FILES), maximum }).is_ok()
}

/// Memory of a process that is no file's.
fn resident_bytes(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("a line");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kib * 1024
}

/// How many event streams the hub counts.
fn streams_under_way(metrics: SocketAddr) -> u64 {
    let mut stream = TcpStream::connect(metrics).expect("connects");
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n")
        .expect("sends");
    let mut told = String::new();
    stream.read_to_string(&mut told).expect("text");
    let series = "consign_hub_under_way{kind=\"event_stream\"} ";
    let value = told.lines().find_map(|line| line.strip_prefix(series)).expect("is told");
    value.parse().expect("a number")
}

/// Opens the streams, each from one of a few addresses, and waits for the head of each answer.
async fn open(dialler: Dialler) -> Vec<Wire> {
    let turns = Arc::new(Semaphore::new(HANDSHAKES));
    let mut opening = JoinSet::new();
    for number in 0..STREAMS {
        let (dialler, turns) = (dialler.clone(), Arc::clone(&turns));
        opening.spawn(async move {
            let _turn = turns.acquire_owned().await.expect("is not closed");
            let last = u8::try_from(2 + number % ADDRESSES).expect("a few");
            let mut wire = dialler.connect(Ipv4Addr::new(127, 0, 0, last)).await;
            wire.send("GET /v1/events?name=team/site HTTP/1.1\r\nHost: hub\r\n\r\n").await;
            let head = wire.until("\r\n\r\n").await;
            assert!(head.starts_with("HTTP/1.1 200"), "{head}");
            wire
        });
    }
    opening.join_all().await
}

/// Gets the name into a new directory as a node that has nothing; how long that took.
fn get(node: &Node, to: &Path, expected: &[u8]) -> Duration {
    let began = Instant::now();
    node.ok(&["get", "team/site", "--to", to.to_str().expect("UTF-8")]);
    let took = began.elapsed();
    assert!(fs::read(to.join("file")).expect("reads") == expected, "what was published");
    took
}

#[test]
fn ten_thousand_event_streams_over_tls_take_little_and_hold_nobody_up() {
    if !raise_open_files() {
        parts::skip_on_this_machine(
            "ten thousand event streams",
            "the limit on open files is too low and cannot be raised (ulimit -Hn)",
        );
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name);
    let arguments = ["--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"];
    let (hub, hello) = start_hub(&path("hub"), &arguments);
    let metrics = address_of(&hello["metrics"]);
    let node = |name: &str| {
        let node = Node::new(path(name));
        node.join(&path("hub"), &[]);
        node
    };
    let (publisher, [first, second, third]) =
        (node("publisher"), ["first", "second", "third"].map(node));
    let mut contents = noise(1, FETCHED_BYTES).to_vec();
    fs::create_dir(path("site")).expect("a directory");
    fs::write(path("site").join("file"), &contents).expect("writes");
    let site = path("site");
    let site = site.to_str().expect("UTF-8");
    publisher.ok(&["publish", site, "team/site", "--public"]);
    let alone = get(&first, &path("to-first"), &contents);

    let before = resident_bytes(hub.0.id());
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let began = Instant::now();
    let dialler = Dialler::new(address_of(&hello["url"]));
    let mut streams = runtime.block_on(open(dialler.clone()));
    let opened = began.elapsed();
    assert_eq!(streams_under_way(metrics), STREAMS as u64);
    let each = resident_bytes(hub.0.id()).saturating_sub(before) / STREAMS as u64;

    // Others work as if nobody waited.
    let beside = get(&second, &path("to-second"), &contents);
    contents[..1 << 20].copy_from_slice(&noise(2, 1 << 20));
    fs::write(path("site").join("file"), &contents).expect("writes");
    publisher.ok(&["publish", site, "team/site", "--public"]);
    get(&third, &path("to-third"), &contents);
    // And nobody waits in vain.
    runtime.block_on(async {
        for stream in &mut streams {
            let heard = timeout(PATIENCE, stream.until("event: release\n")).await;
            heard.expect("hears of the release");
        }
    });

    drop(streams);
    until("all places are given back", || streams_under_way(metrics) == 0);
    // An allocator keeps what was freed; the next ones take it again.
    let streams = runtime.block_on(open(dialler));
    let again = resident_bytes(hub.0.id()).saturating_sub(before) / STREAMS as u64;
    drop(streams);
    until("all places are given back again", || streams_under_way(metrics) == 0);
    let mib = FETCHED_BYTES >> 20;
    println!(
        "{STREAMS} streams in {opened:.1?}, {each} bytes each; {again} when they came again; \
         {mib} MiB in {alone:.2?} alone, in {beside:.2?} beside them"
    );
    for each in [each, again] {
        assert!(each <= STREAM_BYTES_MAX, "{each} bytes each");
    }
}
