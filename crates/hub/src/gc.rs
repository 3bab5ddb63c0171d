//! Collecting chunks that no release needs.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use content::ChunkId;
use hub_db::{DbError, HubDb, LOOKUP_IDS_MAX};
use store::{ChunkStore, GcReport, Roots, StoreError};

use crate::app::App;
use crate::files::unix_now;
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

struct Releases(Vec<ChunkId>);

impl Roots for Releases {
    fn closures(&self) -> Result<Vec<ChunkId>, store::RootsError> {
        Ok(self.0.clone())
    }
}

/// Removes chunks that no release in `db` lists and that were stored longer than `grace` ago,
/// then forgets the holders of chunks that are gone.
///
/// No release may be added meanwhile: the running hub sees to it.
///
/// # Errors
/// See [`GcError`].
pub async fn gc(
    db: &dyn HubDb,
    store: &dyn ChunkStore,
    grace: Duration,
) -> Result<GcReport, GcError> {
    let roots = Releases(db.closures().await?);
    let report = store.gc(&roots, grace, SystemTime::now()).await?;
    if report.removed_chunks > 0 {
        forget_holders(db, store).await?;
    }
    Ok(report)
}

/// A chunk sent again between the question and the deletion loses its holder: its publisher is
/// told that it is missing and sends it once more.
async fn forget_holders(db: &dyn HubDb, store: &dyn ChunkStore) -> Result<(), GcError> {
    let mut after = None;
    loop {
        let held = db.held_chunks(after, LOOKUP_IDS_MAX as u32).await?;
        let Some(last) = held.last() else { return Ok(()) };
        after = Some(*last);
        let stored = store.has(&held).await?;
        let gone = held.iter().zip(stored).filter(|(_, stored)| !stored);
        let gone: Vec<ChunkId> = gone.map(|(id, _)| *id).collect();
        db.drop_holders(&gone).await?;
    }
}

/// The job of a running hub.
pub(crate) async fn hourly(app: Arc<App>, interval: Duration, grace: Duration) {
    loop {
        tokio::time::sleep(interval).await;
        if let Err(error) = app.db.drop_expired_invitations(unix_now()).await {
            tracing::error!(error = %Chain(&error), "cannot forget expired invitations");
        }
        let publishing = app.publishing.write().await;
        match gc(&*app.db, &*app.store, grace).await {
            Ok(report) => tracing::info!(
                removed_chunks = report.removed_chunks,
                freed_bytes = report.freed_bytes,
                "collected"
            ),
            Err(error) => tracing::error!(error = %Chain(&error), "cannot collect"),
        }
        drop(publishing);
        // Holders of collected chunks may have been remembered.
        app.access.forget();
    }
}
