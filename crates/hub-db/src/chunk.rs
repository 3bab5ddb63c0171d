//! Who holds a chunk.

use std::collections::HashSet;

use async_trait::async_trait;
use content::ChunkId;

use crate::{AccountId, Caller, DbError, NameId, TokenId};

/// The most chunk ids one call of [`Chunks::readable`] may name.
///
/// It is the size of a batch request, and small enough for one SQL statement in any database.
pub const LOOKUP_IDS_MAX: usize = 1024;

/// An account, a token or a name that holds chunks.
///
/// One integer so that the largest table of the hub has small rows: the id shifted left by
/// one, with the lowest bit set for names; negative for tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HolderId(pub(crate) i64);

impl From<AccountId> for HolderId {
    fn from(account: AccountId) -> Self {
        Self(account.0 << 1)
    }
}

impl From<NameId> for HolderId {
    fn from(name: NameId) -> Self {
        Self(name.0 << 1 | 1)
    }
}

impl From<TokenId> for HolderId {
    fn from(token: TokenId) -> Self {
        Self(-(token.0 << 1))
    }
}

/// Holders, and so who may read a chunk.
#[async_trait]
pub trait Chunks: Send + Sync {
    /// Makes `holder` a holder of chunks.
    async fn add_holders(&self, holder: HolderId, chunks: &[ChunkId]) -> Result<(), DbError>;

    /// Those of at most [`LOOKUP_IDS_MAX`] chunks that `caller` may read: held by a public
    /// name, a name the caller owns or is granted, or the caller itself.
    ///
    /// # Panics
    /// If there are more ids.
    async fn readable(
        &self,
        caller: &Caller,
        chunks: &[ChunkId],
    ) -> Result<HashSet<ChunkId>, DbError>;

    /// Up to `limit` chunks that have a holder, in order of their ids, those after `after`.
    async fn held_chunks(
        &self,
        after: Option<ChunkId>,
        limit: u32,
    ) -> Result<Vec<ChunkId>, DbError>;

    /// Forgets that accounts and tokens hold chunks that the store no longer has. A release
    /// keeps its name as a holder, so that a chunk that was lost and sent again is readable as
    /// before.
    async fn drop_holders(&self, chunks: &[ChunkId]) -> Result<(), DbError>;
}
