//! Names such as `team/tools`, under which releases are published.

use async_trait::async_trait;

use crate::{AccountId, AccountKey, Caller, DbError};

/// Number of a name in one database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NameId(pub(crate) i64);

impl NameId {
    /// The name with a number that a front-end was told.
    #[must_use]
    pub const fn from_number(number: i64) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> i64 {
        self.0
    }
}

/// A name as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameRecord {
    /// Its number.
    pub id: NameId,
    /// The name itself.
    pub name: String,
    /// Whether everybody may read it.
    pub public: bool,
    /// The account that owns it.
    pub owner: AccountId,
    /// That account's key.
    pub owner_key: AccountKey,
    /// Sequence of the latest release.
    pub latest: Option<u64>,
}

/// What became of a request to create or change a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamePut {
    /// It is new.
    Created,
    /// It existed, belongs to the caller and is as asked.
    Updated,
    /// It belongs to somebody else; nothing was changed.
    OwnedByAnother,
}

/// How much a name takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameUsage {
    /// The name.
    pub name: String,
    /// How many releases are kept.
    pub releases: u64,
    /// Lengths of the chunks of the latest release added up; 0 without one.
    pub stored_bytes_latest: u64,
    /// The same of all kept releases, what they share counted in each.
    pub stored_bytes: u64,
    /// How many chunks its releases, kept or expired, have listed.
    pub chunks_held: u64,
}

/// Names and who sees them.
#[async_trait]
pub trait Names: Send + Sync {
    /// Creates `name` for `owner`, or changes whether it is public.
    async fn put_name(
        &self,
        name: &str,
        owner: AccountId,
        public: bool,
        now: u64,
    ) -> Result<NamePut, DbError>;

    /// Changes whether a name is public, whoever owns it; false when it is gone.
    async fn set_public(&self, name: NameId, public: bool) -> Result<bool, DbError>;

    /// The name, if `caller` may see it.
    async fn name(&self, name: &str, caller: &Caller) -> Result<Option<NameRecord>, DbError>;

    /// Up to `limit` names `caller` may see, in order of their bytes, those after `after`.
    async fn names(
        &self,
        caller: &Caller,
        after: &str,
        limit: u32,
    ) -> Result<Vec<NameRecord>, DbError>;

    /// Up to `limit` of all names, whoever may see them.
    async fn all_names(&self, after: &str, limit: u32) -> Result<Vec<NameRecord>, DbError>;

    /// Makes the account of `to` the owner, who keeps no grant beside that; the owner until now
    /// has none. False, and nothing changed, when there is no such name or `to` has no account
    /// in force that may publish and was not made by a roster.
    async fn transfer_name(&self, name: NameId, to: &AccountKey) -> Result<bool, DbError>;

    /// Deletes a name with its releases, grants and holders. Not in a hurry: with many chunks it
    /// takes as long as publishing them did.
    async fn delete_name(&self, name: NameId) -> Result<(), DbError>;

    /// How much each name takes, in order of names.
    async fn name_usage(&self) -> Result<Vec<NameUsage>, DbError>;
}
