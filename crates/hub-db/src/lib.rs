//! What the hub remembers apart from chunk bytes: accounts, invitations, names, releases,
//! tokens, who may read which chunk, communities and their queues, and what was done.
//!
//! [`HubDb`] is the trait, made of one trait per subject; [`SqliteDb`] implements it on SQLite,
//! [`PostgresDb`] on PostgreSQL, each with queries of its own. [`open`] chooses. They store what
//! they are given: whether a signature holds, a closure is complete or a caller may publish is
//! decided by `hub`. What must be true of several rows at once is decided here, inside one
//! transaction: a release follows its predecessor, an invitation is not used too often, a name
//! keeps its owner, a sign-in works once.
//!
//! Invariant: no chunk gains a holder by itself. A holder row exists because an account or a
//! token uploaded the chunk or because a release of a name, accepted in the same transaction,
//! lists it; so [`Chunks::readable`] is the whole of the access rule. A revoked account and a
//! revoked token read what is public, no more, from the next query on.
//!
//! What was answered is durable. When the connection to PostgreSQL breaks, calls fail with
//! [`DbError::Unavailable`] and later ones succeed again: no one has to open it anew.
//!
//! Several processes may open one database at the same time: `consign invite` runs beside the
//! hub. Every implementation passes the suite in `tests/suite`.
//!
//! Start reading at [`HubDb`], then `migrations/postgres/0001_first.sql`, which is nearly the newest
//! schema in one piece; SQLite's is the sum of more steps.

mod account;
mod answers;
mod audit;
mod book;
mod chunk;
mod claim;
mod cluster;
mod community;
mod console;
mod database;
mod delivery;
mod error;
mod grant;
mod join;
mod name;
mod person;
mod postgres;
mod queue;
mod recovery;
mod release;
mod retention;
mod sqlite;
mod stored;
mod token;

use std::path::Path;

use async_trait::async_trait;

pub use account::{
    Account, AccountId, AccountKey, Accounts, Caller, InvitationRecord, NETWORK_WINDOW,
    NewInvitation, RegisterError, Role,
};
pub use audit::{Actor, Audit, AuditEntry, ChainedEntry, Linking};
pub use book::{Book, Books, Decision, Entry, Settled};
pub use chunk::{Chunks, HolderId, LOOKUP_IDS_MAX};
pub use claim::{CLAIM_LIFETIME, CLAIM_RUNNING, Claim, Claims};
pub use cluster::{
    Beaten, Cluster, Down, Entered, FrontEnd, FrontEndId, FrontEndSeen, Heard, Hearing, Manager,
    Totals, WantedClients,
};
pub use community::{
    Communities, CommunityKey, CommunityRecord, ListedCommunity, Member, NewRoster, PeerRoles,
    Renewal, RosterOrder,
};
pub use console::Console;
pub use database::{AddressError, DatabaseKind, DatabaseUrl, open};
pub use delivery::{
    AddressOutcome, AddressRoom, Addressed, AddressedRecord, DeliveryNote, DeliveryState, EndedBy,
    NewAddressed, PendingRecord, Sides,
};
pub use error::DbError;
pub use grant::{Grant, GrantRecord, Grants, NewDelegation};
pub use join::{
    JOINING_LIFETIME, JoinOutcome, JoinRecord, JoinRoom, JoinStep, Joins, Knocked, NewJoin,
};
pub use name::{NameId, NamePut, NameRecord, NameUsage, Names};
pub use person::{
    Belonging, Details, DeviceAdded, DeviceRecord, LOGIN_MEMORY, ListKept, LoginTurn, NewList,
    NewPerson, People, Person, PersonId, PersonMade, SenderPolicy,
};
pub use postgres::{PostgresDb, must_have_authorities};
pub use queue::{
    Answerable, Answered, Backlog, BeginningRecord, NewEntry, QueueEntry, QueuedTarget, Queues,
    ReceiptRecord, WaitingEntry,
};
pub use recovery::Recoveries;
pub use release::{EventId, NewRelease, PublishError, Release, Releases, RenewError};
pub use retention::{Retaining, Retention};
pub use sqlite::SqliteDb;
pub use token::{NewToken, TokenId, TokenRecord, TokenScope, Tokens};

/// The hub's memory. Times are unix seconds.
///
/// Every call fails with [`DbError`] when the database does; that is not repeated at each.
#[async_trait]
pub trait HubDb:
    Accounts
    + Names
    + Grants
    + Releases
    + Retaining
    + Chunks
    + Queues
    + Communities
    + Joins
    + People
    + Books
    + Recoveries
    + Addressed
    + Tokens
    + Audit
    + Console
    + Claims
    + Cluster
{
    /// Whether this is the database of the hub with this public key. One that is nobody's yet
    /// becomes that hub's when it is to be adopted.
    async fn belongs_to(&self, hub: &[u8; 32], adopt: bool) -> Result<bool, DbError>;

    /// Whether the database answers and would take a write now; [`DbError::Full`] when it answers
    /// and has no room. A write that is under way is not waited for.
    async fn ready(&self) -> Result<(), DbError>;

    /// Forgets sign-ins, console sessions, tokens, claims, invitations, admissions and joinings that
    /// have ended.
    async fn drop_expired(&self, now: u64) -> Result<(), DbError>;

    /// Writes a consistent copy to `path`, which must not exist, while others read and write;
    /// durable when this returns true. False: this database has its own means (`pg_dump`), and
    /// nothing was written.
    async fn snapshot_to(&self, path: &Path) -> Result<bool, DbError>;

    /// Closes all connections after their current statement.
    async fn close(&self);
}
