//! What is read.

use community::{CommunityId, PeerName};
use content::ChunkId;
use documents::{DocumentHash, PublicKey, ReleaseName};
use package::label::Labels;

/// Number of a package in one ledger; grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PackageId(pub(crate) i64);

impl PackageId {
    /// The package with a number that was shown to somebody.
    #[must_use]
    pub fn from_number(number: i64) -> Self {
        Self(number)
    }

    /// The number, to be shown.
    #[must_use]
    pub fn number(self) -> i64 {
        self.0
    }
}

/// Number of a package's target in one ledger; grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TargetId(pub(crate) i64);

impl TargetId {
    /// The target with a number that was shown to somebody.
    #[must_use]
    pub fn from_number(number: i64) -> Self {
        Self(number)
    }

    /// The number, to be shown.
    #[must_use]
    pub fn number(self) -> i64 {
        self.0
    }
}

/// Which packages. What is `None` leaves nobody out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PackageFilter {
    /// Of this community.
    pub community: Option<CommunityId>,
    /// Of this name.
    pub name: Option<String>,
    /// Of this number: there may be one in each feed.
    pub sequence: Option<u64>,
}

/// A package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageRecord {
    /// Its number here.
    pub id: PackageId,
    /// The community.
    pub community: CommunityId,
    /// The publisher's feed in it.
    pub feed: ReleaseName,
    /// Number of the release.
    pub sequence: u64,
    /// Hash of its signed manifest.
    pub manifest: DocumentHash,
    /// Name of the package.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its description.
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
    /// When the hub had it; none for a draft.
    pub sent: Option<u64>,
    /// What became of it so far.
    pub counts: Counts,
}

/// How many targets of a package are where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Have not answered.
    pub pending: u64,
    /// Those of the pending that told that they began.
    pub running: u64,
    /// Have not answered and will not get it: see [`TargetRecord::lost`].
    pub lost: u64,
    /// Passed.
    pub passed: u64,
    /// Failed.
    pub failed: u64,
    /// Say that it is not for them.
    pub not_applicable: u64,
    /// Answered what cannot be read.
    pub unreadable: u64,
}

impl Counts {
    /// How many targets it was sent to.
    #[must_use]
    pub fn targets(&self) -> u64 {
        // Whoever runs it is pending.
        let Self { pending, running: _, lost, passed, failed, not_applicable, unreadable } = self;
        pending + lost + passed + failed + not_applicable + unreadable
    }
}

/// Which targets of a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetFilter {
    /// All of them.
    All,
    /// Those that have not answered and may.
    Pending,
    /// Those that have.
    Answered,
}

/// How a package stands with one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetRecord {
    /// Its number here.
    pub id: TargetId,
    /// Key of the target.
    pub key: PublicKey,
    /// What it was called when the package was sent.
    pub peer: PeerName,
    /// Its labels at that time.
    pub labels: Labels,
    /// When the hub had the package for it; none for a draft.
    pub sent: Option<u64>,
    /// When it answered, and what; none while it has not.
    pub answered: Option<(u64, Verdict)>,
    /// Since when it is known that it will not get it, and why; none for one that answered all the same.
    pub lost: Option<(u64, String)>,
    /// The bytes of its answer, as they came.
    pub receipt_bytes: u64,
    /// When it told that it began; none for work of a moment. It stays when it has answered.
    pub begun: Option<u64>,
}

impl TargetRecord {
    /// Since when it runs: it began, and neither answered nor is lost.
    #[must_use]
    pub fn running(&self) -> Option<u64> {
        self.begun.filter(|_| self.answered.is_none() && self.lost.is_none())
    }
}

/// What a target says of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Every step that is for it succeeded.
    Passed,
    /// It failed: why.
    Failed(String),
    /// The package is not for it: why.
    NotApplicable(String),
    /// What it answered cannot be read: why.
    Unreadable(String),
}

impl Verdict {
    /// The word in tables, reports and JSON.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed(_) => "failed",
            Self::NotApplicable(_) => "not_applicable",
            Self::Unreadable(_) => "unreadable",
        }
    }

    /// Why, for people.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Passed => None,
            Self::Failed(why) | Self::NotApplicable(why) | Self::Unreadable(why) => Some(why),
        }
    }
}

/// The newest package of a target, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Latest {
    /// The package.
    pub package: PackageId,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Number of the release.
    pub sequence: u64,
    /// The target.
    pub target: TargetRecord,
}
