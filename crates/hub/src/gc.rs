//! Letting go of releases that no rule keeps, and collecting chunks that no release needs.
//!
//! Publishing goes on meanwhile. The order that makes this safe:
//!
//! 1. the store begins to remember every id it is asked for;
//! 2. publications that began before that are waited for, once, and only then are the releases
//!    read: they include those publications;
//! 3. later publications ask the store for each chunk they name, so those chunks are kept.
//!
//! Nothing that takes time happens while publications wait: reading closures and rewriting packs
//! come after step 2 has let go of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use content::ChunkId;
use hub_db::{DbError, HubDb, LOOKUP_IDS_MAX};
use store::{ChunkStore, GcReport, Roots, RootsError, StoreError};
use tokio::sync::RwLock;

use crate::app::App;
use crate::files::{DataDir, unix_now};
use crate::maintenance::Removing;
use crate::refusal::Chain;

/// Why nothing, or not everything, was collected. It is tried again an hour later.
#[derive(Debug, thiserror::Error)]
pub enum GcError {
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The store failed, or lacks a closure that a release needs; nothing was deleted then.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The closures of all releases. The first question waits for the publications under way.
struct Releases<'a> {
    db: &'a dyn HubDb,
    publishing: &'a RwLock<()>,
    asked: AtomicBool,
}

#[async_trait]
impl Roots for Releases<'_> {
    async fn closures(&self) -> Result<Vec<ChunkId>, RootsError> {
        // Later questions come while the store takes no writes, so that a publication may be
        // waiting for the store: waiting for it in turn would never end.
        if !self.asked.swap(true, Ordering::Relaxed) {
            drop(self.publishing.write().await);
        }
        Ok(self.db.closures().await?)
    }
}

/// Removes chunks that no release in `db` lists and that were stored longer than `grace` ago,
/// then forgets the holders of chunks that are gone.
///
/// Whoever adds a release holds `publishing` for reading from before it asks the store for the
/// release's chunks until the release is in the database.
///
/// # Errors
/// See [`GcError`].
pub async fn gc(
    db: &dyn HubDb,
    store: &dyn ChunkStore,
    publishing: &RwLock<()>,
    grace: Duration,
) -> Result<GcReport, GcError> {
    let roots = Releases { db, publishing, asked: AtomicBool::new(false) };
    let report = store.gc(&roots, grace, SystemTime::now()).await?;
    if report.removed_chunks > 0 {
        forget_holders(db, store, publishing).await?;
    }
    Ok(report)
}

/// A chunk that comes again gains its holders after it is stored, so a question and a deletion
/// with no publication in between take nothing from a release. An uploader may lose a chunk sent
/// just then: it is told so when it publishes, and sends it once more.
async fn forget_holders(
    db: &dyn HubDb,
    store: &dyn ChunkStore,
    publishing: &RwLock<()>,
) -> Result<(), GcError> {
    let mut after = None;
    loop {
        let held = db.held_chunks(after, LOOKUP_IDS_MAX as u32).await?;
        let Some(last) = held.last() else { return Ok(()) };
        after = Some(*last);
        let gone = absent(store, held).await?;
        if gone.is_empty() {
            continue;
        }
        let _no_publication = publishing.write().await;
        let gone = absent(store, gone).await?;
        db.drop_holders(&gone).await?;
    }
}

async fn absent(store: &dyn ChunkStore, ids: Vec<ChunkId>) -> Result<Vec<ChunkId>, StoreError> {
    let stored = store.has(&ids).await?;
    Ok(ids.into_iter().zip(stored).filter(|(_, stored)| !stored).map(|(id, _)| id).collect())
}

/// The job of a running hub.
pub(crate) async fn hourly(app: Arc<App>, data: DataDir, interval: Duration, grace: Duration) {
    loop {
        tokio::time::sleep(interval).await;
        once(&app, &data, grace).await;
    }
}

async fn once(app: &App, data: &DataDir, grace: Duration) {
    let now = unix_now();
    if app.cluster.manages(&*app.db).await {
        let_go(app, now).await;
    }
    if app.cluster.keeps_chunks() {
        collect(app, data, grace, now).await;
    }
}

/// Forgets what has ended, once for all front-ends.
async fn let_go(app: &App, now: u64) {
    if let Err(error) = app.db.drop_expired(now).await {
        tracing::error!(error = %Chain(&error), "cannot forget what has expired");
    }
    match app.db.expire_releases(now).await {
        Ok(gone) => {
            app.metrics.releases_expired.inc_by(gone.len() as u64);
            if !gone.is_empty() {
                tracing::info!(releases = gone.len(), "let go of releases no rule keeps");
            }
        }
        Err(error) => tracing::error!(error = %Chain(&error), "cannot let go of old releases"),
    }
}

async fn collect(app: &App, data: &DataDir, grace: Duration, now: u64) {
    let _removing = match Removing::begin(data) {
        Ok(Some(removing)) => removing,
        Ok(None) => {
            tracing::info!("nothing is collected while a backup is made");
            return;
        }
        Err(error) => {
            tracing::error!(%error, "cannot lock the data directory for collecting");
            return;
        }
    };
    let started = Instant::now();
    match gc(&*app.db, &*app.store, &app.publishing, grace).await {
        Ok(report) => {
            app.metrics.collected(&report, started.elapsed(), now);
            tracing::info!(
                removed_chunks = report.removed_chunks,
                freed_bytes = report.freed_bytes,
                duration_ms = started.elapsed().as_millis() as u64,
                "collected"
            );
        }
        Err(error) => {
            app.metrics.collection_failed();
            tracing::error!(error = %Chain(&error), "cannot collect");
        }
    }
    // Holders of collected chunks may have been remembered.
    app.access.forget();
}
