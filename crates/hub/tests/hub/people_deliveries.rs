//! Deliveries that are addressed to people: who is let in, what is noted, who is told.

use std::time::Duration;

use bytes::Bytes;
use hub::{Hub, HubConfig, Role, Tls};
use hub_api::{Base64Bytes, DeliveryParty, DeliveryVerified, Hex};
use hub_client::{HubClient, Pin};
use hub_db::{Addressed as _, DeliveryNote, DeliveryState, SqliteDb};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::time::{sleep, timeout};

use crate::ask::Answer;
use crate::people::{DeviceOf, device, hex, key, person};
use crate::raw::{PATIENCE, Wire, token};
use crate::scene::{self, Scene};

const TOKEN: [u8; 32] = [0x70; 32];

fn id(number: u8) -> String {
    Hex([number; 16]).to_string()
}

/// Of two segments.
pub(crate) const BYTES: u64 = (1 << 20) + 9;

fn token_hash() -> Hex<32> {
    Hex(*blake3::hash(&TOKEN).as_bytes())
}

/// A delivery of two segments with letters for devices with keys of these numbers.
fn addressed(to: &str, list: u64, devices: &[u8]) -> Value {
    let letter = |number: &u8| {
        let sealed = Base64Bytes(vec![*number; 80]).to_string();
        json!({ "key": hex(&key(*number)), "sealed": sealed })
    };
    json!({
        "to": to, "list": list, "letters": devices.iter().map(letter).collect::<Vec<_>>(),
        "segments": 2, "bytes": BYTES, "files": 1, "largest": 9, "recipient": token_hash(),
    })
}

pub(crate) async fn address(
    scene: &Scene,
    sender: &DeviceOf,
    number: u8,
    to: &str,
    device: u8,
) -> Answer {
    let path = format!("/v1/deliveries/{}/address", id(number));
    sender.send(scene, "PUT", &path, &addressed(to, 1, &[device])).await
}

pub(crate) async fn announce(scene: &Scene, sender: &DeviceOf, number: u8) -> Answer {
    let body = json!({ "segments": 2, "bytes": BYTES, "recipient": token_hash() });
    sender.send(scene, "PUT", &format!("/v1/deliveries/{}", id(number)), &body).await
}

async fn end(scene: &Scene, by: &DeviceOf, number: u8) -> u16 {
    let body = json!({ "reason": "enough" });
    by.send(scene, "DELETE", &format!("/v1/deliveries/{}", id(number)), &body).await.status
}

pub(crate) async fn put_book(
    scene: &Scene,
    owner: &DeviceOf,
    contacts: &[&str],
    blocked: &[&str],
) -> Answer {
    let number = owner.ask(scene, "GET", "/v1/me/book").await.json()["number"].as_u64();
    let book = json!({
        "number": number.expect("a number") + 1, "contacts": contacts, "blocked": blocked,
        "policy": "address-book",
    });
    owner.send(scene, "PUT", "/v1/me/book", &book).await
}

async fn newest(scene: &Scene, of: &DeviceOf, list: &str) -> Value {
    of.ask(scene, "GET", &format!("/v1/me/{list}")).await.json()["deliveries"][0].clone()
}

/// Waits until the newest delivery stands so.
async fn stands(scene: &Scene, of: &DeviceOf, list: &str, state: &str) -> Value {
    let waiting = async {
        loop {
            let delivery = newest(scene, of, list).await;
            if delivery["state"] == json!(state) {
                return delivery;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, waiting).await.expect("comes about")
}

fn is(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_waits_until_the_recipient_lets_them_in() {
    let scene = Scene::start(Tls::Off).await;
    let (anna, ben) = (person(&scene, "anna", 1).await, person(&scene, "ben", 2).await);
    let sent = address(&scene, &anna, 1, "ben", 2).await;
    assert_eq!((sent.status, &sent.json()["state"]), (201, &json!("pending-approval")));
    assert_eq!(address(&scene, &anna, 1, "ben", 2).await.status, 200, "the same again");
    let early = announce(&scene, &anna, 1).await;
    assert_eq!(early.problem(), is(409, "delivery-conflict"));
    let senders = ben.ask(&scene, "GET", "/v1/me/senders").await.json();
    let pending = &senders["senders"][0];
    assert_eq!((&pending["handle"], &pending["deliveries"]), (&json!("anna"), &json!(1)));
    let accept = json!({ "decision": "accept" });
    let decided = ben.send(&scene, "PUT", "/v1/me/senders/anna", &accept).await;
    assert_eq!(decided.status, 204);
    let again = ben.send(&scene, "PUT", "/v1/me/senders/anna", &accept).await;
    assert_eq!(again.status, 404, "nobody waits");
    let came = newest(&scene, &ben, "inbox").await;
    assert_eq!((&came["state"], &came["from"]), (&json!("waiting"), &json!("anna")));
    assert_eq!(came["letter"], json!(Base64Bytes(vec![2; 80]).to_string()));
    assert_eq!(newest(&scene, &anna, "outbox").await.get("letter"), None);
    assert_eq!(announce(&scene, &anna, 1).await.status, 201);

    // Only by the device that addressed it, and as it was addressed.
    let own = announce(&scene, &ben, 1).await;
    assert_eq!(own.problem(), is(409, "delivery-conflict"));
    let longer = json!({ "segments": 3, "bytes": BYTES, "recipient": token_hash() });
    let path = format!("/v1/deliveries/{}", id(1));
    let other = anna.send(&scene, "PUT", &path, &longer).await;
    assert_eq!(other.problem(), is(409, "delivery-conflict"));
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_are_for_the_devices_on_the_newest_list() {
    let scene = Scene::start(Tls::Off).await;
    let (anna, ben) = (person(&scene, "anna", 1).await, person(&scene, "ben", 2).await);
    device(&scene, "ben", 3).await;
    let send = async |body: Value| {
        let path = format!("/v1/deliveries/{}/address", id(1));
        anna.send(&scene, "PUT", &path, &body).await
    };
    for other in [addressed("ben", 1, &[2, 3]), addressed("ben", 2, &[2]), addressed("ben", 1, &[])]
    {
        assert_eq!(send(other).await.problem(), is(409, "person-conflict"));
    }
    assert_eq!(ben.put_devices(&scene, &[2, 3]).await.status, 204);
    assert_eq!(send(addressed("ben", 1, &[2])).await.problem(), is(409, "person-conflict"));
    assert_eq!(send(addressed("nobody", 1, &[2])).await.problem(), is(404, "not-found"));
    let mut long = addressed("ben", 2, &[2, 3]);
    long["letters"][0]["sealed"] = json!(Base64Bytes(vec![0; 81]).to_string());
    assert_eq!(send(long).await.problem(), is(400, "malformed-request"));
    assert_eq!(send(addressed("ben", 2, &[2, 3])).await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_blocked_learns_no_more_than_who_was_never_let_in() {
    let scene = Scene::start(Tls::Off).await;
    let (anna, ben) = (person(&scene, "anna", 1).await, person(&scene, "ben", 2).await);
    let carla = person(&scene, "carla", 3).await;
    let check = async |who: &DeviceOf| who.ask(&scene, "GET", "/v1/people/ben/check").await.json();
    assert_eq!(check(&anna).await, json!({ "answer": "pending-approval" }));
    address(&scene, &anna, 1, "ben", 2).await;
    assert_eq!(put_book(&scene, &ben, &["anna"], &["anna"]).await.status, 200);
    assert_eq!(newest(&scene, &anna, "outbox").await["state"], json!("terminated"));
    let blocked = address(&scene, &anna, 2, "ben", 2).await;
    let told = check(&anna).await;
    assert_eq!(told, json!({ "answer": "blocked" }));

    let block_all = json!({ "number": 2, "contacts": [], "blocked": [], "policy": "block-all" });
    assert_eq!(ben.send(&scene, "PUT", "/v1/me/book", &block_all).await.status, 200);
    let refused = address(&scene, &carla, 3, "ben", 2).await;
    assert_eq!(refused.problem(), is(403, "recipient-refuses"));
    assert_eq!(blocked.json(), refused.json(), "word for word");
    assert_eq!(check(&carla).await, told);
    let unknown = carla.ask(&scene, "GET", "/v1/people/nobody/check").await.json();
    assert_eq!(unknown, json!({ "answer": "unknown" }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_book_is_one_version_after_the_other_and_tells_who_is_nobody() {
    let scene = Scene::start(Tls::Off).await;
    let (anna, _) = (person(&scene, "anna", 1).await, person(&scene, "ben", 2).await);
    let kept = put_book(&scene, &anna, &["ben", "nobody"], &[]).await.json();
    assert_eq!(kept, json!({ "unknown": ["nobody"] }));
    let stale = json!({ "number": 1, "contacts": [], "blocked": [], "policy": "address-book" });
    let stale = anna.send(&scene, "PUT", "/v1/me/book", &stale).await;
    assert_eq!(stale.problem(), is(409, "person-conflict"));
    let book = anna.ask(&scene, "GET", "/v1/me/book").await.json();
    assert_eq!((&book["number"], &book["contacts"]), (&json!(1), &json!(["ben", "nobody"])));
    // Names are not tried by the hundred, and what is refused is not kept.
    let many: Vec<String> = (0..101).map(|number| format!("nobody{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let refused = put_book(&scene, &anna, &many, &[]).await;
    assert_eq!(refused.problem(), is(429, "too-many-requests"));
    let same = put_book(&scene, &anna, &["ben", "nobody"], &[]).await;
    assert_eq!(same.status, 200, "what was there before counts no more");
    let bad = put_book(&scene, &anna, &["Not A Handle"], &[]).await;
    assert_eq!(bad.problem(), is(400, "malformed-request"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_is_noted_and_waits_again_after_a_restart() {
    let Scene { dir, hub } = Scene::start(Tls::Off).await;
    let scene = Scene { dir, hub };
    let (anna, ben) = (person(&scene, "anna", 1).await, person(&scene, "ben", 2).await);
    put_book(&scene, &ben, &["anna"], &[]).await;
    assert_eq!(address(&scene, &anna, 1, "ben", 2).await.json()["state"], json!("waiting"));
    assert_eq!(announce(&scene, &anna, 1).await.status, 201);
    let recipient = scene.anonymous();
    let stream = recipient.delivery_segments([1; 16], &TOKEN, 0).await.expect("opens");
    stands(&scene, &anna, "outbox", "running").await;
    drop(stream);

    let Scene { dir, hub } = scene;
    hub.shutdown().await;
    let hub = Hub::start(scene::config(&dir, Tls::Off)).await.expect("starts");
    let scene = Scene { dir, hub };
    assert_eq!(newest(&scene, &anna, "outbox").await["state"], json!("waiting"));
    assert_eq!(announce(&scene, &anna, 1).await.status, 201);
    let recipient = scene.anonymous();
    let sender = HubClient::new(&scene.hub.url, Pin::None, Some(key(1))).expect("a client");
    let mut stream = recipient.delivery_segments([1; 16], &TOKEN, 0).await.expect("opens");
    for number in 0..2 {
        let taken = sender.put_segment([1; 16], number, Bytes::from_static(b"bytes")).await;
        assert!(taken.expect("answers").taken);
        timeout(PATIENCE, stream.next()).await.expect("in time").expect("reads");
    }
    let receipt = Some(Base64Bytes(b"signed".to_vec()));
    let verified = DeliveryVerified { segments: 2, receipt };
    recipient.delivery_verified([1; 16], &TOKEN, &verified).await.expect("is told");
    let received = newest(&scene, &ben, "inbox").await;
    assert_eq!((&received["state"], &received["verified"]), (&json!("received"), &json!(2)));
    assert_eq!(received.get("letter"), None, "nothing opens it any more");
    assert_eq!(end(&scene, &anna, 1).await, 204);
    assert_eq!(newest(&scene, &ben, "inbox").await["state"], json!("received"), "it was through");
    assert_eq!(announce(&scene, &anna, 1).await.problem(), is(409, "delivery-conflict"));
}

#[tokio::test(flavor = "multi_thread")]
async fn any_listed_device_of_both_ends_a_delivery_and_nobody_else() {
    let scene = Scene::start(Tls::Off).await;
    let (anna, ben) = (person(&scene, "anna", 1).await, person(&scene, "ben", 2).await);
    let (carla, thief) = (person(&scene, "carla", 3).await, device(&scene, "ben", 4).await);
    put_book(&scene, &ben, &["anna"], &[]).await;
    address(&scene, &anna, 1, "ben", 2).await;
    announce(&scene, &anna, 1).await;
    assert_eq!(end(&scene, &carla, 1).await, 404);
    assert_eq!(end(&scene, &thief, 1).await, 404, "it stands on no list");
    let inbox = thief.ask(&scene, "GET", "/v1/me/inbox").await;
    assert_eq!(inbox.problem(), is(403, "person-required"));
    assert_eq!(end(&scene, &ben, 1).await, 204);
    let ended = newest(&scene, &anna, "outbox").await;
    assert_eq!(ended["ended"], json!({ "by": "recipient", "reason": "enough" }));
    let path = format!("/v1/deliveries/{}", id(1));
    let live = anna.ask(&scene, "GET", &path).await.json();
    assert_eq!(live["ended"]["by"], json!("recipient"), "and the sender is told at once");
    // One that never ran ends as well, by its sender.
    address(&scene, &anna, 2, "ben", 2).await;
    assert_eq!(end(&scene, &anna, 2).await, 204);
    assert_eq!(end(&scene, &anna, 2).await, 204, "again");
    assert_eq!(newest(&scene, &ben, "inbox").await["ended"]["by"], json!("sender"));
}

#[tokio::test(flavor = "multi_thread")]
async fn administrators_see_what_is_addressed_and_end_it() {
    let scene = Scene::start(Tls::Off).await;
    let (anna, ben) = (person(&scene, "anna", 1).await, person(&scene, "ben", 2).await);
    let administrator = scene.person(9, Role::Administrator, &[]).await;
    let administrator = DeviceOf { token: token(&scene, &administrator), key: administrator.key };
    put_book(&scene, &ben, &["anna"], &[]).await;
    for number in [1, 2] {
        address(&scene, &anna, number, "ben", 2).await;
    }
    announce(&scene, &anna, 2).await;
    assert_eq!(end(&scene, &anna, 1).await, 204);
    let listed = async |of: &DeviceOf, query: &str| {
        of.ask(&scene, "GET", &format!("/v1/deliveries?{query}")).await
    };
    let waits = listed(&administrator, "limit=9").await.json();
    assert_eq!(waits["deliveries"].as_array().map(Vec::len), Some(1), "{waits}");
    let one = &waits["deliveries"][0];
    assert_eq!((&one["from"], &one["to"]), (&json!("anna"), &json!("ben")));
    assert!(one.get("letter").is_none_or(Value::is_null), "what opens it is for Ben's devices");
    let page = listed(&administrator, "over=true&limit=1").await.json();
    let before = page["next"].as_u64().expect("there is one more");
    let older = listed(&administrator, &format!("over=true&before={before}")).await.json();
    assert_eq!(older["deliveries"][0]["ended"]["by"], json!("sender"), "{older}");
    assert_eq!(listed(&anna, "").await.problem(), is(403, "forbidden"));

    assert_eq!(end(&scene, &administrator, 2).await, 204);
    assert_eq!(end(&scene, &administrator, 2).await, 204, "again");
    for (of, list) in [(&anna, "outbox"), (&ben, "inbox")] {
        let ended = newest(&scene, of, list).await;
        assert_eq!(ended["ended"], json!({ "by": "hub", "reason": "enough" }));
    }
    let live = anna.ask(&scene, "GET", &format!("/v1/deliveries/{}", id(2))).await.json();
    assert_eq!(live["ended"]["by"], json!("hub"), "the sender is told at once");
    let log = administrator.ask(&scene, "GET", "/v1/audit?limit=50").await.json();
    let acts = log["entries"].as_array().expect("a list");
    let ends = acts.iter().filter(|entry| entry["action"] == "end-delivery");
    assert_eq!(ends.count(), 1, "noted once: {log}");
    let accounts = administrator.ask(&scene, "GET", "/v1/accounts").await.json();
    let handles: Vec<_> =
        accounts["accounts"].as_array().expect("a list").iter().map(|one| &one["handle"]).collect();
    assert_eq!(handles, [&json!("anna"), &json!("ben"), &Value::Null]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_was_idle_for_the_window_ends_and_both_sides_are_told_why() {
    let dir = tempfile::tempdir().expect("a directory");
    let sweep_interval = Duration::from_millis(50);
    let hub = Hub::start(HubConfig { sweep_interval, ..scene::config(&dir, Tls::Off) }).await;
    let scene = Scene { dir, hub: hub.expect("starts") };
    let (anna, ben) = (person(&scene, "anna", 1).await, person(&scene, "ben", 2).await);
    put_book(&scene, &ben, &["anna"], &[]).await;
    for number in [1, 2] {
        address(&scene, &anna, number, "ben", 2).await;
        assert_eq!(announce(&scene, &anna, number).await.status, 201);
    }
    // It ran, Ben left, and Anna waits for him to come back.
    let recipient = scene.anonymous();
    let stream = recipient.delivery_segments([1; 16], &TOKEN, 0).await.expect("opens");
    ran(&scene, &anna, 1).await;
    drop(stream);
    drop(recipient);
    let sender = HubClient::new(&scene.hub.url, Pin::None, Some(key(1))).expect("a client");
    let waiting = async {
        let mut after = None;
        loop {
            let status = sender.delivery_status([1; 16], None, after).await.expect("answers");
            if status.ended.is_some() {
                return status;
            }
            after = Some(status.change);
        }
    };
    // In the database its last change is longer ago than the window.
    let aged = async {
        let db = SqliteDb::open(&scene.dir.path().join("hub.sqlite")).await.expect("opens");
        let note = DeliveryNote { state: DeliveryState::Waiting, verified: 0 };
        let long_ago = scene::now() - hub::DELIVERY_WINDOW_MAX.as_secs() - 1;
        db.note_delivery(&[1; 16], note, long_ago).await.expect("notes").expect("is there");
    };
    let (status, ()) = tokio::join!(timeout(PATIENCE, waiting), aged);
    let ended = status.expect("the sender is told").ended.expect("it ended");
    assert_eq!(ended.by, DeliveryParty::Hub);
    assert_eq!(ended.reason, "nothing happened to it for too long");
    let recipient = scene.anonymous();
    let told = recipient.delivery_status([1; 16], Some(&TOKEN), None).await.expect("answers");
    assert_eq!(told.ended, Some(ended), "and so is the recipient");
    let mut stream = recipient.delivery_segments([1; 16], &TOKEN, 0).await.expect("opens");
    assert!(stream.next().await.expect("ends").is_none(), "nothing comes any more");
    for (of, list) in [(&anna, "outbox"), (&ben, "inbox")] {
        let listed = of.ask(&scene, "GET", &format!("/v1/me/{list}")).await.json();
        let state = |number: u8| {
            let all = listed["deliveries"].as_array().expect("a list");
            all.iter().find(|it| it["delivery"] == json!(id(number))).expect("is listed")["state"]
                .clone()
        };
        assert_eq!((state(1), state(2)), (json!("removed"), json!("waiting")), "{listed}");
    }
    assert_eq!(announce(&scene, &anna, 1).await.problem(), is(409, "delivery-conflict"));
}

/// Waits until a delivery runs.
async fn ran(scene: &Scene, of: &DeviceOf, number: u8) {
    let running = async {
        loop {
            let listed = of.ask(scene, "GET", "/v1/me/outbox").await.json();
            let all = listed["deliveries"].as_array().expect("a list");
            let found = all.iter().find(|it| it["delivery"] == json!(id(number)));
            if found.expect("is listed")["state"] == json!("running") {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, running).await.expect("runs");
}

/// Reads a stream of events until it holds `text`; all that came.
async fn heard(stream: &mut Wire, heard: &mut Vec<u8>, text: &str) -> String {
    let hearing = async {
        loop {
            let all = String::from_utf8_lossy(heard).into_owned();
            if let Some(at) = all.find(text) {
                heard.drain(..at + text.len());
                return all;
            }
            let came = stream.0.read_buf(heard).await.expect("reads");
            assert_ne!(came, 0, "the stream goes on: {all}");
        }
    };
    timeout(PATIENCE, hearing).await.expect("hears of it")
}

async fn listen(scene: &Scene, device: &DeviceOf) -> Wire {
    let mut stream = Wire::connect(scene).await;
    let request = format!(
        "GET /v1/me/events HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer {}\r\n\r\n",
        device.token
    );
    stream.send(request.as_bytes()).await;
    assert!(stream.head().await.starts_with("HTTP/1.1 200"));
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn who_listens_is_online_and_is_told_what_is_new() {
    let scene = Scene::start(Tls::Off).await;
    let (anna, ben) = (person(&scene, "anna", 1).await, person(&scene, "ben", 2).await);
    put_book(&scene, &ben, &["anna"], &[]).await;
    let check = async |query: &str| {
        let path = format!("/v1/people/ben/check{query}");
        anna.ask(&scene, "GET", &path).await.json()["answer"].clone()
    };
    assert_eq!(check("").await, json!("never-online"));
    address(&scene, &anna, 1, "ben", 2).await;
    let mut of_anna = listen(&scene, &anna).await;
    let (mut to_anna, mut to_ben, mut to_thief) = (Vec::new(), Vec::new(), Vec::new());
    let everything = r#"{"news":["inbox","outbox","senders","devices","book"]}"#;
    let first = heard(&mut of_anna, &mut to_anna, everything).await;
    let told = "event: heart-beat\ndata: {\"interval_s\":";
    assert!(first.contains(told), "how long to wait is told first: {first}");

    let mut of_ben = listen(&scene, &ben).await;
    heard(&mut of_ben, &mut to_ben, everything).await;
    heard(&mut of_anna, &mut to_anna, r#"{"news":["outbox"]}"#).await;
    assert_eq!(check("").await, json!("ready"));
    let room = json!({ "free": 100, "largest": 50 });
    assert_eq!(ben.send(&scene, "PUT", "/v1/me/room", &room).await.status, 204);
    assert_eq!(check("?bytes=101").await, json!("disk-full"));
    assert_eq!(check("?bytes=100&largest=51").await, json!("file-too-large"));
    assert_eq!(check("?bytes=100&largest=50").await, json!("ready"));
    address(&scene, &anna, 2, "ben", 2).await;
    heard(&mut of_ben, &mut to_ben, r#"{"news":["inbox"]}"#).await;

    // Who only knows the password hears of lists alone, and of the rest once it stands on one.
    let thief = device(&scene, "ben", 4).await;
    heard(&mut of_ben, &mut to_ben, r#"{"news":["devices"]}"#).await;
    let mut of_thief = listen(&scene, &thief).await;
    heard(&mut of_thief, &mut to_thief, r#"{"news":["devices"]}"#).await;
    address(&scene, &anna, 3, "ben", 2).await;
    heard(&mut of_ben, &mut to_ben, r#"{"news":["inbox"]}"#).await;
    assert_eq!(ben.put_devices(&scene, &[2, 4]).await.status, 204);
    let before = heard(&mut of_thief, &mut to_thief, everything).await;
    assert!(!before.contains(r#""news":["inbox"]"#), "{before}");

    // The same device elsewhere; then nobody listens any more.
    let mut again = listen(&scene, &ben).await;
    heard(&mut of_ben, &mut to_ben, r#"{"news":["elsewhere"]}"#).await;
    heard(&mut of_ben, &mut to_ben, "\r\n0\r\n\r\n").await;
    assert_eq!(check("").await, json!("ready"));
    heard(&mut again, &mut Vec::new(), everything).await;
    drop((again, of_thief));
    let leaving = async {
        while check("").await != json!("offline") {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, leaving).await.expect("is seen");
}
