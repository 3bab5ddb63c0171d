//! Why a store refuses.

use std::fmt;
use std::path::{Path, PathBuf};

use content::ChunkId;
use content::frame::FrameError;

/// What is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// The store's own quota.
    Quota,
    /// The space on the disk above the reserve that is to stay free.
    Disk,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Quota => "the store's quota",
            Self::Disk => "the disk",
        })
    }
}

/// Why a store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no room for the frames. Make room (`gc`), raise the limit, then append all of
    /// them again.
    #[error("{limit} is full: {missing_bytes} bytes are missing")]
    Full {
        /// What is full.
        limit: Limit,
        /// How much more room it would take.
        missing_bytes: u64,
    },
    /// Another process has the store open. Wait for it, or use another directory.
    #[error("another process uses the store at {}", path.display())]
    Locked {
        /// The store's directory.
        path: PathBuf,
    },
    /// An earlier write or sync failed, so what the disk holds is not known. Reads go on; open
    /// the store again, once the cause is removed, to write.
    #[error("the store takes no more writes since an earlier failure: {reason}")]
    Poisoned {
        /// The first failure.
        reason: String,
    },
    /// The stored bytes of a chunk are no longer what they were. Fetch it again: it will be
    /// stored anew.
    #[error("chunk {id} is damaged in the store")]
    Damaged {
        /// The chunk.
        id: ChunkId,
    },
    /// Bytes given to the store do not have the id they came under. Drop whoever sent them.
    #[error("the bytes given as chunk {id} have another hash")]
    WrongBytes {
        /// The id they were given under.
        id: ChunkId,
    },
    /// A frame given to the store cannot be opened. Drop whoever sent it.
    #[error("a frame given to the store is malformed")]
    BadFrame(#[source] FrameError),
    /// A closure to be kept is not in the store, so what to keep is unknown. Fetch the closure
    /// again, or drop the root.
    #[error("closure chunk {id} is not in the store")]
    ClosureMissing {
        /// The head or segment.
        id: ChunkId,
    },
    /// Whoever knows what must be kept cannot tell. Nothing was removed; repair that first.
    #[error("it is not known what must be kept")]
    Roots(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A root names a chunk that is no closure. Correct the root.
    #[error("chunk {id} is not a closure")]
    ClosureMalformed {
        /// The chunk.
        id: ChunkId,
        /// What is wrong with it.
        #[source]
        source: content::DecodeError,
    },
    /// The operating system refused. Nothing that was flushed is lost.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The index failed. It is rebuilt from the packs when the store is opened again.
    #[error("the store's index failed")]
    Index(#[source] Box<redb::Error>),
    /// A failure asked for, see [`crate::Faulty`].
    #[error("a failure was injected")]
    Injected,
}

impl StoreError {
    pub(crate) fn io(
        action: &'static str,
        path: &Path,
    ) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    pub(crate) fn index(error: impl Into<redb::Error>) -> Self {
        Self::Index(Box::new(error.into()))
    }

    /// Whether the disk, or what may be used of it, is full.
    #[must_use]
    pub fn is_full(&self) -> bool {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};

        let is_full = |error: &std::io::Error| matches!(error.kind(), StorageFull | QuotaExceeded);
        match self {
            Self::Full { .. } => true,
            Self::Io { source, .. } => is_full(source),
            Self::Index(error) => {
                matches!(&**error, redb::Error::Io(error) if is_full(error))
            }
            Self::Locked { .. }
            | Self::Poisoned { .. }
            | Self::WrongBytes { .. }
            | Self::BadFrame(_)
            | Self::Damaged { .. }
            | Self::ClosureMissing { .. }
            | Self::ClosureMalformed { .. }
            | Self::Roots(_)
            | Self::Injected => false,
        }
    }

    /// Whether the same call may succeed later without anything being repaired.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Full { .. } | Self::Locked { .. } | Self::Injected)
    }
}

impl From<FrameError> for StoreError {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::WrongBytes(id) => Self::WrongBytes { id },
            FrameError::Check | FrameError::Payload => Self::BadFrame(error),
        }
    }
}
