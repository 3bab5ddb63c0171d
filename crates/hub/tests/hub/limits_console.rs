//! Places for what browsers have not taken yet: downloads and long pages of the console.

use std::fs;
use std::time::{Duration, Instant};

use hub::{HubLimits, Role};
use tokio::net::TcpSocket;

use crate::browse::{noise, publish};
use crate::console::{Answer, Session, get};
use crate::raw::{PATIENCE, Wire, hub_with};
use crate::scene::{Scene, Tree, fetch, name};

/// A hub in which one caller has one place, with a plain release: a file that is longer than what the
/// systems of both sides hold for a client that reads nothing, and a directory that makes a long page.
async fn hub_with_a_plain_release(limits: HubLimits) -> Scene {
    let scene = hub_with(HubLimits { turn_time: Duration::from_millis(300), ..limits }).await;
    let owner = scene.person(1, Role::Publisher, &[]).await;
    let tools = name("team/tools");
    owner.client.put_name(&tools, true).await.expect("puts");
    let place = tempfile::tempdir().expect("a directory");
    let site = place.path().join("site");
    fs::create_dir_all(site.join("many")).expect("makes");
    fs::write(site.join("large"), noise(24 << 20)).expect("writes");
    for number in 0..400 {
        let long = format!("{number:03}-{}", "n".repeat(200));
        fs::write(site.join("many").join(long), "").expect("writes");
    }
    publish(&owner, &tools, &site, None).await;
    scene
}

const LARGE: &str = "/console/names/team/tools/1/file?path=large";
const MANY: &str = "/console/names/team/tools/1/tree?path=many";

/// A connection that has sent these requests, one after the other, and reads nothing.
async fn unread(scene: &Scene, requests: &str) -> Wire {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(64 * 1024).expect("a small buffer");
    let mut wire = Wire(socket.connect(scene.hub.local_addr).await.expect("connects"));
    wire.send(requests.as_bytes()).await;
    wire
}

fn assert_told_to_come_again(answer: &Answer, status: u16) {
    assert_eq!((answer.status, answer.header("retry-after")), (status, "5"), "{}", answer.body);
    assert!(answer.body.contains("Not now"), "{}", answer.body);
    assert!(answer.body.contains("Try again in 5 seconds"), "{}", answer.body);
}

/// Asks until the page has this status.
async fn until_status(scene: &Scene, path: &str, cookie: &str, status: u16) -> Answer {
    let began = Instant::now();
    loop {
        let answer = get(scene, path, cookie).await;
        if answer.status == status {
            return answer;
        }
        assert!(began.elapsed() < PATIENCE, "still {}: {path}", answer.status);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_takes_nothing_has_its_share_of_downloads_and_no_more() {
    let scene =
        hub_with_a_plain_release(HubLimits { fetches_max: 4, ..HubLimits::default() }).await;
    let session = Session::open(&scene).await;
    let head = format!("GET {LARGE} HTTP/1.1\r\nHost: hub\r\n{}\r\n", session.cookie);
    let mut stalled = unread(&scene, &head).await;
    assert!(stalled.head().await.starts_with("HTTP/1.1 200"));

    assert_told_to_come_again(&get(&scene, LARGE, &session.cookie).await, 429);
    // Pages go on, and so do other sessions and everybody else.
    assert_eq!(get(&scene, "/console/names", &session.cookie).await.status, 200);
    let other = Session::open(&scene).await;
    let mut second = unread(&scene, &head.replace(&session.cookie, &other.cookie)).await;
    assert!(second.head().await.starts_with("HTTP/1.1 200"));
    let owner = scene.stranger(1);
    let tree = Tree::new(1, 3);
    owner.publish(&name("team/open"), true, &tree).await;
    assert_eq!(fetch(&scene.anonymous(), &tree.ids()).await.1, []);

    drop(stalled);
    let whole = until_status(&scene, LARGE, &session.cookie, 200).await;
    assert_eq!(whole.header("content-length"), (24 << 20).to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_page_without_room_says_when_to_come_again() {
    // Room for one.
    let limits = HubLimits { answers_bytes_max: 64 << 10, ..HubLimits::default() };
    let scene = hub_with_a_plain_release(limits).await;
    let owner = scene.stranger(1);
    let tree = Tree::of(vec![noise(2 << 20).into()]);
    owner.publish(&name("team/open"), true, &tree).await;
    let session = Session::open(&scene).await;
    // The page gives its place back when it was sent.
    for _ in 0..3 {
        let page = until_status(&scene, MANY, &session.cookie, 200).await;
        assert!(page.body.len() > 64 << 10, "{} bytes", page.body.len());
    }

    let get_chunk = format!("GET /v1/chunks/{} HTTP/1.1\r\nHost: hub\r\n\r\n", tree.ids()[0]);
    let stalled = unread(&scene, &get_chunk.repeat(12)).await;
    let refused = until_status(&scene, MANY, &session.cookie, 503).await;
    assert_told_to_come_again(&refused, 503);
    // A short one needs no place.
    assert_eq!(get(&scene, "/console/names", &session.cookie).await.status, 200);
    drop(stalled);
    until_status(&scene, MANY, &session.cookie, 200).await;
}
