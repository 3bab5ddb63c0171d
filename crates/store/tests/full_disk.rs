//! A disk that runs full and empties again, on a real file system of 24 MiB.

use std::path::{Path, PathBuf};
use std::process::Command;

use content::frame::{Codec, FrameBuilder, FrameCodec};
use content::{ChunkId, Frame};
use store::{ChunkStore, DiskOptions, DiskStore, Limit, StoreError};
use testkit::parts::{require, skip_on_this_machine};

/// A file system in memory, unmounted when dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let mount = require("mount")?;
        let directory = tempfile::tempdir().expect("a directory");
        let output = Command::new(mount)
            .args(["-t", "tmpfs", "-o", "size=24m", "tmpfs"])
            .arg(directory.path())
            .output()
            .expect("mount runs");
        if !output.status.success() {
            let why = String::from_utf8_lossy(&output.stderr);
            skip_on_this_machine("a full disk", &format!("nothing can be mounted: {}", why.trim()));
            return None;
        }
        Some(Self(directory))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes all room but `left` bytes, as somebody else's logs would.
    fn fill(&self, left: u64) -> PathBuf {
        let path = self.path().join("somebody-else");
        let disk = rustix::fs::statvfs(self.path()).expect("a file system");
        let size = (disk.f_bavail * disk.f_frsize).saturating_sub(left);
        std::fs::write(&path, vec![7; usize::try_from(size).expect("small")]).expect("room");
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}

fn frame(seed: u64) -> Frame {
    let mut bytes = vec![0; 100_000];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    let mut builder = FrameBuilder::default();
    builder.push(ChunkId::of(&bytes), &bytes);
    let (entries, plain) = builder.take().expect("not empty");
    FrameCodec::default().encode(entries, plain, Codec::None)
}

fn id(frame: &Frame) -> ChunkId {
    frame.entries()[0].id
}

#[tokio::test]
async fn a_full_disk_refuses_writes_keeps_reading_and_recovers() {
    let Some(disk) = SmallDisk::mount() else { return };
    let directory = disk.path().join("store");
    let options = DiskOptions { free_reserve_bytes: 0, ..DiskOptions::default() };
    let store = DiskStore::open(&directory, options).expect("opens");
    let kept = frame(0);
    store.append(vec![kept.clone()]).await.expect("room");
    store.flush().await.expect("room");

    // Appended while there was room, to be made durable when there is none.
    let waiting = frame(1);
    store.append(vec![waiting.clone()]).await.expect("room");
    let somebody = disk.fill(0);
    let full = store.flush().await;
    assert!(matches!(full, Err(StoreError::Full { limit: Limit::Disk, .. })), "{full:?}");
    let full = store.append(vec![frame(2)]).await;
    assert!(matches!(full, Err(StoreError::Full { limit: Limit::Disk, .. })), "{full:?}");
    let full = store.check_writable().await;
    assert!(matches!(full, Err(StoreError::Full { limit: Limit::Disk, .. })), "{full:?}");
    assert!(store.read(&id(&kept)).await.expect("reads go on").is_some());

    std::fs::remove_file(somebody).expect("removed");
    store.flush().await.expect("recovers by itself");
    store.append(vec![frame(2)]).await.expect("room");
    store.flush().await.expect("room");
    drop(store);
    let store = DiskStore::open(&directory, options).expect("opens");
    let all = [id(&kept), id(&waiting), id(&frame(2))];
    assert_eq!(store.has(&all).await.expect("has"), [true; 3], "what waited was made durable");
}
