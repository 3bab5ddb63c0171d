//! Packages that reach their targets wave after wave.
//!
//! What comes next is decided elsewhere; here is kept who is meant, in which wave, and how far it is. The
//! package of a roll-out is drafted without targets; a wave is drafted like added targets.

use async_trait::async_trait;
use community::PeerName;
use documents::PublicKey;
use package::label::Labels;

use crate::{Addressee, DraftError, LedgerError, NewPackage, PackageId, PackageRecord, Verdict};

/// A roll-out that begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRollout {
    /// How, in words that come back as they are.
    pub rules: String,
    /// What more targets are addressed with: a secret, which is forgotten when the roll-out is over.
    pub root: Vec<u8>,
    /// When it begins.
    pub began: u64,
    /// Whom it is for and in which wave each is, from 0; in the order in which they are told.
    pub targets: Vec<(u32, Addressee)>,
}

/// A roll-out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutRecord {
    /// What is rolled out.
    pub package: PackageRecord,
    /// How.
    pub rules: String,
    /// What more targets are addressed with; none when it is over.
    pub root: Option<Vec<u8>>,
    /// When it began.
    pub began: u64,
    /// Where it is.
    pub progress: RolloutProgress,
}

/// Where a roll-out is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutProgress {
    /// What it does.
    pub state: RolloutState,
    /// Since when.
    pub since: u64,
    /// Why, for people.
    pub reason: Option<String>,
    /// Failures that no longer count.
    pub forgiven_failed: u64,
    /// Answers that no longer count.
    pub forgiven_answered: u64,
    /// Until when it no longer counts that somebody did not answer.
    pub forgiven_until: u64,
}

/// What a roll-out does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RolloutState {
    /// It goes on.
    Running,
    /// A person paused it.
    Paused,
    /// Its rules stopped it.
    Stopped,
    /// A person ended it.
    Aborted,
    /// Its package expired.
    Expired,
    /// It reached everybody.
    Finished,
}

/// A target that a roll-out is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedRecord {
    /// Its key.
    pub key: PublicKey,
    /// What it was called when the roll-out began.
    pub peer: PeerName,
    /// Its labels at that time.
    pub labels: Labels,
    /// Its wave, from 0.
    pub wave: u32,
    /// How it stands.
    pub state: PlannedState,
}

/// How a target of a roll-out stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlannedState {
    /// It was not addressed yet.
    Waiting,
    /// It will not be: since when, and why.
    Skipped(u64, String),
    /// It is about to be.
    Drafted,
    /// The hub has the package for it since then.
    Sent(u64),
    /// It told that it began.
    Running {
        /// When the hub had the package for it.
        sent: u64,
        /// When it began.
        begun: u64,
    },
    /// It answered.
    Answered {
        /// When the hub had the package for it.
        sent: u64,
        /// When it answered.
        answered: u64,
        /// What.
        verdict: Verdict,
    },
}

/// What came of drafting a wave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaveDrafted {
    /// It is drafted.
    Now,
    /// The roll-out does not run any more: nothing was drafted.
    NotRunning,
}

/// Roll-outs.
#[async_trait]
pub trait Rollouts: Send + Sync {
    /// Drafts a release for nobody, and begins its roll-out.
    ///
    /// # Errors
    /// As [`crate::Recording::draft`].
    async fn draft_rollout(
        &self,
        new: &NewPackage,
        rollout: &NewRollout,
    ) -> Result<PackageId, DraftError>;

    /// Drafts the release for more targets, if the roll-out runs at that moment. Who was addressed before
    /// is not addressed again.
    ///
    /// # Errors
    /// A draft of the feed is not finished, this release's own too.
    async fn draft_wave(
        &self,
        package: PackageId,
        targets: &[Addressee],
        resume: &[u8],
    ) -> Result<WaveDrafted, DraftError>;

    /// These targets will not be addressed, for this reason; those that were are left as they are.
    async fn skip_targets(
        &self,
        package: PackageId,
        keys: &[PublicKey],
        reason: &str,
        now: u64,
    ) -> Result<(), LedgerError>;

    /// Sets where a roll-out is, if it still is at `from`. Returns whether it was. What it was addressed with
    /// is forgotten when it is over.
    async fn set_rollout(
        &self,
        package: PackageId,
        from: &RolloutProgress,
        to: &RolloutProgress,
    ) -> Result<bool, LedgerError>;

    /// The roll-out of a package; none when it was sent to everybody at once.
    async fn rollout(&self, package: PackageId) -> Result<Option<RolloutRecord>, LedgerError>;

    /// Those that are not over, the oldest first.
    async fn open_rollouts(&self) -> Result<Vec<RolloutRecord>, LedgerError>;

    /// Whom a roll-out is for, in order.
    async fn planned(&self, package: PackageId) -> Result<Vec<PlannedRecord>, LedgerError>;
}

impl RolloutState {
    /// The word in tables, reports and JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
            Self::Aborted => "aborted",
            Self::Expired => "expired",
            Self::Finished => "finished",
        }
    }

    /// Whether nobody will be addressed any more.
    #[must_use]
    pub const fn is_over(self) -> bool {
        match self {
            Self::Running | Self::Paused | Self::Stopped => false,
            Self::Aborted | Self::Expired | Self::Finished => true,
        }
    }
}
