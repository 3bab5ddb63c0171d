//! Retention.

use async_trait::async_trait;

use super::PostgresDb;
use crate::stored::{signed, unsigned};
use crate::{DbError, NameId, Retaining, Retention};

#[async_trait]
impl Retaining for PostgresDb {
    async fn set_retention(&self, name: NameId, retention: &Retention) -> Result<(), DbError> {
        sqlx::query("UPDATE names SET keep_last = $1, keep_days = $2 WHERE id = $3")
            .bind(retention.last.map(i64::from))
            .bind(retention.days.map(i64::from))
            .bind(name.0)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    async fn retention(&self, name: NameId) -> Result<Retention, DbError> {
        let row: Option<(Option<i64>, Option<i64>)> =
            sqlx::query_as("SELECT keep_last, keep_days FROM names WHERE id = $1")
                .bind(name.0)
                .fetch_optional(&self.pool)
                .await?;
        Retention::from_row(row.unwrap_or_default())
    }

    async fn set_pinned(&self, name: NameId, sequence: u64, pinned: bool) -> Result<bool, DbError> {
        let done = sqlx::query("UPDATE releases SET pinned = $1 WHERE name = $2 AND sequence = $3")
            .bind(pinned)
            .bind(name.0)
            .bind(signed(sequence))
            .execute(&self.pool)
            .await?;
        Ok(done.rows_affected() > 0)
    }

    async fn expire_releases(&self, now: u64) -> Result<Vec<(String, u64)>, DbError> {
        // The pin is looked at again in the row itself: it may be set meanwhile.
        let mut rows: Vec<(String, i64)> = sqlx::query_as(
            "DELETE FROM releases USING (
               SELECT r.id, n.name AS text, r.accepted, n.keep_last, n.keep_days,
                      row_number() OVER (PARTITION BY r.name ORDER BY r.sequence DESC) AS age
               FROM releases r JOIN names n ON n.id = r.name
               WHERE n.keep_last IS NOT NULL OR n.keep_days IS NOT NULL) AS aged
             WHERE releases.id = aged.id AND NOT releases.pinned
               AND age > 1 AND age > coalesce(keep_last, 0)
               AND (keep_days IS NULL OR aged.accepted < $1 - keep_days * 86400)
               AND NOT EXISTS (SELECT 1 FROM queue q WHERE q.release = aged.id AND q.taken IS NULL)
             RETURNING aged.text, releases.sequence",
        )
        .bind(signed(now))
        .fetch_all(&self.pool)
        .await?;
        rows.sort_unstable();
        rows.into_iter().map(|(name, sequence)| Ok((name, unsigned(sequence)?))).collect()
    }
}
