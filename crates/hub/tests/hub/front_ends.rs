//! Several front-ends on one database: what is begun at one goes on at another.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use hub::{
    Database, FrontEndConfig, Hub, HubConfig, LockerConfig, NotEntered, Role, RunningHub,
    StartError, Tls,
};
use hub_api::{Base64Bytes, DeliveryStatus, DeliveryVerified, LockerRequest, ProblemCode};
use hub_client::{HubClient, Pin};
use serde_json::json;
use testkit::Postgres;
use tokio::time::{Instant, sleep, timeout};

use crate::ask::Ask;
use crate::deliveries::{ID, TOKEN, announcement};
use crate::people::{DeviceOf, log_in, person};
use crate::people_deliveries::{BYTES, address, announce, put_book};
use crate::postgres::address_file;
use crate::raw::{PATIENCE, Wire};
use crate::scene::{Scene, Tree, code, config, fetch, name};

const SEGMENTS: usize = 8;

/// What operators copy from the first front-end's data to another's: the key, and the certificate if the hub made
/// its own.
fn copy_identity(from: &Path, to: &Path) {
    std::fs::copy(from.join("hub.key"), to.join("hub.key")).expect("copies");
    let Ok(files) = std::fs::read_dir(from.join("tls")) else { return };
    std::fs::create_dir_all(to.join("tls")).expect("creates");
    for file in files {
        let file = file.expect("an entry");
        std::fs::copy(file.path(), to.join("tls").join(file.file_name())).expect("copies");
    }
}

async fn front_end(
    dir: &tempfile::TempDir,
    database: &Database,
    tls: Tls,
    keeps_chunks: bool,
) -> Result<RunningHub, StartError> {
    let listen = "127.0.0.1:0".parse().expect("an address");
    let front_end = Some(FrontEndConfig { listen, address: None, keeps_chunks });
    let database = Some(database.clone());
    let quota_bytes = 100 << 20;
    let time_max = Duration::from_hours(24);
    let lockers = Some(LockerConfig { quota_bytes, account_quota_bytes: quota_bytes, time_max });
    let sweep_interval = Duration::from_millis(100);
    Hub::start(HubConfig { database, front_end, lockers, sweep_interval, ..config(dir, tls) }).await
}

/// A front-end with the chunks and one without, on one database.
async fn two(server: &Postgres, tls: Tls) -> (Scene, Scene) {
    two_on(&server.create_database(), tls).await
}

/// The same on the database with this address. The first one is the manager.
async fn two_on(address: &str, tls: Tls) -> (Scene, Scene) {
    let directory = || tempfile::tempdir().expect("a directory");
    let (first, second) = (directory(), directory());
    let database = address_file(first.path(), address);
    let hub = front_end(&first, &database, tls.clone(), true).await.expect("starts");
    copy_identity(first.path(), second.path());
    let other = front_end(&second, &database, tls, false).await.expect("starts");
    (Scene { dir: first, hub }, Scene { dir: second, hub: other })
}

fn segment(number: u64) -> Bytes {
    let mut bytes = vec![0; 200_000 + number as usize];
    blake3::Hasher::new().update(&number.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes.into()
}

/// Begins the delivery, once the front-ends agree who has it: those that are asked meanwhile say that they are busy.
async fn begin(client: &HubClient) -> DeliveryStatus {
    let begun = Instant::now();
    loop {
        match client.announce_delivery(ID, &announcement(SEGMENTS)).await {
            Ok(status) => return status,
            Err(error) => assert!(begun.elapsed() < PATIENCE, "it begins: {error}"),
        }
        sleep(Duration::from_millis(200)).await;
    }
}

/// Says that all was verified, until that is taken.
async fn verify(client: &HubClient) {
    let begun = Instant::now();
    let verified = DeliveryVerified { segments: SEGMENTS as u64, receipt: None };
    while let Err(error) = client.delivery_verified(ID, &TOKEN, &verified).await {
        assert!(begun.elapsed() < PATIENCE, "it is taken: {error}");
        sleep(Duration::from_millis(200)).await;
    }
}

/// Sends all segments by `client`, beginning anew whenever the delivery was forgotten, as senders do.
async fn send(client: HubClient) {
    let begun = Instant::now();
    loop {
        let mut next = begin(&client).await.next;
        loop {
            assert!(begun.elapsed() < PATIENCE, "it goes on");
            let Some(number) = next else {
                sleep(Duration::from_millis(50)).await;
                match client.delivery_status(ID, None, None).await {
                    Ok(status) if status.verified == SEGMENTS as u64 => return,
                    Ok(status) => next = status.next,
                    Err(_) => break,
                }
                continue;
            };
            if number == SEGMENTS as u64 {
                next = None;
                continue;
            }
            match client.put_segment(ID, number, segment(number)).await {
                Ok(taken) => next = taken.next,
                Err(_) => break,
            }
        }
    }
}

/// Takes segments from `from` to `to`, and says so.
async fn receive(client: &HubClient, from: u64, to: u64) {
    let mut next = from;
    let begun = Instant::now();
    while next < to {
        assert!(begun.elapsed() < PATIENCE, "segments come");
        let Ok(mut stream) = client.delivery_segments(ID, &TOKEN, next).await else {
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        while next < to {
            let Ok(Ok(Some((number, bytes)))) = timeout(PATIENCE, stream.next()).await else {
                break;
            };
            assert_eq!((number, bytes), (next, segment(next)));
            next += 1;
            let verified = DeliveryVerified { segments: next, receipt: None };
            let _ = client.delivery_verified(ID, &TOKEN, &verified).await;
        }
    }
}

fn client(scene: &Scene, person: Option<u8>) -> HubClient {
    match person {
        Some(number) => scene.stranger(number).client,
        None => scene.anonymous(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_goes_on_when_the_front_end_that_has_it_is_killed() {
    let Some(server) = Postgres::start() else { return };
    let (one, other) = two(&server, Tls::SelfSigned).await;
    one.person(1, Role::Reader, &[]).await;
    let (sender, recipient) = (client(&one, Some(1)), client(&other, None));
    begin(&sender).await;
    let sending = tokio::spawn(send(sender));
    receive(&recipient, 0, 3).await;
    // Without a word to anybody.
    drop(one.hub);
    sending.abort();
    let sending = tokio::spawn(send(client(&other, Some(1))));
    receive(&recipient, 3, SEGMENTS as u64).await;
    verify(&recipient).await;
    timeout(PATIENCE, sending).await.expect("ends").expect("no panic");
    other.hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_goes_on_when_the_front_end_it_is_passed_on_by_is_killed() {
    let Some(server) = Postgres::start() else { return };
    let (one, other) = two(&server, Tls::SelfSigned).await;
    one.person(1, Role::Reader, &[]).await;
    // The one that has it keeps no chunks, and its sender is at the other one.
    let beginner = client(&other, Some(1));
    begin(&beginner).await;
    let sending = tokio::spawn(send(client(&one, Some(1))));
    let recipient = client(&other, None);
    receive(&recipient, 0, 3).await;
    drop(one.hub);
    sending.abort();
    let sending = tokio::spawn(send(beginner));
    receive(&recipient, 3, SEGMENTS as u64).await;
    timeout(PATIENCE, sending).await.expect("ends").expect("no panic");
    other.hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_front_end_that_ends_well_leaves_its_deliveries_to_others_at_once() {
    let Some(server) = Postgres::start() else { return };
    let (one, other) = two(&server, Tls::SelfSigned).await;
    one.person(1, Role::Reader, &[]).await;
    let sender = client(&other, Some(1));
    let first = client(&one, Some(1));
    first.announce_delivery(ID, &announcement(SEGMENTS)).await.expect("announces");
    one.hub.shutdown().await;
    sender.announce_delivery(ID, &announcement(SEGMENTS)).await.expect("it is free");
    let recipient = client(&other, None);
    let status = recipient.delivery_status(ID, Some(&TOKEN), None).await.expect("is there");
    assert_eq!(status.segments, SEGMENTS as u64);
    other.hub.shutdown().await;
}

/// Reads events until one holds a text.
async fn hears(wire: &mut Wire, text: &str) {
    let mut heard = Vec::new();
    let reading = async {
        use tokio::io::AsyncReadExt as _;
        while !String::from_utf8_lossy(&heard).contains(text) {
            heard.push(wire.0.read_u8().await.expect("goes on"));
        }
    };
    timeout(PATIENCE, reading).await.unwrap_or_else(|_| panic!("hears {text}"));
}

async fn listen(scene: &Scene, device: &DeviceOf) -> Wire {
    let mut wire = Wire::connect(scene).await;
    let token = &device.token;
    let ask =
        format!("GET /v1/me/events HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer {token}\r\n\r\n");
    wire.send(ask.as_bytes()).await;
    hears(&mut wire, "senders").await;
    wire
}

#[tokio::test(flavor = "multi_thread")]
async fn news_and_presence_cross_front_ends() {
    let Some(server) = Postgres::start() else { return };
    let (one, other) = two(&server, Tls::Off).await;
    let (anna, ben) = (person(&one, "anna", 1).await, person(&one, "ben", 2).await);
    assert_eq!(put_book(&other, &ben, &["anna"], &[]).await.status, 200);
    let check = async || anna.ask(&one, "GET", "/v1/people/ben/check").await.json();
    assert_eq!(check().await["answer"], json!("never-online"));

    let mut bens = listen(&other, &ben).await;
    let online = async {
        while check().await["answer"] != json!("ready") {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, online).await.expect("is seen from the other front-end");
    assert_eq!(address(&one, &anna, 0x11, "ben", 2).await.status, 201);
    hears(&mut bens, "[\"inbox\"]").await;

    // The same device at the first front-end: the stream at the other one is over.
    let _again = listen(&one, &ben).await;
    hears(&mut bens, "elsewhere").await;
    one.hub.shutdown().await;
    other.hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_deliveries_are_removed_by_another_front_end_when_the_manager_is_killed() {
    let Some(server) = Postgres::start() else { return };
    let database = server.create_database();
    let (one, other) = two_on(&database, Tls::Off).await;
    let (anna, ben) = (person(&one, "anna", 1).await, person(&one, "ben", 2).await);
    assert_eq!(put_book(&one, &ben, &["anna"], &[]).await.status, 200);
    let query = |what: &str| server.sql(&database, what).trim().to_owned();
    let manager = || query("SELECT term || ' ' || encode(holder, 'hex') FROM manager");
    let removed = async |number: u8, at: &Scene| {
        assert_eq!(address(at, &anna, number, "ben", 2).await.status, 201);
        // Its last change is longer ago than any window.
        query("UPDATE addressed SET used = 1 WHERE state = 1");
        let being = async {
            while query("SELECT count(*) FROM addressed WHERE state = 5") != number.to_string() {
                sleep(Duration::from_millis(100)).await;
            }
        };
        timeout(PATIENCE, being).await.expect("is removed");
    };
    removed(1, &one).await;
    let first = manager();

    // Without a word to anybody: its lease has to end first.
    drop(one.hub);
    assert_eq!(manager(), first, "it did not resign");
    removed(2, &other).await;
    assert_ne!(manager(), first, "the other one is the manager now");
    let listed = ben.ask(&other, "GET", "/v1/me/inbox").await.json();
    let states = listed["deliveries"].as_array().expect("a list");
    assert!(states.iter().all(|it| it["state"] == json!("removed")), "{listed}");
    assert_eq!(states.len(), 2, "{listed}");
    other.hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_logins_count_wherever_they_were_tried() {
    let Some(server) = Postgres::start() else { return };
    let (one, other) = two(&server, Tls::Off).await;
    person(&one, "anna", 1).await;
    for scene in [&one, &other, &one] {
        let refused = log_in(scene, "anna", "wrong horse", 3).await;
        assert_eq!((refused.status, refused.header("retry-after")), (403, ""), "may try again");
    }
    for scene in [&other, &one] {
        let refused = log_in(scene, "anna", "wrong horse", 3).await;
        let after: u64 = refused.header("retry-after").parse().expect("tried too often");
        assert!(refused.status == 403 && after > 3000, "{after}");
    }
    one.hub.shutdown().await;
    other.hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_one_wherever_it_is_asked_for() {
    let Some(server) = Postgres::start() else { return };
    let (one, other) = two(&server, Tls::Off).await;
    let (anna, ben) = (person(&one, "anna", 1).await, person(&one, "ben", 2).await);
    let announce =
        async |scene: &Scene, who: &DeviceOf| who.ask(scene, "PUT", "/v1/codes/7").await.status;
    assert_eq!(announce(&one, &anna).await, 201);
    assert_eq!(announce(&other, &anna).await, 200, "it is the same");
    assert_eq!(announce(&other, &ben).await, 409, "it is taken");
    assert_eq!(announce(&one, &ben).await, 409);
    one.hub.shutdown().await;
    other.hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn releases_are_published_and_read_at_a_front_end_without_chunks() {
    let Some(server) = Postgres::start() else { return };
    let (one, other) = two(&server, Tls::SelfSigned).await;
    one.person(1, Role::Publisher, &[]).await;
    let owner = other.stranger(1);
    let (name, tree) = (name("team/tools"), Tree::new(1, 20));
    owner.publish(&name, true, &tree).await;
    for scene in [&one, &other] {
        let (came, missing) = fetch(&scene.anonymous(), &tree.ids()).await;
        assert!(missing.is_empty() && tree.ids().iter().all(|id| came.contains(id)));
    }
    one.hub.shutdown().await;
    let away = other.stranger(1).client.upload(tree.frames()).await;
    assert_eq!(code(away), ProblemCode::Unavailable, "nobody keeps them");
    other.hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locker_is_where_the_chunks_are_and_every_front_end_leads_there() {
    let Some(server) = Postgres::start() else { return };
    let (one, other) = two(&server, Tls::SelfSigned).await;
    one.person(1, Role::Reader, &[]).await;
    let (sender, recipient) = (client(&other, Some(1)), client(&other, None));
    let announced = announcement(2);
    let request = LockerRequest {
        segments: 2,
        bytes: (1 << 20) + 300_000,
        recipient: announced.recipient,
        seconds: 3600,
        downloads: None,
    };
    sender.open_locker(ID, &request).await.expect("opens");
    for number in 0..2 {
        let bytes = segment(number);
        let digest = *blake3::hash(&bytes).as_bytes();
        let taken = sender.keep_segment(ID, number, digest, bytes).await.expect("is kept");
        assert!(taken.taken);
    }
    assert!(one.dir.path().join("lockers").exists() && !other.dir.path().join("lockers").exists());
    receive(&recipient, 0, 2).await;
    let receipt = Some(Base64Bytes(vec![5; 90]));
    let verified = DeliveryVerified { segments: 2, receipt };
    recipient.delivery_verified(ID, &TOKEN, &verified).await.expect("handed in");
    let status = client(&one, Some(1)).delivery_status(ID, None, None).await.expect("answers");
    assert!(status.receipt.is_some());
    // Without the one that keeps them there are none, and none begins elsewhere.
    one.hub.shutdown().await;
    let away = sender.open_locker([9; 16], &request).await;
    assert_eq!(code(away), ProblemCode::Unavailable);
    other.hub.shutdown().await;
}

/// Whether a person's page there offers to have a delivery kept for a day.
async fn offers_lockers(scene: &Scene) -> bool {
    let page = Ask::get("/me").send(scene).await;
    assert_eq!(page.status, 200);
    String::from_utf8_lossy(&page.body).contains(r#"data-locker="86400""#)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_front_end_tells_what_lies_in_a_locker_and_who_sits_at_a_delivery() {
    let Some(server) = Postgres::start() else { return };
    let (one, other) = two(&server, Tls::Off).await;
    let (anna, ben) = (person(&one, "anna", 1).await, person(&one, "ben", 2).await);
    assert_eq!(put_book(&one, &ben, &["anna"], &[]).await.status, 200);
    for (number, front_end) in [(3, &one), (4, &other), (5, &one)] {
        assert_eq!(address(front_end, &anna, number, "ben", 2).await.status, 201);
    }
    // The third is in a locker, the fourth in the memory of one, the fifth nowhere.
    let locker = json!({
        "segments": 2, "bytes": BYTES, "recipient": announcement(2).recipient, "seconds": 3600,
    });
    let path = format!("/v1/deliveries/{}/locker", "03".repeat(16));
    assert_eq!(anna.send(&other, "PUT", &path, &locker).await.status, 201);
    assert_eq!(announce(&other, &anna, 4).await.status, 201);
    for front_end in [&one, &other] {
        let listed = async |who: &DeviceOf, which: &str| {
            let page = who.ask(front_end, "GET", &format!("/v1/me/{which}")).await.json();
            let found = page["deliveries"].as_array().expect("a list").iter();
            let found = found.map(|it| (it["locker"]["kept"].as_u64(), it["other_online"] == true));
            found.collect::<Vec<_>>()
        };
        let kept = (Some(0), false);
        assert_eq!(listed(&ben, "inbox").await, [(None, false), (None, true), kept]);
        assert_eq!(listed(&anna, "outbox").await, [(None, false), (None, false), kept]);
        assert!(offers_lockers(front_end).await);
    }

    // Without the one that keeps lockers the lists are there, and say less.
    one.hub.shutdown().await;
    let page = ben.ask(&other, "GET", "/v1/me/inbox").await;
    assert_eq!(page.status, 200);
    assert_eq!(page.json()["deliveries"][2]["locker"], json!(null));
    assert!(!offers_lockers(&other).await);
    // What only front-ends ask is no route of the hub.
    assert_eq!(ben.send(&other, "POST", "/front-end/deliveries", &json!([])).await.status, 404);
    other.hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_is_no_front_end() {
    let Some(server) = Postgres::start() else { return };
    let (one, other) = two(&server, Tls::Off).await;
    let inner = one.hub.front_end_addr.expect("listens for others");
    // Over TLS, and without the word that only who has the hub's key can say.
    let stranger =
        HubClient::new(&format!("https://{inner}"), Pin::Unknown, None).expect("a client");
    assert_eq!(code(stranger.hub_info().await), ProblemCode::NotFound);
    // What only front-ends say is not believed at the front door.
    let forged = Ask::get("/readyz").header("consign-asked-by", "192.0.2.1");
    let forged = forged.header("consign-front-end-word", &"00".repeat(32));
    assert_eq!(forged.send(&one).await.status, 200);

    // Another hub's key: neither the database nor the other front-ends take it for one of theirs.
    let dir = tempfile::tempdir().expect("a directory");
    let database = Database::in_file(&one.dir.path().join("database")).expect("an address");
    let refused = front_end(&dir, &database, Tls::Off, false).await.map(drop).expect_err("refuses");
    assert!(matches!(refused, StartError::Database(_)), "{refused}");
    one.hub.shutdown().await;
    other.hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_front_end_keeps_the_chunks_and_none_is_on_a_file() {
    let Some(server) = Postgres::start() else { return };
    let (one, other) = two(&server, Tls::Off).await;
    let dir = tempfile::tempdir().expect("a directory");
    copy_identity(one.dir.path(), dir.path());
    let database = Database::in_file(&one.dir.path().join("database")).expect("an address");
    let refused = front_end(&dir, &database, Tls::Off, true).await.map(drop).expect_err("refuses");
    let StartError::NotEntered(NotEntered::ChunksKept(Some(address))) = &refused else {
        panic!("{refused:?}")
    };
    assert_eq!(*address, one.hub.front_end_addr.expect("listens").to_string());

    let dir = tempfile::tempdir().expect("a directory");
    let listen = "127.0.0.1:0".parse().expect("an address");
    let front_end = Some(FrontEndConfig { listen, address: None, keeps_chunks: true });
    let alone = Hub::start(HubConfig { front_end, ..config(&dir, Tls::Off) }).await;
    let alone = alone.map(drop).expect_err("refuses");
    assert!(matches!(alone, StartError::NotEntered(NotEntered::NotShared)), "{alone}");
    one.hub.shutdown().await;
    other.hub.shutdown().await;
}
