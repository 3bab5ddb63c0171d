//! What keys may do with a name.

use async_trait::async_trait;

use crate::{AccountKey, Caller, DbError, NameId};

/// What a key may do with a name. Each may do what those after it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Grant {
    /// Grants, changes and deletes it. A name has one owner.
    Owner,
    /// Publishes releases under it: its owner's signed list says so.
    Publisher,
    /// Reads it.
    Reader,
}

/// A key and what it may do with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GrantRecord {
    /// The key.
    pub key: AccountKey,
    /// What it may do.
    pub grant: Grant,
}

/// The owner's signed list of publishers, to take the place of the one that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDelegation {
    /// The name.
    pub name: NameId,
    /// Key of the owner, who signed.
    pub owner: AccountKey,
    /// Its number.
    pub number: u64,
    /// The signed document.
    pub document: Vec<u8>,
    /// Who is on it now.
    pub publishers: Vec<AccountKey>,
}

/// Grants: by the name's text and the key, so that one can come before the name's first release
/// and before the key's registration.
#[async_trait]
pub trait Grants: Send + Sync {
    /// Lets `key` read `name`, and no more than that.
    async fn add_reader(&self, name: &str, key: &AccountKey) -> Result<(), DbError>;

    /// Takes a grant back; returns whether there was one.
    async fn remove_grant(&self, name: &str, key: &AccountKey) -> Result<bool, DbError>;

    /// Makes those on the list the publishers of a name, and nobody else. False, and nothing
    /// changed, when the number is not greater than that of the list there or when the name has
    /// another owner by now.
    async fn set_delegation(&self, new: &NewDelegation) -> Result<bool, DbError>;

    /// The signed list of a name, if there is one.
    async fn delegation(&self, name: NameId) -> Result<Option<Vec<u8>>, DbError>;

    /// All grants of a name, the owner first, then in order of keys.
    async fn grants(&self, name: &str) -> Result<Vec<GrantRecord>, DbError>;

    /// What `caller` may do with a name apart from reading it because it is public. A token may
    /// do what its account may with the names it lists, and one that only reads is a reader.
    async fn grant_of(&self, name: NameId, caller: &Caller) -> Result<Option<Grant>, DbError>;
}
