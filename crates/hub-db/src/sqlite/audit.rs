//! The audit log.

use async_trait::async_trait;

use super::SqliteDb;
use crate::stored::{self, AuditRow, actor_codes, signed};
use crate::{Audit, AuditEntry, DbError};

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
        sqlx::query("DELETE FROM audit WHERE id = ?").bind(id).execute(&self.writer).await?;
        Ok(())
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
