//! What was done to the hub, by whom.

use async_trait::async_trait;

use crate::{AccountKey, DbError};

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// Somebody at the hub's own machine, with its data directory.
    Local,
    /// An account, over the network.
    Account(AccountKey),
    /// A signed-in console; the text tells sessions apart.
    Console(String),
}

/// One administrative act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// When.
    pub time: u64,
    /// Who.
    pub actor: Actor,
    /// What: `invite`, `grant`.
    pub action: String,
    /// To what: a name, a key.
    pub subject: String,
    /// More about it, a JSON object; never a secret.
    pub detail: String,
}

/// The audit log. Nothing removes entries, but those of acts that came to nothing.
#[async_trait]
pub trait Audit: Send + Sync {
    /// Adds an entry; returns its number. Before the act, so that none is done unrecorded.
    async fn record(&self, entry: &AuditEntry) -> Result<i64, DbError>;

    /// Takes the entry of an act back that changed nothing.
    async fn withdraw(&self, id: i64) -> Result<(), DbError>;

    /// Up to `limit` entries with their numbers, newest first, those numbered below `before`.
    async fn audit(
        &self,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<(i64, AuditEntry)>, DbError>;
}
