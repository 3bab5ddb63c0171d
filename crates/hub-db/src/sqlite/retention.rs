//! Retention.

use async_trait::async_trait;

use super::SqliteDb;
use crate::stored::{signed, unsigned};
use crate::{DbError, NameId, Retaining, Retention};

#[async_trait]
impl Retaining for SqliteDb {
    async fn set_retention(&self, name: NameId, retention: &Retention) -> Result<(), DbError> {
        sqlx::query("UPDATE names SET keep_last = ?, keep_days = ? WHERE id = ?")
            .bind(retention.last.map(i64::from))
            .bind(retention.days.map(i64::from))
            .bind(name.0)
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    async fn retention(&self, name: NameId) -> Result<Retention, DbError> {
        let row: Option<(Option<i64>, Option<i64>)> =
            sqlx::query_as("SELECT keep_last, keep_days FROM names WHERE id = ?")
                .bind(name.0)
                .fetch_optional(&self.readers)
                .await?;
        Retention::from_row(row.unwrap_or_default())
    }

    async fn set_pinned(&self, name: NameId, sequence: u64, pinned: bool) -> Result<bool, DbError> {
        let done = sqlx::query("UPDATE releases SET pinned = ? WHERE name = ? AND sequence = ?")
            .bind(pinned)
            .bind(name.0)
            .bind(signed(sequence))
            .execute(&self.writer)
            .await?;
        Ok(done.rows_affected() > 0)
    }

    async fn expire_releases(&self, now: u64) -> Result<Vec<(String, u64)>, DbError> {
        let mut transaction = self.write().await?;
        let rows: Vec<(i64, String, i64)> = sqlx::query_as(
            "SELECT id, text, sequence FROM (
               SELECT r.id, n.name AS text, r.sequence, r.pinned, r.accepted,
                      n.keep_last, n.keep_days,
                      row_number() OVER (PARTITION BY r.name ORDER BY r.sequence DESC) AS age
               FROM releases r JOIN names n ON n.id = r.name
               WHERE n.keep_last IS NOT NULL OR n.keep_days IS NOT NULL) AS aged
             WHERE age > 1 AND NOT pinned AND age > coalesce(keep_last, 0)
               AND (keep_days IS NULL OR accepted < ? - keep_days * 86400)
               AND NOT EXISTS (SELECT 1 FROM queue q WHERE q.release = aged.id AND q.taken IS NULL)
             ORDER BY text, sequence",
        )
        .bind(signed(now))
        .fetch_all(&mut *transaction)
        .await?;
        let mut expired = Vec::with_capacity(rows.len());
        for (id, name, sequence) in rows {
            sqlx::query("DELETE FROM releases WHERE id = ?")
                .bind(id)
                .execute(&mut *transaction)
                .await?;
            expired.push((name, unsigned(sequence)?));
        }
        transaction.commit().await?;
        Ok(expired)
    }
}
