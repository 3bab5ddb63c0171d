//! What a publisher sent, and what came back: packages, the targets each was addressed to, and the
//! receipts with every step.
//!
//! [`Ledger`] is the trait, made of [`Recording`], [`Reading`] and [`Rollouts`]; [`SqliteLedger`] implements it on a
//! file of the node's, [`PostgresLedger`] on a server. [`open`] chooses. It stores what it is given:
//! whether a receipt is its target's is decided before, by `community`.
//!
//! Invariant: what a hub may have been told is written here before. A release is *drafted*, then
//! given to the hub, then *confirmed*; whoever finds a draft finishes that one, with the same number, or
//! discards it because the hub has never heard of it. Until then its feed takes no other. So no crash
//! sends two releases for one, and none is forgotten.
//!
//! All of it is there for plain SQL: the views `receipts_report`, `latest_report` and `steps_report` have
//! the same columns in both databases, [`RECEIPT_COLUMNS`] and [`STEP_COLUMNS`]; [`Export`] writes their
//! rows as CSV or JSON lines, one after the other.
//!
//! Several processes may open one ledger. Both implementations pass the suite in `tests/suite`.
//!
//! Start reading at `migrations/sqlite/0001_first.sql`, then [`Recording`].

mod answer;
mod draft;
mod error;
mod export;
mod postgres;
mod record;
mod report;
mod rollouts;
mod shared;
mod sqlite;
mod stored;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use community::{CommunityId, PeerName};
use documents::{PublicKey, ReleaseName};
use futures_util::stream::BoxStream;
use package::StepReceipt;

pub use answer::{Answer, Recorded, Report};
pub use draft::{Addressee, Confirmed, Draft, DraftError, NewPackage};
pub use error::LedgerError;
pub use export::{Export, Format};
pub use hub_db::{AddressError, DatabaseUrl};
pub use postgres::PostgresLedger;
pub use record::{
    Counts, Latest, PackageFilter, PackageId, PackageRecord, TargetFilter, TargetId, TargetRecord,
    Verdict,
};
pub use report::{Cell, Column, Kind, RECEIPT_COLUMNS, ReportFilter, Row, STEP_COLUMNS};
pub use rollouts::{
    NewRollout, PlannedRecord, PlannedState, RolloutProgress, RolloutRecord, RolloutState,
    Rollouts, WaveDrafted,
};
pub use sqlite::SqliteLedger;

/// The publisher's database. Times are unix seconds.
///
/// Every call fails with [`LedgerError`] when the database does; that is not repeated at each.
#[async_trait]
pub trait Ledger: Recording + Reading + Rollouts {
    /// Finishes what is under way and closes all connections.
    async fn close(&self);
}

/// Writing. A call that returned is durable.
#[async_trait]
pub trait Recording: Send + Sync {
    /// Writes down a release before the hub is told of it. The same one again adds the targets that are
    /// not among its own yet, and changes nothing else but `resume`; when all are there and were
    /// confirmed, nothing is drafted.
    ///
    /// # Errors
    /// Another draft of the feed is not finished, or another release has this or a greater number.
    async fn draft(&self, new: &NewPackage, targets: &[Addressee])
    -> Result<PackageId, DraftError>;

    /// The hub has the release, for all targets it was drafted for.
    async fn confirm(&self, package: PackageId, now: u64) -> Result<Confirmed, LedgerError>;

    /// Takes a draft back that the hub never heard of: the package when it is new, else the targets that
    /// were added. Returns whether there was one.
    async fn discard(&self, package: PackageId) -> Result<bool, LedgerError>;

    /// These targets of a package, of which the hub was told, will not get it any more: why. Returns the
    /// names of those for whom that is new: who has answered, or is lost already, stays as it is.
    async fn lose(
        &self,
        package: PackageId,
        keys: &[PublicKey],
        reason: &str,
        now: u64,
    ) -> Result<Vec<PeerName>, LedgerError>;

    /// These targets of a package, of which the hub was told, told that they began, and when. Returns of how
    /// many that is new: the first time stands, and who has answered stays as it is.
    async fn begin(
        &self,
        package: PackageId,
        begun: &[(PublicKey, u64)],
    ) -> Result<u64, LedgerError>;

    /// Keeps what a target answered. The first readable receipt stands; repeating it changes nothing.
    async fn record(
        &self,
        feed: &ReleaseName,
        sequence: u64,
        answer: &Answer,
    ) -> Result<Recorded, LedgerError>;
}

/// Reading.
#[async_trait]
pub trait Reading: Send + Sync {
    /// What was drafted and not confirmed: at most one of each feed, the oldest first.
    async fn drafts(&self) -> Result<Vec<Draft>, LedgerError>;

    /// The greatest number that was drafted or sent in a feed.
    async fn last_sequence(&self, feed: &ReleaseName) -> Result<Option<u64>, LedgerError>;

    /// Of each of these targets the greatest number of the feed, below `before`, that was sent to it,
    /// without drafts and without what was lost; none where nothing was. Envelopes carry it as the
    /// release before.
    async fn last_sent(
        &self,
        feed: &ReleaseName,
        keys: &[PublicKey],
        before: u64,
    ) -> Result<BTreeMap<PublicKey, u64>, LedgerError>;

    /// Up to `limit` packages, newest first: those before `before`.
    async fn packages(
        &self,
        filter: &PackageFilter,
        before: Option<PackageId>,
        limit: u32,
    ) -> Result<Vec<PackageRecord>, LedgerError>;

    /// The packages of a feed that some target may begin with, or has begun without it being noted, the
    /// oldest first: it was sent, and nothing that was sent before waits for that target.
    async fn may_begin(&self, feed: &ReleaseName) -> Result<Vec<PackageRecord>, LedgerError>;

    /// Up to `limit` targets of a package, in the order in which they were given: those after `after`.
    async fn targets(
        &self,
        package: PackageId,
        filter: TargetFilter,
        after: Option<TargetId>,
        limit: u32,
    ) -> Result<Vec<TargetRecord>, LedgerError>;

    /// The steps of a target's receipt, in order, with their outputs; none while there is no receipt.
    async fn steps(&self, target: TargetId) -> Result<Vec<StepReceipt>, LedgerError>;

    /// Of every target its newest package of its community, and what became of it: up to `limit`, in the
    /// order in which they were given, those after `after`.
    async fn latest(
        &self,
        community: Option<&CommunityId>,
        after: Option<TargetId>,
        limit: u32,
    ) -> Result<Vec<Latest>, LedgerError>;

    /// The rows of `receipts_report` in order of `target`, one after the other as they are read.
    fn receipts_report<'a>(
        &'a self,
        filter: &ReportFilter,
    ) -> BoxStream<'a, Result<Row, LedgerError>>;

    /// The rows of `steps_report` in order of `target` and `number`, one after the other as they are read.
    fn steps_report<'a>(&'a self, filter: &ReportFilter)
    -> BoxStream<'a, Result<Row, LedgerError>>;
}

/// Opens a ledger, creating its tables or bringing them up to date.
///
/// # Errors
/// [`LedgerError::Newer`] for a database of a newer version, [`LedgerError::NoLedger`] for a file that is
/// something else, [`LedgerError::Unavailable`] for one that cannot be reached now,
/// [`LedgerError::Failed`] otherwise.
pub async fn open(url: &DatabaseUrl) -> Result<Arc<dyn Ledger>, LedgerError> {
    Ok(match url {
        DatabaseUrl::Sqlite(path) => Arc::new(SqliteLedger::open(path).await?),
        DatabaseUrl::Postgres { options, .. } => Arc::new(PostgresLedger::open(options).await?),
    })
}
