//! Tokens: bearer secrets of an account, for programs that hold no key.

use std::time::Duration;

use async_trait::async_trait;

use crate::{Account, AccountId, DbError};

/// Number of a token in one database; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenId(pub(crate) i64);

impl TokenId {
    /// The token with a number that was shown to somebody.
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

/// Seconds between two records of a token's use, so that reading does not become writing.
pub(crate) const USE_RECORDED: u64 = 60;

/// How long a request waits for the use of its token to be noted. While others write for long, or
/// nobody can write, it is left for the next use: reading goes on with a full disk.
pub(crate) const NOTE_TIME: Duration = Duration::from_millis(500);

/// What a token may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TokenScope {
    /// Reading.
    Read,
    /// Also uploading and publishing.
    Publish,
}

/// A token to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewToken {
    /// Hash of the secret; the secret itself is not stored.
    pub secret_hash: [u8; 32],
    /// Whose rights it carries.
    pub account: AccountId,
    /// What its owner calls it.
    pub label: String,
    /// What it may be used for.
    pub scope: TokenScope,
    /// The names it is for; none means all its account may use.
    pub names: Vec<String>,
    /// When it was made.
    pub created: u64,
    /// When it ends.
    pub expires: u64,
}

/// A token as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRecord {
    /// Its number.
    pub id: TokenId,
    /// Whose rights it carries.
    pub account: AccountId,
    /// What its owner calls it.
    pub label: String,
    /// What it may be used for.
    pub scope: TokenScope,
    /// The names it is for, in order; none means all its account may use.
    pub names: Vec<String>,
    /// When it was made.
    pub created: u64,
    /// When it ends.
    pub expires: u64,
    /// When it was last used, to about a minute.
    pub last_used: Option<u64>,
}

/// Machine tokens.
#[async_trait]
pub trait Tokens: Send + Sync {
    /// Records a token.
    async fn create_token(&self, token: &NewToken) -> Result<TokenId, DbError>;

    /// The token with this secret hash and its account; notes that it was used, if that is
    /// possible now. `None` when there is none, it has ended, or its account was revoked.
    async fn token(
        &self,
        secret_hash: &[u8; 32],
        now: u64,
    ) -> Result<Option<(TokenRecord, Account)>, DbError>;

    /// Whether the token is still that account's, has not ended, and the account is in force.
    async fn token_in_force(
        &self,
        id: TokenId,
        account: AccountId,
        now: u64,
    ) -> Result<bool, DbError>;

    /// The tokens of an account, oldest first, ended ones too until they are forgotten.
    async fn tokens(&self, account: AccountId) -> Result<Vec<TokenRecord>, DbError>;

    /// Ends a token, if it is that account's when one is named; returns whether there was one.
    async fn revoke_token(&self, id: TokenId, account: Option<AccountId>) -> Result<bool, DbError>;
}
