mod changes;
mod kinds;
mod random;
mod sink;

use std::fs;
use std::path::PathBuf;

use super::*;
use sink::MemorySink;

/// A folder to read, and indexes beside it.
struct Bench {
    folder: tempfile::TempDir,
    options: SnapshotOptions,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("temporary directory");
        fs::create_dir(folder.path().join("tree")).expect("makes");
        Self { folder, options: SnapshotOptions { threads: 2, ..SnapshotOptions::default() } }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("tree")
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root().join(path)
    }

    fn write(&self, path: &str, bytes: impl AsRef<[u8]>) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().expect("below the root")).expect("makes");
        fs::write(path, bytes).expect("writable");
    }

    fn index(&self) -> PathBuf {
        self.folder.path().join("index")
    }

    /// Waits until facts recorded from now on are older than the resolution of time stamps.
    fn let_settle(&self) {
        std::thread::sleep(std::time::Duration::from_millis(40));
    }

    fn try_take(&self, index: bool, sink: &dyn ChunkSink) -> Result<Snapshot, SnapshotError> {
        let previous = index.then(|| self.index());
        let progress = SnapshotProgress::default();
        let index = &self.index();
        let taken =
            snapshot(&self.root(), &self.options, previous.as_deref(), index, sink, &progress);
        if let Ok(taken) = &taken {
            assert_eq!(progress.bytes_under_way.into_inner(), 0, "all is done");
            assert_eq!(progress.bytes_done.into_inner(), taken.totals.bytes);
        }
        taken
    }

    /// Reads without an index.
    fn fresh(&self) -> (Snapshot, MemorySink) {
        let sink = MemorySink::default();
        let shot = self.try_take(false, &sink).expect("reads");
        sink.check_closure(&shot);
        (shot, sink)
    }

    /// Reads with the index of the last time; chunks not offered again come from `sink`.
    fn again(&self, sink: &MemorySink) -> Snapshot {
        let shot = self.try_take(true, sink).expect("reads");
        sink.check_closure(&shot);
        shot
    }
}

/// Bytes that neither compress nor repeat.
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

#[test]
fn a_tree_of_nothing_has_an_id() {
    let bench = Bench::new();
    let (shot, sink) = bench.fresh();
    assert_eq!(shot.totals, Totals::default());
    assert!(sink.restore(&shot).is_empty());
    assert_eq!(bench.again(&sink).tree, shot.tree);
}

#[test]
fn a_path_that_does_not_exist_or_is_no_content_is_an_error() {
    let bench = Bench::new();
    let (sink, progress) = (MemorySink::default(), SnapshotProgress::default());
    let take = |path: &str| {
        snapshot(&bench.at(path), &bench.options, None, &bench.index(), &sink, &progress)
    };
    assert!(matches!(take("missing"), Err(SnapshotError::Open { .. })));
    assert!(matches!(
        snapshot(Path::new("/dev/null"), &bench.options, None, &bench.index(), &sink, &progress),
        Err(SnapshotError::NotContent { .. })
    ));
}

#[test]
fn a_single_file_is_a_tree_of_one_entry() {
    let bench = Bench::new();
    bench.write("only.txt", "one");
    bench.write("other.txt", "not this");
    let sink = MemorySink::default();
    let path = bench.at("only.txt");
    let progress = SnapshotProgress::default();
    let shot =
        snapshot(&path, &bench.options, None, &bench.index(), &sink, &progress).expect("reads");
    let restored = sink.restore(&shot);
    assert_eq!(restored.len(), 1);
    assert_eq!(restored[&b"only.txt"[..]].bytes, b"one");
}

#[test]
fn a_sink_that_fails_ends_the_snapshot_with_its_reason() {
    struct Full;
    impl ChunkSink for Full {
        fn offer(
            &self,
            _: &content::ChunkRef,
            _: bytes::Bytes,
            kind: ChunkKind,
        ) -> Result<(), SinkError> {
            if kind == ChunkKind::Content { Err(SinkError::other("no room")) } else { Ok(()) }
        }
    }
    let bench = Bench::new();
    for number in 0..300 {
        bench.write(&format!("{number}"), noise(50_000, number));
    }
    let Err(SnapshotError::Sink(SinkError::Failed(source))) = bench.try_take(false, &Full) else {
        panic!("the sink refused");
    };
    assert_eq!(source.to_string(), "no room");
    assert!(!bench.index().exists(), "what did not arrive is not remembered");
}
