//! The chunks kept on this machine: `put`, `verify`, `gc`, `stats`.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use content::frame::Codec;
use content::{ChunkId, ChunkRef};
use serde::{Deserialize, Serialize};
use snapshot::{
    ChunkKind, ChunkSink, SinkError, Snapshot, SnapshotError, SnapshotOptions, SnapshotProgress,
};
use store::{
    ChunkStore, DiskOptions, DiskStore, GcReport, MemoryStore, Roots, Scope, StoreError,
    StoreStats, VerifyReport,
};

use crate::drafting::Drafting;
use crate::state::{Node, StateError, path_bytes, read_json, write_json};
use crate::upload::frames_of;
use crate::waits::Waits;

/// Why a job on the local store failed.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// The store failed; what it had acknowledged is safe.
    #[error("the local store failed")]
    Store(#[from] StoreError),
    /// The directory could not be read.
    #[error("cannot read {}", path.display())]
    Snapshot {
        /// What was to be put.
        path: PathBuf,
        /// Why not.
        #[source]
        source: SnapshotError,
    },
    /// The state directory failed.
    #[error("cannot use this node's state")]
    State(#[from] StateError),
}

/// A tree that `put` keeps.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Root {
    closure: String,
    path: String,
}

/// The closures of everything `put` keeps.
pub(crate) struct PutRoots(pub(crate) PathBuf);

#[async_trait::async_trait]
impl Roots for PutRoots {
    async fn closures(&self) -> Result<Vec<ChunkId>, store::RootsError> {
        let entries = match std::fs::read_dir(&self.0) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let mut closures = Vec::new();
        for entry in entries {
            let path = entry?.path();
            // A draft is what a killed `put` left; it was never promised.
            if path.extension().is_some_and(|extension| extension == "json")
                && let Some(root) = read_json::<Root>(&path)?
            {
                closures.push(root.closure.parse()?);
            }
        }
        Ok(closures)
    }
}

impl Node {
    pub(crate) fn store_path(&self) -> PathBuf {
        self.directory().join("store")
    }

    /// The machine's chunk store.
    ///
    /// # Errors
    /// When another process has it open, or it cannot be opened.
    pub fn store(&self) -> Result<Arc<dyn ChunkStore>, StoreError> {
        // The jobs of one process share it; it is closed when the last of them is done.
        let mut shared = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = shared.upgrade() {
            return Ok(open);
        }
        let options = DiskOptions { cache: self.cache.is_bounded(), ..DiskOptions::default() };
        let open = Arc::new(DiskStore::open(&self.store_path(), options)?);
        *shared = Arc::downgrade(&open);
        Ok(open)
    }

    /// The store for metadata: in memory while another process has the machine's.
    pub(crate) fn metadata_store(&self) -> Result<Arc<dyn ChunkStore>, StoreError> {
        match self.store() {
            Err(StoreError::Locked { .. }) => {
                tracing::info!("another process uses the local store; metadata stays in memory");
                Ok(Arc::new(MemoryStore::new()))
            }
            other => other,
        }
    }

    /// Reads a file or directory into the local store and keeps it.
    ///
    /// # Errors
    /// When it cannot be read or stored.
    pub async fn put(
        &self,
        path: &Path,
        reread: bool,
        progress: Arc<SnapshotProgress>,
        waits: &Waits,
    ) -> Result<Snapshot, LocalError> {
        let store = self.store()?;
        let memory = self.memory_of("put", &[path_bytes(&Self::subject_of(path)?)])?;
        let drafting = Drafting::begin(&memory, "another `put` of the same path", waits).await?;
        let (index, draft) = (memory.join("index"), memory.join("index.new"));
        // Whoever gives up waiting for this must not leave a thread that reads on.
        let stop = StopOnDrop::default();
        let mut options = SnapshotOptions {
            sealer: None,
            reread,
            owners: false,
            threads: std::thread::available_parallelism().map_or(2, usize::from),
            resend: std::collections::HashSet::new(),
        };
        loop {
            let shot = {
                let (path, store) = (path.to_owned(), Arc::clone(&store));
                let shown = path.clone();
                let (index, draft, options) = (index.clone(), draft.clone(), options.clone());
                let progress = Arc::clone(&progress);
                let runtime = tokio::runtime::Handle::current();
                let (stop, drafting) = (Arc::clone(&stop.0), drafting.clone());
                tokio::task::spawn_blocking(move || {
                    let _drafting = drafting;
                    let sink = StoreSink { store, runtime, stop, pending: Mutex::default() };
                    let shot = snapshot::snapshot(
                        &path,
                        &options,
                        Some(&index),
                        &draft,
                        &sink,
                        &progress,
                    )?;
                    sink.finish()?;
                    Ok(shot)
                })
                .await
                .expect("reading does not panic")
                .map_err(|source| LocalError::Snapshot { path: shown, source })?
            };
            store.flush().await?;
            // Files that were not read again must still be in the store.
            let lost = missing_under(store.as_ref(), &shot).await?;
            if lost.is_empty() || options.reread {
                std::fs::rename(&draft, &index).map_err(crate::state::io("replace", &index))?;
                let root =
                    Root { closure: shot.closure.id.to_string(), path: path.display().to_string() };
                let name = format!("{}.json", shot.tree.id());
                write_json(&self.roots_path().join(name), &root)?;
                return Ok(shot);
            }
            options.reread = true;
        }
    }

    pub(crate) fn roots_path(&self) -> PathBuf {
        self.directory().join("roots")
    }

    /// Reads what the store holds and compares it with its hashes.
    ///
    /// # Errors
    /// When the store cannot be opened or read; damage is in the report, not an error.
    pub async fn verify(&self, scope: Scope) -> Result<VerifyReport, StoreError> {
        self.store()?.verify(scope).await
    }

    /// Removes chunks that nothing kept here needs.
    ///
    /// # Errors
    /// When the store fails, or a closure cannot be read: then nothing is removed.
    pub async fn gc(&self, grace: Duration) -> Result<GcReport, StoreError> {
        let roots = PutRoots(self.roots_path());
        self.store()?.gc(&roots, grace, SystemTime::now()).await
    }

    /// Counts what the store holds.
    ///
    /// # Errors
    /// When the store cannot be opened.
    pub async fn stats(&self) -> Result<StoreStats, StoreError> {
        self.store()?.stats().await
    }
}

/// The chunks of a tree's closure that the store does not have.
async fn missing_under(
    store: &dyn ChunkStore,
    shot: &Snapshot,
) -> Result<Vec<ChunkId>, StoreError> {
    let mut missing = Vec::new();
    for segment in &shot.closure_head.segments {
        let Some(bytes) = store.read(&segment.id).await? else {
            missing.push(segment.id);
            continue;
        };
        let Ok(listed) = content::Closure::decode(&bytes) else { continue };
        let ids: Vec<ChunkId> = listed.0.iter().map(|entry| entry.id).collect();
        let has = store.has(&ids).await?;
        missing.extend(ids.into_iter().zip(has).filter_map(|(id, has)| (!has).then_some(id)));
    }
    Ok(missing)
}

/// Ends a thread that nobody waits for any more.
#[derive(Default)]
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// Puts chunks into the store, a frame or so at a time.
struct StoreSink {
    store: Arc<dyn ChunkStore>,
    runtime: tokio::runtime::Handle,
    stop: Arc<AtomicBool>,
    pending: Mutex<(Vec<(ChunkId, Bytes)>, usize)>,
}

/// Bytes gathered before the store is called.
const APPEND_BYTES: usize = 4 << 20;

impl StoreSink {
    fn append(&self, chunks: &[(ChunkId, Bytes)]) -> Result<(), SinkError> {
        if chunks.is_empty() {
            return Ok(());
        }
        if self.stop.load(Relaxed) {
            return Err(SinkError::closed());
        }
        let frames = frames_of(chunks, Codec::Zstd);
        self.runtime.block_on(self.store.append(frames)).map_err(SinkError::other)?;
        Ok(())
    }

    fn finish(self) -> Result<(), SinkError> {
        let (rest, _) =
            std::mem::take(&mut *self.pending.lock().expect("no thread panicked while offering"));
        self.append(&rest)
    }
}

impl ChunkSink for StoreSink {
    fn offer(&self, reference: &ChunkRef, stored: Bytes, _: ChunkKind) -> Result<(), SinkError> {
        let full = {
            let mut pending = self.pending.lock().expect("no thread panicked while offering");
            pending.1 += stored.len();
            pending.0.push((reference.id, stored));
            if pending.1 < APPEND_BYTES {
                return Ok(());
            }
            pending.1 = 0;
            std::mem::take(&mut pending.0)
        };
        self.append(&full)
    }
}
