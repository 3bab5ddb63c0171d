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

/// An entry that has its place in the chain: nothing changes it any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainedEntry {
    /// Its number in the chain, from 1, without gaps.
    pub number: u64,
    /// The hash over it and the link before.
    pub link: [u8; 32],
    /// The entry.
    pub entry: AuditEntry,
}

/// Most entries that are chained in one transaction.
pub(crate) const CHAINED_AT_ONCE: i64 = 1000;

/// Makes the link of an entry with this number behind the link of the one before, all zeros for none.
pub type Linking = fn(&[u8; 32], u64, &AuditEntry) -> [u8; 32];

/// The audit log. An entry is recorded before its act. Then it is taken out again if that came to
/// nothing, else *chained*: from then on nothing removes it but [`Audit::prune_audit`].
#[async_trait]
pub trait Audit: Send + Sync {
    /// Adds an entry; returns its number. Before the act, so that none is done unrecorded.
    async fn record(&self, entry: &AuditEntry) -> Result<i64, DbError>;

    /// Takes the entry of an act back that changed nothing, unless it was chained.
    async fn withdraw(&self, id: i64) -> Result<(), DbError>;

    /// Chains an entry behind all others; one that was chained before stays where it is.
    async fn chain(&self, id: i64, linking: Linking) -> Result<(), DbError>;

    /// Chains what is older than `before` and was never chained, in the order in which it was recorded:
    /// acts that were cut off, and those of a schema without a chain. Returns how many.
    async fn chain_older(&self, before: u64, linking: Linking) -> Result<u64, DbError>;

    /// Up to `limit` chained entries behind number `after`, in their order.
    async fn chained(&self, after: u64, limit: u32) -> Result<Vec<ChainedEntry>, DbError>;

    /// The last chained entry.
    async fn last_chained(&self) -> Result<Option<ChainedEntry>, DbError>;

    /// Keeps a signed head of entry `number`; a second one of the same number takes its place.
    async fn keep_audit_head(&self, number: u64, signed: &[u8]) -> Result<(), DbError>;

    /// The signed heads of the entries behind `after` up to `until`, in their order.
    async fn audit_heads(&self, after: u64, until: u64) -> Result<Vec<Vec<u8>>, DbError>;

    /// The newest signed head of an entry that, like all before it, is older than `time`.
    async fn audit_head_before(&self, time: u64) -> Result<Option<Vec<u8>>, DbError>;

    /// Removes the chained entries up to number `until`, and the signed heads before that one. Returns how
    /// many entries. An entry that tells of it is chained before.
    async fn prune_audit(&self, until: u64) -> Result<u64, DbError>;

    /// Up to `limit` entries with their numbers, newest first, those numbered below `before`.
    async fn audit(
        &self,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<(i64, AuditEntry)>, DbError>;
}
