//! The audit log.

use async_trait::async_trait;
use sqlx::SqliteConnection;

use super::SqliteDb;
use crate::audit::CHAINED_AT_ONCE;
use crate::stored::{self, AuditRow, ChainedRow, actor_codes, signed};
use crate::{Audit, AuditEntry, ChainedEntry, DbError, Linking};

#[async_trait]
impl Audit for SqliteDb {
    async fn record(&self, entry: &AuditEntry) -> Result<i64, DbError> {
        let (actor, key, label) = actor_codes(&entry.actor);
        let id = sqlx::query_scalar(
            "INSERT INTO audit (time, actor, key, label, action, subject, detail)
             VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id",
        )
        .bind(signed(entry.time))
        .bind(actor)
        .bind(key)
        .bind(label)
        .bind(entry.action.as_str())
        .bind(entry.subject.as_str())
        .bind(entry.detail.as_str())
        .fetch_one(&self.writer)
        .await?;
        Ok(id)
    }

    async fn withdraw(&self, id: i64) -> Result<(), DbError> {
        sqlx::query("DELETE FROM audit WHERE id = ? AND number IS NULL")
            .bind(id)
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    async fn chain(&self, id: i64, linking: Linking) -> Result<(), DbError> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        let open: Option<AuditRow> = sqlx::query_as(
            "SELECT id, time, actor, key, label, action, subject, detail FROM audit
             WHERE id = ? AND number IS NULL",
        )
        .bind(id)
        .fetch_optional(&mut *transaction)
        .await?;
        chain_all(&mut transaction, open, linking).await?;
        Ok(transaction.commit().await?)
    }

    async fn chain_older(&self, before: u64, linking: Linking) -> Result<u64, DbError> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        let open: Vec<AuditRow> = sqlx::query_as(
            "SELECT id, time, actor, key, label, action, subject, detail FROM audit
             WHERE number IS NULL AND time < ? ORDER BY id LIMIT ?",
        )
        .bind(signed(before))
        .bind(CHAINED_AT_ONCE)
        .fetch_all(&mut *transaction)
        .await?;
        let chained = open.len() as u64;
        chain_all(&mut transaction, open, linking).await?;
        transaction.commit().await?;
        Ok(chained)
    }

    async fn chained(&self, after: u64, limit: u32) -> Result<Vec<ChainedEntry>, DbError> {
        let rows: Vec<ChainedRow> = sqlx::query_as(
            "SELECT number, link, time, actor, key, label, action, subject, detail FROM audit
             WHERE number > ? ORDER BY number LIMIT ?",
        )
        .bind(signed(after))
        .bind(i64::from(limit))
        .fetch_all(&self.readers)
        .await?;
        rows.into_iter().map(stored::chained_entry).collect()
    }

    async fn last_chained(&self) -> Result<Option<ChainedEntry>, DbError> {
        let row: Option<ChainedRow> = sqlx::query_as(
            "SELECT number, link, time, actor, key, label, action, subject, detail FROM audit
             WHERE number IS NOT NULL ORDER BY number DESC LIMIT 1",
        )
        .fetch_optional(&self.readers)
        .await?;
        row.map(stored::chained_entry).transpose()
    }

    async fn keep_audit_head(&self, number: u64, head: &[u8]) -> Result<(), DbError> {
        sqlx::query(
            "INSERT INTO audit_heads (number, signed) VALUES (?, ?)
             ON CONFLICT (number) DO UPDATE SET signed = excluded.signed",
        )
        .bind(signed(number))
        .bind(head)
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    async fn audit_heads(&self, after: u64, until: u64) -> Result<Vec<Vec<u8>>, DbError> {
        let heads = sqlx::query_scalar(
            "SELECT signed FROM audit_heads WHERE number > ? AND number <= ? ORDER BY number",
        )
        .bind(signed(after))
        .bind(signed(until))
        .fetch_all(&self.readers)
        .await?;
        Ok(heads)
    }

    async fn audit_head_before(&self, time: u64) -> Result<Option<Vec<u8>>, DbError> {
        let head = sqlx::query_scalar(
            "SELECT signed FROM audit_heads WHERE number < COALESCE(
                 (SELECT MIN(number) FROM audit WHERE number IS NOT NULL AND time >= ?),
                 9223372036854775807)
             ORDER BY number DESC LIMIT 1",
        )
        .bind(signed(time))
        .fetch_optional(&self.readers)
        .await?;
        Ok(head)
    }

    async fn prune_audit(&self, until: u64) -> Result<u64, DbError> {
        // At once: what is left begins behind an entry with a head.
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        let removed = sqlx::query("DELETE FROM audit WHERE number <= ?")
            .bind(signed(until))
            .execute(&mut *transaction)
            .await?;
        sqlx::query("DELETE FROM audit_heads WHERE number < ?")
            .bind(signed(until))
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(removed.rows_affected())
    }

    async fn audit(
        &self,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<(i64, AuditEntry)>, DbError> {
        let rows: Vec<AuditRow> = sqlx::query_as(
            "SELECT id, time, actor, key, label, action, subject, detail FROM audit
             WHERE id < ? ORDER BY id DESC LIMIT ?",
        )
        .bind(before.unwrap_or(i64::MAX))
        .bind(i64::from(limit))
        .fetch_all(&self.readers)
        .await?;
        rows.into_iter().map(stored::audit_entry).collect()
    }
}

/// Puts entries behind the last one, in this order; nobody else does so meanwhile.
async fn chain_all(
    transaction: &mut SqliteConnection,
    open: impl IntoIterator<Item = AuditRow>,
    linking: Linking,
) -> Result<(), DbError> {
    let last: Option<(i64, Vec<u8>)> = sqlx::query_as(
        "SELECT number, link FROM audit WHERE number IS NOT NULL ORDER BY number DESC LIMIT 1",
    )
    .fetch_optional(&mut *transaction)
    .await?;
    let (mut number, mut link) = stored::last_link(last)?;
    for row in open {
        let (id, entry) = stored::audit_entry(row)?;
        number += 1;
        link = linking(&link, number, &entry);
        sqlx::query("UPDATE audit SET number = ?, link = ? WHERE id = ?")
            .bind(signed(number))
            .bind(&link[..])
            .bind(id)
            .execute(&mut *transaction)
            .await?;
    }
    Ok(())
}
