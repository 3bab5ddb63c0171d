//! What keys may do with a name.

use async_trait::async_trait;

use crate::{AccountKey, Caller, DbError, NameId};

/// What a key may do with a name. Each may do what those after it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Grant {
    /// Grants, changes and deletes it. A name has one owner.
    Owner,
    /// Publishes releases under it.
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

/// Grants: by the name's text and the key, so that one can come before the name's first release
/// and before the key's registration.
#[async_trait]
pub trait Grants: Send + Sync {
    /// Gives `key` a grant for `name`, in place of one it had.
    ///
    /// # Panics
    /// If the grant is [`Grant::Owner`]: owners change by [`Names::transfer_name`].
    ///
    /// [`Names::transfer_name`]: crate::Names::transfer_name
    async fn set_grant(&self, name: &str, key: &AccountKey, grant: Grant) -> Result<(), DbError>;

    /// Takes a grant back; returns whether there was one.
    async fn remove_grant(&self, name: &str, key: &AccountKey) -> Result<bool, DbError>;

    /// All grants of a name, the owner first, then in order of keys.
    async fn grants(&self, name: &str) -> Result<Vec<GrantRecord>, DbError>;

    /// What `caller` may do with a name apart from reading it because it is public. A token may
    /// do what its account may with the names it lists, and one that only reads is a reader.
    async fn grant_of(&self, name: NameId, caller: &Caller) -> Result<Option<Grant>, DbError>;
}
