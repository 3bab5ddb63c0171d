//! Releases.

use async_trait::async_trait;
use content::ChunkId;
use sqlx::{Sqlite, Transaction};

use super::{SqliteDb, chunks};
use crate::stored::{self, ReleaseRow, chunk_id, hash, signed, unsigned};
use crate::{DbError, EventId, NameId, NewRelease, PublishError, Release, Releases, RenewError};

#[async_trait]
impl Releases for SqliteDb {
    async fn publish(
        &self,
        release: &NewRelease,
        chunks: &[ChunkId],
    ) -> Result<EventId, PublishError> {
        let mut transaction = self.write().await?;
        lock_name(&mut transaction, release.name).await?;
        let latest: Option<(i64, Vec<u8>)> = sqlx::query_as(
            "SELECT sequence, hash FROM releases WHERE name = ? ORDER BY sequence DESC LIMIT 1",
        )
        .bind(release.name.0)
        .fetch_optional(&mut *transaction)
        .await
        .map_err(DbError::from)?;
        let latest = match latest {
            Some((sequence, bytes)) => Some((unsigned(sequence)?, hash(bytes)?)),
            None => None,
        };
        release.must_follow(latest)?;
        let event = insert(&mut transaction, release, chunks).await?;
        transaction.commit().await.map_err(DbError::from)?;
        Ok(event)
    }

    async fn mirror_release(
        &self,
        release: &NewRelease,
        chunks: &[ChunkId],
    ) -> Result<bool, PublishError> {
        let mut transaction = self.write().await?;
        lock_name(&mut transaction, release.name).await?;
        let known: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT hash FROM releases WHERE name = ? AND sequence = ?")
                .bind(release.name.0)
                .bind(signed(release.sequence))
                .fetch_optional(&mut *transaction)
                .await
                .map_err(DbError::from)?;
        match known {
            Some(hash) if hash == release.hash => return Ok(false),
            Some(_) => return Err(PublishError::WrongPrevious),
            None => {}
        }
        insert(&mut transaction, release, chunks).await?;
        transaction.commit().await.map_err(DbError::from)?;
        Ok(true)
    }

    async fn renew_head(
        &self,
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
        .execute(&self.writer)
        .await
        .map_err(DbError::from)?;
        if done.rows_affected() == 1 { Ok(()) } else { Err(RenewError::NotLatest) }
    }

    async fn releases(
        &self,
        name: NameId,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Release>, DbError> {
        let rows: Vec<ReleaseRow> = sqlx::query_as(
            "SELECT id, sequence, hash, manifest, head, tree, closure, stored_bytes, issued,
                    accepted, pinned
             FROM releases WHERE name = ? AND sequence < ? ORDER BY sequence DESC LIMIT ?",
        )
        .bind(name.0)
        .bind(before.map_or(i64::MAX, signed))
        .bind(i64::from(limit))
        .fetch_all(&self.readers)
        .await?;
        rows.into_iter().map(stored::release).collect()
    }

    async fn releases_after(
        &self,
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
        .fetch_all(&self.readers)
        .await?;
        rows.into_iter()
            .map(|(id, sequence)| Ok((EventId(unsigned(id)?), unsigned(sequence)?)))
            .collect()
    }

    async fn closures(&self) -> Result<Vec<ChunkId>, DbError> {
        let rows: Vec<Vec<u8>> = sqlx::query_scalar("SELECT DISTINCT closure FROM releases")
            .fetch_all(&self.readers)
            .await?;
        rows.into_iter().map(chunk_id).collect()
    }
}

/// Finds the name, for the transaction that holds the writer.
async fn lock_name(
    transaction: &mut Transaction<'static, Sqlite>,
    name: NameId,
) -> Result<(), PublishError> {
    sqlx::query("SELECT 1 FROM names WHERE id = ?")
        .bind(name.0)
        .fetch_optional(&mut **transaction)
        .await
        .map_err(DbError::from)?
        .ok_or(PublishError::NoName)?;
    Ok(())
}

/// Adds the row, and makes the name a holder of its chunks.
async fn insert(
    transaction: &mut Transaction<'static, Sqlite>,
    release: &NewRelease,
    chunks: &[ChunkId],
) -> Result<EventId, DbError> {
    let event: i64 = sqlx::query_scalar(
        "INSERT INTO releases (name, sequence, hash, manifest, head, tree, closure,
                                   stored_bytes, issued, accepted)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
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
    .bind(signed(release.accepted))
    .fetch_one(&mut **transaction)
    .await?;
    let added = chunks::add_holders(transaction, release.name.into(), chunks).await?;
    sqlx::query("UPDATE names SET chunks_held = chunks_held + ? WHERE id = ?")
        .bind(signed(added))
        .bind(release.name.0)
        .execute(&mut **transaction)
        .await?;
    Ok(EventId(unsigned(event)?))
}
