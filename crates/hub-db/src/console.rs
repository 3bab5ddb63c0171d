//! Signing in to the console.

use async_trait::async_trait;

use crate::DbError;

/// One-time sign-ins and the sessions they open. Only hashes of secrets are stored.
#[async_trait]
pub trait Console: Send + Sync {
    /// Records a sign-in that works once before `expires`.
    async fn create_sign_in(&self, secret_hash: &[u8; 32], expires: u64) -> Result<(), DbError>;

    /// Uses a sign-in up and opens a session, both or neither. False when there is no such
    /// sign-in, it has ended or was used.
    async fn use_sign_in(
        &self,
        secret_hash: &[u8; 32],
        session_hash: &[u8; 32],
        now: u64,
        session_expires: u64,
    ) -> Result<bool, DbError>;

    /// Whether there is such a session and it has not ended.
    async fn console_session(&self, session_hash: &[u8; 32], now: u64) -> Result<bool, DbError>;

    /// Ends a session.
    async fn end_console_session(&self, session_hash: &[u8; 32]) -> Result<(), DbError>;
}
