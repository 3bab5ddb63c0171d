//! PostgreSQL is killed and comes back while the hub writes: what was acknowledged is there, and
//! nobody has to open the database anew.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use content::ChunkId;
use hub_db::{
    Account, AccountKey, Caller, DbError, EventId, HubDb, NameId, NewInvitation, NewRelease,
    PublishError, RegisterError, Role,
};
use testkit::Postgres;
use tokio::sync::watch;

/// Longest wait for the writers to go on; it takes a second or two.
const PATIENCE: Duration = Duration::from_secs(120);

/// Acknowledgements between two kills.
const BETWEEN_KILLS: u64 = 60;

const NOW: u64 = 1_000_000;
const NETWORK: &str = "192.0.2.0/24";

/// What the writers share.
struct Load {
    db: Arc<dyn HubDb>,
    stopping: AtomicBool,
    acknowledged: watch::Sender<u64>,
    unavailable: AtomicU64,
}

impl Load {
    fn acknowledge(&self) {
        self.acknowledged.send_modify(|count| *count += 1);
    }

    /// Anything but a retryable error is a fault of ours.
    fn note(&self, error: &DbError) {
        assert!(error.is_retryable(), "{error:?}");
        self.unavailable.fetch_add(1, Ordering::Relaxed);
    }

    fn goes_on(&self) -> bool {
        !self.stopping.load(Ordering::Relaxed)
    }

    async fn more_acknowledged(&self) {
        let mut count = self.acknowledged.subscribe();
        let wanted = *count.borrow() + BETWEEN_KILLS;
        let reached = tokio::time::timeout(PATIENCE, count.wait_for(|count| *count >= wanted));
        reached.await.expect("the writers go on").expect("they are there");
    }
}

fn chunks(writer: u8, sequence: u64) -> Vec<ChunkId> {
    (0..200u64)
        .map(|number| {
            ChunkId::of(&[&[writer][..], &sequence.to_le_bytes(), &number.to_le_bytes()].concat())
        })
        .collect()
}

fn hash(writer: u8, sequence: u64) -> [u8; 32] {
    *ChunkId::of(&[&[writer][..], &sequence.to_le_bytes()].concat()).as_bytes()
}

/// Publishes one release after the other, each until it is acknowledged; returns the events.
async fn publish(load: Arc<Load>, writer: u8, name: NameId) -> BTreeMap<u64, Option<EventId>> {
    let mut events = BTreeMap::new();
    for sequence in 1.. {
        let release = NewRelease {
            name,
            sequence,
            hash: hash(writer, sequence),
            previous: (sequence > 1).then(|| hash(writer, sequence - 1)),
            after: None,
            manifest: vec![writer; 100],
            head: vec![1],
            tree: ChunkId::of(b"tree"),
            closure: ChunkId::of(b"closure"),
            stored_bytes: sequence,
            issued: NOW,
            accepted: NOW,
        };
        let event = loop {
            if !load.goes_on() {
                return events;
            }
            match load.db.publish(&release, &chunks(writer, sequence)).await {
                Ok(event) => break Some(event),
                Err(PublishError::Db(error)) => load.note(&error),
                // The connection broke after the release was added: the hub recognises it by
                // its hash, and so do we.
                Err(PublishError::NotNext { latest, offered }) => {
                    assert_eq!(latest, offered);
                    break None;
                }
                Err(other) => panic!("{other:?}"),
            }
        };
        load.acknowledge();
        events.insert(sequence, event);
    }
    unreachable!("sequences do not end")
}

/// Invites and registers one key after the other; returns the keys.
async fn register(load: Arc<Load>, writer: u8) -> Vec<AccountKey> {
    let mut keys = Vec::new();
    for number in 0u64.. {
        let secret_hash = hash(writer, number);
        let key = AccountKey(hash(writer + 100, number));
        let invitation = NewInvitation {
            secret_hash,
            role: Role::Reader,
            grants: vec!["team/tools".to_owned()],
            uses: 1,
            each_network: None,
            creator: None,
            created: NOW,
            expires: NOW + 10,
        };
        loop {
            if !load.goes_on() {
                return keys;
            }
            match load.db.register(&key, &secret_hash, NETWORK, NOW).await {
                Ok(account) => {
                    assert_eq!(account.key, key);
                    break;
                }
                Err(RegisterError::Db(error)) => load.note(&error),
                Err(RegisterError::Unknown) => {
                    if let Err(error) = load.db.create_invitation(&invitation).await {
                        load.note(&error);
                    }
                }
                Err(other) => panic!("{other:?}"),
            }
        }
        load.acknowledge();
        keys.push(key);
    }
    unreachable!("numbers do not end")
}

async fn owner(db: &dyn HubDb, number: u8) -> Account {
    let invitation = NewInvitation {
        secret_hash: [number; 32],
        role: Role::Publisher,
        grants: vec![],
        uses: 1,
        each_network: None,
        creator: None,
        created: NOW,
        expires: NOW + 10,
    };
    db.create_invitation(&invitation).await.expect("invites");
    db.register(&AccountKey([number; 32]), &[number; 32], NETWORK, NOW).await.expect("registers")
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_when_the_server_is_killed() {
    let Some(mut server) = Postgres::start() else { return };
    let address = server.create_database();
    let db = hub_db::open(&address.parse().expect("an address")).await.expect("opens");
    let mut names = vec![];
    for writer in 1..=3u8 {
        let owner = owner(&*db, writer).await;
        let name = format!("team/n{writer}");
        db.put_name(&name, owner.id, true, NOW).await.expect("puts");
        let record = db.name(&name, &Caller::Anonymous).await.expect("reads").expect("public");
        names.push((writer, record.id));
    }
    let load = Arc::new(Load {
        db: Arc::clone(&db),
        stopping: AtomicBool::new(false),
        acknowledged: watch::channel(0).0,
        unavailable: AtomicU64::new(0),
    });
    let publishing: Vec<_> = names
        .iter()
        .map(|(writer, name)| tokio::spawn(publish(Arc::clone(&load), *writer, *name)))
        .collect();
    let registering: Vec<_> =
        (1..=3).map(|writer| tokio::spawn(register(Arc::clone(&load), writer))).collect();

    // The server as a whole, then one of its processes, which makes it end all connections and
    // recover; twice each.
    for _ in 0..2 {
        load.more_acknowledged().await;
        tokio::task::block_in_place(|| server.restart());
        load.more_acknowledged().await;
        tokio::task::block_in_place(|| server.crash());
    }
    load.more_acknowledged().await;
    load.stopping.store(true, Ordering::Relaxed);
    let mut published = vec![];
    for task in publishing {
        published.push(task.await.expect("no panic"));
    }
    let mut registered = vec![];
    for task in registering {
        registered.extend(task.await.expect("no panic"));
    }
    assert!(load.unavailable.load(Ordering::Relaxed) > 0, "nobody noticed");

    // As the pool that lived through it sees it, and after one more kill as a new one does.
    check(&*db, &names, &published, &registered).await;
    tokio::task::block_in_place(|| server.restart());
    let again = hub_db::open(&address.parse().expect("an address")).await.expect("opens");
    check(&*again, &names, &published, &registered).await;
}

async fn check(
    db: &dyn HubDb,
    names: &[(u8, NameId)],
    published: &[BTreeMap<u64, Option<EventId>>],
    registered: &[AccountKey],
) {
    for ((writer, name), events) in names.iter().zip(published) {
        assert!(!events.is_empty());
        let mut before = EventId(0);
        for (sequence, event) in events {
            let release = db.release(*name, *sequence).await.expect("reads");
            let release = release.unwrap_or_else(|| panic!("{writer} lost {sequence}"));
            assert_eq!(release.hash, hash(*writer, *sequence));
            assert!(event.is_none_or(|event| event == release.event));
            assert!(release.event > before, "events are in order");
            before = release.event;
            let ids = chunks(*writer, *sequence);
            let found = db.readable(&Caller::Anonymous, &ids).await.expect("looks up");
            assert_eq!(found.len(), ids.len(), "with all its chunks");
        }
        // At most the one that was under way came beside those that were acknowledged.
        let acknowledged = events.len() as u64;
        let latest = db.latest_release(*name).await.expect("reads").expect("some");
        assert!((acknowledged..=acknowledged + 1).contains(&latest.sequence));
    }
    let usage = db.name_usage().await.expect("counts");
    for usage in usage {
        assert_eq!(usage.chunks_held, usage.releases * 200, "{usage:?}");
    }
    for key in registered {
        assert!(db.account(key).await.expect("reads").is_some(), "{key:?} was lost");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_is_told_as_such_and_waited_for() {
    let Some(mut server) = Postgres::start() else { return };
    let address = server.create_database();
    let db = hub_db::open(&address.parse().expect("an address")).await.expect("opens");
    db.ready().await.expect("is ready");
    tokio::task::block_in_place(|| server.kill());
    let away = db.ready().await.expect_err("nobody is there");
    assert!(matches!(away, DbError::Unavailable(_)), "{away:?}");
    // A call made while the server starts waits for it.
    let waiting = tokio::spawn({
        let db = Arc::clone(&db);
        async move {
            loop {
                match db.accounts(None, 1).await {
                    Ok(accounts) => return accounts,
                    Err(error) => assert!(error.is_retryable(), "{error:?}"),
                }
            }
        }
    });
    tokio::task::block_in_place(|| server.restart());
    let found = tokio::time::timeout(PATIENCE, waiting).await.expect("comes back");
    assert!(found.expect("no panic").is_empty());
    db.ready().await.expect("is ready again");
}
