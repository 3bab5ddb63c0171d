//! Copies of a hub at work, and hubs made of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hub::{BackupError, Database, Hub, HubConfig, Role, Tls};
use testkit::Postgres;

use crate::postgres::address_file;
use crate::raw::PATIENCE;
use crate::scene::{self, Person, Scene, Tree, fetch, name};

/// Publishes releases of `team/NUMBER` until told to stop; returns their trees.
async fn publish_on(
    person: Person,
    number: u8,
    acknowledged: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
) -> Vec<Tree> {
    let of = name(&format!("team/n{number}"));
    person.client.put_name(&of, true).await.expect("puts");
    let (mut trees, mut last) = (Vec::new(), None);
    while !stop.load(Ordering::Relaxed) || trees.len() < 3 {
        let seed = u32::from(number) * 10_000 + trees.len() as u32;
        let tree = Tree::new(seed, 30);
        last = Some(person.upload_and_post(&of, &tree, last).await);
        acknowledged.fetch_add(1, Ordering::SeqCst);
        trees.push(tree);
    }
    trees
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_hub_at_work_is_whole_and_the_next_one_copies_what_is_new() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = HubConfig {
        // Collects all the time, so that something would be missing if it could.
        gc_interval: Duration::from_millis(1),
        gc_grace: Duration::ZERO,
        ..scene::config(&dir, Tls::Off)
    };
    let scene = Scene { hub: Hub::start(config).await.expect("starts"), dir };
    let stop = Arc::new(AtomicBool::new(false));
    let mut publishing = Vec::new();
    for number in 1..=3 {
        let person = scene.person(number, Role::Publisher, &[]).await;
        let stop = Arc::clone(&stop);
        publishing.push(tokio::spawn(publish_on(person, number, Arc::default(), stop)));
    }
    let copies = tempfile::tempdir().expect("a directory");
    let to = copies.path().join("backup");
    for _ in 0..5 {
        let done = hub::backup(scene.dir.path(), &to).await.expect("backs up");
        assert!(done.has_database && done.packs_copied > 0, "{done:?}");
    }
    stop.store(true, Ordering::Relaxed);
    let mut trees = Vec::new();
    for publisher in publishing {
        trees.push(publisher.await.expect("no publisher failed"));
    }

    // What was copied in the midst of all this is a hub again.
    let again = tempfile::tempdir().expect("a directory");
    let data = again.path().join("data");
    let restored = hub::restore(&to, &data).await.expect("is whole");
    let releases = restored.releases.expect("the database is in it");
    let hub = Hub::start(HubConfig { free_reserve_bytes: 0, ..HubConfig::new(&data, local()) });
    let second = Scene { hub: hub.await.expect("starts"), dir: again };
    let reader = second.anonymous();
    let mut served = 0;
    for (number, trees) in (1..).zip(&trees) {
        let of = name(&format!("team/n{number}"));
        // The backup may have been made before the name's first release.
        let Ok(listed) = reader.releases(&of, None, 1000).await else { continue };
        for release in listed {
            served += 1;
            let tree = &trees[usize::try_from(release.sequence - 1).expect("small")];
            let (_, missing) = fetch(&reader, &tree.ids()).await;
            assert_eq!(missing, [], "{of}@{}", release.sequence);
        }
    }
    assert_eq!(served, releases);
    // The hub is the one it was: sessions and trust go on.
    let key = |dir: &std::path::Path| std::fs::read(dir.join("hub.key")).expect("a key");
    assert_eq!(key(&data), key(scene.dir.path()));

    scene.hub.shutdown().await;
    hub::backup(scene.dir.path(), &to).await.expect("a hub that does not run is backed up too");
    let nothing_new = hub::backup(scene.dir.path(), &to).await.expect("backs up");
    assert_eq!((nothing_new.packs_copied, nothing_new.bytes_copied), (0, 0));
    assert!(nothing_new.packs_kept > 0);
}

/// As `docs/operations.md` says: the database first, then the packs.
#[tokio::test(flavor = "multi_thread")]
async fn a_hub_on_a_server_comes_back_from_a_dump_and_the_packs_copied_after_it() {
    let Some(server) = Postgres::start() else { return };
    let dir = tempfile::tempdir().expect("a directory");
    let place = server.create_database();
    let config = HubConfig {
        database: Some(address_file(dir.path(), &place)),
        // Collects all the time, so that something would be missing if it could.
        gc_interval: Duration::from_millis(1),
        gc_grace: Duration::ZERO,
        ..scene::config(&dir, Tls::Off)
    };
    let scene = Scene { hub: Hub::start(config).await.expect("starts"), dir };
    let stop = Arc::new(AtomicBool::new(false));
    let (mut publishing, mut counts) = (Vec::new(), Vec::new());
    for number in 1..=3 {
        let person = scene.person(number, Role::Publisher, &[]).await;
        let count = Arc::new(AtomicUsize::new(0));
        counts.push(Arc::clone(&count));
        publishing.push(tokio::spawn(publish_on(person, number, count, Arc::clone(&stop))));
    }
    let acknowledged = || -> Vec<_> { counts.iter().map(|it| it.load(Ordering::SeqCst)).collect() };
    let reached = async |all: usize| {
        let started = Instant::now();
        while acknowledged().iter().any(|count| *count < all) {
            assert!(started.elapsed() < PATIENCE, "nobody publishes: {:?}", acknowledged());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let copies = tempfile::tempdir().expect("a directory");
    let (dump, to) = (copies.path().join("consign.dump"), copies.path().join("backup"));
    let mut before = Vec::new();
    for round in 1..=3 {
        reached(round * 2).await;
        before = acknowledged();
        tokio::task::block_in_place(|| server.dump(&place, &dump));
        // What comes now is in no dump, and its packs do no harm.
        reached(before.iter().max().expect("three") + 1).await;
        let done = hub::backup(scene.dir.path(), &to).await.expect("backs up");
        assert!(!done.has_database && done.packs_copied > 0, "{done:?}");
    }
    stop.store(true, Ordering::Relaxed);
    let mut trees = Vec::new();
    for publisher in publishing {
        trees.push(publisher.await.expect("no publisher failed"));
    }

    // Another server's empty database, and an empty directory.
    let place = server.create_database();
    tokio::task::block_in_place(|| server.restore(&place, &dump));
    let again = tempfile::tempdir().expect("a directory");
    let data = again.path().join("data");
    let restored = hub::restore(&to, &data).await.expect("is whole");
    assert_eq!(restored.releases, None, "is looked for by nobody");
    let database = Some(Database::at(&place).expect("an address"));
    let config = HubConfig { database, free_reserve_bytes: 0, ..HubConfig::new(&data, local()) };
    let second = Scene { hub: Hub::start(config).await.expect("starts"), dir: again };
    let reader = second.anonymous();
    for ((number, trees), before) in (1..).zip(&trees).zip(before) {
        let of = name(&format!("team/n{number}"));
        let listed = reader.releases(&of, None, 1000).await.expect("lists");
        assert!(listed.len() >= before, "{of} lost {} of {before}", before - listed.len());
        assert!(listed.len() < trees.len(), "what came later is in no dump");
        for release in listed {
            let tree = &trees[usize::try_from(release.sequence - 1).expect("small")];
            let (_, missing) = fetch(&reader, &tree.ids()).await;
            assert_eq!(missing, [], "{of}@{}", release.sequence);
        }
    }
    // It is the hub it was, with its accounts.
    let more = Tree::new(99, 5);
    second.stranger(1).publish(&name("team/more"), true, &more).await;
    let (_, missing) = fetch(&reader, &more.ids()).await;
    assert_eq!(missing, []);
    second.hub.shutdown().await;
    scene.hub.shutdown().await;
}

fn local() -> std::net::SocketAddr {
    "127.0.0.1:0".parse().expect("an address")
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_to_a_backup_is_named_and_nothing_is_overwritten() {
    let scene = Scene::start(Tls::SelfSigned).await;
    let owner = scene.person(1, Role::Publisher, &[]).await;
    owner.publish(&name("team/tools"), true, &Tree::new(1, 30)).await;
    let copies = tempfile::tempdir().expect("a directory");
    let to = copies.path().join("backup");
    let none = hub::restore(&to, &copies.path().join("data")).await.expect_err("nothing there");
    assert!(matches!(none, BackupError::NoBackup(_)), "{none}");
    let none = hub::backup(copies.path(), &to).await.expect_err("no hub");
    assert!(matches!(none, BackupError::NoData(_)), "{none}");
    hub::backup(scene.dir.path(), &to).await.expect("backs up");
    let occupied = hub::restore(&to, scene.dir.path()).await.expect_err("is in use");
    assert!(matches!(occupied, BackupError::NotEmpty(_)), "{occupied}");

    for directory in ["packs", "files"] {
        for entry in std::fs::read_dir(to.join(directory)).expect("lists") {
            let path = entry.expect("an entry").path();
            let whole = std::fs::read(&path).expect("reads");
            let mut damaged = whole.clone();
            let middle = damaged.len() / 2;
            damaged[middle] ^= 1;
            std::fs::write(&path, damaged).expect("writes");
            let fresh = tempfile::tempdir().expect("a directory");
            let error = hub::restore(&to, &fresh.path().join("data")).await;
            let error = error.expect_err("is damaged");
            assert!(matches!(&error, BackupError::Damaged(named) if *named == path), "{error}");
            std::fs::write(&path, whole).expect("writes");
        }
    }
    let fresh = tempfile::tempdir().expect("a directory");
    let restored = hub::restore(&to, &fresh.path().join("data")).await.expect("is whole again");
    assert_eq!(restored.releases, Some(1));
    use std::os::unix::fs::PermissionsExt as _;
    for secret in ["hub.key", "tls/key.pem"] {
        let metadata = std::fs::metadata(fresh.path().join("data").join(secret)).expect("is there");
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600, "{secret}");
    }

    let json = to.join("backup.json");
    let text = std::fs::read_to_string(&json).expect("reads");
    let outside = text.replace("\"hub.key\"", "\"../escaped\"");
    assert_ne!(outside, text);
    std::fs::write(&json, outside).expect("writes");
    let fresh = tempfile::tempdir().expect("a directory");
    let error = hub::restore(&to, &fresh.path().join("data")).await.expect_err("is refused");
    assert!(matches!(error, BackupError::Damaged(_)), "{error}");
    assert!(!fresh.path().join("escaped").exists());
    let newer = text.replace("\"version\": 1", "\"version\": 2");
    std::fs::write(&json, newer).expect("writes");
    let error = hub::restore(&to, &fresh.path().join("other")).await.expect_err("is refused");
    assert!(matches!(error, BackupError::Newer { found: 2 }), "{error}");
}

/// A backup that took it for another kind of hub would lack all it is made for.
#[tokio::test(flavor = "multi_thread")]
async fn a_hub_whose_database_is_not_found_is_not_backed_up() {
    let scene = Scene::start(Tls::Off).await;
    let copies = tempfile::tempdir().expect("a directory");
    let to = copies.path().join("backup");
    let Scene { dir, hub } = scene;
    hub.shutdown().await;
    let announced = dir.path().join("hub.json");
    let text = std::fs::read(&announced).expect("reads");
    std::fs::write(&announced, "{").expect("writes");
    let refused = hub::backup(dir.path(), &to).await.expect_err("nobody knows where it is");
    assert!(matches!(refused, BackupError::Which(_)), "{refused}");
    std::fs::write(&announced, text).expect("writes");
    std::fs::remove_file(dir.path().join("hub.sqlite")).expect("removes");
    let refused = hub::backup(dir.path(), &to).await.expect_err("it is gone");
    assert!(matches!(refused, BackupError::Which(_)), "{refused}");
    let hour = Duration::from_secs(3600);
    hub::invite(dir.path(), Role::Reader, &[], hour).await.expect_err("it is gone");
    assert!(!dir.path().join("hub.sqlite").exists() && !to.exists(), "nothing was made");
}
