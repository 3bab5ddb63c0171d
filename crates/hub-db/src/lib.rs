//! What the hub remembers apart from chunk bytes: accounts, invitations, names, releases, and
//! who may read which chunk.
//!
//! [`HubDb`] is the trait; [`SqliteDb`] implements it on SQLite. It stores what it is given:
//! whether a signature holds, a closure is complete or a caller may publish is decided by
//! `hub`. What must be true of several rows at once is decided here, inside one transaction:
//! a release follows its predecessor, an invitation is not used too often, a name keeps its
//! owner.
//!
//! Invariant: no chunk gains a holder by itself. A holder row exists because an account
//! uploaded the chunk or because a release of a name, accepted in the same transaction, lists
//! it; so [`HubDb::readable`] is the whole of the access rule.
//!
//! Several processes may open one database at the same time: `consign invite` runs beside the
//! hub. Every implementation passes the suite in `tests/suite`.
//!
//! Start reading at [`HubDb`], then `migrations/sqlite/0001_first.sql`.

mod account;
mod chunk;
mod name;
mod release;
mod sqlite;

use std::collections::HashSet;

use async_trait::async_trait;
use content::ChunkId;

pub use account::{Account, AccountId, AccountKey, Caller, NewInvitation, RegisterError, Role};
pub use chunk::HolderId;
pub use name::{NameId, NamePut, NameRecord};
pub use release::{EventId, NewRelease, PublishError, Release, RenewError};
pub use sqlite::SqliteDb;

/// The most chunk ids one call of [`HubDb::readable`] may name.
///
/// It is the size of a batch request, and small enough for one SQL statement in any database.
pub const LOOKUP_IDS_MAX: usize = 1024;

/// The database did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// The database could not be opened or a statement failed: disk, permissions, or a lock
    /// held for too long. Nothing was changed; trying again later may succeed.
    #[error("the hub's database failed")]
    Failed(#[from] sqlx::Error),
    /// The database was written by a newer version. Run that version, or a later one.
    #[error("the hub's database has schema {found}, this version knows {known}")]
    Newer {
        /// Schema version found in the file.
        found: i64,
        /// Newest schema version this program knows.
        known: i64,
    },
    /// A row holds what no version ever writes. The file is damaged: restore a copy.
    #[error("the hub's database is damaged: {0}")]
    Damaged(&'static str),
}

/// The hub's memory. Times are unix seconds.
#[async_trait]
pub trait HubDb: Send + Sync {
    /// Records an invitation.
    async fn create_invitation(&self, invitation: &NewInvitation) -> Result<(), DbError>;

    /// Uses the invitation with this secret hash for `key`: creates the account, or raises the
    /// role of an existing one, and grants what the invitation grants. Repeating it with the
    /// same key costs no further use.
    async fn register(
        &self,
        key: &AccountKey,
        secret_hash: &[u8; 32],
        now: u64,
    ) -> Result<Account, RegisterError>;

    /// Forgets invitations that expired before `now`; returns how many.
    async fn drop_expired_invitations(&self, now: u64) -> Result<u64, DbError>;

    /// The account of a key, revoked or not.
    async fn account(&self, key: &AccountKey) -> Result<Option<Account>, DbError>;

    /// Revokes the account of a key; returns whether there was an account in force.
    async fn revoke_account(&self, key: &AccountKey, now: u64) -> Result<bool, DbError>;

    /// Creates `name` for `owner`, or changes whether it is public.
    async fn put_name(
        &self,
        name: &str,
        owner: AccountId,
        public: bool,
        now: u64,
    ) -> Result<NamePut, DbError>;

    /// The name, if `caller` may see it.
    async fn name(&self, name: &str, caller: &Caller) -> Result<Option<NameRecord>, DbError>;

    /// Up to `limit` names `caller` may see, in order, those after `after`.
    async fn names(
        &self,
        caller: &Caller,
        after: &str,
        limit: u32,
    ) -> Result<Vec<NameRecord>, DbError>;

    /// Lets `key` read `name`, now or once it exists.
    async fn grant_reader(&self, name: &str, key: &AccountKey) -> Result<(), DbError>;

    /// Takes the grant back; returns whether there was one.
    async fn revoke_reader(&self, name: &str, key: &AccountKey) -> Result<bool, DbError>;

    /// Adds a release and makes its name a holder of `chunks`, all or nothing. The sequence
    /// must follow the latest by one and `previous` must be its hash.
    async fn publish(
        &self,
        release: &NewRelease,
        chunks: &[ChunkId],
    ) -> Result<EventId, PublishError>;

    /// Replaces the head of the latest release, which must have this hash.
    async fn renew_head(
        &self,
        name: NameId,
        hash: &[u8; 32],
        head: &[u8],
    ) -> Result<(), RenewError>;

    /// The latest release of a name.
    async fn latest_release(&self, name: NameId) -> Result<Option<Release>, DbError>;

    /// One release of a name.
    async fn release(&self, name: NameId, sequence: u64) -> Result<Option<Release>, DbError>;

    /// Up to `limit` releases with a sequence below `before`, newest first.
    async fn releases(
        &self,
        name: NameId,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Release>, DbError>;

    /// Event ids and sequences of up to `limit` releases of `name` after `after`, in order.
    async fn releases_after(
        &self,
        name: NameId,
        after: EventId,
        limit: u32,
    ) -> Result<Vec<(EventId, u64)>, DbError>;

    /// The closure heads of all releases: what garbage collection starts from.
    async fn closures(&self) -> Result<Vec<ChunkId>, DbError>;

    /// Makes `holder` a holder of chunks.
    async fn add_holders(&self, holder: HolderId, chunks: &[ChunkId]) -> Result<(), DbError>;

    /// Those of at most [`LOOKUP_IDS_MAX`] chunks that `caller` may read: held by a public
    /// name, a name the caller owns or is granted, or the caller's account.
    ///
    /// # Panics
    /// If there are more ids.
    async fn readable(
        &self,
        caller: &Caller,
        chunks: &[ChunkId],
    ) -> Result<HashSet<ChunkId>, DbError>;

    /// Up to `limit` chunks that have a holder, in order of their ids, those after `after`.
    async fn held_chunks(
        &self,
        after: Option<ChunkId>,
        limit: u32,
    ) -> Result<Vec<ChunkId>, DbError>;

    /// Forgets all holders of chunks that the store no longer has.
    async fn drop_holders(&self, chunks: &[ChunkId]) -> Result<(), DbError>;
}
