//! Releases.

use content::ChunkId;

use super::{SqliteDb, chunk_id, chunks, hash, signed, unsigned};
use crate::{DbError, EventId, NameId, NewRelease, PublishError, Release, RenewError};

pub(super) async fn publish(
    db: &SqliteDb,
    release: &NewRelease,
    chunks: &[ChunkId],
) -> Result<EventId, PublishError> {
    let mut transaction = db.write().await?;
    let latest: Option<(i64, Vec<u8>)> = sqlx::query_as(
        "SELECT sequence, hash FROM releases WHERE name = ? ORDER BY sequence DESC LIMIT 1",
    )
    .bind(release.name.0)
    .fetch_optional(&mut *transaction)
    .await
    .map_err(DbError::from)?;
    let (latest, previous) = match latest {
        Some((sequence, bytes)) => (unsigned(sequence)?, Some(hash(bytes)?)),
        None => (0, None),
    };
    if release.sequence != latest.saturating_add(1) {
        return Err(PublishError::NotNext { latest, offered: release.sequence });
    }
    if release.previous != previous {
        return Err(PublishError::WrongPrevious);
    }
    let event: i64 = sqlx::query_scalar(
        "INSERT INTO releases
           (name, sequence, hash, manifest, head, tree, closure, stored_bytes, issued)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
    )
    .bind(release.name.0)
    .bind(signed(release.sequence))
    .bind(release.hash.to_vec())
    .bind(release.manifest.clone())
    .bind(release.head.clone())
    .bind(release.tree.as_bytes().to_vec())
    .bind(release.closure.as_bytes().to_vec())
    .bind(signed(release.stored_bytes))
    .bind(signed(release.issued))
    .fetch_one(&mut *transaction)
    .await
    .map_err(DbError::from)?;
    chunks::add_holders(&mut transaction, release.name.into(), chunks).await?;
    transaction.commit().await.map_err(DbError::from)?;
    Ok(EventId(unsigned(event)?))
}

pub(super) async fn renew_head(
    db: &SqliteDb,
    name: NameId,
    hash: &[u8; 32],
    head: &[u8],
) -> Result<(), RenewError> {
    let done = sqlx::query(
        "UPDATE releases SET head = ?1 WHERE name = ?2 AND hash = ?3
         AND sequence = (SELECT max(sequence) FROM releases WHERE name = ?2)",
    )
    .bind(head.to_vec())
    .bind(name.0)
    .bind(hash.to_vec())
    .execute(&db.writer)
    .await
    .map_err(DbError::from)?;
    if done.rows_affected() == 1 { Ok(()) } else { Err(RenewError::NotLatest) }
}

type Row = (i64, i64, Vec<u8>, Vec<u8>, Vec<u8>, Vec<u8>, Vec<u8>, i64, i64);

pub(super) async fn list(
    db: &SqliteDb,
    name: NameId,
    before: Option<u64>,
    limit: u32,
) -> Result<Vec<Release>, DbError> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT id, sequence, hash, manifest, head, tree, closure, stored_bytes, issued
         FROM releases WHERE name = ? AND sequence < ? ORDER BY sequence DESC LIMIT ?",
    )
    .bind(name.0)
    .bind(before.map_or(i64::MAX, signed))
    .bind(i64::from(limit))
    .fetch_all(&db.readers)
    .await?;
    rows.into_iter()
        .map(|(event, sequence, digest, manifest, head, tree, closure, stored_bytes, issued)| {
            Ok(Release {
                event: EventId(unsigned(event)?),
                sequence: unsigned(sequence)?,
                hash: hash(digest)?,
                manifest,
                head,
                tree: chunk_id(tree)?,
                closure: chunk_id(closure)?,
                stored_bytes: unsigned(stored_bytes)?,
                issued: unsigned(issued)?,
            })
        })
        .collect()
}

pub(super) async fn after(
    db: &SqliteDb,
    name: NameId,
    after: EventId,
    limit: u32,
) -> Result<Vec<(EventId, u64)>, DbError> {
    let rows: Vec<(i64, i64)> = sqlx::query_as(
        "SELECT id, sequence FROM releases WHERE name = ? AND id > ? ORDER BY id LIMIT ?",
    )
    .bind(name.0)
    .bind(signed(after.0))
    .bind(i64::from(limit))
    .fetch_all(&db.readers)
    .await?;
    rows.into_iter()
        .map(|(id, sequence)| Ok((EventId(unsigned(id)?), unsigned(sequence)?)))
        .collect()
}

pub(super) async fn closures(db: &SqliteDb) -> Result<Vec<ChunkId>, DbError> {
    let rows: Vec<Vec<u8>> =
        sqlx::query_scalar("SELECT DISTINCT closure FROM releases").fetch_all(&db.readers).await?;
    rows.into_iter().map(chunk_id).collect()
}
