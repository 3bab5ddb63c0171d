//! Signing in to the console.

use async_trait::async_trait;

use super::PostgresDb;
use crate::stored::signed;
use crate::{Console, DbError};

#[async_trait]
impl Console for PostgresDb {
    async fn create_sign_in(&self, secret_hash: &[u8; 32], expires: u64) -> Result<(), DbError> {
        sqlx::query("INSERT INTO sign_ins (secret_hash, expires) VALUES ($1, $2)")
            .bind(secret_hash.to_vec())
            .bind(signed(expires))
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    async fn use_sign_in(
        &self,
        secret_hash: &[u8; 32],
        session_hash: &[u8; 32],
        now: u64,
        session_expires: u64,
    ) -> Result<bool, DbError> {
        let mut transaction = self.write().await?;
        let used = sqlx::query("DELETE FROM sign_ins WHERE secret_hash = $1 AND expires > $2")
            .bind(secret_hash.to_vec())
            .bind(signed(now))
            .execute(&mut *transaction)
            .await?;
        if used.rows_affected() == 0 {
            return Ok(false);
        }
        sqlx::query("INSERT INTO console_sessions (session_hash, expires) VALUES ($1, $2)")
            .bind(session_hash.to_vec())
            .bind(signed(session_expires))
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(true)
    }

    async fn console_session(&self, session_hash: &[u8; 32], now: u64) -> Result<bool, DbError> {
        let found: Option<i64> = sqlx::query_scalar(
            "SELECT 1::bigint FROM console_sessions WHERE session_hash = $1 AND expires > $2",
        )
        .bind(session_hash.to_vec())
        .bind(signed(now))
        .fetch_optional(&self.pool)
        .await?;
        Ok(found.is_some())
    }

    async fn end_console_session(&self, session_hash: &[u8; 32]) -> Result<(), DbError> {
        sqlx::query("DELETE FROM console_sessions WHERE session_hash = $1")
            .bind(session_hash.to_vec())
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}
