//! What the system says about a file without reading it, and when that may be trusted.

use std::os::fd::AsFd;
use std::time::{SystemTime, UNIX_EPOCH};

use content::{Mtime, Owner};
use rustix::fs::{FileType, Statx};

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A block or character device.
    Device,
    /// Something the file system does not say.
    Unknown,
}

impl From<FileType> for FileKind {
    fn from(kind: FileType) -> Self {
        match kind {
            FileType::RegularFile => Self::File,
            FileType::Directory => Self::Directory,
            FileType::Symlink => Self::Symlink,
            FileType::Fifo => Self::Fifo,
            FileType::Socket => Self::Socket,
            FileType::CharacterDevice | FileType::BlockDevice => Self::Device,
            FileType::Unknown => Self::Unknown,
        }
    }
}

/// What `statx` said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileFacts {
    /// File, directory or something else.
    pub kind: FileKind,
    /// Length in bytes, holes included.
    pub size: u64,
    /// Time of last modification of the contents.
    pub mtime: Mtime,
    /// Time of last change of contents, mode, owner, attributes or names; no program can set it.
    pub ctime: Mtime,
    /// Number of the file on its file system.
    pub inode: u64,
    /// The file system.
    pub device: u64,
    /// The lower 12 bits of the mode.
    pub mode: u32,
    /// How many names the file has.
    pub links: u32,
    /// User and group.
    pub owner: Owner,
    /// Bytes that take room on the disk; less than `size` when there are holes.
    pub allocated: u64,
}

/// Two clock ticks of the coarsest kernel (100 Hz): files are stamped by the tick.
const TICK_NANOS: i128 = 20_000_000;
/// The coarsest stamp in use (FAT). Only stamps without a fraction can come from there.
const COARSE_NANOS: i128 = 2_000_000_000;

impl FileFacts {
    /// What the system says about an open file.
    ///
    /// # Errors
    /// When the file system fails.
    pub fn of(fd: impl AsFd) -> std::io::Result<Self> {
        Ok(crate::dir::facts_of(fd)?)
    }

    /// Whether nothing that touches the contents happened between the two looks.
    ///
    /// Equal facts alone are not proof, see [`settled`](Self::settled).
    #[must_use]
    pub fn unchanged(&self, other: &Self) -> bool {
        let of = |facts: &Self| {
            (facts.kind, facts.size, facts.mtime, facts.ctime, facts.inode, facts.device)
        };
        of(self) == of(other)
    }

    /// Whether a change after `looked_at` would show in the facts.
    ///
    /// As git's "racily clean": a file changed twice within the resolution of its time stamps
    /// shows the same facts before and after the second change. So facts count only when they
    /// were already older than that resolution at the moment the contents were read.
    #[must_use]
    pub fn settled(&self, looked_at: Mtime) -> bool {
        let whole_seconds = self.mtime.nanos == 0 && self.ctime.nanos == 0;
        let guard = if whole_seconds { COARSE_NANOS } else { TICK_NANOS };
        let newest = nanos(self.mtime).max(nanos(self.ctime));
        newest + guard < nanos(looked_at)
    }
}

fn nanos(time: Mtime) -> i128 {
    i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanos)
}

/// The time on the clock that stamps local files.
#[must_use]
pub fn now() -> Mtime {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => Mtime {
            seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
            nanos: since.subsec_nanos(),
        },
        // A clock before 1970 trusts no facts at all, which is safe.
        Err(_) => Mtime { seconds: 0, nanos: 0 },
    }
}

impl From<&Statx> for FileFacts {
    fn from(found: &Statx) -> Self {
        let time = |stamp: rustix::fs::StatxTimestamp| Mtime {
            seconds: stamp.tv_sec,
            nanos: stamp.tv_nsec.min(999_999_999),
        };
        let mode = u32::from(found.stx_mode);
        Self {
            kind: FileType::from_raw_mode(mode).into(),
            size: found.stx_size,
            mtime: time(found.stx_mtime),
            ctime: time(found.stx_ctime),
            inode: found.stx_ino,
            device: u64::from(found.stx_dev_major) << 32 | u64::from(found.stx_dev_minor),
            mode: mode & 0o7777,
            links: found.stx_nlink,
            owner: Owner { user: found.stx_uid, group: found.stx_gid },
            allocated: found.stx_blocks.saturating_mul(512),
        }
    }
}
