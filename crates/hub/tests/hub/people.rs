//! People: handles, logins, devices, and what becomes of who is not on a list.

use std::collections::BTreeMap;

use documents::{ExchangeKey, NodeKey, SessionProof};
use hub::{Role, Tls};
use hub_api::{Base64Bytes, Hex};
use people::{Device, Devices, Handle, Known};
use serde_json::{Value, json};

use crate::ask::{Answer, Ask};
use crate::raw::token;
use crate::scene::{Scene, now};

pub(crate) const PASSWORD: &str = "correct horse";

/// A device of somebody: a key, and a session while its account is in force.
pub(crate) struct DeviceOf {
    pub(crate) key: NodeKey,
    pub(crate) token: String,
}

pub(crate) fn key(number: u8) -> NodeKey {
    NodeKey::from_secret_bytes([number; 32])
}

pub(crate) fn hex(key: &NodeKey) -> String {
    Hex(*key.public().as_bytes()).to_string()
}

fn devices(numbers: &[u8]) -> BTreeMap<documents::PublicKey, Device> {
    let one = |number: &u8| {
        let exchange = ExchangeKey::derive(&key(*number)).public();
        (key(*number).public(), Device { exchange, name: format!("device {number}"), since: 7 })
    };
    numbers.iter().map(one).collect()
}

/// A first list with these devices, signed by the first of them.
pub(crate) fn first_list(handle: &str, numbers: &[u8]) -> Vec<u8> {
    let handle: Handle = handle.parse().expect("a handle");
    let signer = key(numbers[0]);
    let devices = devices(numbers);
    Devices { handle, number: 1, previous: None, issued: now(), devices, signer: signer.public() }
        .sign(&signer)
}

fn text(bytes: &[u8]) -> String {
    Base64Bytes(bytes.to_vec()).to_string()
}

impl DeviceOf {
    pub(crate) async fn ask(&self, scene: &Scene, method: &str, path: &str) -> Answer {
        Ask::new(method, path).token(&self.token).send(scene).await
    }

    pub(crate) async fn send(
        &self,
        scene: &Scene,
        method: &str,
        path: &str,
        body: &Value,
    ) -> Answer {
        Ask::new(method, path).token(&self.token).json(body).send(scene).await
    }

    /// The list after the newest one, with these devices.
    pub(crate) async fn put_devices(&self, scene: &Scene, numbers: &[u8]) -> Answer {
        let me = self.ask(scene, "GET", "/v1/me").await.json();
        let handle: Handle = me["handle"].as_str().expect("a text").parse().expect("a handle");
        let lists: Vec<Base64Bytes> =
            serde_json::from_value(me["lists"].clone()).expect("signed lists");
        let known = Known::chain(&handle, lists.iter().map(|list| &list.0[..])).expect("a chain");
        let next = known.successor(devices(numbers), self.key.public(), now()).sign(&self.key);
        self.send(scene, "PUT", "/v1/me/devices", &json!({ "devices": text(&next) })).await
    }
}

pub(crate) async fn register(
    scene: &Scene,
    device: &DeviceOf,
    handle: &str,
    list: &[u8],
) -> Answer {
    let body = json!({
        "handle": handle, "password": PASSWORD, "devices": text(list),
        "details": { "first_name": "First", "last_name": "Last", "email": "a@example.org" },
    });
    device.send(scene, "POST", "/v1/people", &body).await
}

/// An account with the key of this number that is no person's.
pub(crate) async fn account(scene: &Scene, number: u8) -> DeviceOf {
    let person = scene.person(number, Role::Reader, &[]).await;
    let token = token(scene, &person);
    DeviceOf { key: person.key, token }
}

/// A person whose first device has the key of this number.
pub(crate) async fn person(scene: &Scene, handle: &str, number: u8) -> DeviceOf {
    let device = account(scene, number).await;
    let made = register(scene, &device, handle, &first_list(handle, &[number])).await;
    assert_eq!(made.status, 201, "{made:?}");
    device
}

/// What a login is answered.
pub(crate) async fn log_in(scene: &Scene, handle: &str, password: &str, number: u8) -> Answer {
    let body = login_body(scene, handle, password, number).await;
    Ask::new("POST", "/v1/logins").json(&body).send(scene).await
}

/// A login with a fresh proof of the key.
async fn login_body(scene: &Scene, handle: &str, password: &str, number: u8) -> Value {
    let key = key(number);
    let public = hex(&key);
    let asked = Ask::new("POST", "/v1/sessions/challenge").json(&json!({ "key": public }));
    let challenge = asked.send(scene).await.json();
    let challenge: Hex<32> =
        serde_json::from_value(challenge["challenge"].clone()).expect("a challenge");
    // In plain HTTP a hub has no identity.
    let proof = SessionProof { hub: [0; 32], challenge: challenge.0, key: key.public() }.sign(&key);
    json!({
        "handle": handle, "password": password,
        "session": { "key": public, "proof": text(&proof) },
    })
}

/// A device that logged in and stands on no list.
pub(crate) async fn device(scene: &Scene, handle: &str, number: u8) -> DeviceOf {
    let answer = log_in(scene, handle, PASSWORD, number).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let token = answer.json()["token"].as_str().expect("a token").to_owned();
    DeviceOf { key: key(number), token }
}

fn problem(answer: &Answer) -> (u16, String) {
    answer.problem()
}

fn is(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handle_is_registered_once_with_the_callers_device() {
    let scene = Scene::start(Tls::Off).await;
    let anna = account(&scene, 1).await;
    let refused =
        async |handle: &str, list: &[u8]| problem(&register(&scene, &anna, handle, list).await);
    let list = first_list("anna", &[1]);
    assert_eq!(refused("Anna", &list).await, is(400, "malformed-request"));
    for list in [first_list("anna", &[2]), first_list("anna", &[1, 2]), first_list("ben", &[1])] {
        assert_eq!(refused("anna", &list).await, is(422, "document-refused"));
    }
    let short = json!({ "handle": "anna", "password": "1234567", "devices": text(&list) });
    let short = anna.send(&scene, "POST", "/v1/people", &short).await;
    assert_eq!(problem(&short), is(400, "malformed-request"));
    assert_eq!(problem(&anna.ask(&scene, "GET", "/v1/me").await), is(403, "person-required"));

    let made = register(&scene, &anna, "anna", &list).await;
    assert_eq!(made.status, 201, "{made:?}");
    let me = anna.ask(&scene, "GET", "/v1/me").await.json();
    assert_eq!((&me["handle"], &me["details"]["email"]), (&json!("anna"), &json!("a@example.org")));
    assert_eq!((&me["lists"], &me["unlisted"]), (&json!([text(&list)]), &json!([])));
    assert_eq!(refused("annb", &first_list("annb", &[1])).await, is(403, "forbidden"));
    let ben = account(&scene, 2).await;
    let taken = register(&scene, &ben, "anna", &first_list("anna", &[2])).await;
    assert_eq!(problem(&taken), is(409, "handle-taken"));

    let long = json!({ "details": { "first_name": "x".repeat(129) } });
    let refused = anna.send(&scene, "PUT", "/v1/me", &long).await;
    assert_eq!(problem(&refused), is(400, "malformed-request"));
    let named = anna
        .send(
            &scene,
            "PUT",
            "/v1/me",
            &json!({ "details": { "first_name": "Anna", "email": "a@example.org" } }),
        )
        .await;
    assert_eq!(named.status, 204);
    register(&scene, &ben, "ben", &first_list("ben", &[2])).await;
    let card = ben.ask(&scene, "GET", "/v1/people/anna").await.json();
    assert_eq!((&card["first_name"], &card["lists"]), (&json!("Anna"), &json!([text(&list)])));
    assert!(card.get("email").is_none() && card.get("address").is_none(), "{card}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_mail_address_takes_the_password_which_a_stolen_device_does_not_have() {
    let scene = Scene::start(Tls::Off).await;
    let anna = person(&scene, "anna", 1).await;
    let change = async |password: Option<&str>, email: &str| {
        let mut body = json!({ "details": { "first_name": "Anna", "email": email } });
        if let Some(password) = password {
            body["password"] = json!(password);
        }
        anna.send(&scene, "PUT", "/v1/me", &body).await
    };
    let email = async || anna.ask(&scene, "GET", "/v1/me").await.json()["details"]["email"].clone();
    let before = email().await;
    for password in [None, Some("wrong horse")] {
        let refused = change(password, "thief@example.org").await;
        assert_eq!(problem(&refused), is(403, "login-refused"), "{password:?}");
        assert_eq!(email().await, before);
    }
    assert_eq!(change(Some(PASSWORD), "b@example.org").await.status, 204);
    assert_eq!(email().await, "b@example.org");
    assert_eq!(change(None, "b@example.org").await.status, 204, "it stays");
    // A wrong one counts among the failed logins.
    for _ in 0..3 {
        change(Some("wrong horse"), "c@example.org").await;
    }
    let refused = change(Some(PASSWORD), "c@example.org").await;
    assert!(matches!(refused.status, 403 | 429), "{refused:?}");
    assert_eq!(email().await, "b@example.org");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_knows_the_password_alone_sees_nothing_until_a_device_signs_it_in() {
    let scene = Scene::start(Tls::Off).await;
    let anna = person(&scene, "anna", 1).await;
    person(&scene, "ben", 2).await;
    let thief = device(&scene, "anna", 3).await;
    let me = thief.ask(&scene, "GET", "/v1/me").await.json();
    assert_eq!(me["details"]["email"], json!(""), "no details");
    for (method, path) in [("GET", "/v1/people/ben"), ("PUT", "/v1/me"), ("PUT", "/v1/me/password")]
    {
        let body = json!({ "old": PASSWORD, "new": "another one" });
        let answer = thief.send(&scene, method, path, &body).await;
        assert_eq!(problem(&answer), is(403, "person-required"), "{method} {path}");
    }
    let own = format!("/v1/me/devices/{}", hex(&anna.key));
    assert_eq!(problem(&thief.ask(&scene, "DELETE", &own).await), is(403, "person-required"));
    // It cannot sign itself in, with a list of its own or in the name of another.
    let refused = thief.put_devices(&scene, &[1, 3]).await;
    assert_eq!(problem(&refused), is(422, "document-refused"));

    let seen = anna.ask(&scene, "GET", "/v1/me").await.json();
    assert_eq!(seen["unlisted"][0]["key"], json!(hex(&thief.key)));
    let theirs = format!("/v1/me/devices/{}", hex(&thief.key));
    assert_eq!(anna.ask(&scene, "DELETE", &theirs).await.status, 204);
    assert_eq!(anna.ask(&scene, "DELETE", &theirs).await.status, 404);
    assert_eq!(anna.ask(&scene, "DELETE", &own).await.status, 404, "it is on the list");
    assert_eq!(problem(&thief.ask(&scene, "GET", "/v1/me").await), is(403, "not-registered"));
    let again = log_in(&scene, "anna", PASSWORD, 3).await;
    assert_eq!(problem(&again), is(403, "login-refused"), "a revoked key stays out");

    // One that is signed in sees what the others see, and may leave the first one out.
    let phone = device(&scene, "anna", 4).await;
    assert_eq!(anna.put_devices(&scene, &[1, 4]).await.status, 204);
    let me = phone.ask(&scene, "GET", "/v1/me").await.json();
    assert_eq!((&me["details"]["email"], &me["unlisted"]), (&json!("a@example.org"), &json!([])));
    let stranger = anna.put_devices(&scene, &[1, 4, 2]).await;
    assert_eq!(problem(&stranger), is(422, "document-refused"), "ben's device");
    assert_eq!(phone.put_devices(&scene, &[4]).await.status, 204);
    assert_eq!(problem(&anna.ask(&scene, "GET", "/v1/me").await), is(403, "not-registered"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_follows_the_newest_one() {
    let scene = Scene::start(Tls::Off).await;
    let anna = person(&scene, "anna", 1).await;
    let again = json!({ "devices": text(&first_list("anna", &[1])) });
    let refused = anna.send(&scene, "PUT", "/v1/me/devices", &again).await;
    assert_eq!(problem(&refused), is(409, "person-conflict"));
    let garbage = json!({ "devices": text(b"no list") });
    let refused = anna.send(&scene, "PUT", "/v1/me/devices", &garbage).await;
    assert_eq!(problem(&refused), is(422, "document-refused"));
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_are_tried_three_times_and_nobody_learns_which_handles_there_are() {
    let scene = Scene::start(Tls::Off).await;
    let anna = person(&scene, "anna", 1).await;
    for _ in 0..3 {
        let wrong = log_in(&scene, "anna", "wrong horse", 3).await;
        let nobody = log_in(&scene, "nobody", "wrong horse", 3).await;
        assert_eq!(wrong.json(), nobody.json(), "word for word");
        assert_eq!((wrong.status, wrong.header("retry-after")), (403, ""));
    }
    for handle in ["anna", "nobody"] {
        let refused = log_in(&scene, handle, PASSWORD, 3).await;
        assert_eq!(problem(&refused), is(403, "login-refused"));
        let seconds: u64 = refused.header("retry-after").parse().expect("a number");
        assert!((3500..=3600).contains(&seconds), "{seconds}");
    }
    // Who is in stays in, and changing the password counts as trying one.
    assert_eq!(anna.ask(&scene, "GET", "/v1/me").await.status, 200);
    let change = json!({ "old": PASSWORD, "new": "another horse" });
    let refused = anna.send(&scene, "PUT", "/v1/me/password", &change).await;
    assert_eq!(problem(&refused), is(403, "login-refused"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_network_locks_no_other_one_out() {
    let (dir, proxy) = (tempfile::tempdir().expect("a directory"), [127, 0, 0, 1].into());
    let config =
        hub::HubConfig { trusted_proxies: vec![proxy], ..crate::scene::config(&dir, Tls::Off) };
    let hub = hub::Hub::start(config).await.expect("starts");
    let scene = Scene { dir, hub };
    person(&scene, "anna", 1).await;
    let from = async |address: &str, password: &str| {
        let body = login_body(&scene, "anna", password, 3).await;
        let ask = Ask::new("POST", "/v1/logins").header("X-Forwarded-For", address).json(&body);
        ask.send(&scene).await.status
    };
    for host in ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"] {
        assert_eq!(from(host, "wrong horse").await, 403);
    }
    assert_eq!(from("192.0.2.5", PASSWORD).await, 403, "its neighbours tried");
    assert_eq!(from("198.51.100.1", PASSWORD).await, 200);
    assert_eq!(
        from("192.0.2.5", PASSWORD).await,
        403,
        "the other network's success changes nothing"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_ends_the_devices_that_nobody_signed_in() {
    let scene = Scene::start(Tls::Off).await;
    let anna = person(&scene, "anna", 1).await;
    let thief = device(&scene, "anna", 3).await;
    let change = async |old: &str, new: &str| {
        let body = json!({ "old": old, "new": new });
        anna.send(&scene, "PUT", "/v1/me/password", &body).await.status
    };
    assert_eq!(change(PASSWORD, "short").await, 400);
    assert_eq!(change("wrong horse", "another horse").await, 403);
    assert_eq!(change(PASSWORD, "another horse").await, 204);
    assert_eq!(problem(&thief.ask(&scene, "GET", "/v1/me").await), is(403, "not-registered"));
    assert_eq!(log_in(&scene, "anna", PASSWORD, 4).await.status, 403);
    assert_eq!(log_in(&scene, "anna", "another horse", 4).await.status, 200);
    assert_eq!(anna.ask(&scene, "GET", "/v1/me").await.status, 200, "a listed one stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_is_good_for_one_try_of_a_password() {
    let scene = Scene::start(Tls::Off).await;
    person(&scene, "anna", 1).await;
    let mut body = login_body(&scene, "anna", "wrong horse", 3).await;
    let ask = async |body: &Value| Ask::new("POST", "/v1/logins").json(body).send(&scene).await;
    assert_eq!(problem(&ask(&body).await), is(403, "login-refused"));
    body["password"] = json!(PASSWORD);
    assert_eq!(problem(&ask(&body).await), is(401, "proof-refused"));
    // Nor may somebody log in a key that is not theirs.
    let mut other = login_body(&scene, "anna", PASSWORD, 3).await;
    other["session"]["key"] = json!(hex(&key(4)));
    assert_eq!(problem(&ask(&other).await), is(401, "proof-refused"));
}

#[tokio::test(flavor = "multi_thread")]
async fn handles_cannot_be_tried_one_after_another() {
    let scene = Scene::start(Tls::Off).await;
    let anna = person(&scene, "anna", 1).await;
    let ben = person(&scene, "ben", 2).await;
    for number in 0..100 {
        let path = format!("/v1/people/nobody{number}");
        assert_eq!(anna.ask(&scene, "GET", &path).await.status, 404);
    }
    let refused = anna.ask(&scene, "GET", "/v1/people/nobody").await;
    assert_eq!(problem(&refused), is(429, "too-many-requests"));
    assert!(refused.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds > 3000));
    // Who is somebody is found all the same, and others may ask.
    assert_eq!(anna.ask(&scene, "GET", "/v1/people/ben").await.status, 200);
    assert_eq!(ben.ask(&scene, "GET", "/v1/people/nobody").await.status, 404);
    let account = account(&scene, 5).await;
    let refused = account.ask(&scene, "GET", "/v1/people/ben").await;
    assert_eq!(problem(&refused), is(403, "person-required"), "people ask for people");
}
