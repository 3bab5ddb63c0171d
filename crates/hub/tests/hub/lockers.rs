//! Lockers: what lies on the hub's disk, for whom, for how long, and what never does.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use hub::{Hub, HubConfig, LockerConfig, Role, RunningHub, Tls};
use hub_api::{
    Base64Bytes, DeliveryState, DeliveryVerified, Hex, LockerRequest, LockerStatus, ProblemCode,
};
use hub_client::{ClientError, HubClient};
use serde_json::json;
use tokio::time::timeout;

use crate::ask::Ask;
use crate::deliveries::{ID, TOKEN, announcement};
use crate::people::person;
use crate::raw::{PATIENCE, token};
use crate::scene::{self, Scene, code};

const MIB: u64 = 1 << 20;
/// What a segment is charged beside its bytes.
const CHARGED: u64 = 4096;

fn lockers() -> LockerConfig {
    let time_max = Duration::from_hours(24);
    LockerConfig { quota_bytes: 20 * MIB, account_quota_bytes: 10 * MIB, time_max }
}

fn config(dir: &tempfile::TempDir) -> HubConfig {
    HubConfig { lockers: Some(lockers()), ..scene::config(dir, Tls::Off) }
}

async fn start(config: impl FnOnce(HubConfig) -> HubConfig) -> Scene {
    let dir = tempfile::tempdir().expect("a directory");
    let hub = Hub::start(config(self::config(&dir))).await.expect("starts");
    Scene { dir, hub }
}

fn request(segments: u64, downloads: Option<u32>) -> LockerRequest {
    let recipient = Hex(*blake3::hash(&TOKEN).as_bytes());
    LockerRequest { segments, bytes: segments * MIB, recipient, seconds: 3600, downloads }
}

fn segment(number: u64) -> Bytes {
    let mut bytes = vec![0; 90_000 + number as usize];
    blake3::Hasher::new().update(&number.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes.into()
}

async fn keep(client: &HubClient, number: u64, bytes: Bytes) -> Result<bool, ClientError> {
    let digest = *blake3::hash(&bytes).as_bytes();
    Ok(client.keep_segment(ID, number, digest, bytes).await?.taken)
}

async fn fill(client: &HubClient, segments: u64, downloads: Option<u32>) {
    client.open_locker(ID, &request(segments, downloads)).await.expect("opens");
    for number in 0..segments {
        assert!(keep(client, number, segment(number)).await.expect("is kept"));
    }
}

/// The numbers of all segments from `from` on, as they come; each is what was sent.
async fn collect(client: &HubClient, from: u64) -> Result<Vec<u64>, ClientError> {
    let mut stream = client.delivery_segments(ID, &TOKEN, from).await?;
    let mut came = Vec::new();
    while let Some((number, bytes)) = timeout(PATIENCE, stream.next()).await.expect("in time")? {
        assert_eq!(bytes, segment(number));
        came.push(number);
    }
    Ok(came)
}

async fn hand_in(client: &HubClient, segments: u64) -> Result<(), ClientError> {
    let verified = DeliveryVerified { segments, receipt: Some(Base64Bytes(vec![5; 90])) };
    client.delivery_verified(ID, &TOKEN, &verified).await.map(drop)
}

/// The names of files beneath the directory with lockers.
fn on_disk(data: &Path) -> Vec<String> {
    let Ok(lockers) = std::fs::read_dir(data.join("lockers")) else { return Vec::new() };
    let of = |entry: std::io::Result<std::fs::DirEntry>| entry.expect("listed");
    let files = lockers.flat_map(|it| std::fs::read_dir(of(it).path()).expect("listed"));
    files.map(|file| of(file).file_name().into_string().expect("UTF-8")).collect()
}

/// The same hub, started again.
async fn again(dir: &tempfile::TempDir, hub: RunningHub) -> RunningHub {
    let listen = hub.local_addr;
    hub.shutdown().await;
    Hub::start(HubConfig { listen, ..config(dir) }).await.expect("starts again")
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_operators_word_nothing_is_kept_and_nothing_is_made() {
    let scene = start(|config| HubConfig { lockers: None, ..config }).await;
    let sender = scene.person(1, Role::Reader, &[]).await;
    let refused = sender.client.open_locker(ID, &request(1, None)).await;
    assert_eq!(code(refused), ProblemCode::LockerRefused);
    assert!(keep(&sender.client, 0, segment(0)).await.is_err_and(|error| error.is_not_found()));
    assert!(!scene.dir.path().join("lockers").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_without_a_locker_is_on_no_disk_though_lockers_are_allowed() {
    let scene = start(|config| config).await;
    let sender = scene.person(1, Role::Reader, &[]).await;
    sender.client.announce_delivery(ID, &announcement(1)).await.expect("announces");
    let recipient = scene.anonymous();
    let mut stream = recipient.delivery_segments(ID, &TOKEN, 0).await.expect("opens");
    let putting = sender.client.put_segment(ID, 0, segment(0));
    assert!(timeout(PATIENCE, putting).await.expect("in time").expect("taken").taken);
    let came = timeout(PATIENCE, stream.next()).await.expect("in time").expect("reads");
    assert_eq!(came, Some((0, segment(0))));
    hand_in(&recipient, 1).await.expect("handed in");
    assert!(!scene.dir.path().join("lockers").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locker_is_filled_collected_and_emptied_over_restarts_of_the_hub() {
    let dir = tempfile::tempdir().expect("a directory");
    let hub = Hub::start(config(&dir)).await.expect("starts");
    let mut scene = Scene { dir, hub };
    let sender = scene.person(1, Role::Reader, &[]).await;
    let opened = sender.client.open_locker(ID, &request(3, None)).await.expect("opens");
    assert_eq!((opened.next, opened.verified), (Some(0), 0));
    assert!(keep(&sender.client, 0, segment(0)).await.expect("is kept"));
    scene.hub = again(&scene.dir, scene.hub).await;
    // What was acknowledged is here, and the sender goes on behind it.
    let status = sender.client.open_locker(ID, &request(3, None)).await.expect("is there");
    assert_eq!(status.locker.map(|it| it.kept), Some(1));
    assert!(!keep(&sender.client, 0, segment(0)).await.expect("answers"), "it is kept");
    // A recipient may begin before everything is here.
    let recipient = scene.anonymous();
    let mut stream = recipient.delivery_segments(ID, &TOKEN, 0).await.expect("opens");
    let came = timeout(PATIENCE, stream.next()).await.expect("in time").expect("reads");
    assert_eq!(came, Some((0, segment(0))));
    for number in 1..3 {
        assert!(keep(&sender.client, number, segment(number)).await.expect("is kept"));
        let came = timeout(PATIENCE, stream.next()).await.expect("in time").expect("reads");
        assert_eq!(came, Some((number, segment(number))));
    }
    scene.hub = again(&scene.dir, scene.hub).await;
    assert_eq!(collect(&recipient, 1).await.expect("comes"), [1, 2]);
    assert_eq!(on_disk(scene.dir.path()).len(), 2);
    hand_in(&recipient, 3).await.expect("handed in");
    assert_eq!(on_disk(scene.dir.path()), ["facts.json"], "the segments are gone at once");
    scene.hub = again(&scene.dir, scene.hub).await;
    let status = sender.client.delivery_status(ID, None, None).await.expect("answers");
    assert_eq!(status.receipt, Some(Base64Bytes(vec![5; 90])));
    sender.client.end_delivery(ID, None, "received").await.expect("ends");
    assert_eq!(on_disk(scene.dir.path()), [""; 0]);
    assert_eq!(std::fs::read_dir(scene.dir.path().join("lockers")).expect("listed").count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_see_and_change_nothing_of_a_locker() {
    let scene = start(|config| config).await;
    let sender = scene.person(1, Role::Reader, &[]).await;
    let other = scene.person(2, Role::Administrator, &[]).await;
    fill(&sender.client, 1, None).await;
    let anonymous = scene.anonymous();
    let wrong = [0x71; 32];
    let status = anonymous.delivery_status(ID, Some(&wrong), None).await;
    assert_eq!(code(status), ProblemCode::NotFound);
    let stream = anonymous.delivery_segments(ID, &wrong, 0).await;
    assert_eq!(stream.err().and_then(|error| error.code()), Some(ProblemCode::NotFound));
    assert_eq!(code(anonymous.end_delivery(ID, Some(&wrong), "").await), ProblemCode::NotFound);
    let client = &other.client;
    assert_eq!(code(client.delivery_status(ID, None, None).await), ProblemCode::NotFound);
    assert_eq!(code(client.end_delivery(ID, None, "").await), ProblemCode::NotFound);
    assert_eq!(code(keep(client, 0, segment(0)).await), ProblemCode::NotFound);
    let taken = client.open_locker(ID, &request(1, None)).await;
    assert_eq!(code(taken), ProblemCode::DeliveryConflict);
    // Nor is it announced as a delivery that passes through.
    let live = sender.client.announce_delivery(ID, &announcement(1)).await;
    assert_eq!(code(live), ProblemCode::DeliveryConflict);
    assert_eq!(collect(&anonymous, 0).await.expect("comes"), [0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_that_do_not_fit_are_not_kept() {
    let scene = start(|config| config).await;
    let sender = scene.person(1, Role::Reader, &[]).await;
    let small = LockerRequest { bytes: MIB + 7, ..request(2, None) };
    sender.client.open_locker(ID, &small).await.expect("opens");
    let other = sender.client.keep_segment(ID, 0, [7; 32], segment(0)).await;
    assert_eq!(code(other), ProblemCode::WrongBytes, "altered on its way");
    assert_eq!(code(keep(&sender.client, 0, Bytes::new()).await), ProblemCode::MalformedRequest);
    assert_eq!(code(keep(&sender.client, 2, segment(2)).await), ProblemCode::MalformedRequest);
    let without = sender.client.put_segment(ID, 0, segment(0)).await;
    assert_eq!(code(without), ProblemCode::MalformedRequest, "without its digest");
    assert!(keep(&sender.client, 0, segment(0)).await.expect("is kept"));
    let long = keep(&sender.client, 1, Bytes::from(vec![7; 72])).await;
    assert_eq!(code(long), ProblemCode::MalformedRequest, "seven bytes and what sealing adds");
    assert!(keep(&sender.client, 1, Bytes::from(vec![7; 71])).await.expect("is kept"));
    let replayed = keep(&sender.client, 0, segment(5)).await;
    assert!(!replayed.expect("answers"), "what is kept stays as it is");
    let mut stream = scene.anonymous().delivery_segments(ID, &TOKEN, 0).await.expect("opens");
    let came = timeout(PATIENCE, stream.next()).await.expect("in time").expect("reads");
    assert_eq!(came, Some((0, segment(0))));
}

#[tokio::test(flavor = "multi_thread")]
async fn quotas_are_charged_before_bytes_and_refuse_by_name() {
    let scene = start(|config| config).await;
    let sender = scene.person(1, Role::Reader, &[]).await;
    let ask = |id: u8, segments: u64| {
        let client = &sender.client;
        async move { client.open_locker([id; 16], &request(segments, None)).await }
    };
    ask(1, 9).await.expect("opens, and takes most of the account's quota");
    let error = ask(2, 1).await.expect_err("the account has no room");
    assert!(error.to_string().contains(&(10 * MIB - 9 * (MIB + CHARGED)).to_string()), "{error}");
    assert_eq!(error.code(), Some(ProblemCode::LockerRefused));
    let claim = LockerRequest { bytes: u64::MAX, segments: 1 << 44, ..request(1, None) };
    let huge = sender.client.open_locker([3; 16], &claim).await;
    assert_eq!(code(huge), ProblemCode::LockerRefused);
    let lie = LockerRequest { segments: 1, bytes: 5 * MIB, ..request(1, None) };
    assert_eq!(code(sender.client.open_locker([3; 16], &lie).await), ProblemCode::MalformedRequest);
    let long = LockerRequest { seconds: 25 * 3600, ..request(1, None) };
    assert_eq!(code(sender.client.open_locker([3; 16], &long).await), ProblemCode::LockerRefused);
    let other = scene.person(2, Role::Reader, &[]).await;
    other.client.open_locker([4; 16], &request(9, None)).await.expect("has a quota of its own");
    let third = scene.person(3, Role::Reader, &[]).await;
    let full = third.client.open_locker([5; 16], &request(9, None)).await;
    assert_eq!(code(full), ProblemCode::StorageFull, "all of them together");
    // What was there stays, and an end gives the room back.
    sender.client.end_delivery([1; 16], None, "enough").await.expect("ends");
    ask(2, 9).await.expect("opens");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_the_next_segment_and_keeps_what_is_there() {
    let dir = tempfile::tempdir().expect("a directory");
    let hub = Hub::start(config(&dir)).await.expect("starts");
    let mut scene = Scene { dir, hub };
    let sender = scene.person(1, Role::Reader, &[]).await;
    sender.client.open_locker(ID, &request(2, None)).await.expect("opens");
    assert!(keep(&sender.client, 0, segment(0)).await.expect("is kept"));
    let listen = scene.hub.local_addr;
    scene.hub.shutdown().await;
    // As if others had filled the disk but for what is to stay free.
    let full = HubConfig { listen, free_reserve_bytes: u64::MAX, ..config(&scene.dir) };
    scene.hub = Hub::start(full).await.expect("starts");
    let error = keep(&sender.client, 1, segment(1)).await.expect_err("no room");
    assert_eq!(error.code(), Some(ProblemCode::StorageFull));
    assert!(error.to_string().contains("what is kept stays"), "{error}");
    let new = sender.client.open_locker([9; 16], &request(1, None)).await;
    assert_eq!(code(new), ProblemCode::StorageFull);
    scene.hub = again(&scene.dir, scene.hub).await;
    assert!(keep(&sender.client, 1, segment(1)).await.expect("is kept"));
    assert_eq!(collect(&scene.anonymous(), 0).await.expect("comes"), [0, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_disk_damaged_is_handed_to_nobody_and_both_sides_are_told() {
    let scene = start(|config| config).await;
    let sender = scene.person(1, Role::Reader, &[]).await;
    fill(&sender.client, 2, None).await;
    let path = scene.dir.path().join("lockers").join(Hex(ID).to_string()).join("segments");
    let mut bytes = std::fs::read(&path).expect("there");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&path, bytes).expect("written");
    let recipient = scene.anonymous();
    assert_eq!(collect(&recipient, 0).await.expect("ends"), [0]);
    for (client, shown) in [(&recipient, Some(&TOKEN)), (&sender.client, None)] {
        let status = client.delivery_status(ID, shown, None).await.expect("answers");
        let ended = status.ended.expect("is over");
        assert!(ended.reason.contains("damaged"), "{ended:?}");
    }
    assert_eq!(on_disk(scene.dir.path()), ["facts.json"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_browsers_race_for_the_last_download_and_one_gets_it() {
    let scene = start(|config| config).await;
    let sender = scene.person(1, Role::Reader, &[]).await;
    fill(&sender.client, 3, Some(2)).await;
    let browser = |number: u8| scene.anonymous().with_download([number; 16]);
    let first = browser(1);
    assert_eq!(collect(&first, 0).await.expect("comes"), [0, 1, 2]);
    // One place is left, and eight want it at once.
    let racing = (2..10u8).map(|number| {
        let client = browser(number);
        tokio::spawn(async move { (number, collect(&client, 0).await) })
    });
    let mut winners = Vec::new();
    for racer in racing.collect::<Vec<_>>() {
        let (number, outcome) = racer.await.expect("does not panic");
        match outcome {
            Ok(came) if came == [0, 1, 2] => winners.push(number),
            // At its end one was told that the place is taken, or that none is left.
            Ok(came) => assert_eq!(came, [0; 0], "no half download"),
            Err(error) => assert!(error.is_retryable(), "{error}"),
        }
    }
    assert_eq!(winners.len(), 1, "{winners:?}");
    let counted = sender.client.delivery_status(ID, None, None).await.expect("answers").locker;
    let counted = counted.expect("has one");
    assert_eq!((counted.downloads, counted.downloads_max), (2, Some(2)));
    // Those who were counted may come back for it, others are told that it is over.
    assert_eq!(collect(&first, 2).await.expect("comes"), [2]);
    let late = browser(77);
    assert_eq!(collect(&late, 0).await.expect("ends at once"), [0; 0]);
    let told = late.delivery_status(ID, Some(&TOKEN), None).await.expect("answers");
    assert!(told.ended.is_some_and(|end| end.reason.contains("as often as")));
    hand_in(&late, 3).await.expect_err("whoever was not counted has no receipt");
    hand_in(&first, 3).await.expect("handed in");
    let status = sender.client.delivery_status(ID, None, None).await.expect("answers");
    assert_eq!(status.receipt, None, "somebody else may hand one in yet");
    hand_in(&browser(winners[0]), 3).await.expect("handed in");
    let status = sender.client.delivery_status(ID, None, None).await.expect("answers");
    assert!(status.receipt.is_some());
    assert_eq!(on_disk(scene.dir.path()), ["facts.json"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locker_for_a_person_wants_their_consent_first_and_goes_with_a_refusal() {
    let scene = start(|config| config).await;
    let (anna, ben) = (person(&scene, "anna", 1).await, person(&scene, "ben", 2).await);
    let id = Hex(ID).to_string();
    let sealed = Base64Bytes(vec![2; 80]).to_string();
    let key = crate::people::hex(&crate::people::key(2));
    let recipient = Hex(*blake3::hash(&TOKEN).as_bytes());
    let address = json!({
        "to": "ben", "list": 1, "letters": [{ "key": key, "sealed": sealed }],
        "segments": 1, "bytes": 9, "files": 1, "largest": 9, "recipient": recipient,
    });
    let path = format!("/v1/deliveries/{id}/address");
    let sent = anna.send(&scene, "PUT", &path, &address).await;
    assert_eq!((sent.status, &sent.json()["state"]), (201, &json!("pending-approval")));
    let path = format!("/v1/deliveries/{id}/locker");
    let wanted = json!({ "segments": 1, "bytes": 9, "recipient": recipient, "seconds": 60 });
    let early = anna.send(&scene, "PUT", &path, &wanted).await;
    assert_eq!(early.problem(), (409, "delivery-conflict".to_owned()));
    assert!(!scene.dir.path().join("lockers").exists(), "not a byte before the recipient agrees");
    let accept = json!({ "decision": "accept" });
    ben.send(&scene, "PUT", "/v1/me/senders/anna", &accept).await;
    assert_eq!(anna.send(&scene, "PUT", &path, &wanted).await.status, 201);
    let inbox = ben.ask(&scene, "GET", "/v1/me/inbox").await.json();
    let shown: LockerStatus =
        serde_json::from_value(inbox["deliveries"][0]["locker"].clone()).expect("is shown");
    assert_eq!((shown.kept, shown.downloads_max), (0, None));
    let refused = json!({ "reason": "no" });
    ben.send(&scene, "DELETE", &format!("/v1/deliveries/{id}"), &refused).await;
    assert_eq!(on_disk(scene.dir.path()), ["facts.json"]);
    let outbox = anna.ask(&scene, "GET", "/v1/me/outbox").await.json();
    let state: DeliveryState =
        serde_json::from_value(outbox["deliveries"][0]["state"].clone()).expect("is shown");
    assert_eq!(state, DeliveryState::Terminated);
    assert_eq!(outbox["deliveries"][0].get("locker"), None);
    let status = anna.ask(&scene, "GET", &format!("/v1/deliveries/{id}")).await.json();
    assert_eq!(status["ended"], json!({ "by": "recipient", "reason": "no" }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_that_is_cut_off_is_not_kept_and_leaves_no_half() {
    let scene = start(|config| config).await;
    let sender = scene.person(1, Role::Reader, &[]).await;
    sender.client.open_locker(ID, &request(1, None)).await.expect("opens");
    let session = token(&scene, &sender);
    let path = format!("/v1/deliveries/{}/segments/0", Hex(ID));
    let head = format!(
        "PUT {path} HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer {session}\r\n\
         Consign-Segment-Digest: {}\r\nContent-Length: 90000\r\n\r\nhalf",
        Hex(*blake3::hash(&segment(0)).as_bytes())
    );
    let mut cut = crate::raw::Wire::connect(&scene).await;
    cut.send(head.as_bytes()).await;
    drop(cut);
    assert!(keep(&sender.client, 0, segment(0)).await.expect("is kept"));
    let answer =
        Ask::get(&format!("/v1/deliveries/{}", Hex(ID))).token(&session).send(&scene).await;
    assert_eq!(answer.json()["locker"]["kept"], json!(1));
}
