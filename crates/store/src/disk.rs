//! Chunks in packs on a disk.
//!
//! ```text
//! DIR/lock              flock: one process at a time
//! DIR/index.redb        where each chunk is, see `disk/index.rs`
//! DIR/packs/NNNNNNNN.pack   NNNNNNNN = number in hexadecimal; numbers grow
//!
//! pack: offset  bytes  field
//!            0      4  magic "CnPk"
//!            4      1  version 1
//!            5     11  zero
//!           16         frames back to back, exactly as `content::frame` encodes them;
//!                      the whole at most 64 MiB
//! ```
//!
//! The packs are the truth and the index can be rebuilt from them. Order of a flush: sync of the
//! packs' data, then one index commit. So the index never names bytes that may be lost, and what
//! lies behind a pack's indexed length was not acknowledged (`disk/recover.rs`).
//!
//! Locks, in the order they are taken: `flushing`, `writer`, then the short ones. `flushing` is
//! held by a flush and by whatever moves chunks; `writer` by whoever adds to the active pack.
//! Readers take neither: a pack is deleted after the index stopped naming it, a reader that
//! comes too late looks the chunk up again, one that has the file open reads on.

mod check;
mod evict;
mod guard;
mod index;
mod pack;
mod read;
mod recover;
mod sweep;
mod trim;
mod write;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use content::{ChunkId, Frame};

use crate::codecs::{Codecs, lock};
use crate::{
    Appended, ChunkStore, GcReport, Limit, Roots, Scope, StoreError, StoreStats, VerifyReport,
};
pub use guard::catches_panics;
use index::{Index, Location, Place};
use pack::Handles;
use read::Decoded;
use recover::Opened;
use write::Writer;

/// Limits of a [`DiskStore`].
#[derive(Debug, Clone, Copy)]
pub struct DiskOptions {
    /// Most bytes of packs.
    pub quota_bytes: u64,
    /// Space that stays free on the disk.
    pub free_reserve_bytes: u64,
    /// Whether the least recently used frames make room when the quota is reached.
    pub cache: bool,
}

impl Default for DiskOptions {
    /// No quota, 256 MiB left free, nothing is evicted.
    fn default() -> Self {
        Self { quota_bytes: u64::MAX, free_reserve_bytes: 256 << 20, cache: false }
    }
}

/// A store in a directory, for one process at a time.
pub struct DiskStore(Arc<Disk>);

/// What the calls share; methods block and run on blocking threads.
struct Disk {
    directory: PathBuf,
    packs: PathBuf,
    options: DiskOptions,
    index: Index,
    codecs: Codecs,
    handles: Handles,
    decoded: Mutex<Decoded>,
    flushing: Arc<tokio::sync::Mutex<()>>,
    writer: Arc<tokio::sync::Mutex<Writer>>,
    /// Chunks appended and not yet committed; looked at before the index.
    pending: RwLock<HashMap<ChunkId, Location>>,
    /// Chunks found damaged: not here as far as anybody is told, so that they may come again.
    damaged: Mutex<HashSet<ChunkId>>,
    /// Frames used since the last commit, in seconds since 1970 (cache mode).
    uses: Mutex<HashMap<Place, u64>>,
    /// Ids asked for or sent again while `gc` runs.
    touched: Mutex<Option<HashSet<ChunkId>>>,
    poisoned: OnceLock<String>,
    /// Counts appends, and how many of them are durable.
    appended: AtomicU64,
    flushed: AtomicU64,
    pack_bytes: AtomicU64,
    pack_count: AtomicU64,
    /// Lets syncs fail, to test what follows.
    #[cfg(test)]
    fail_syncs: std::sync::atomic::AtomicBool,
    collecting: tokio::sync::Mutex<()>,
    _lock: File,
}

impl DiskStore {
    /// Opens the store in `directory`, creating it if need be, and repairs what a crash left.
    ///
    /// # Errors
    /// [`StoreError::Locked`] when another process has it open.
    pub fn open(directory: &Path, options: DiskOptions) -> Result<Self, StoreError> {
        let packs = directory.join("packs");
        let is_new = !directory.exists();
        std::fs::create_dir_all(&packs).map_err(StoreError::io("create", &packs))?;
        let path = directory.join("lock");
        let lock = File::options().create(true).truncate(false).write(true).open(&path);
        let lock = lock.map_err(StoreError::io("open", &path))?;
        match rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(StoreError::Locked { path: directory.to_owned() });
            }
            Err(error) => return Err(StoreError::io("lock", &path)(error.into())),
        }
        let Opened { index, pack_bytes, last } = recover::open(directory, &packs)?;
        // The names of the index and of `packs` must last as long as what is in them.
        let parent = directory.parent().filter(|parent| is_new && !parent.as_os_str().is_empty());
        for directory in [Some(directory), parent].into_iter().flatten() {
            File::open(directory)
                .and_then(|directory| directory.sync_all())
                .map_err(StoreError::io("sync", directory))?;
        }
        let pack_count = pack::list(&packs)?.len() as u64;
        Ok(Self(Arc::new(Disk {
            directory: directory.to_owned(),
            options,
            index,
            codecs: Codecs::default(),
            handles: Handles::default(),
            decoded: Mutex::default(),
            flushing: Arc::default(),
            writer: Arc::new(tokio::sync::Mutex::new(Writer::open(&packs, last)?)),
            packs,
            pending: RwLock::default(),
            damaged: Mutex::default(),
            uses: Mutex::default(),
            touched: Mutex::default(),
            poisoned: OnceLock::new(),
            appended: AtomicU64::new(0),
            flushed: AtomicU64::new(0),
            pack_bytes: AtomicU64::new(pack_bytes),
            pack_count: AtomicU64::new(pack_count),
            #[cfg(test)]
            fail_syncs: std::sync::atomic::AtomicBool::new(false),
            collecting: tokio::sync::Mutex::new(()),
            _lock: lock,
        })))
    }

    /// The packs of the store in `directory` by their numbers, for whoever copies them. Another
    /// process may have the store open: packs only grow, and only `gc` and eviction remove any.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn pack_files(directory: &Path) -> Result<BTreeMap<u32, PathBuf>, StoreError> {
        let numbers = pack::list(&directory.join("packs"))?.into_keys();
        Ok(numbers.map(|number| (number, Self::pack_file(directory, number))).collect())
    }

    /// Where the pack of this number is, or would be.
    #[must_use]
    pub fn pack_file(directory: &Path, number: u32) -> PathBuf {
        pack::pack_path(&directory.join("packs"), number)
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Disk) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let disk = Arc::clone(&self.0);
        let joined = tokio::task::spawn_blocking(move || {
            let result = work(&disk);
            if let Err(StoreError::Index(error)) = &result {
                disk.distrust_index(error);
            }
            result
        });
        match joined.await {
            Ok(result) => result,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(StoreError::Poisoned { reason: "the runtime shuts down".into() }),
            },
        }
    }
}

impl Disk {
    fn locate(&self, ids: &[ChunkId]) -> Result<Vec<Option<Location>>, StoreError> {
        // Pending first: a commit enters the index before it leaves here.
        let mut found: Vec<Option<Location>> = {
            let pending = self.pending.read().unwrap_or_else(PoisonError::into_inner);
            ids.iter().map(|id| pending.get(id).copied()).collect()
        };
        if found.iter().any(Option::is_none) {
            let indexed = self.index.lookup(ids)?;
            found.iter_mut().zip(indexed).for_each(|(found, indexed)| *found = found.or(indexed));
        }
        Ok(found)
    }

    fn touch(&self, ids: impl IntoIterator<Item = ChunkId>) {
        if let Some(touched) = lock(&self.touched).as_mut() {
            touched.extend(ids);
        }
    }

    fn has(&self, ids: &[ChunkId]) -> Result<Vec<bool>, StoreError> {
        self.touch(ids.iter().copied());
        let found = self.locate(ids)?;
        // Whoever asks for a chunk counts on it from now on.
        found.iter().flatten().for_each(|location| self.note_use(location.place));
        let damaged = lock(&self.damaged);
        Ok(ids
            .iter()
            .zip(found)
            .map(|(id, found)| found.is_some() && !damaged.contains(id))
            .collect())
    }

    fn check_poison(&self) -> Result<(), StoreError> {
        match self.poisoned.get() {
            Some(reason) => Err(StoreError::Poisoned { reason: reason.clone() }),
            None => Ok(()),
        }
    }

    /// Refuses all later writes.
    fn poison(&self, error: StoreError) -> StoreError {
        let reason = match std::error::Error::source(&error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
        tracing::error!(%reason, "the store takes no more writes");
        let _ = self.poisoned.set(reason);
        error
    }

    fn distrust_index(&self, error: &redb::Error) {
        let index = self.directory.join("index.redb");
        tracing::error!(%error, "{} failed and is made anew from the packs when the store is opened", index.display());
        let path = self.directory.join(recover::DISTRUST);
        if let Err(error) = File::create(&path) {
            tracing::warn!(%error, "cannot leave a mark for that");
        }
    }

    fn note_use(&self, place: Place) {
        if self.options.cache {
            lock(&self.uses).insert(place, unix_now());
        }
    }

    fn stats(&self) -> Result<StoreStats, StoreError> {
        let (chunks, plain_bytes) = self.index.count()?;
        let pending = self.pending.read().unwrap_or_else(PoisonError::into_inner);
        let pending_bytes: u64 = pending.values().map(|location| u64::from(location.length)).sum();
        Ok(StoreStats {
            chunks: chunks + pending.len() as u64,
            plain_bytes: plain_bytes + pending_bytes,
            stored_bytes: self.pack_bytes.load(Ordering::Relaxed),
            packs: self.pack_count.load(Ordering::Relaxed),
        })
    }
}

fn unix_now() -> u64 {
    unix(SystemTime::now())
}

fn unix(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[async_trait]
impl ChunkStore for DiskStore {
    async fn has(&self, ids: &[ChunkId]) -> Result<Vec<bool>, StoreError> {
        let ids = ids.to_vec();
        self.run(move |disk| disk.has(&ids)).await
    }

    async fn append(&self, frames: Vec<Frame>) -> Result<Appended, StoreError> {
        self.run(move |disk| disk.append(frames)).await
    }

    async fn flush(&self) -> Result<(), StoreError> {
        let disk = &self.0;
        let target = disk.appended.load(Ordering::Acquire);
        let flushing = Arc::clone(&disk.flushing).lock_owned().await;
        if disk.flushed.load(Ordering::Acquire) >= target && lock(&disk.uses).is_empty() {
            return disk.check_poison();
        }
        self.run(move |disk| {
            // Moved in: a caller that goes away does not let the next flush in too early.
            let _flushing = flushing;
            disk.flush()
        })
        .await
    }

    async fn read(&self, id: &ChunkId) -> Result<Option<Bytes>, StoreError> {
        let id = *id;
        // What was decoded lately needs no thread that may wait for the disk.
        let decoded = lock(&self.0.decoded).find(&id);
        if let Some((place, piece)) = decoded {
            self.0.note_use(place);
            return Ok(Some(piece.alone()));
        }
        self.run(move |disk| disk.read(id)).await
    }

    async fn frames(&self, ids: &[ChunkId]) -> Result<(Vec<Frame>, Vec<ChunkId>), StoreError> {
        let ids = ids.to_vec();
        self.run(move |disk| disk.frames(ids)).await
    }

    async fn stats(&self) -> Result<StoreStats, StoreError> {
        self.run(Disk::stats).await
    }

    async fn check_writable(&self) -> Result<(), StoreError> {
        self.run(|disk| {
            disk.check_poison()?;
            match disk.check_room(1) {
                // A cache makes room by itself.
                Err(StoreError::Full { limit: Limit::Quota, .. }) if disk.options.cache => Ok(()),
                checked => checked,
            }
        })
        .await
    }

    async fn verify(&self, how: Scope) -> Result<VerifyReport, StoreError> {
        if self.0.poisoned.get().is_none() {
            self.flush().await?;
        }
        let report = self.run(move |disk| disk.verify(how)).await?;
        if self.0.poisoned.get().is_none() {
            // What was saved out of damaged frames.
            self.flush().await?;
        }
        Ok(report)
    }

    async fn gc(
        &self,
        roots: &dyn Roots,
        grace: Duration,
        now: SystemTime,
    ) -> Result<GcReport, StoreError> {
        self.collect(roots, grace, now).await
    }
}
