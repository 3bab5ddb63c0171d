//! Accounts, invitations, and who is asking.

use std::time::Duration;

use async_trait::async_trait;

use crate::{DbError, HolderId, TokenId};

/// Number of an account in one database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId(pub(crate) i64);

impl AccountId {
    /// The account with a number that was shown to somebody.
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

/// The public node key an account stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountKey(pub [u8; 32]);

/// What an account may do. Each may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Reads what it is granted.
    Reader,
    /// Also uploads, owns names and publishes releases.
    Publisher,
    /// Also invites, revokes, and sees every name's facts and the audit log.
    Administrator,
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
    /// A roster made it and takes it back: it is for feeds of communities alone.
    pub of_community: bool,
}

/// Whose rights a query uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Caller {
    /// Nobody in particular: sees what is public.
    Anonymous,
    /// An account; one that was revoked sees what is public.
    Account {
        /// Its number.
        id: AccountId,
        /// Its key.
        key: AccountKey,
    },
    /// A program with a token: sees what is public, and of what the token's account may read
    /// the names the token lists, or all when it lists none.
    Token {
        /// The token's number.
        id: TokenId,
        /// Whose token it is.
        account: AccountId,
        /// That account's key.
        key: AccountKey,
    },
}

impl Caller {
    /// As whom the caller holds what it uploads. A token holds for itself: what its account
    /// uploaded otherwise is not the token's to read, unless it lists no names.
    #[must_use]
    pub fn holder(&self) -> Option<HolderId> {
        match self {
            Self::Anonymous => None,
            Self::Account { id, .. } => Some((*id).into()),
            Self::Token { id, .. } => Some((*id).into()),
        }
    }

    /// The account behind the caller.
    #[must_use]
    pub fn account(&self) -> Option<AccountId> {
        match self {
            Self::Anonymous => None,
            Self::Account { id, .. } => Some(*id),
            Self::Token { account, .. } => Some(*account),
        }
    }
}

impl From<&Account> for Caller {
    fn from(account: &Account) -> Self {
        Self::Account { id: account.id, key: account.key }
    }
}

/// How long a registration counts for its network.
pub const NETWORK_WINDOW: Duration = Duration::from_hours(24);

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
    /// How many of them from one network within [`NETWORK_WINDOW`]; `None` for any number.
    pub each_network: Option<u32>,
    /// The account that makes it; `None` for the hub's own machine and its console.
    pub creator: Option<AccountId>,
    /// When it was made.
    pub created: u64,
    /// When it ends.
    pub expires: u64,
}

/// An invitation that is still good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvitationRecord {
    /// Its number in one database.
    pub id: i64,
    /// Role of the accounts it makes.
    pub role: Role,
    /// Names those accounts may read, in order.
    pub grants: Vec<String>,
    /// How many keys may still register with it.
    pub uses_left: u32,
    /// How many from one network within [`NETWORK_WINDOW`].
    pub each_network: Option<u32>,
    /// When it was made; 0 when it was made by a version that did not say.
    pub created: u64,
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
    /// As many keys as may have registered with it from this network within [`NETWORK_WINDOW`]. The
    /// first of them counts no more at the time stated.
    #[error("too many keys have registered from one network")]
    Crowded {
        /// When, in seconds since 1970.
        until: u64,
    },
    /// The key's account was revoked by an administrator; no invitation brings it back. Use another
    /// key.
    #[error("the account was revoked")]
    Revoked,
    /// The database failed; registering again is safe.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Accounts and invitations.
#[async_trait]
pub trait Accounts: Send + Sync {
    /// Records an invitation; returns its number. `None`, and nothing recorded, when its creator's
    /// account was revoked.
    async fn create_invitation(&self, invitation: &NewInvitation) -> Result<Option<i64>, DbError>;

    /// The invitations that have uses left and end after `now`, oldest first.
    async fn invitations(&self, now: u64) -> Result<Vec<InvitationRecord>, DbError>;

    /// Takes an invitation back; returns whether there was one. Accounts it made stay.
    async fn revoke_invitation(&self, id: i64) -> Result<bool, DbError>;

    /// Forgets invitations that expired before `now`; returns how many.
    async fn drop_expired_invitations(&self, now: u64) -> Result<u64, DbError>;

    /// Uses the invitation with this secret hash for `key`: creates the account, or raises the
    /// role of an existing one, and grants what the invitation grants. Repeating it with the
    /// same key costs no further use. No roster takes the account back from then on. `network` is where
    /// it comes from, and kept where the invitation counts that.
    async fn register(
        &self,
        key: &AccountKey,
        secret_hash: &[u8; 32],
        network: &str,
        now: u64,
    ) -> Result<Account, RegisterError>;

    /// The account of a key, revoked or not.
    async fn account(&self, key: &AccountKey) -> Result<Option<Account>, DbError>;

    /// Up to `limit` accounts, revoked or not, in order of their numbers, those after `after`.
    async fn accounts(&self, after: Option<AccountId>, limit: u32)
    -> Result<Vec<Account>, DbError>;

    /// Revokes the account of a key, and with it the invitations it made that have uses left;
    /// returns whether there was an account in force, or one that a roster could have brought back.
    async fn revoke_account(&self, key: &AccountKey, now: u64) -> Result<bool, DbError>;
}
