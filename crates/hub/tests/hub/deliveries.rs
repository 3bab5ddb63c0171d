//! Live deliveries: from an account through the hub's memory to whoever has the token.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hub::{Hub, Role, Tls};
use hub_api::limits::{DELIVERY_DIRECT_BYTES_MAX, SEGMENT_BYTES_MAX};
use hub_api::{
    Base64Bytes, DeliveryAnnouncement, DeliveryEnd, DeliveryParty, DeliveryStatus,
    DeliveryVerified, Hex, ProblemCode,
};
use hub_client::{ClientError, HubClient};
use tokio::time::timeout;

use crate::raw::PATIENCE;
use crate::scene::{self, Person, Scene, code};

pub(crate) const ID: [u8; 16] = [0x1d; 16];
pub(crate) const TOKEN: [u8; 32] = [0x70; 32];

pub(crate) fn announcement(segments: usize) -> DeliveryAnnouncement {
    let recipient = Hex(*blake3::hash(&TOKEN).as_bytes());
    DeliveryAnnouncement {
        segments: segments as u64,
        bytes: 1 << 20,
        recipient,
        until: None,
        direct: None,
    }
}

/// Segments of random bytes, each of another length.
fn segments(count: usize) -> Vec<Bytes> {
    let one = |number: usize| {
        let lengths = [SEGMENT_BYTES_MAX, 1, 70_000, SEGMENT_BYTES_MAX - 1];
        let mut bytes = vec![0; lengths[number % lengths.len()]];
        blake3::Hasher::new().update(&number.to_le_bytes()).finalize_xof().fill(&mut bytes);
        Bytes::from(bytes)
    };
    (0..count).map(one).collect()
}

/// Waits until the sender is shown what is wanted.
async fn status_when(
    client: &HubClient,
    token: Option<&[u8; 32]>,
    wanted: impl Fn(&DeliveryStatus) -> bool,
) -> DeliveryStatus {
    let waiting = async {
        let mut after = None;
        loop {
            let status = client.delivery_status(ID, token, after).await.expect("answers");
            if wanted(&status) {
                return status;
            }
            after = Some(status.change);
        }
    };
    timeout(PATIENCE, waiting).await.expect("comes about")
}

/// Hands over all segments, from the one that is wanted, as a sender does.
async fn send(client: &HubClient, segments: &[Bytes]) -> Result<(), ClientError> {
    let mut next = status_when(client, None, |status| status.next.is_some()).await.next;
    while let Some(number) = next.filter(|number| *number < segments.len() as u64) {
        let taken = client.put_segment(ID, number, segments[number as usize].clone()).await?;
        next = match taken.next {
            Some(next) => Some(next),
            None => status_when(client, None, |status| status.next.is_some()).await.next,
        };
    }
    Ok(())
}

/// Takes segments from `from` on, as many as wanted or as come.
async fn receive(client: &HubClient, from: u64, most: usize) -> Vec<Bytes> {
    let mut stream = client.delivery_segments(ID, &TOKEN, from).await.expect("opens");
    let mut came = Vec::new();
    while came.len() < most {
        let next = timeout(PATIENCE, stream.next()).await.expect("in time").expect("reads");
        let Some((number, bytes)) = next else { break };
        assert_eq!(number, from + came.len() as u64);
        came.push(bytes);
        let verified = DeliveryVerified { segments: number + 1, receipt: None };
        client.delivery_verified(ID, &TOKEN, &verified).await.expect("is told");
    }
    came
}

async fn announced(scene: &Scene, count: usize) -> Person {
    let sender = scene.person(1, Role::Reader, &[]).await;
    let announcement = announcement(count);
    let status = sender.client.announce_delivery(ID, &announcement).await.expect("announces");
    assert_eq!((status.segments, status.next, status.verified), (count as u64, None, 0));
    assert!(status.sender.here && !status.recipient.here);
    sender
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_begins_when_the_time_is_over_and_whoever_has_begun_goes_on() {
    let scene = Scene::start(Tls::Off).await;
    let (past, now) = (1, scene::now());
    let until = |until| DeliveryAnnouncement { until: Some(until), ..announcement(2) };
    let sender = announced(&scene, 2).await;
    let recipient = scene.anonymous();
    sender.client.announce_delivery(ID, &until(now + 3600)).await.expect("the same");
    let open = recipient.delivery_segments(ID, &TOKEN, 0).await.expect("opens in time");
    // As if an hour had gone by.
    sender.client.announce_delivery(ID, &until(past)).await.expect("the same");
    let status = recipient.delivery_status(ID, Some(&TOKEN), None).await.expect("answers");
    assert_eq!(status.ended, None, "it has begun");
    drop(open);
    let gone = status_when(&sender.client, None, |status| status.next.is_none()).await;
    assert_eq!((gone.ended, gone.verified), (None, 0));
    let late = recipient.delivery_status(ID, Some(&TOKEN), None).await.expect("answers");
    let ended = late.ended.expect("it is over");
    assert_eq!((ended.by, ended.reason.contains("in time")), (DeliveryParty::Hub, true));
    let told = sender.client.delivery_status(ID, None, None).await.expect("answers");
    assert_eq!(told.ended, Some(ended), "the sender need not wait any longer");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recipient_is_told_where_its_sender_listens_and_nobody_else_is() {
    let scene = Scene::start(Tls::Off).await;
    let recipient = scene.anonymous();
    assert!(recipient.hub_info().await.expect("answers").direct);
    let sender = announced(&scene, 3).await;
    let told = async || recipient.delivery_status(ID, Some(&TOKEN), None).await.expect("answers");
    assert_eq!(told().await.direct, None);
    // The newest counts: a sender that was started again listens elsewhere.
    for sealed in [vec![1; DELIVERY_DIRECT_BYTES_MAX], vec![2]] {
        let direct = Some(Base64Bytes(sealed));
        let announcement = DeliveryAnnouncement { direct: direct.clone(), ..announcement(3) };
        sender.client.announce_delivery(ID, &announcement).await.expect("announces");
        assert_eq!(told().await.direct, direct);
    }
    let other = recipient.delivery_status(ID, Some(&[9; 32]), None).await;
    assert!(other.expect_err("nobody's token").is_not_found());

    // What came past the hub counts, though a stream is open which is not noticed to have ended.
    let open = recipient.delivery_segments(ID, &TOKEN, 0).await.expect("opens");
    let verified = DeliveryVerified { segments: 2, receipt: None };
    let status = recipient.delivery_verified(ID, &TOKEN, &verified).await.expect("is believed");
    assert_eq!(status.verified, 2);
    drop(open);

    let direct = Some(Base64Bytes(vec![1; DELIVERY_DIRECT_BYTES_MAX + 1]));
    let long = DeliveryAnnouncement { direct, ..announcement(3) };
    let refused = sender.client.announce_delivery(ID, &long).await;
    assert_eq!(code(refused), ProblemCode::MalformedRequest);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_passes_everything_on_itself_tells_no_addresses() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = hub::HubConfig { is_relay_only: true, ..scene::config(&dir, Tls::Off) };
    let hub = Hub::start(config).await.expect("starts");
    let scene = Scene { hub, dir };
    let recipient = scene.anonymous();
    assert!(!recipient.hub_info().await.expect("answers").direct);
    let sender = announced(&scene, 3).await;
    let direct = Some(Base64Bytes(vec![1]));
    let announcement = DeliveryAnnouncement { direct, ..announcement(3) };
    let status = sender.client.announce_delivery(ID, &announcement).await.expect("announces");
    assert_eq!(status.direct, None);
    let told = recipient.delivery_status(ID, Some(&TOKEN), None).await.expect("answers");
    assert_eq!(told.direct, None);
}

const MARKER: &[u8] = b"nobody-but-the-recipient-reads-this";

/// Whether any file beneath a directory holds one of the texts.
fn holds(directory: &Path, texts: &[&[u8]]) -> bool {
    let held = |path: &Path| {
        // Files of the database come and go.
        let bytes = std::fs::read(path).unwrap_or_default();
        texts.iter().any(|text| bytes.windows(text.len()).any(|window| window == *text))
    };
    std::fs::read_dir(directory).expect("reads").any(|entry| {
        let path = entry.expect("reads").path();
        if path.is_dir() { holds(&path, texts) } else { held(&path) }
    })
}

/// Counts what is logged, and what of it must not be.
struct Log;

static LOGGED: AtomicUsize = AtomicUsize::new(0);
static LEAKED: AtomicUsize = AtomicUsize::new(0);

impl tracing::field::Visit for Log {
    fn record_debug(&mut self, _: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        let text = format!("{value:?}");
        let secrets = [
            String::from_utf8_lossy(MARKER).into_owned(),
            Hex(TOKEN).to_string(),
            Hex(ID).to_string(),
        ];
        LOGGED.fetch_add(1, Ordering::Relaxed);
        if secrets.iter().any(|secret| text.contains(secret)) {
            LEAKED.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl tracing::Subscriber for Log {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        // The clients of this process are not the hub, and may say where they ask.
        !metadata.target().starts_with("hub_client")
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut Self);
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_comes_whole_over_tls_and_is_on_no_disk_and_in_no_log() {
    tracing::subscriber::set_global_default(Log).expect("no other test listens to all");
    let scene = Scene::start(Tls::SelfSigned).await;
    let mut sent = segments(11);
    sent.push([&[7; 9000], MARKER, &[8; 9000]].concat().into());
    sent.push([MARKER, &vec![9; 1 << 20]].concat().into());
    let sender = announced(&scene, sent.len()).await;
    let recipient = scene.anonymous();
    let token = Hex(TOKEN).to_string();
    let secrets: [&[u8]; 3] = [MARKER, token.as_bytes(), &TOKEN];

    let sending = send(&sender.client, &sent);
    let receiving = async {
        let came = receive(&recipient, 0, usize::MAX).await;
        // All went by; here it would still be, if anywhere.
        assert!(!holds(scene.dir.path(), &secrets), "it is on the hub's disk");
        came
    };
    let (sent_all, came) = tokio::join!(sending, receiving);
    sent_all.expect("hands over");
    assert!(came == sent, "other bytes than were sent");

    let receipt = Some(Base64Bytes(b"signed".to_vec()));
    let verified = DeliveryVerified { segments: sent.len() as u64, receipt: receipt.clone() };
    recipient.delivery_verified(ID, &TOKEN, &verified).await.expect("is told");
    let status = status_when(&sender.client, None, |status| status.receipt.is_some()).await;
    assert_eq!((status.verified, status.receipt), (sent.len() as u64, receipt));
    assert_eq!(status.ended, None);

    assert!(!holds(scene.dir.path(), &secrets), "it is on the hub's disk");
    assert!(holds(scene.dir.path(), &[b"SQLite format 3"]), "files are looked into");
    scene.hub.shutdown().await;
    assert!(!holds(scene.dir.path(), &secrets), "it is on the hub's disk");
    assert!(LOGGED.load(Ordering::Relaxed) > 20, "the log is listened to");
    assert_eq!(LEAKED.load(Ordering::Relaxed), 0, "something of it is in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recipient_and_a_sender_that_come_back_go_on_where_they_were() {
    let scene = Scene::start(Tls::SelfSigned).await;
    let sent = segments(10);
    let sender = announced(&scene, sent.len()).await;
    let again = scene.stranger(1);
    let (first, second) = (scene.anonymous(), scene.anonymous());
    let sending = async {
        send(&sender.client, &sent[..4]).await.expect("hands over");
        // The same account in another process.
        let status = again.client.announce_delivery(ID, &announcement(10)).await.expect("the same");
        assert!(status.verified <= 4, "{status:?}");
        send(&again.client, &sent).await.expect("hands over");
    };
    let receiving = async {
        let mut came = receive(&first, 0, 3).await;
        // It lost its last one.
        came.truncate(2);
        came.extend(receive(&second, 2, usize::MAX).await);
        came
    };
    let ((), came) = tokio::join!(sending, receiving);
    assert!(came == sent, "other bytes than were sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_stream_has_the_segments_and_the_older_ends() {
    let scene = Scene::start(Tls::SelfSigned).await;
    let sender = announced(&scene, 4).await;
    let recipient = scene.anonymous();
    let mut old = recipient.delivery_segments(ID, &TOKEN, 0).await.expect("opens");
    let mut new = recipient.delivery_segments(ID, &TOKEN, 2).await.expect("opens");
    let over = timeout(PATIENCE, old.next()).await.expect("in time").expect("ends well");
    assert_eq!(over, None);
    let status = status_when(&sender.client, None, |status| status.next.is_some()).await;
    assert_eq!(status.next, Some(2));
    let taken = sender.client.put_segment(ID, 2, Bytes::from_static(b"two")).await.expect("taken");
    assert!(taken.taken);
    let came = timeout(PATIENCE, new.next()).await.expect("in time").expect("reads");
    assert_eq!(came, Some((2, Bytes::from_static(b"two"))));
    let beyond = recipient.delivery_segments(ID, &TOKEN, 5).await;
    assert_eq!(code(beyond), ProblemCode::MalformedRequest);
    // Nobody takes any more: the sender learns it at once.
    drop(new);
    let status = status_when(&sender.client, None, |status| status.next.is_none()).await;
    assert_eq!(status.verified, 0);
    let taken = sender.client.put_segment(ID, 3, Bytes::from_static(b"x")).await.expect("answers");
    assert_eq!((taken.taken, taken.next), (false, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn either_side_ends_a_delivery_and_the_other_learns_why() {
    let scene = Scene::start(Tls::SelfSigned).await;
    let sender = announced(&scene, 4).await;
    let recipient = scene.anonymous();
    for token in [Some(&TOKEN), None] {
        let id = if token.is_some() { ID } else { [2; 16] };
        sender.client.announce_delivery(id, &announcement(4)).await.expect("announces");
        let mut stream = recipient.delivery_segments(id, &TOKEN, 0).await.expect("opens");
        let taken = sender.client.put_segment(id, 1, Bytes::from_static(b"held")).await;
        assert!(taken.expect("answers").taken);
        let by = if token.is_some() { DeliveryParty::Recipient } else { DeliveryParty::Sender };
        let side = if token.is_some() { &recipient } else { &sender.client };
        side.end_delivery(id, token, "no \u{7}room").await.expect("ends");
        side.end_delivery(id, token, "again").await.expect("changes nothing");
        let over = timeout(PATIENCE, stream.next()).await.expect("in time").expect("ends well");
        assert_eq!(over, None);
        let end = DeliveryEnd { by, reason: "no room".to_owned() };
        for status in [
            sender.client.delivery_status(id, None, None).await.expect("answers"),
            recipient.delivery_status(id, Some(&TOKEN), None).await.expect("answers"),
        ] {
            assert_eq!((status.ended, status.next), (Some(end.clone()), None));
        }
        let taken = sender.client.put_segment(id, 0, Bytes::from_static(b"x")).await;
        assert!(!taken.expect("answers").taken);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_was_restarted_knows_no_delivery_and_goes_on_when_told() {
    let Scene { dir, hub } = Scene::start(Tls::SelfSigned).await;
    let scene = Scene { dir, hub };
    let sent = segments(6);
    let sender = announced(&scene, sent.len()).await;
    let recipient = scene.anonymous();
    let (sending, came) = tokio::join!(send(&sender.client, &sent[..3]), receive(&recipient, 0, 3));
    sending.expect("hands over");
    let mut open = recipient.delivery_segments(ID, &TOKEN, 3).await.expect("opens");
    let Scene { dir, hub } = scene;
    // A stream ends when the hub stops.
    let (over, ()) = tokio::join!(timeout(PATIENCE, open.next()), hub.shutdown());
    assert_eq!(over.expect("in time").expect("ends well"), None);

    let hub = Hub::start(scene::config(&dir, Tls::SelfSigned)).await.expect("starts");
    let scene = Scene { dir, hub };
    let (sender, recipient) = (scene.stranger(1), scene.anonymous());
    assert_eq!(code(sender.client.delivery_status(ID, None, None).await), ProblemCode::NotFound);
    let unknown = recipient.delivery_segments(ID, &TOKEN, 3).await;
    assert_eq!(code(unknown), ProblemCode::NotFound);
    sender.client.announce_delivery(ID, &announcement(6)).await.expect("announces");
    let receiving = receive(&recipient, 3, usize::MAX);
    let (sending, rest) = tokio::join!(send(&sender.client, &sent), receiving);
    sending.expect("hands over");
    assert!([came, rest].concat() == sent, "other bytes than were sent");
    let status = sender.client.delivery_status(ID, None, None).await.expect("answers");
    assert_eq!(status.verified, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_waited_for() {
    let scene = Scene::start(Tls::SelfSigned).await;
    let sender = announced(&scene, 4).await;
    let recipient = scene.anonymous();
    let status = sender.client.delivery_status(ID, None, None).await.expect("answers");
    let asked = sender.client.delivery_status(ID, None, Some(status.change));
    let knocking = async {
        // Later than the question, or before it: both are a change behind the one that was known.
        tokio::time::sleep(Duration::from_millis(50)).await;
        recipient.delivery_status(ID, Some(&TOKEN), None).await.expect("answers")
    };
    let (changed, _) = tokio::join!(timeout(PATIENCE, asked), knocking);
    let changed = changed.expect("in time").expect("answers");
    assert!(changed.recipient.here && changed.change > status.change);
    assert_eq!(changed.next, None, "it asked, and takes nothing yet");
}
