use axum::body::Body;
use axum::extract::Request;
use hub_api::limits::SEGMENT_BYTES_MAX;

use super::facts::tests::request;
use super::*;

const ID: [u8; 16] = [1; 16];
const SENDER: AccountKey = AccountKey([1; 32]);
const TOKEN: [u8; 32] = [7; 32];
const LONG: Duration = Duration::from_hours(1);

fn config() -> LockerConfig {
    LockerConfig { quota_bytes: 9 << 20, account_quota_bytes: 9 << 20, time_max: LONG }
}

fn open(directory: &tempfile::TempDir) -> Arc<Lockers> {
    let path = directory.path().join("lockers");
    Arc::new(Lockers::open(&path, Some(config()), 0).expect("opens"))
}

fn wanted(downloads: Option<u32>) -> LockerRequest {
    let recipient = Hex(*blake3::hash(&TOKEN).as_bytes());
    LockerRequest { recipient, ..request(2, downloads) }
}

async fn keep(lockers: &Arc<Lockers>, number: u64, bytes: &'static [u8]) -> bool {
    let sender = lockers.find(ID, Asker::Sender(SENDER), Download(Hex([0; 16]))).expect("is there");
    let body = BoundedBody::new(Request::new(Body::from(bytes)), SEGMENT_BYTES_MAX, LONG);
    let digest = Hex(*blake3::hash(bytes).as_bytes());
    sender.keep(number, digest, body.expect("no length")).await.expect("goes well")
}

fn recipient(lockers: &Arc<Lockers>, download: u8) -> Locker {
    let asker = Asker::Recipient(blake3::hash(&TOKEN));
    lockers.find(ID, asker, Download(Hex([download; 16]))).expect("is there")
}

/// How many files there are of all lockers, and whether segments are among them.
fn files(directory: &tempfile::TempDir) -> (usize, bool) {
    let Ok(lockers) = std::fs::read_dir(directory.path().join("lockers")) else {
        return (0, false);
    };
    let files =
        lockers.flat_map(|it| std::fs::read_dir(it.expect("listed").path()).expect("listed"));
    let names: Vec<_> = files.map(|file| file.expect("listed").file_name()).collect();
    (names.len(), names.iter().any(|name| name == "segments"))
}

#[tokio::test]
async fn what_was_taken_outlives_the_hub_and_goes_with_its_time() {
    let directory = tempfile::tempdir().expect("a directory");
    let lockers = open(&directory);
    assert_eq!(files(&directory), (0, false), "nothing is made before somebody asks");
    assert!(lockers.create(ID, SENDER, &wanted(None), false).await.expect("opens"));
    assert!(!lockers.create(ID, SENDER, &wanted(None), false).await.expect("is there"));
    assert!(keep(&lockers, 0, b"first").await);
    drop(lockers);

    // Another process finds what was acknowledged, and goes on behind it.
    let lockers = open(&directory);
    assert_eq!(lockers.shown(&ID).map(|it| it.kept), Some(1));
    assert!(!keep(&lockers, 0, b"first").await, "it is here");
    assert!(!keep(&lockers, 2, b"third").await, "not its turn");
    assert!(keep(&lockers, 1, b"second").await);
    let until = lockers.shown(&ID).expect("here").until;
    assert_eq!(lockers.sweep(until - 1).await, []);
    assert_eq!(files(&directory), (2, true));
    assert_eq!(lockers.sweep(until).await, [(ID, facts::EXPIRED)]);
    assert_eq!(files(&directory), (1, false), "nothing of the delivery is left");
    assert_eq!((lockers.totals(), lockers.shown(&ID)), ((0, 0), None));
    let told = recipient(&lockers, 3).status().expect("answers").ended.map(|end| end.reason);
    assert_eq!(told, Some(facts::EXPIRED.to_owned()));
    assert!(!keep(&lockers, 1, b"second").await, "nothing is taken any more");
    // Long after, nobody knows it.
    assert_eq!(lockers.sweep(until + 3_000_000).await, []);
    assert_eq!((files(&directory), lockers.ids()), ((0, false), Vec::new()));
}

#[tokio::test]
async fn an_end_by_either_side_leaves_nothing_of_it_and_is_told_to_the_other() {
    for by in [DeliveryParty::Sender, DeliveryParty::Recipient] {
        let directory = tempfile::tempdir().expect("a directory");
        let lockers = open(&directory);
        lockers.create(ID, SENDER, &wanted(None), false).await.expect("opens");
        assert!(keep(&lockers, 0, b"first").await);
        let end = DeliveryEnd { by, reason: "enough".to_owned() };
        lockers.end(ID, &end).await.expect("ends");
        assert_eq!(files(&directory), (1, false));
        let ended = |locker: Locker| locker.status().expect("answers").ended;
        let sender = lockers.find(ID, Asker::Sender(SENDER), Download(Hex([0; 16])));
        assert_eq!(ended(sender.expect("here")), Some(end.clone()));
        assert_eq!(ended(recipient(&lockers, 1)), Some(end));
    }
}

#[tokio::test]
async fn a_receipt_waits_on_the_disk_for_its_sender_and_the_segments_do_not() {
    let directory = tempfile::tempdir().expect("a directory");
    let lockers = open(&directory);
    lockers.create(ID, SENDER, &wanted(None), false).await.expect("opens");
    assert!(keep(&lockers, 0, b"first").await);
    let early = recipient(&lockers, 0).verified(2, Some(vec![9])).await;
    early.expect_err("a receipt before the end");
    assert!(keep(&lockers, 1, b"second").await);
    recipient(&lockers, 0).verified(1, None).await.expect("is noted");
    recipient(&lockers, 0).verified(2, Some(vec![9])).await.expect("is kept");
    assert_eq!(files(&directory), (1, false));
    drop(lockers);
    let lockers = open(&directory);
    let sender = lockers.find(ID, Asker::Sender(SENDER), Download(Hex([0; 16]))).expect("here");
    let status = sender.status().expect("answers");
    assert_eq!((status.receipt.map(|it| it.0), status.ended), (Some(vec![9]), None));
    // Taken: nobody needs to know any more.
    sender.end("received".to_owned()).await.expect("ends");
    assert_eq!((files(&directory), lockers.has(&ID)), ((0, false), false));
}

#[tokio::test]
async fn of_several_recipients_none_ends_it_for_the_others() {
    let directory = tempfile::tempdir().expect("a directory");
    let lockers = open(&directory);
    lockers.create(ID, SENDER, &wanted(Some(2)), false).await.expect("opens");
    assert!(keep(&lockers, 0, b"first").await && keep(&lockers, 1, b"second").await);
    recipient(&lockers, 1).end("no".to_owned()).await.expect("is heard");
    assert_eq!(recipient(&lockers, 2).status().expect("answers").ended, None);
    for download in [1, 2] {
        recipient(&lockers, download).verified(2, Some(vec![download])).await.expect("is kept");
    }
    let third = recipient(&lockers, 3).status().expect("answers").ended.map(|end| end.reason);
    assert_eq!(third, Some(facts::USED_UP.to_owned()));
    assert_eq!(files(&directory), (1, false));
}
