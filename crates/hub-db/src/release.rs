//! Releases as they are stored.

use content::ChunkId;

use crate::{DbError, NameId};

/// Place of a release in the order in which the hub accepted all releases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId(pub u64);

/// A release to be stored. Its documents have been verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRelease {
    /// The name it is a release of.
    pub name: NameId,
    /// Its number.
    pub sequence: u64,
    /// Hash of the signed manifest.
    pub hash: [u8; 32],
    /// Hash of the manifest before, `None` for the first.
    pub previous: Option<[u8; 32]>,
    /// The signed manifest.
    pub manifest: Vec<u8>,
    /// The signed head.
    pub head: Vec<u8>,
    /// Root of the tree.
    pub tree: ChunkId,
    /// Head of the closure.
    pub closure: ChunkId,
    /// Lengths of the chunks in the closure added up.
    pub stored_bytes: u64,
    /// When the publisher says it was issued.
    pub issued: u64,
}

/// A stored release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Its place among all releases.
    pub event: EventId,
    /// Its number.
    pub sequence: u64,
    /// Hash of the signed manifest.
    pub hash: [u8; 32],
    /// The signed manifest.
    pub manifest: Vec<u8>,
    /// The signed head.
    pub head: Vec<u8>,
    /// Root of the tree.
    pub tree: ChunkId,
    /// Head of the closure.
    pub closure: ChunkId,
    /// Lengths of the chunks in the closure added up.
    pub stored_bytes: u64,
    /// When the publisher says it was issued.
    pub issued: u64,
}

/// Why a release was not added.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// Another release was accepted in between, or one is missing. Fetch the head, make the
    /// release with the next sequence and try again.
    #[error("release {offered} does not follow release {latest}")]
    NotNext {
        /// Sequence of the latest release, 0 when there is none.
        latest: u64,
        /// Sequence of the release offered.
        offered: u64,
    },
    /// The sequence fits, but the release was made upon another history. The publisher's
    /// record of its own releases is wrong or was forked: compare before going on.
    #[error("the release does not name the hash of the release before it")]
    WrongPrevious,
    /// The database failed; nothing was added, trying again is safe.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Why a head was not replaced.
#[derive(Debug, thiserror::Error)]
pub enum RenewError {
    /// The release is not the latest of its name. Sign a head for the latest.
    #[error("a head can be renewed for the latest release only")]
    NotLatest,
    /// The database failed; nothing was changed, trying again is safe.
    #[error(transparent)]
    Db(#[from] DbError),
}
