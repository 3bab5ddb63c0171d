//! Letting go of releases and chunks, beside everything else the hub does.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use content::{ChunkId, Frame};
use hub::{Hub, HubConfig, Role, Tls};
use hub_db::{Caller, HubDb as _, Names as _, Retaining as _, Retention, SqliteDb};
use store::{
    Appended, ChunkStore, DiskOptions, DiskStore, GcReport, Roots, RootsError, Scope, StoreError,
    StoreStats, VerifyReport,
};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::raw::PATIENCE;
use crate::scene::{self, Scene, Tree, chunk, fetch, frames, name};

/// A store whose collections can be held between being told the roots and reading them.
struct Gate {
    inner: DiskStore,
    open: watch::Receiver<bool>,
    /// How many collections were held, and how many ended.
    counts: watch::Sender<(u32, u32)>,
}

struct HeldRoots<'a> {
    roots: &'a dyn Roots,
    gate: &'a Gate,
}

#[async_trait]
impl Roots for HeldRoots<'_> {
    async fn closures(&self) -> Result<Vec<ChunkId>, RootsError> {
        let closures = self.roots.closures().await;
        self.gate.counts.send_modify(|(held, _)| *held += 1);
        self.gate.open.clone().wait_for(|open| *open).await?;
        closures
    }
}

#[async_trait]
impl ChunkStore for Gate {
    async fn has(&self, ids: &[ChunkId]) -> Result<Vec<bool>, StoreError> {
        self.inner.has(ids).await
    }

    async fn append(&self, frames: Vec<Frame>) -> Result<Appended, StoreError> {
        self.inner.append(frames).await
    }

    async fn flush(&self) -> Result<(), StoreError> {
        self.inner.flush().await
    }

    async fn read(&self, id: &ChunkId) -> Result<Option<Bytes>, StoreError> {
        self.inner.read(id).await
    }

    async fn frames(&self, ids: &[ChunkId]) -> Result<(Vec<Frame>, Vec<ChunkId>), StoreError> {
        self.inner.frames(ids).await
    }

    async fn stats(&self) -> Result<StoreStats, StoreError> {
        self.inner.stats().await
    }

    async fn check_writable(&self) -> Result<(), StoreError> {
        self.inner.check_writable().await
    }

    async fn verify(&self, how: Scope) -> Result<VerifyReport, StoreError> {
        self.inner.verify(how).await
    }

    async fn gc(
        &self,
        roots: &dyn Roots,
        grace: Duration,
        now: SystemTime,
    ) -> Result<GcReport, StoreError> {
        let report = self.inner.gc(&HeldRoots { roots, gate: self }, grace, now).await;
        self.counts.send_modify(|(_, ended)| *ended += 1);
        report
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_is_accepted_and_kept_while_a_collection_marks() {
    let dir = tempfile::tempdir().expect("a directory");
    let options = DiskOptions { free_reserve_bytes: 0, ..DiskOptions::default() };
    let inner = DiskStore::open(&dir.path().join("store"), options).expect("opens");
    let (open, is_open) = watch::channel(true);
    let (counts, mut counted) = watch::channel((0, 0));
    let gate = Arc::new(Gate { inner, open: is_open, counts });
    let config = HubConfig {
        gc_interval: Duration::from_millis(20),
        gc_grace: Duration::ZERO,
        ..scene::config(&dir, Tls::Off)
    };
    let store: Arc<dyn ChunkStore> = gate.clone();
    let hub = Hub::start_on(config, store).await.expect("starts");
    let scene = Scene { dir, hub };
    let owner = scene.person(1, Role::Publisher, &[]).await;

    open.send_replace(false);
    let held = counted.wait_for(|(held, ended)| held > ended);
    timeout(PATIENCE, held).await.expect("a collection comes").expect("counts");
    // The collection has been told its roots, and these are not among them.
    let late = Tree::new(2, 50);
    let called = name("team/late");
    let publishing = owner.publish(&called, true, &late);
    timeout(PATIENCE, publishing).await.expect("a collection holds no publication up");
    owner.client.upload(frames(&[chunk(3, 0)])).await.expect("uploads");

    open.send_replace(true);
    let (_, ended) = *counted.borrow();
    // Another one that began after all of it decides about the chunk that no release needs.
    let more = counted.wait_for(|(_, now)| *now > ended + 2);
    timeout(PATIENCE, more).await.expect("they go on").expect("counts");
    let (_, missing) = fetch(&scene.anonymous(), &late.ids()).await;
    assert_eq!(missing, [], "the release that came meanwhile is whole");
    let unneeded = ChunkId::of(&chunk(3, 0));
    assert_eq!(gate.inner.has(&[unneeded]).await.expect("answers"), [false]);
}

#[tokio::test(flavor = "multi_thread")]
async fn releases_no_rule_keeps_go_and_pinned_ones_stay() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = HubConfig {
        gc_interval: Duration::from_millis(50),
        gc_grace: Duration::ZERO,
        ..scene::config(&dir, Tls::Off)
    };
    let scene = Scene { hub: Hub::start(config).await.expect("starts"), dir };
    let owner = scene.person(1, Role::Publisher, &[]).await;
    let tools = name("team/tools");
    let trees: Vec<Tree> = (0..5).map(|seed| Tree::new(seed, 20)).collect();
    owner.client.put_name(&tools, true).await.expect("puts the name");
    let mut last = None;
    for tree in &trees {
        last = Some(owner.upload_and_post(&tools, tree, last).await);
    }
    let reader = scene.anonymous();
    assert_eq!(reader.releases(&tools, None, 10).await.expect("lists").len(), 5);

    let db = SqliteDb::open(&scene.dir.path().join("hub.sqlite")).await.expect("opens");
    let record = db.name("team/tools", &Caller::Anonymous).await.expect("asks").expect("is there");
    assert!(db.set_pinned(record.id, 2, true).await.expect("pins"));
    let keep = Retention { last: Some(2), days: None };
    db.set_retention(record.id, &keep).await.expect("sets the rule");
    db.close().await;

    let started = Instant::now();
    loop {
        let releases = reader.releases(&tools, None, 10).await.expect("lists");
        let sequences: Vec<u64> = releases.iter().map(|release| release.sequence).collect();
        let gone = reader.have(&trees[0].ids()).await.expect("answers");
        if sequences == [5, 4, 2] && !gone.iter().any(|here| *here) {
            break;
        }
        assert!(started.elapsed() < PATIENCE, "still there: {sequences:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for kept in [1, 3, 4] {
        let (_, missing) = fetch(&reader, &trees[kept].ids()).await;
        assert_eq!(missing, [], "release {}", kept + 1);
    }
    // The chain goes on over the gap.
    let next = Tree::new(9, 5);
    owner.upload_and_post(&tools, &next, last).await;
}
