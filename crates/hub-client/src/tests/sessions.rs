//! Sessions: opened, renewed, done without.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use documents::{Invitation, NodeKey, Registration, SessionProof};
use hub_api::{
    ChallengeRequest, ChallengeResponse, Hex, Hidden, NameInfo, Problem, ProblemCode,
    RegistrationRequest, RegistrationResponse, SessionRequest, SessionResponse, routes,
};
use hyper::Response;

use super::server::{Script, Seen, Server, json, name, problem};
use crate::{ClientError, HubClient, Pin};

fn key() -> NodeKey {
    NodeKey::from_secret_bytes([3; 32])
}

fn client(server: &Server) -> HubClient {
    HubClient::new(&server.url, Pin::None, Some(key())).expect("a url")
}

fn info() -> NameInfo {
    let name = name().to_string();
    NameInfo { name, public: true, publisher: Hex([1; 32]), latest: None }
}

/// The session routes of a hub whose `n`-th token is `[n]`.
fn session(seen: &Seen, opened: &AtomicUsize) -> Option<Response<Script>> {
    match &*seen.path {
        routes::SESSION_CHALLENGE => {
            let asked: ChallengeRequest = serde_json::from_slice(&seen.body).expect("a request");
            assert_eq!(asked.key.0, *key().public().as_bytes());
            Some(json(&ChallengeResponse { challenge: Hex([5; 32]) }))
        }
        routes::SESSIONS => {
            let asked: SessionRequest = serde_json::from_slice(&seen.body).expect("a request");
            let proof = SessionProof::open(&asked.proof.0, &key().public()).expect("a proof");
            assert_eq!((proof.hub, proof.challenge), ([0; 32], [5; 32]));
            let number = opened.fetch_add(1, SeqCst) + 1;
            let token = Hidden(vec![u8::try_from(number).expect("few")].into());
            let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
            Some(json(&SessionResponse { token, expires: now.as_secs() + 600, clients: None }))
        }
        _ => None,
    }
}

/// The number of the session a request was made in.
fn number(seen: &Seen) -> u8 {
    let token = seen.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
    token.expect("a token").parse::<hub_api::Base64Bytes>().expect("base64").0[0]
}

#[tokio::test]
async fn one_session_serves_many_calls_and_is_renewed_once_when_refused() {
    let opened = AtomicUsize::new(0);
    let server = Server::plain(move |seen| {
        session(seen, &opened).unwrap_or_else(|| match number(seen) {
            1 if seen.method == hyper::Method::PUT => {
                problem(&Problem::new(ProblemCode::SessionExpired, "restarted"))
            }
            _ => json(&info()),
        })
    })
    .await;
    let client = client(&server);
    let name = name();
    let (first, second) = tokio::join!(client.put_name(&name, true), client.put_name(&name, true));
    first.expect("after a renewal");
    second.expect("after the same renewal, or in its session");
    client.name_info(&name).await.expect("an answer");
    let opened = server.paths().iter().filter(|path| *path == "POST /v1/sessions").count();
    assert_eq!(opened, 2, "{:?}", server.paths());
}

#[tokio::test]
async fn a_hub_that_refuses_every_session_is_not_asked_for_ever() {
    let opened = AtomicUsize::new(0);
    let server = Server::plain(move |seen| {
        session(seen, &opened).unwrap_or_else(|| {
            problem(&Problem::new(ProblemCode::SessionExpired, "never good enough"))
        })
    })
    .await;
    let error = client(&server).put_name(&name(), true).await.expect_err("refused");
    assert_eq!(error.code(), Some(ProblemCode::SessionExpired));
    let calls = server.paths().iter().filter(|path| path.starts_with("PUT")).count();
    assert_eq!(calls, 2);
}

#[tokio::test(start_paused = true)]
async fn a_session_is_renewed_before_it_ends() {
    let opened = AtomicUsize::new(0);
    let server =
        Server::plain(move |seen| session(seen, &opened).unwrap_or_else(|| json(&info()))).await;
    let client = client(&server);
    client.name_info(&name()).await.expect("an answer");
    tokio::time::advance(Duration::from_secs(530)).await;
    client.name_info(&name()).await.expect("an answer");
    tokio::time::advance(Duration::from_secs(20)).await;
    client.name_info(&name()).await.expect("an answer");
    let seen = server.seen.lock().expect("no panic");
    let calls = seen.iter().filter(|seen| seen.path.starts_with("/v1/names"));
    assert_eq!(calls.map(number).collect::<Vec<_>>(), [1, 1, 2]);
}

#[tokio::test]
async fn an_unknown_key_reads_what_is_public_until_it_is_registered() {
    let (opened, registered) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let server = Server::plain(move |seen| {
        if seen.path == routes::REGISTRATIONS {
            let asked: RegistrationRequest = serde_json::from_slice(&seen.body).expect("json");
            let proof = Registration::open(&asked.proof.0, &key().public()).expect("a proof");
            assert_eq!((proof.secret, asked.secret.0.0), ([9; 16], [9; 16]));
            registered.store(1, SeqCst);
            return json(&RegistrationResponse { handle: "amber".into() });
        }
        if seen.path == routes::SESSION_CHALLENGE && registered.load(SeqCst) == 0 {
            return problem(&Problem::new(ProblemCode::NotRegistered, "who?"));
        }
        session(seen, &opened).unwrap_or_else(|| {
            assert_eq!(seen.header("authorization").is_some(), registered.load(SeqCst) == 1);
            json(&info())
        })
    })
    .await;
    let client = client(&server);
    client.name_info(&name()).await.expect("public");
    client.name_info(&name()).await.expect("public");
    assert_eq!(server.paths().len(), 3, "the hub is asked for a session once");
    let error = client.put_name(&name(), true).await.expect_err("not registered");
    assert_eq!(error.code(), Some(ProblemCode::NotRegistered));

    let invitation = Invitation { url: server.url.clone(), fingerprint: [0; 32], secret: [9; 16] };
    assert_eq!(client.register(&invitation).await.expect("registered"), "amber");
    client.put_name(&name(), true).await.expect("registered");
}

#[tokio::test]
async fn a_client_without_a_key_asks_for_no_session() {
    let server = Server::plain(|seen| {
        assert_eq!(seen.header("authorization"), None);
        json(&info())
    })
    .await;
    assert_eq!(server.client().name_info(&name()).await.expect("public"), info());
    assert_eq!(server.paths(), ["GET /v1/names/team/tools"]);
    let invitation = Invitation { url: String::new(), fingerprint: [0; 32], secret: [9; 16] };
    let error = server.client().register(&invitation).await.expect_err("no key");
    assert!(matches!(error, ClientError::Protocol { .. }), "{error:?}");
}
