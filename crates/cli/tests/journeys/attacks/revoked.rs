//! A machine that was taken out and is handed, by the hub, everything that others got later.

use ::documents::{DocumentHash, Seen};
use community::{Addressed, Envelope, ReleaseError, Roster, Task, accept_release};
use content::{ChunkRef, TreeRef, seal};
use hub_api::QueueEntryInfo;
use node::publish::unix_now;
use store::{ChunkStore as _, DiskOptions, DiskStore};

use super::*;

/// What a machine that answered `last` makes of a release with its own keys.
fn accepted(
    key: &NodeKey,
    (entry, envelope): (&QueueEntryInfo, &QueueEntryInfo),
    last: Option<&QueueEntryInfo>,
    roster: &Roster,
) -> Result<Addressed, ReleaseError> {
    let envelope = Envelope::from_slice(&envelope.envelope.0).expect("as long as one");
    let keys = (&key.public(), &ExchangeKey::derive(key));
    let seen = last
        .map(|last| Seen { sequence: last.sequence, manifest: DocumentHash::of(&last.manifest.0) });
    accept_release(&entry.manifest.0, &envelope, roster, keys, |_| seen, unix_now())
}

fn tree_of(accepted: Result<Addressed, ReleaseError>) -> TreeRef {
    match accepted.expect("is for it").task {
        Task::CarryOut(tree) => tree,
        Task::AnswerOnly(why) => panic!("{why}"),
    }
}

#[test]
fn a_revoked_target_opens_nothing_that_was_sent_later_whatever_it_is_handed() {
    let mut community = Community::create();
    community.peer("ci", &["--role", "publisher"]);
    let queues = ["press-1", "press-2"].map(|peer| {
        community.peer(peer, &["--role", "target"]);
        let (hub, queue) = (before(&community.world, peer, Ways::One), Recorded::default());
        let record = queue.clone();
        hub.set(
            move |what| {
                if what.contains("/queue") { record.record_queue() } else { Meddling::Pass }
            },
        );
        (hub, queue)
    });
    let line = format!("echo ran >> {}", community.ran_file().display());
    community.send(&community.package("1", &line), &[]);
    let nodes = ["press-1", "press-2"].map(|peer| crate::community::serve(&community.world, peer));
    until("both had the first release", || community.ran() == 2);
    let first: QueuePage = queues[0].1.read();
    drop(nodes);
    // As the machine knew it before: nobody tells it that it was taken out.
    let opened = node::Node::open(&community.world.path("press-1")).expect("opens");
    let place = opened.community(None).expect("one");
    let standing = place.standing(unix_now()).expect("read").expect("it has one");
    let roster = standing.roster();
    drop(opened);

    community.world.tells("boss", &["community", "revoke", "press-1"], &["revoked"]);
    let line = format!("echo later >> {}", community.ran_file().display());
    let sent = community.send(&community.package("2", &line), &[]);
    assert_eq!(sent["targets"], serde_json::json!(["press-2"]), "{sent}");
    let node = crate::community::serve(&community.world, "press-2");
    until("the other machine had the second", || community.ran() == 3);
    drop(node);
    let second: QueuePage = queues[1].1.read();
    let [first, second] = [(&first, 1), (&second, 2)].map(|(page, sequence)| {
        page.entries.iter().find(|entry| entry.sequence == sequence).expect("it waited")
    });

    // Its own envelope opens its own release; the other machine's opens the later one, for that one alone.
    let [revoked, other] = ["press-1", "press-2"].map(|peer| key_of(&community.world, peer));
    let own = tree_of(accepted(&revoked, (first, first), None, roster));
    let later = tree_of(accepted(&other, (second, second), Some(first), roster));
    for envelope in [first, second] {
        let refused = accepted(&revoked, (second, envelope), Some(first), roster);
        let is_right = matches!(refused, Err(ReleaseError::NotAddressed { sequence: 2 }));
        assert!(is_right, "{refused:?}");
    }

    // With the sealed chunks, which the hub has and gives it: what it could open before opens nothing here.
    community.world.hub.kill();
    let store = community.world.path("hub/store");
    let options = DiskOptions { quota_bytes: u64::MAX, free_reserve_bytes: 0, cache: false };
    let chunks = DiskStore::open(&store, options).expect("opens");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let sealed = runtime.block_on(chunks.read(&later.0.id)).expect("read").expect("is there");
    assert!(seal::open(&later.0, &sealed).is_ok(), "the right key fits");
    let tried = TreeRef(ChunkRef { sealing: own.0.sealing, ..later.0 });
    assert!(matches!(seal::open(&tried.0, &sealed), Err(seal::OpenError::WrongKey(_))));
}
