//! Places for transfers: held by one that stalls, waited for, given back.

use std::time::Duration;

use bytes::Bytes;
use content::ChunkId;
use hub::{HubLimits, Role};
use hub_api::ProblemCode;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpSocket;

use crate::ask::Ask;
use crate::raw::{PATIENCE, Wire, hub_with, post, token};
use crate::scene::{self, Person, Scene, Tree, name};

/// A hub with one place of each kind.
fn one_place() -> HubLimits {
    let turn_time = Duration::from_millis(300);
    HubLimits { uploads_max: 1, fetches_max: 1, turn_time, ..HubLimits::default() }
}

async fn owner(scene: &Scene) -> (Person, String) {
    let owner = scene.person(1, Role::Publisher, &[]).await;
    let token = token(scene, &owner);
    (owner, token)
}

/// An upload of which half a body comes, until the hub reads it.
async fn stalled_upload(scene: &Scene, token: &str) -> Wire {
    let mut stalled = Wire::connect(scene).await;
    // The hub asks for the body when it begins to read it, which is when it holds a place.
    let head = "Content-Length: 1000\r\nExpect: 100-continue\r\n";
    stalled.send(post("/v1/chunks", Some(token), head).as_bytes()).await;
    assert!(stalled.head().await.starts_with("HTTP/1.1 100"));
    stalled
}

async fn refused_upload(scene: &Scene, token: &str) -> String {
    let mut wire = Wire::connect(scene).await;
    wire.send(post("/v1/chunks", Some(token), "Content-Length: 1000\r\n").as_bytes()).await;
    wire.rest().await
}

fn assert_told_to_come_again(answer: &str, code: ProblemCode) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {}", code.status())), "{answer}");
    assert!(answer.contains("\r\nretry-after: 5\r\n"), "{answer}");
    assert!(answer.contains(&format!(r#""code":"{code}""#)), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_waits_its_turn_and_is_told_when_to_come_again() {
    let scene = hub_with(one_place()).await;
    let (owner, token) = owner(&scene).await;
    let stalled = stalled_upload(&scene, &token).await;
    let refused = refused_upload(&scene, &token).await;
    assert_told_to_come_again(&refused, ProblemCode::Unavailable);
    // What is no upload is not held up.
    owner.client.have(&[ChunkId::of(b"x")]).await.expect("answers");

    let frames = Tree::new(1, 3).frames();
    let uploading = tokio::spawn(async move { owner.client.upload(frames).await });
    drop(stalled);
    let uploaded = tokio::time::timeout(PATIENCE, uploading).await.expect("in time");
    assert!(uploaded.expect("no panic").expect("has its turn").stored > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_upload_loses_its_place() {
    let limits = HubLimits {
        idle_time: Duration::from_millis(500),
        turn_time: Duration::from_secs(20),
        ..one_place()
    };
    let scene = hub_with(limits).await;
    let (owner, token) = owner(&scene).await;
    let stalled = stalled_upload(&scene, &token).await;
    // Waits for the place, and has it although the holder stays.
    owner.client.upload(Tree::new(1, 3).frames()).await.expect("has its turn");
    let answer = stalled.rest().await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
}

/// More than the systems of both sides hold for a client that reads nothing.
async fn publish_much(owner: &Person) -> Vec<ChunkId> {
    let tree = Tree::of((0..512).map(large).collect());
    owner.publish(&name("team/open"), true, &tree).await;
    tree.ids()
}

fn large(number: u32) -> Bytes {
    let mut bytes = vec![0; 48 * 1024];
    blake3::Hasher::new().update(&number.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes.into()
}

async fn ask_for(wire: &mut Wire, ids: &[ChunkId]) {
    let body = wire::IdList::encode_ids(ids);
    let length = format!("Content-Length: {}\r\n", body.len());
    wire.send(post("/v1/chunks/fetch", None, &length).as_bytes()).await;
    wire.send(&body).await;
}

/// A fetch of which nothing is read but the head.
async fn stalled_fetch(scene: &Scene, ids: &[ChunkId]) -> Wire {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(64 * 1024).expect("a small buffer");
    let mut stalled = Wire(socket.connect(scene.hub.local_addr).await.expect("connects"));
    ask_for(&mut stalled, ids).await;
    assert!(stalled.head().await.starts_with("HTTP/1.1 200"));
    stalled
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_waits_its_turn_and_is_told_when_to_come_again() {
    let scene = hub_with(one_place()).await;
    let (owner, _) = owner(&scene).await;
    let ids = publish_much(&owner).await;
    // So few that the hub has all of them in memory: the place is for the memory.
    let stalled = stalled_fetch(&scene, &ids[..160]).await;
    let mut refused = Wire::connect(&scene).await;
    ask_for(&mut refused, &ids[..1]).await;
    assert_told_to_come_again(&refused.answer().await, ProblemCode::TooManyRequests);
    // Somebody else waits for others, not for itself.
    let mut refused = Wire::connect_from(&scene, "127.0.0.2").await;
    ask_for(&mut refused, &ids[..1]).await;
    assert_told_to_come_again(&refused.answer().await, ProblemCode::Unavailable);

    let client = scene.anonymous();
    let wanted = ids[..3].to_vec();
    let fetching = tokio::spawn(async move { scene::fetch(&client, &wanted).await });
    drop(stalled);
    let (came, missing) = fetching.await.expect("has its turn");
    assert!(ids[..3].iter().all(|id| came.contains(id)));
    assert_eq!(missing, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_fetch_loses_its_place() {
    let limits = HubLimits {
        idle_time: Duration::from_millis(500),
        turn_time: Duration::from_secs(20),
        ..one_place()
    };
    let scene = hub_with(limits).await;
    let (owner, _) = owner(&scene).await;
    let ids = publish_much(&owner).await;
    let stalled = stalled_fetch(&scene, &ids).await;
    let (came, _) = scene::fetch(&scene.anonymous(), &ids[..3]).await;
    assert!(ids[..3].iter().all(|id| came.contains(id)));
    // It was cut: what it can still read is not all.
    let read = stalled.rest().await.len();
    assert!(read < 512 * 48 * 1024, "{read} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_for_a_fetch_is_for_the_whole_of_it() {
    // Long enough for the upload before it, also on a busy machine.
    let transfer_time = Duration::from_secs(10);
    let scene = hub_with(HubLimits { transfer_time, ..one_place() }).await;
    let (owner, _) = owner(&scene).await;
    let ids = publish_much(&owner).await;
    let mut slow = stalled_fetch(&scene, &ids).await;
    // Each batch in time, and all of them in twice the time.
    let mut read = 0;
    let mut part = vec![0; 1 << 20];
    let reading = async {
        loop {
            let got = slow.0.read(&mut part).await.unwrap_or(0);
            read += got;
            // The answer ends, without the mark that says it is whole; the connection stays.
            if got == 0 || part[..got].ends_with(b"\r\n0\r\n\r\n") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(850).mul_f64(got as f64 / f64::from(1 << 20)))
                .await;
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("ends");
    assert!(read < 512 * 48 * 1024 - (2 << 20), "{read} bytes");
}

/// The status of a fetch of one chunk from an address of this machine.
async fn fetch_from(scene: &Scene, address: &str, token: Option<&str>, id: ChunkId) -> String {
    let mut wire = Wire::connect_from(scene, address).await;
    let body = wire::IdList::encode_ids(&[id]);
    wire.send(post("/v1/chunks/fetch", token, "Content-Length: 32\r\n").as_bytes()).await;
    wire.send(&body).await;
    let head = wire.head().await;
    if !head.starts_with("HTTP/1.1 200") {
        assert!(head.contains("\r\nretry-after: 5\r\n"), "{head}");
    }
    head.split(' ').nth(1).expect("a status").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_caller_has_a_quarter_of_the_places_for_fetches() {
    let scene = hub_with(HubLimits { fetches_max: 8, ..one_place() }).await;
    let (owner, token) = owner(&scene).await;
    let ids = publish_much(&owner).await;
    let first = stalled_fetch(&scene, &ids).await;
    let _second = stalled_fetch(&scene, &ids).await;
    assert_eq!(fetch_from(&scene, "127.0.0.1", None, ids[0]).await, "429");
    assert_eq!(fetch_from(&scene, "127.0.0.2", None, ids[0]).await, "200");
    // An account has a share of its own wherever it is.
    assert_eq!(fetch_from(&scene, "127.0.0.1", Some(&token), ids[0]).await, "200");
    drop(first);
    // When the hub has noticed.
    for _ in 0..200 {
        if fetch_from(&scene, "127.0.0.1", None, ids[0]).await == "200" {
            return;
        }
    }
    panic!("the place was not given back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_chunk_is_sent_whole_and_gives_its_room_back() {
    // Room for one.
    let scene = hub_with(HubLimits { answers_bytes_max: 64 << 10, ..one_place() }).await;
    let (owner, _) = owner(&scene).await;
    let mut large = vec![0; 2 << 20];
    blake3::Hasher::new().finalize_xof().fill(&mut large);
    let tree = Tree::of(vec![large.clone().into()]);
    owner.publish(&name("team/open"), true, &tree).await;
    let id = tree.ids()[0];
    let get = Ask::get(&format!("/v1/chunks/{id}"));
    for _ in 0..4 {
        let whole = get.send(&scene).await;
        assert_eq!((whole.status, whole.header("content-length")), (200, "2097152"));
        assert!(whole.body == large, "the bytes of the chunk");
    }
    let known = get.clone().header("If-None-Match", &format!("\"{id}\"")).send(&scene).await;
    assert_eq!(known.status, 304);
    let part = get.header("Range", "bytes=5-9").send(&scene).await;
    assert_eq!((part.status, &part.body[..]), (206, &large[5..10]));
}
