//! Answers that are wrong, too long, too slow or cut off, and the requests' own bodies.

use std::time::Duration;

use bytes::Bytes;
use content::{ChunkId, Frame};
use hub_api::{Hex, Problem, ProblemCode, UploadResponse, limits};
use hyper::header::LOCATION;
use tokio::sync::mpsc;

use super::server::{
    Script, Seen, Server, Step, bytes, frame_of, json, name, problem, script, stream_of,
};
use crate::{ClientError, WaitingFor};

async fn fetch(
    ids: &[ChunkId],
    answer: impl Fn(&Seen) -> hyper::Response<Script> + Send + Sync + 'static,
) -> (Result<Vec<ChunkId>, ClientError>, Vec<Frame>, usize) {
    let server = Server::plain(answer).await;
    let (sender, mut receiver) = mpsc::channel(16);
    let result = server.client().fetch_frames(ids, sender).await;
    let mut frames = Vec::new();
    while let Some(frame) = receiver.recv().await {
        frames.push(frame);
    }
    (result, frames, server.paths().len())
}

fn ids() -> [ChunkId; 3] {
    [ChunkId::of(b"one"), ChunkId::of(b"two"), ChunkId::of(b"three")]
}

fn two_frames() -> [Frame; 2] {
    [frame_of(&[b"one", b"beside"]), frame_of(&[b"three"])]
}

#[tokio::test]
async fn frames_arrive_and_what_is_lacking_is_said() {
    let (result, frames, _) = fetch(&ids(), |seen| {
        assert_eq!(seen.body, wire::IdList::encode_ids(&ids()));
        let end = wire::encode_end(&[ChunkId::of(b"two")]);
        let whole = [stream_of(&two_frames()), end].concat();
        script(whole.chunks(7).map(|part| Step::Send(Bytes::copy_from_slice(part))))
    })
    .await;
    assert_eq!(result.expect("a stream"), [ChunkId::of(b"two")]);
    assert_eq!(frames, two_frames());
}

#[tokio::test]
async fn a_stream_that_is_cut_off_gives_what_came_before_and_is_not_repeated() {
    for last in [Some(Step::Break), None] {
        let (result, frames, requests) = fetch(&ids(), move |_| {
            let whole = stream_of(&two_frames());
            let part = whole.slice(..whole.len() - 1);
            script(
                [Step::Send(part), Step::Wait(Duration::from_millis(20))]
                    .into_iter()
                    .chain(last.clone()),
            )
        })
        .await;
        let error = result.expect_err("cut off");
        assert!(matches!(error, ClientError::Interrupted { .. }), "{error:?}");
        assert!(error.is_retryable() && error.to_string().contains("/v1/chunks/fetch"), "{error}");
        assert_eq!(frames, two_frames()[..1]);
        assert_eq!(requests, 1);
    }
}

#[tokio::test]
async fn a_stream_that_never_ends_is_ended() {
    let (result, frames, _) =
        fetch(&ids(), |_| script([Step::Repeat(stream_of(&two_frames()))])).await;
    let error = result.expect_err("endless");
    assert!(error.to_string().contains("nothing is wanted"), "{error}");
    assert!(!error.is_retryable());
    assert_eq!(frames, two_frames());

    let (result, _, _) = fetch(&ids(), |_| script([Step::Repeat(b"nonsense"[..].into())])).await;
    assert!(matches!(result, Err(ClientError::Protocol { .. })), "{result:?}");
    let ended = [stream_of(&two_frames()), wire::encode_end(&[]), b"x"[..].into()].concat();
    let (result, _, _) = fetch(&ids(), move |_| bytes(ended.clone())).await;
    assert!(matches!(result, Err(ClientError::Protocol { .. })), "{result:?}");
}

#[tokio::test(start_paused = true)]
async fn a_slow_body_is_waited_for_and_a_silent_one_is_not() {
    let slow = |pause| {
        let stream = [stream_of(&two_frames()), wire::encode_end(&[])].concat();
        let steps = stream.chunks(60).map(Bytes::copy_from_slice).map(Step::Send);
        steps.flat_map(|step| [step, Step::Wait(Duration::from_secs(pause))]).collect::<Vec<_>>()
    };
    let started = tokio::time::Instant::now();
    let (result, frames, _) = fetch(&ids(), move |_| script(slow(25))).await;
    result.expect("slow is not wrong");
    assert_eq!(frames.len(), 2);
    assert!(started.elapsed() > Duration::from_secs(60));

    let (result, _, _) = fetch(&ids(), move |_| script(slow(31))).await;
    let error = result.expect_err("silent");
    let ClientError::TimedOut { waiting_for: WaitingFor::Body, after, .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(*after, Duration::from_secs(30));
    assert!(error.is_retryable());
}

#[tokio::test(start_paused = true)]
async fn a_body_that_trickles_is_not_waited_for_to_its_end() {
    let started = tokio::time::Instant::now();
    let (result, _, _) = fetch(&ids(), |_| {
        let stream = [stream_of(&two_frames()), wire::encode_end(&[])].concat();
        let bytes = stream.chunks(1).map(Bytes::copy_from_slice).map(Step::Send);
        script(bytes.flat_map(|byte| [byte, Step::Wait(Duration::from_secs(20))]))
    })
    .await;
    let error = result.expect_err("it takes an hour");
    let ClientError::TimedOut { waiting_for: WaitingFor::Body, after, .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(*after, Duration::from_mins(5));
    assert!(error.is_retryable());
    assert!(started.elapsed() < Duration::from_mins(6), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_full_channel_holds_the_answer_back_and_a_closed_one_ends_it() {
    let frames: Vec<Frame> =
        (0..12u8).map(|index| frame_of(&[&vec![index; 2 << 20], &[index; 9]])).collect();
    let wanted: Vec<ChunkId> = frames.iter().map(|frame| frame.entries()[0].id).collect();
    let answer = [stream_of(&frames), wire::encode_end(&[])].concat();
    let total = answer.len() as u64;
    let server = Server::plain(move |_| bytes(answer.clone())).await;
    let client = std::sync::Arc::new(server.client());
    let (sender, mut receiver) = mpsc::channel(1);
    let fetching = tokio::spawn({
        let client = std::sync::Arc::clone(&client);
        async move { client.fetch_frames(&wanted, sender).await }
    });
    assert_eq!(receiver.recv().await.as_ref(), frames.first());
    tokio::time::sleep(Duration::from_millis(200)).await;
    let received = client.bytes_on_wire().received;
    assert!(received < total / 2, "{received} of {total} bytes while nobody takes frames");
    drop(receiver);
    let result = fetching.await.expect("no panic");
    assert!(matches!(result, Err(ClientError::Abandoned { .. })), "{result:?}");
}

#[tokio::test]
async fn a_problem_keeps_its_code_and_the_missing_ids() {
    let server = Server::plain(|_| {
        let missing = vec![Hex(*ids()[1].as_bytes()), Hex(*ids()[2].as_bytes())];
        let mut refused = Problem::chunks_missing(missing);
        refused.detail = format!("\u{1b}[2J{}", "x".repeat(10_000));
        problem(&refused)
    })
    .await;
    let error = server.client().post_release(&name(), b"m", b"h").await.expect_err("refused");
    assert!(error.to_string().contains("/v1/names/team/tools/releases answers 409 chunks-missing"));
    assert!(!error.is_retryable());
    let ClientError::Problem { code, status, missing, detail, .. } = error else { panic!() };
    assert_eq!((code, status), (ProblemCode::ChunksMissing, 409));
    assert_eq!(missing, ids()[1..]);
    assert_eq!(detail.len(), 500, "bounded, and nothing a terminal would obey");
    assert!(!detail.contains('\u{1b}'));
}

#[tokio::test]
async fn what_is_no_hub_is_not_taken_for_one() {
    let server = Server::plain(|_| {
        let mut response = bytes("<html>Bad Gateway</html>");
        *response.status_mut() = hyper::StatusCode::BAD_GATEWAY;
        response
    })
    .await;
    let error = server.client().name_info(&name()).await.expect_err("a proxy");
    assert_eq!(error.code(), Some(ProblemCode::Unknown));
    assert!(error.is_retryable() && !error.is_not_found());

    let server = Server::plain(|_| bytes("{}")).await;
    let error = server.client().name_info(&name()).await.expect_err("no name");
    assert!(matches!(error, ClientError::Protocol { .. }), "{error:?}");
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let server = Server::plain(|_| {
        let mut response = bytes("");
        *response.status_mut() = hyper::StatusCode::TEMPORARY_REDIRECT;
        let target = "/elsewhere".try_into().expect("a value");
        response.headers_mut().insert(LOCATION, target);
        response
    })
    .await;
    let error = server.client().head(&name()).await.expect_err("a redirect");
    assert!(error.to_string().contains("a redirect to /elsewhere"), "{error}");
    assert!(matches!(error, ClientError::Protocol { .. }));
    assert_eq!(server.paths(), ["GET /v1/names/team/tools/head"]);
}

#[tokio::test]
async fn json_without_end_is_refused() {
    let server = Server::plain(|seen| match &*seen.path {
        "/v1/hub" => script([Step::Repeat(vec![b' '; 60_000].into())]),
        _ => {
            let page = hub_api::ReleasesPage { releases: Vec::new(), next: None };
            let mut body = vec![b' '; limits::RESPONSE_BYTES_MAX + 1];
            body.extend(serde_json::to_vec(&page).expect("json"));
            bytes(body)
        }
    })
    .await;
    let error = server.client().hub_info().await.expect_err("endless");
    assert!(error.to_string().contains("longer than 1048576 bytes"), "{error}");
    // A page of releases may be longer.
    assert_eq!(server.client().releases(&name(), None, 5).await.expect("a page"), []);
}

#[tokio::test(start_paused = true)]
async fn json_byte_by_byte_is_given_up() {
    let drops: Vec<_> = (0..1000)
        .flat_map(|_| [Step::Send(b" "[..].into()), Step::Wait(Duration::from_secs(20))])
        .collect();
    let server = Server::plain(move |_| script(drops.clone())).await;
    let error = server.client().hub_info().await.expect_err("a trickle");
    let ClientError::TimedOut { after, .. } = error else { panic!("{error:?}") };
    assert_eq!(after, Duration::from_mins(2));
}

#[tokio::test]
async fn many_ids_are_asked_about_in_several_requests() {
    let server = Server::plain(|seen| {
        let ids = wire::IdList::decode(&seen.body, wire::HAVE_IDS_MAX).expect("a list");
        bytes(wire::HaveBitmap(ids.0.iter().map(|id| id.as_bytes()[0] == 1).collect()).encode())
    })
    .await;
    let ids: Vec<_> =
        (0..9000).map(|index| ChunkId::from_bytes([u8::from(index % 3 == 0); 32])).collect();
    let expected: Vec<_> = (0..9000).map(|index| index % 3 == 0).collect();
    assert_eq!(server.client().have(&ids).await.expect("answers"), expected);
    assert_eq!(server.paths().len(), 2);

    let server = Server::plain(|_| bytes(vec![0; 3])).await;
    let error = server.client().have(&ids[..8]).await.expect_err("two bytes too many");
    assert!(matches!(error, ClientError::Protocol { .. }), "{error:?}");
}

#[tokio::test]
async fn an_upload_says_its_length_and_carries_the_frames() {
    let server = Server::plain(|seen| {
        let whole = [stream_of(&two_frames()), wire::encode_end(&[])].concat();
        assert_eq!(seen.header("content-length"), Some(&*whole.len().to_string()));
        assert_eq!(seen.body, whole);
        json(&UploadResponse { stored: 2, known: 1 })
    })
    .await;
    let answer = server.client().upload(two_frames().to_vec()).await.expect("taken");
    assert_eq!(answer, UploadResponse { stored: 2, known: 1 });

    // 20 frames of 4 MiB are more than one request takes.
    let large = frame_of(&[&vec![1; 2 << 20], &vec![2; 2 << 20]]);
    let server = Server::plain(|seen| {
        assert!(seen.body.len() <= limits::UPLOAD_BYTES_MAX);
        json(&UploadResponse { stored: 1, known: 0 })
    })
    .await;
    let answer = server.client().upload(vec![large; 20]).await.expect("taken");
    assert_eq!(answer.stored, 2);
}

#[tokio::test]
async fn a_single_chunk_is_verified() {
    let server = Server::plain(|_| bytes("one")).await;
    assert_eq!(server.client().chunk(&ids()[0]).await.expect("true bytes"), "one");
    let error = server.client().chunk(&ids()[1]).await.expect_err("other bytes");
    assert!(error.to_string().contains(&ids()[1].to_string()), "{error}");
}

#[tokio::test]
async fn a_head_that_did_not_change_is_not_sent_again() {
    let server = Server::plain(|seen| match seen.header("if-none-match") {
        Some("\"7\"") => {
            let mut response = bytes("");
            *response.status_mut() = hyper::StatusCode::NOT_MODIFIED;
            response
        }
        _ => {
            let (manifest, head) = (vec![1].into(), vec![2].into());
            let mut response = json(&hub_api::HeadDocuments { manifest, head, after: None });
            response.headers_mut().insert("etag", "\"7\"".try_into().expect("a value"));
            response
        }
    })
    .await;
    let head = server.client().head(&name()).await.expect("a head");
    assert_eq!((&*head.manifest, &*head.head), (&[1][..], &[2][..]));
    let etag = head.etag.as_deref().expect("a tag");
    assert_eq!(server.client().head_unless(&name(), etag).await.expect("an answer"), None);
    assert_eq!(server.client().head_unless(&name(), "\"6\"").await.expect("new"), Some(head));
}

#[tokio::test(start_paused = true)]
async fn releases_are_announced_until_the_hub_is_silent() {
    let server = Server::plain(|seen| {
        assert_eq!(seen.path, "/v1/events?name=team/tools");
        assert_eq!(seen.header("last-event-id"), Some("6"));
        let event = "event: release\nid: 7\ndata: {\"name\":\"team/tools\",\"sequence\":3}\n\n";
        script([
            Step::Wait(Duration::from_secs(40)),
            Step::Send(b": beat\n\n"[..].into()),
            Step::Wait(Duration::from_secs(40)),
            Step::Send(event.into()),
            Step::Wait(Duration::from_hours(1)),
        ])
    })
    .await;
    let client = server.client();
    let mut events = client.events(&name(), Some("6")).await.expect("a stream");
    assert_eq!(events.last_event_id(), Some("6"));
    let event = events.next().await.expect("an event").expect("not the end");
    assert_eq!((&*event.name, event.sequence), ("team/tools", 3));
    assert_eq!(events.last_event_id(), Some("7"));
    let error = events.next().await.expect_err("no heart-beat");
    assert!(matches!(error, ClientError::TimedOut { .. }), "{error:?}");
    assert_eq!(events.last_event_id(), Some("7"));
}

/// How long a stream is waited for on which the hub told this interval and then nothing.
async fn patience_when_told(interval_s: &'static str) -> Duration {
    let server = Server::plain(move |_| {
        let told = format!("event: heart-beat\ndata: {{\"interval_s\":{interval_s}}}\n\n");
        script([Step::Send(told.into()), Step::Wait(Duration::from_hours(1))])
    })
    .await;
    let client = server.client();
    let mut events = client.events(&name(), None).await.expect("a stream");
    let error = events.next().await.expect_err("nothing comes");
    let ClientError::TimedOut { after, .. } = error else { panic!("{error:?}") };
    after
}

#[tokio::test(start_paused = true)]
async fn silence_is_borne_for_three_of_the_heart_beats_that_the_hub_told() {
    assert_eq!(patience_when_told("20").await, Duration::from_mins(1));
    // Neither so often that a moment's silence breaks the line, nor so seldom that it never does.
    assert_eq!(patience_when_told("0").await, Duration::from_secs(15));
    assert_eq!(patience_when_told("18446744073709551615").await, Duration::from_mins(2));
}
