//! Names such as `team/tools`, under which releases are published.

use crate::{AccountId, AccountKey};

/// Number of a name in one database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NameId(pub(crate) i64);

/// A name as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameRecord {
    /// Its number.
    pub id: NameId,
    /// The name itself.
    pub name: String,
    /// Whether everybody may read it.
    pub public: bool,
    /// The account that may publish under it.
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
