//! Packages before the hub has them.

use community::{CommunityId, PeerName};
use content::ChunkId;
use documents::{DocumentHash, PublicKey, ReleaseName};
use package::label::Labels;

use crate::{LedgerError, PackageId, PackageRecord};

/// A release that is about to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPackage {
    /// The community.
    pub community: CommunityId,
    /// The publisher's feed in it.
    pub feed: ReleaseName,
    /// Number of the release, from 1.
    pub sequence: u64,
    /// Hash of its signed manifest.
    pub manifest: DocumentHash,
    /// Name of the package.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its description, for people.
    pub description: String,
    /// The root of its tree.
    pub tree: ChunkId,
    /// Bytes of the files in it.
    pub bytes: u64,
    /// Whom it is for, as it was typed.
    pub selector: String,
    /// When it was built.
    pub built: u64,
    /// When it expires.
    pub expires: u64,
    /// What the sender needs to finish after a crash, such as the signed documents. Forgotten when the
    /// draft is confirmed.
    pub resume: Vec<u8>,
}

/// A target that a release is addressed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addressee {
    /// Its key.
    pub key: PublicKey,
    /// What it is called.
    pub peer: PeerName,
    /// Its labels at this time.
    pub labels: Labels,
}

/// Why a release was not drafted. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum DraftError {
    /// Another one of the feed was not finished: finish or discard it first.
    #[error("release {sequence} was begun before and is not finished")]
    Unfinished {
        /// The draft.
        package: PackageId,
        /// Its number.
        sequence: u64,
    },
    /// The feed has another release with this or a greater number. Build it with the next one.
    #[error("release {offered} does not follow release {last}, the last one of its feed")]
    NotNext {
        /// The greatest number in the feed.
        last: u64,
        /// The number offered.
        offered: u64,
    },
    /// The database failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl From<sqlx::Error> for DraftError {
    fn from(error: sqlx::Error) -> Self {
        Self::Ledger(error.into())
    }
}

/// What came of a confirmation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirmed {
    /// The package is sent.
    Now,
    /// It was before.
    Before,
    /// There is no such package.
    Unknown,
}

/// A release of which nobody knows whether the hub has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The package; `sent` is some when only targets were added.
    pub package: PackageRecord,
    /// The targets that the hub may not have it for.
    pub targets: Vec<Addressee>,
    /// What the sender left.
    pub resume: Vec<u8>,
}
