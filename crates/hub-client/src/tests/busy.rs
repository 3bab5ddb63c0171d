//! A hub that says that it is busy.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use documents::NodeKey;
use hub_api::{Problem, ProblemCode, UploadResponse};
use hyper::Response;
use hyper::header::RETRY_AFTER;
use tokio::time::Instant;

use super::server::{Script, Server, frame_of, json, problem};
use crate::{Activity, ClientError, HubClient, Pin};

fn busy(retry_after: &'static str) -> Response<Script> {
    let mut refused = problem(&Problem::new(ProblemCode::Unavailable, "too many transfers"));
    refused.headers_mut().insert(RETRY_AFTER, retry_after.try_into().expect("a value"));
    refused
}

/// Refuses the first `refusals` requests.
async fn busy_at_first(refusals: usize, retry_after: &'static str) -> Server {
    let count = AtomicUsize::new(0);
    Server::plain(move |_| {
        if count.fetch_add(1, SeqCst) < refusals {
            return busy(retry_after);
        }
        json(&UploadResponse { stored: 1, known: 0 })
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn a_busy_hub_is_asked_again_when_it_said() {
    let server = busy_at_first(2, "7").await;
    let activity = Arc::new(Activity::default());
    let client = server.client().with_activity(Arc::clone(&activity));
    let frame = frame_of(&[&[7; 100_000]]);
    let started = Instant::now();
    let uploading = tokio::spawn(async move { client.upload(vec![frame]).await });
    while activity.longest_wait().is_none_or(|call| call.next != "asks again") {
        tokio::task::yield_now().await;
    }
    let call = activity.longest_wait().expect("a call");
    assert_eq!((call.doing, call.waiting_for), ("upload chunks", "a turn at a busy hub"));

    let answer = uploading.await.expect("no panic").expect("is taken at last");
    assert_eq!(answer.stored, 1);
    let waited = started.elapsed();
    assert!((14..30).contains(&waited.as_secs()), "{waited:?}");
    assert_eq!(activity.longest_wait(), None);
    let seen = server.seen.lock().expect("no panic");
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|one| one.body == seen[0].body), "the same body each time");
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_stays_busy_is_given_up() {
    let server = busy_at_first(usize::MAX, "5").await;
    let started = Instant::now();
    let error = server.client().hub_info().await.expect_err("busy");
    assert_eq!(error.code(), Some(ProblemCode::Unavailable));
    assert!(error.is_retryable() && error.to_string().contains("too many transfers"), "{error}");
    assert_eq!(server.paths().len(), 5);
    let waited = started.elapsed();
    assert!((20..40).contains(&waited.as_secs()), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn long_pauses_and_none_are_not_waited_for() {
    for retry_after in ["3600", "soon"] {
        let server = busy_at_first(usize::MAX, retry_after).await;
        let error = server.client().hub_info().await.expect_err("busy");
        assert_eq!(error.code(), Some(ProblemCode::Unavailable));
        assert_eq!(server.paths().len(), 1, "{retry_after}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_must_not_arrive_twice_is_not_sent_again() {
    let server = busy_at_first(usize::MAX, "5").await;
    let key = NodeKey::from_secret_bytes([3; 32]);
    let client = HubClient::new(&server.url, Pin::None, Some(key)).expect("a url");
    let url = server.url.clone();
    let invitation = documents::Invitation { url, fingerprint: [0; 32], secret: [9; 16] };
    let error = client.register(&invitation).await.expect_err("busy");
    assert!(matches!(error, ClientError::Problem { status: 503, .. }), "{error}");
    assert_eq!(server.paths().len(), 1);
}
