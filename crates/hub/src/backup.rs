//! Copies of a hub that runs, and what is made of them again.
//!
//! ```text
//! DIR/backup.json              what belongs to the backup, with hashes; replaced last
//! DIR/packs/NUMBER-HASH.pack   the packs
//! DIR/files/HASH               the database and the small files
//! ```
//!
//! `HASH` is the BLAKE3-256 of the contents, in full for files and its first 16 digits for packs.
//! A file in the backup is never changed: what a later run adds has another name, and what
//! `backup.json` does not name any more is removed after it was replaced. So whatever moment a
//! run is killed at, the directory holds the backup before or the one after.
//!
//! Order of a run: no chunk may be removed from now on (`Copying`); the database is copied;
//! then the packs. Every release in the copied database was acknowledged before, so all its
//! chunks lie in packs. What a pack gained meanwhile is copied too and does no harm; a torn end
//! is cut off when the store is opened.

mod copy;
mod create;
mod restore;

use std::io;
use std::path::{Path, PathBuf};

use content::ChunkId;
use hub_api::Hex;
use hub_db::DbError;
use serde::{Deserialize, Serialize};
use store::StoreError;

use crate::database::DatabaseError;

pub use create::{BackedUp, backup};
pub use restore::{Restored, restore};

/// Version of `backup.json`.
const VERSION: u32 = 1;

/// `backup.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    version: u32,
    /// When it was finished, in seconds since 1970.
    finished: u64,
    files: Vec<CopiedFile>,
    packs: Vec<CopiedPack>,
}

/// A small file, or the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CopiedFile {
    /// Path in the data directory.
    path: String,
    hash: Hex<32>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CopiedPack {
    number: u32,
    bytes: u64,
    /// When the original was written last, in nanoseconds since 1970: a pack of the same number,
    /// length and time is the same, for packs only grow, and numbers are used again only after
    /// the old file has gone.
    modified_ns: u64,
    hash: Hex<32>,
}

impl CopiedFile {
    fn place(&self, backup: &Path) -> PathBuf {
        backup.join("files").join(self.hash.to_string())
    }
}

impl CopiedPack {
    fn place(&self, backup: &Path) -> PathBuf {
        let hash = self.hash.to_string();
        backup.join("packs").join(format!("{:08x}-{}.pack", self.number, &hash[..16]))
    }
}

/// Why a backup was not made, or nothing was restored from it.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// There is no hub's data. Name the directory that `consign hub --data` was given.
    #[error("{} holds no data of a hub", .0.display())]
    NoData(PathBuf),
    /// There is no backup, or its first run was not finished.
    #[error("{} holds no finished backup", .0.display())]
    NoBackup(PathBuf),
    /// The backup was made by a newer version. Run that version, or a later one.
    #[error("the backup has version {found}, this program knows {VERSION}")]
    Newer {
        /// The version found.
        found: u32,
    },
    /// Restoring never replaces anything. Name a directory that does not exist or is empty.
    #[error("{} is not empty", .0.display())]
    NotEmpty(PathBuf),
    /// A file of the backup is not what was copied. Restore from another backup.
    #[error("{} is damaged", .0.display())]
    Damaged(PathBuf),
    /// The restored hub lacks chunks that releases need: the original lacked them already, or
    /// something removed them while the backup was made. Restore from another backup, or publish
    /// those releases again.
    #[error("{missing} chunks are missing, first under closure {closure}")]
    Incomplete {
        /// How many chunks.
        missing: u64,
        /// The closure of the first release that needs one.
        closure: ChunkId,
    },
    /// The operating system refused: permissions, space.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It is not known where the hub's database is, or it is not there. A backup without it would
    /// be of no use.
    #[error(transparent)]
    Which(#[from] DatabaseError),
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl BackupError {
    /// Whether there is no room left where it was written to.
    #[must_use]
    pub fn is_full(&self) -> bool {
        match self {
            Self::Store(error) => error.is_full(),
            Self::Db(error) => matches!(error, DbError::Full { .. }),
            Self::Io { source, .. } => {
                matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            Self::NoData(_)
            | Self::NoBackup(_)
            | Self::Newer { .. }
            | Self::NotEmpty(_)
            | Self::Damaged(_)
            | Self::Incomplete { .. }
            | Self::Which(_) => false,
        }
    }

    fn io<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + use<'a> {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }
}

fn read_contents(backup: &Path) -> Result<Option<Contents>, BackupError> {
    let path = backup.join("backup.json");
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(BackupError::io("read", &path)(error)),
    };
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    let damaged = |_| BackupError::Damaged(path.clone());
    let found = serde_json::from_slice::<Versioned>(&bytes).map_err(damaged)?.version;
    if found > VERSION {
        return Err(BackupError::Newer { found });
    }
    serde_json::from_slice(&bytes).map(Some).map_err(damaged)
}
