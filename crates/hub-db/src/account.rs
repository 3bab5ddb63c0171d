//! Accounts, invitations, and who is asking.

use crate::DbError;

/// Number of an account in one database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId(pub(crate) i64);

/// The public node key an account stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountKey(pub [u8; 32]);

/// What an account may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Reads what it is granted.
    Reader,
    /// Also uploads, owns names and publishes releases.
    Publisher,
}

/// A registered key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its number.
    pub id: AccountId,
    /// Its key.
    pub key: AccountKey,
    /// What it may do.
    pub role: Role,
    /// When it registered.
    pub created: u64,
    /// When it was revoked; it may do nothing since.
    pub revoked: Option<u64>,
}

/// Whose rights a query uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Caller {
    /// Nobody in particular: sees what is public.
    Anonymous,
    /// An account in force.
    Account {
        /// Its number.
        id: AccountId,
        /// Its key.
        key: AccountKey,
    },
}

impl From<&Account> for Caller {
    fn from(account: &Account) -> Self {
        Self::Account { id: account.id, key: account.key }
    }
}

/// An invitation to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewInvitation {
    /// Hash of the secret; the secret itself is not stored.
    pub secret_hash: [u8; 32],
    /// Role of the accounts it makes.
    pub role: Role,
    /// Names those accounts may read.
    pub grants: Vec<String>,
    /// How many keys may register with it.
    pub uses: u32,
    /// When it ends.
    pub expires: u64,
}

/// Why a registration was refused.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// No invitation has this secret, or it expired and was forgotten. Ask for a new one.
    #[error("no such invitation")]
    Unknown,
    /// The invitation is past its end. Ask for a new one.
    #[error("the invitation has expired")]
    Expired,
    /// As many keys as it allows have registered with it. Ask for a new one.
    #[error("the invitation has been used")]
    UsedUp,
    /// The key's account was revoked; no invitation brings it back. Use another key.
    #[error("the account was revoked")]
    Revoked,
    /// The database failed; registering again is safe.
    #[error(transparent)]
    Db(#[from] DbError),
}
