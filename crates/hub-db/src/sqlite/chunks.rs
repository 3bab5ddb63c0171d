//! Chunk holders: the largest table, always reached in batches.

use std::collections::HashSet;
use std::sync::LazyLock;

use content::ChunkId;
use sqlx::SqliteConnection;

use super::{SqliteDb, chunk_id};
use crate::{Caller, DbError, HolderId, LOOKUP_IDS_MAX};

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

/// Only accounts lose what they sent: a release keeps its name as a holder, so that a chunk that
/// was lost and sent again is readable as before.
static DELETE: LazyLock<Batch> = LazyLock::new(|| {
    let before = "DELETE FROM chunk_holders WHERE holder & 1 = 0 AND chunk IN (";
    Batch::new(before, 1, "?#", ")", [1, 32, INSERT_ROWS])
});

/// `?1` is the caller's account, `?2` the caller's key.
static READABLE: LazyLock<Batch> = LazyLock::new(|| {
    let before = "SELECT DISTINCT h.chunk FROM chunk_holders h WHERE (h.holder = ?1 << 1
         OR (h.holder & 1 AND EXISTS (SELECT 1 FROM names n WHERE n.id = h.holder >> 1
             AND (n.public OR n.owner = ?1 OR EXISTS
                  (SELECT 1 FROM readers g WHERE g.key = ?2 AND g.name = n.name)))))
         AND h.chunk IN (";
    Batch::new(before, 3, "?#", ")", [1, 64, LOOKUP_IDS_MAX])
});

/// The ids, then the last one again `padding` times.
fn padded(chunks: &[ChunkId], padding: usize) -> impl Iterator<Item = Vec<u8>> {
    let last = chunks.last().into_iter().cycle().take(padding);
    chunks.iter().chain(last).map(|chunk| chunk.as_bytes().to_vec())
}

pub(super) async fn add_holders(
    connection: &mut SqliteConnection,
    holder: HolderId,
    chunks: &[ChunkId],
) -> Result<(), DbError> {
    // In order of their ids neighbours fall onto the same page of the table.
    let mut sorted = chunks.to_vec();
    sorted.sort_unstable_by_key(|chunk| *chunk.as_bytes());
    sorted.dedup();
    for batch in sorted.chunks(INSERT_ROWS) {
        let (sql, padding) = INSERT.fitting(batch.len());
        let insert = sqlx::query(sql).bind(holder.0);
        let insert = padded(batch, padding).fold(insert, |insert, chunk| insert.bind(chunk));
        insert.execute(&mut *connection).await?;
    }
    Ok(())
}

pub(super) async fn readable(
    db: &SqliteDb,
    caller: &Caller,
    chunks: &[ChunkId],
) -> Result<HashSet<ChunkId>, DbError> {
    assert!(chunks.len() <= LOOKUP_IDS_MAX, "a lookup of {} ids", chunks.len());
    if chunks.is_empty() {
        return Ok(HashSet::new());
    }
    let (account, key) = caller.binds();
    let (sql, padding) = READABLE.fitting(chunks.len());
    let select = sqlx::query_scalar(sql).bind(account).bind(key);
    let select = padded(chunks, padding).fold(select, |select, chunk| select.bind(chunk));
    let rows: Vec<Vec<u8>> = select.fetch_all(&db.readers).await?;
    rows.into_iter().map(chunk_id).collect()
}

pub(super) async fn held(
    db: &SqliteDb,
    after: Option<ChunkId>,
    limit: u32,
) -> Result<Vec<ChunkId>, DbError> {
    let rows: Vec<Vec<u8>> = sqlx::query_scalar(
        "SELECT DISTINCT chunk FROM chunk_holders WHERE chunk > ? ORDER BY chunk LIMIT ?",
    )
    .bind(after.map_or_else(Vec::new, |chunk| chunk.as_bytes().to_vec()))
    .bind(i64::from(limit))
    .fetch_all(&db.readers)
    .await?;
    rows.into_iter().map(chunk_id).collect()
}

pub(super) async fn drop_holders(db: &SqliteDb, chunks: &[ChunkId]) -> Result<(), DbError> {
    for batch in chunks.chunks(INSERT_ROWS) {
        let (sql, padding) = DELETE.fitting(batch.len());
        let delete =
            padded(batch, padding).fold(sqlx::query(sql), |delete, chunk| delete.bind(chunk));
        delete.execute(&db.writer).await?;
    }
    Ok(())
}
