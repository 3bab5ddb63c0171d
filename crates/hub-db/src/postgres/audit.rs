//! The audit log.

use async_trait::async_trait;
use sqlx::PgConnection;

use super::{PostgresDb, text};
use crate::audit::CHAINED_AT_ONCE;
use crate::stored::{self, AuditRow, ChainedRow, actor_codes, signed};
use crate::{Audit, AuditEntry, ChainedEntry, DbError, Linking};

#[async_trait]
impl Audit for PostgresDb {
    async fn record(&self, entry: &AuditEntry) -> Result<i64, DbError> {
        let (actor, key, label) = actor_codes(&entry.actor);
        let id = sqlx::query_scalar(
            "INSERT INTO audit (time, actor, key, label, action, subject, detail)
             VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id",
        )
        .bind(signed(entry.time))
        .bind(actor)
        .bind(key)
        .bind(label.as_deref().map(text))
        .bind(text(&entry.action))
        .bind(text(&entry.subject))
        .bind(text(&entry.detail))
        .fetch_one(&self.pool)
        .await?;
        Ok(id)
    }

    async fn withdraw(&self, id: i64) -> Result<(), DbError> {
        sqlx::query("DELETE FROM audit WHERE id = $1 AND number IS NULL")
            .bind(id)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    async fn chain(&self, id: i64, linking: Linking) -> Result<(), DbError> {
        let mut transaction = self.pool.begin().await?;
        lock(&mut transaction).await?;
        let open: Option<AuditRow> = sqlx::query_as(
            "SELECT id, time, actor, key, label, action, subject, detail FROM audit
             WHERE id = $1 AND number IS NULL",
        )
        .bind(id)
        .fetch_optional(&mut *transaction)
        .await?;
        chain_all(&mut transaction, open, linking).await?;
        Ok(transaction.commit().await?)
    }

    async fn chain_older(&self, before: u64, linking: Linking) -> Result<u64, DbError> {
        let mut transaction = self.pool.begin().await?;
        lock(&mut transaction).await?;
        let open: Vec<AuditRow> = sqlx::query_as(
            "SELECT id, time, actor, key, label, action, subject, detail FROM audit
             WHERE number IS NULL AND time < $1 ORDER BY id LIMIT $2",
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
             WHERE number > $1 ORDER BY number LIMIT $2",
        )
        .bind(signed(after))
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(stored::chained_entry).collect()
    }

    async fn last_chained(&self) -> Result<Option<ChainedEntry>, DbError> {
        let row: Option<ChainedRow> = sqlx::query_as(
            "SELECT number, link, time, actor, key, label, action, subject, detail FROM audit
             WHERE number IS NOT NULL ORDER BY number DESC LIMIT 1",
        )
        .fetch_optional(&self.pool)
        .await?;
        row.map(stored::chained_entry).transpose()
    }

    async fn keep_audit_head(&self, number: u64, head: &[u8]) -> Result<(), DbError> {
        sqlx::query(
            "INSERT INTO audit_heads (number, signed) VALUES ($1, $2)
             ON CONFLICT (number) DO UPDATE SET signed = excluded.signed",
        )
        .bind(signed(number))
        .bind(head)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    async fn audit_heads(&self, after: u64, until: u64) -> Result<Vec<Vec<u8>>, DbError> {
        let heads = sqlx::query_scalar(
            "SELECT signed FROM audit_heads WHERE number > $1 AND number <= $2 ORDER BY number",
        )
        .bind(signed(after))
        .bind(signed(until))
        .fetch_all(&self.pool)
        .await?;
        Ok(heads)
    }

    async fn audit_head_before(&self, time: u64) -> Result<Option<Vec<u8>>, DbError> {
        let head = sqlx::query_scalar(
            "SELECT signed FROM audit_heads WHERE number < COALESCE(
                 (SELECT MIN(number) FROM audit WHERE number IS NOT NULL AND time >= $1),
                 9223372036854775807)
             ORDER BY number DESC LIMIT 1",
        )
        .bind(signed(time))
        .fetch_optional(&self.pool)
        .await?;
        Ok(head)
    }

    async fn prune_audit(&self, until: u64) -> Result<u64, DbError> {
        // At once: what is left begins behind an entry with a head.
        let mut transaction = self.pool.begin().await?;
        let removed = sqlx::query("DELETE FROM audit WHERE number <= $1")
            .bind(signed(until))
            .execute(&mut *transaction)
            .await?;
        sqlx::query("DELETE FROM audit_heads WHERE number < $1")
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
             WHERE id < $1 ORDER BY id DESC LIMIT $2",
        )
        .bind(before.unwrap_or(i64::MAX))
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(stored::audit_entry).collect()
    }
}

/// One at a time: the link of an entry is made from the one before.
async fn lock(transaction: &mut PgConnection) -> Result<(), DbError> {
    // The number says `conaudit` in ASCII.
    sqlx::query("SELECT pg_advisory_xact_lock(7165066897030146420)").execute(transaction).await?;
    Ok(())
}

/// Puts entries behind the last one, in this order; nobody else does so meanwhile.
async fn chain_all(
    transaction: &mut PgConnection,
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
        sqlx::query("UPDATE audit SET number = $1, link = $2 WHERE id = $3")
            .bind(signed(number))
            .bind(&link[..])
            .bind(id)
            .execute(&mut *transaction)
            .await?;
    }
    Ok(())
}
