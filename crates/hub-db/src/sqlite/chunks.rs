//! Chunk holders: the largest table, always reached in batches.

use std::collections::HashSet;
use std::sync::LazyLock;

use async_trait::async_trait;
use content::ChunkId;
use sqlx::SqliteConnection;

use super::SqliteDb;
use super::names::{for_all_names, in_force, may_read};
use crate::stored::{chunk_id, in_order};
use crate::{Caller, Chunks, DbError, HolderId, LOOKUP_IDS_MAX};

/// Rows one `INSERT` adds. Beyond some hundreds the cost per row no longer falls.
const INSERT_ROWS: usize = 512;

/// A statement with a list of parameters, prepared for a few lengths only, so that the
/// connections' caches of prepared statements hold them all; shorter lists repeat their last id.
struct Batch([(usize, String); 3]);

impl Batch {
    /// `each` is repeated with `#` as the number of its parameter, counting from `first`.
    fn new(before: &str, first: usize, each: &str, after: &str, sizes: [usize; 3]) -> Self {
        Self(sizes.map(|size| {
            let repeat = |at: usize| each.replace('#', &(first + at).to_string());
            let list = (0..size).map(repeat).collect::<Vec<_>>().join(",");
            (size, format!("{before}{list}{after}"))
        }))
    }

    /// The shortest statement for `length` ids, and how often to repeat the last one.
    fn fitting(&'static self, length: usize) -> (&'static str, usize) {
        let (size, sql) =
            self.0.iter().find(|(size, _)| *size >= length).expect("callers keep to the maximum");
        (sql, size - length)
    }
}

static INSERT: LazyLock<Batch> = LazyLock::new(|| {
    let before = "INSERT OR IGNORE INTO chunk_holders (holder, chunk) VALUES ";
    Batch::new(before, 2, "(?1, ?#)", "", [1, 32, INSERT_ROWS])
});

/// Names, whose lowest bit is set, keep what they hold.
static DELETE: LazyLock<Batch> = LazyLock::new(|| {
    let before = "DELETE FROM chunk_holders WHERE holder & 1 = 0 AND chunk IN (";
    Batch::new(before, 1, "?#", ")", [1, 32, INSERT_ROWS])
});

/// `?1` is the caller's account, `?2` its key, `?3` its token. A token holds for itself; one for
/// all names also has what its account holds.
static READABLE: LazyLock<Batch> = LazyLock::new(|| {
    let before = concat!(
        "SELECT DISTINCT h.chunk FROM chunk_holders h WHERE (
           ((h.holder = -(?3 << 1) OR (h.holder = ?1 << 1 AND ",
        for_all_names!(),
        ")) AND ",
        in_force!(),
        ") OR (h.holder & 1 AND EXISTS (SELECT 1 FROM names n WHERE n.id = h.holder >> 1 AND ",
        may_read!(),
        "))) AND h.chunk IN ("
    );
    Batch::new(before, 4, "?#", ")", [1, 64, LOOKUP_IDS_MAX])
});

/// The ids, then the last one again `padding` times.
fn padded(chunks: &[ChunkId], padding: usize) -> impl Iterator<Item = Vec<u8>> {
    let last = chunks.last().into_iter().cycle().take(padding);
    chunks.iter().chain(last).map(|chunk| chunk.as_bytes().to_vec())
}

/// Returns how many the holder did not hold before.
pub(super) async fn add_holders(
    connection: &mut SqliteConnection,
    holder: HolderId,
    chunks: &[ChunkId],
) -> Result<u64, DbError> {
    let mut added = 0;
    for batch in in_order(chunks).chunks(INSERT_ROWS) {
        let (sql, padding) = INSERT.fitting(batch.len());
        let insert = sqlx::query(sql).bind(holder.0);
        let insert = padded(batch, padding).fold(insert, |insert, chunk| insert.bind(chunk));
        added += insert.execute(&mut *connection).await?.rows_affected();
    }
    Ok(added)
}

#[async_trait]
impl Chunks for SqliteDb {
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
        let (sql, padding) = READABLE.fitting(chunks.len());
        let select = sqlx::query_scalar(sql).bind(account).bind(key).bind(token);
        let select = padded(chunks, padding).fold(select, |select, chunk| select.bind(chunk));
        let rows: Vec<Vec<u8>> = select.fetch_all(&self.readers).await?;
        rows.into_iter().map(chunk_id).collect()
    }

    async fn held_chunks(
        &self,
        after: Option<ChunkId>,
        limit: u32,
    ) -> Result<Vec<ChunkId>, DbError> {
        let rows: Vec<Vec<u8>> = sqlx::query_scalar(
            "SELECT DISTINCT chunk FROM chunk_holders WHERE chunk > ? ORDER BY chunk LIMIT ?",
        )
        .bind(after.map_or_else(Vec::new, |chunk| chunk.as_bytes().to_vec()))
        .bind(i64::from(limit))
        .fetch_all(&self.readers)
        .await?;
        rows.into_iter().map(chunk_id).collect()
    }

    async fn drop_holders(&self, chunks: &[ChunkId]) -> Result<(), DbError> {
        for batch in chunks.chunks(INSERT_ROWS) {
            let (sql, padding) = DELETE.fitting(batch.len());
            let delete =
                padded(batch, padding).fold(sqlx::query(sql), |delete, chunk| delete.bind(chunk));
            delete.execute(&self.writer).await?;
        }
        Ok(())
    }
}
