//! Idempotency keys.

use async_trait::async_trait;

use super::SqliteDb;
use crate::stored::{self, ClaimRow, signed};
use crate::{AccountId, CLAIM_LIFETIME, CLAIM_RUNNING, Claim, Claims, DbError};

#[async_trait]
impl Claims for SqliteDb {
    async fn claim(
        &self,
        account: AccountId,
        key: &str,
        request_hash: &[u8; 32],
        now: u64,
    ) -> Result<Claim, DbError> {
        let mut transaction = self.write().await?;
        let claimed: Option<i64> = sqlx::query_scalar(
            "INSERT INTO claims (account, key, request_hash, created) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (account, key) DO UPDATE
             SET request_hash = excluded.request_hash, created = excluded.created,
                 status = NULL, body = NULL
             WHERE created <= ?5 OR (status IS NULL AND created <= ?6)
             RETURNING account",
        )
        .bind(account.0)
        .bind(key)
        .bind(request_hash.to_vec())
        .bind(signed(now))
        .bind(signed(now) - signed(CLAIM_LIFETIME.as_secs()))
        .bind(signed(now) - signed(CLAIM_RUNNING.as_secs()))
        .fetch_optional(&mut *transaction)
        .await?;
        if claimed.is_some() {
            transaction.commit().await?;
            return Ok(Claim::New);
        }
        let row: ClaimRow = sqlx::query_as(
            "SELECT request_hash, status, body FROM claims WHERE account = ? AND key = ?",
        )
        .bind(account.0)
        .bind(key)
        .fetch_one(&mut *transaction)
        .await?;
        stored::claim(row, request_hash)
    }

    async fn answer(
        &self,
        account: AccountId,
        key: &str,
        status: u16,
        body: &[u8],
    ) -> Result<(), DbError> {
        sqlx::query("UPDATE claims SET status = ?, body = ? WHERE account = ? AND key = ?")
            .bind(i64::from(status))
            .bind(body.to_vec())
            .bind(account.0)
            .bind(key)
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    async fn unclaim(&self, account: AccountId, key: &str) -> Result<(), DbError> {
        sqlx::query("DELETE FROM claims WHERE account = ? AND key = ? AND status IS NULL")
            .bind(account.0)
            .bind(key)
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    async fn drop_running_claims(&self) -> Result<u64, DbError> {
        let done =
            sqlx::query("DELETE FROM claims WHERE status IS NULL").execute(&self.writer).await?;
        Ok(done.rows_affected())
    }
}
