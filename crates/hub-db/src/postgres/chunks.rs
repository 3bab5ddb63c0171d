//! Chunk holders: the largest table, always reached in batches.

use std::collections::HashSet;

use async_trait::async_trait;
use content::ChunkId;
use sqlx::PgConnection;

use super::PostgresDb;
use super::names::{for_all_names, in_force, may_read};
use crate::stored::{chunk_id, in_order};
use crate::{Caller, Chunks, DbError, HolderId, LOOKUP_IDS_MAX};

/// Rows one statement adds or deletes: 256 KiB of ids. More at once gain nothing.
const BATCH_ROWS: usize = 8192;

/// `$1` is the caller's account, `$2` its key, `$3` its token. A token holds for itself; one for
/// all names also has what its account holds.
const READABLE: &str = concat!(
    "SELECT DISTINCT h.chunk FROM chunk_holders h WHERE h.chunk = ANY($4) AND (
       ((h.holder = -($3 << 1) OR (h.holder = $1 << 1 AND ",
    for_all_names!(),
    ")) AND ",
    in_force!(),
    ") OR ((h.holder & 1) = 1 AND EXISTS (SELECT 1 FROM names n WHERE n.id = h.holder >> 1 AND ",
    may_read!(),
    ")))"
);

fn bytes(chunks: &[ChunkId]) -> Vec<&[u8]> {
    chunks.iter().map(|chunk| &chunk.as_bytes()[..]).collect()
}

/// Returns how many the holder did not hold before.
pub(super) async fn add_holders(
    connection: &mut PgConnection,
    holder: HolderId,
    chunks: &[ChunkId],
) -> Result<u64, DbError> {
    let mut added = 0;
    for batch in in_order(chunks).chunks(BATCH_ROWS) {
        let done = sqlx::query(
            "INSERT INTO chunk_holders (chunk, holder)
             SELECT chunk, $1 FROM unnest($2::bytea[]) AS chunk ON CONFLICT DO NOTHING",
        )
        .bind(holder.0)
        .bind(bytes(batch))
        .execute(&mut *connection)
        .await?;
        added += done.rows_affected();
    }
    Ok(added)
}

#[async_trait]
impl Chunks for PostgresDb {
    async fn add_holders(&self, holder: HolderId, chunks: &[ChunkId]) -> Result<(), DbError> {
        let mut transaction = self.write().await?;
        add_holders(&mut transaction, holder, chunks).await?;
        Ok(transaction.commit().await?)
    }

    async fn readable(
        &self,
        caller: &Caller,
        chunks: &[ChunkId],
    ) -> Result<HashSet<ChunkId>, DbError> {
        assert!(chunks.len() <= LOOKUP_IDS_MAX, "a lookup of {} ids", chunks.len());
        if chunks.is_empty() {
            return Ok(HashSet::new());
        }
        let (account, key, token) = caller.binds();
        let rows: Vec<Vec<u8>> = sqlx::query_scalar(READABLE)
            .bind(account)
            .bind(key)
            .bind(token)
            .bind(bytes(chunks))
            .fetch_all(&self.pool)
            .await?;
        rows.into_iter().map(chunk_id).collect()
    }

    async fn held_chunks(
        &self,
        after: Option<ChunkId>,
        limit: u32,
    ) -> Result<Vec<ChunkId>, DbError> {
        let rows: Vec<Vec<u8>> = sqlx::query_scalar(
            "SELECT DISTINCT chunk FROM chunk_holders WHERE chunk > $1 ORDER BY chunk LIMIT $2",
        )
        .bind(after.map_or_else(Vec::new, |chunk| chunk.as_bytes().to_vec()))
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(chunk_id).collect()
    }

    async fn drop_holders(&self, chunks: &[ChunkId]) -> Result<(), DbError> {
        for batch in in_order(chunks).chunks(BATCH_ROWS) {
            // Names, whose lowest bit is set, keep what they hold.
            sqlx::query("DELETE FROM chunk_holders WHERE holder & 1 = 0 AND chunk = ANY($1)")
                .bind(bytes(batch))
                .execute(&self.pool)
                .await?;
        }
        Ok(())
    }
}
