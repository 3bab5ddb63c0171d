//! The audit log.

use async_trait::async_trait;

use super::{PostgresDb, text};
use crate::stored::{self, AuditRow, actor_codes, signed};
use crate::{Audit, AuditEntry, DbError};

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
        sqlx::query("DELETE FROM audit WHERE id = $1").bind(id).execute(&self.pool).await?;
        Ok(())
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
