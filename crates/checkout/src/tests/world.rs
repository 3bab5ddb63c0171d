//! A published folder, a source that serves it, and a destination.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use content::frame::{Codec, FrameBuilder, FrameCodec};
use content::{ChunkId, ChunkRef, Frame, Sealer, TreeRef};
use fetch::{FetchConfig, Fetcher, Source, SourceError};
use snapshot::{ChunkKind, ChunkSink, SinkError, SnapshotOptions, SnapshotProgress, snapshot};
use store::MemoryStore;
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::{CheckoutError, CheckoutOptions, CheckoutProgress, CheckoutReport, checkout};

/// Serves chunks from memory, and falls silent when its allowance is used up.
#[derive(Default)]
pub(super) struct Shelf {
    chunks: Mutex<HashMap<ChunkId, (Bytes, ChunkKind)>>,
    pub(super) content_bytes: AtomicU64,
    pub(super) allowance: AtomicU64,
    /// How many requests it is silent to.
    pub(super) silent: AtomicU64,
}

impl ChunkSink for Shelf {
    fn offer(&self, chunk: &ChunkRef, stored: Bytes, kind: ChunkKind) -> Result<(), SinkError> {
        self.chunks.lock().expect("no panic").insert(chunk.id, (stored, kind));
        Ok(())
    }
}

#[async_trait]
impl Source for Shelf {
    fn name(&self) -> &str {
        "shelf"
    }

    async fn fetch(&self, ids: &[ChunkId], frames: mpsc::Sender<Frame>) -> Result<(), SourceError> {
        for id in ids {
            let found = self.chunks.lock().expect("no panic").get(id).cloned();
            let Some((bytes, kind)) = found else { continue };
            if kind == ChunkKind::Content {
                self.content_bytes.fetch_add(bytes.len() as u64, SeqCst);
                let left = self.allowance.fetch_sub(1, SeqCst);
                if left == 0 {
                    self.allowance.store(0, SeqCst);
                    self.silent.fetch_add(1, SeqCst);
                    std::future::pending::<()>().await;
                }
            }
            let mut builder = FrameBuilder::default();
            builder.push(*id, &bytes);
            let (entries, plain) = builder.take().expect("not empty");
            let frame = FrameCodec::default().encode(entries, plain, Codec::None);
            if frames.send(frame).await.is_err() {
                return Ok(());
            }
        }
        Ok(())
    }
}

pub(super) struct World {
    _temp: TempDir,
    /// What is published.
    pub(super) from: PathBuf,
    /// Where it is checked out.
    pub(super) to: PathBuf,
    pub(super) state: PathBuf,
    pub(super) shelf: Arc<Shelf>,
    pub(super) metadata: MemoryStore,
    pub(super) sealer: Option<Sealer>,
}

impl World {
    pub(super) fn new() -> Self {
        let temp = tempfile::tempdir().expect("a directory");
        let [from, to, state] = ["from", "to", "state"].map(|name| temp.path().join(name));
        fs::create_dir(&from).expect("fresh");
        let shelf = Arc::new(Shelf { allowance: (1 << 40).into(), ..Shelf::default() });
        Self { _temp: temp, from, to, state, shelf, metadata: MemoryStore::new(), sealer: None }
    }

    pub(super) fn publish(&self) -> TreeRef {
        let options = SnapshotOptions { sealer: self.sealer.clone(), ..SnapshotOptions::default() };
        let index = self.state.with_extension("published");
        let progress = SnapshotProgress::default();
        snapshot(&self.from, &options, None, &index, &*self.shelf, &progress)
            .expect("readable")
            .tree
    }

    pub(super) async fn get(&self, tree: TreeRef) -> Result<CheckoutReport, CheckoutError> {
        self.get_with(tree, CheckoutOptions::default()).await
    }

    pub(super) async fn get_with(
        &self,
        tree: TreeRef,
        options: CheckoutOptions,
    ) -> Result<CheckoutReport, CheckoutError> {
        let source = Arc::clone(&self.shelf) as Arc<dyn Source>;
        let fetcher = Fetcher::new(vec![source], FetchConfig::default());
        let progress = Arc::new(CheckoutProgress::default());
        let (to, state) = (&self.to, &self.state);
        let report =
            checkout(tree, &fetcher, &self.metadata, to, state, options, &progress).await?;
        let sum = report.bytes_reused + report.bytes_written + report.bytes_in_holes;
        assert_eq!(report.bytes_total, sum);
        assert_eq!(progress.bytes_done() + report.bytes_in_holes, report.bytes_total);
        assert_eq!((progress.files_done(), progress.files_total()), (report.files, report.files));
        assert!(!to.join(".consign.tmp").exists() && !state.join("journal").exists());
        Ok(report)
    }

    /// Publishes what is there, fetches it and compares.
    pub(super) async fn transfer(&self) -> CheckoutReport {
        let report = self.get(self.publish()).await.expect("works");
        self.assert_equal();
        report
    }

    pub(super) fn assert_equal(&self) {
        assert_eq!(describe(&self.to), describe(&self.from));
    }

    pub(super) fn write(&self, path: &str, bytes: &[u8]) {
        write(&self.from.join(path), bytes);
    }
}

/// Writes a file with a time stamp of long ago that depends on the bytes.
pub(super) fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().expect("not the root")).expect("makes");
    fs::write(path, bytes).expect("writes");
    let time = UNIX_EPOCH + Duration::new(1_000_000_000, 0);
    let time = time + Duration::from_nanos(u64::from(bytes.first().copied().unwrap_or(0)) + 7);
    fs::File::open(path).expect("opens").set_modified(time).expect("sets");
}

/// Bytes that do not compress and are the same for the same seed.
pub(super) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// One line for each thing in a directory.
pub(super) fn describe(directory: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    walk(directory, directory, &mut lines);
    lines.sort();
    lines
}

fn walk(top: &Path, directory: &Path, lines: &mut Vec<String>) {
    for entry in fs::read_dir(directory).expect("readable") {
        let path = entry.expect("readable").path();
        let facts = fs::symlink_metadata(&path).expect("there");
        let what = if facts.is_dir() {
            walk(top, &path, lines);
            String::new()
        } else if facts.is_symlink() {
            format!("{:?}", fs::read_link(&path).expect("a link"))
        } else {
            let bytes = fs::read(&path).expect("readable");
            format!("{} {} {}", bytes.len(), facts.nlink(), blake3::hash(&bytes))
        };
        let mode = if facts.is_symlink() { 0 } else { facts.permissions().mode() };
        let time = facts.modified().expect("has one");
        let time = time.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
        let name = path.strip_prefix(top).expect("beneath");
        lines.push(format!("{name:?} {mode:o} {time:?} {what}"));
    }
}
