//! Real trees, read once from a real directory that changes from version to version.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use content::closure::ClosureEntry;
use content::{ChunkId, ChunkRef, Totals};
use random::Random;
use snapshot::{ChunkKind, ChunkSink, SinkError, SnapshotOptions, SnapshotProgress};

const VERSIONS: u64 = 7;
const FILES: u64 = 20;

/// One version of the directory.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) root: ClosureEntry,
    pub(crate) closure: ClosureEntry,
    pub(crate) totals: Totals,
    /// Everything under it, the closure's own chunks included.
    pub(crate) chunks: BTreeMap<ChunkId, Bytes>,
}

/// The versions, oldest first.
///
/// # Panics
/// When the temporary directory cannot be written.
pub(crate) fn trees() -> &'static [Tree] {
    static TREES: OnceLock<Vec<Tree>> = OnceLock::new();
    TREES.get_or_init(|| read_all().expect("a temporary directory can be written and read"))
}

#[derive(Default)]
struct Sink(Mutex<BTreeMap<ChunkId, Bytes>>);

impl ChunkSink for Sink {
    fn offer(&self, reference: &ChunkRef, stored: Bytes, _: ChunkKind) -> Result<(), SinkError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(reference.id, stored);
        Ok(())
    }
}

fn read_all() -> Result<Vec<Tree>> {
    let directory = tempfile::tempdir()?;
    let site = directory.path().join("site");
    let inner = site.join("inner");
    fs::create_dir_all(&inner)?;
    (0..VERSIONS).map(|version| read(version, &site, &inner, directory.path())).collect()
}

/// Writes what changed since the version before, and reads all of it.
fn read(version: u64, site: &Path, inner: &Path, beside: &Path) -> Result<Tree> {
    for file in (0..FILES).filter(|file| version == 0 || (file + version).is_multiple_of(5)) {
        let folder = if file.is_multiple_of(3) { inner } else { site };
        let mut random = Random::new(file * 1000 + version);
        let length = usize::try_from(1 + random.below(if file < 12 { 120_000 } else { 4_000 }))?;
        let path = folder.join(format!("file-{file:02}"));
        fs::write(&path, random.bytes(length))?;
        settle(&path, 0o644, version)?;
    }
    settle(inner, 0o755, version)?;
    let sink = Sink::default();
    let options = SnapshotOptions { threads: 1, reread: true, ..SnapshotOptions::default() };
    let progress = SnapshotProgress::default();
    let shot = snapshot::snapshot(site, &options, None, &beside.join("index"), &sink, &progress)
        .context("the directory is read")?;
    let chunks = std::mem::take(&mut *sink.0.lock().unwrap_or_else(PoisonError::into_inner));
    let root = ClosureEntry::from(&shot.tree.0);
    Ok(Tree { root, closure: shot.closure, totals: shot.totals, chunks })
}

/// Ids must not depend on when and by whom the directory is written.
fn settle(path: &Path, mode: u32, version: u64) -> Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + version);
    fs::File::open(path)?.set_times(fs::FileTimes::new().set_modified(modified))?;
    Ok(())
}
