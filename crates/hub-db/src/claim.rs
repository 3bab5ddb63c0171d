//! Requests that are done once however often they are sent.

use std::time::Duration;

use async_trait::async_trait;

use crate::{AccountId, DbError};

/// How long an answer is kept.
pub const CLAIM_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// After this a request without an answer counts as broken off, and may be sent again. Longer
/// than any request takes.
pub const CLAIM_RUNNING: Duration = Duration::from_secs(3600);

/// What is known of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// It is new, and the caller's to do: [`Claims::answer`] or [`Claims::unclaim`] follows.
    New,
    /// It is being done.
    Running,
    /// It was done.
    Answered {
        /// Status of the answer.
        status: u16,
        /// Its body.
        body: Vec<u8>,
    },
    /// Another request was sent under the same key.
    OtherRequest,
}

/// Idempotency keys, each for one account.
#[async_trait]
pub trait Claims: Send + Sync {
    /// Claims a key for a request, or tells what is known of it.
    async fn claim(
        &self,
        account: AccountId,
        key: &str,
        request_hash: &[u8; 32],
        now: u64,
    ) -> Result<Claim, DbError>;

    /// Keeps the answer to a claimed request.
    async fn answer(
        &self,
        account: AccountId,
        key: &str,
        status: u16,
        body: &[u8],
    ) -> Result<(), DbError>;

    /// Gives a claim back unanswered: the request failed and may be sent again.
    async fn unclaim(&self, account: AccountId, key: &str) -> Result<(), DbError>;

    /// Gives all unanswered claims back, when a hub starts: none of them is being done.
    async fn drop_running_claims(&self) -> Result<u64, DbError>;
}
