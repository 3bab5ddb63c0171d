//! Machine tokens.

use async_trait::async_trait;

use super::SqliteDb;
use crate::stored::{self, AccountRow, TokenRow, scope_code, signed};
use crate::token::{NOTE_TIME, USE_RECORDED};
use crate::{Account, AccountId, DbError, NewToken, TokenId, TokenRecord, Tokens};

macro_rules! select_tokens {
    ($condition:literal) => {
        concat!(
            "SELECT t.id, t.account, t.label, t.scope, t.created, t.expires, t.last_used, l.name
             FROM tokens t LEFT JOIN token_names l ON l.token = t.id WHERE ",
            $condition,
            " ORDER BY t.id, l.name"
        )
    };
}

#[async_trait]
impl Tokens for SqliteDb {
    async fn create_token(&self, token: &NewToken) -> Result<TokenId, DbError> {
        let mut transaction = self.write().await?;
        let id: i64 = sqlx::query_scalar(
            "INSERT INTO tokens (secret_hash, account, label, scope, created, expires)
             VALUES (?, ?, ?, ?, ?, ?) RETURNING id",
        )
        .bind(token.secret_hash.to_vec())
        .bind(token.account.0)
        .bind(token.label.as_str())
        .bind(scope_code(token.scope))
        .bind(signed(token.created))
        .bind(signed(token.expires))
        .fetch_one(&mut *transaction)
        .await?;
        for name in &token.names {
            sqlx::query("INSERT OR IGNORE INTO token_names (token, name) VALUES (?, ?)")
                .bind(id)
                .bind(name.as_str())
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(TokenId(id))
    }

    async fn token(
        &self,
        secret_hash: &[u8; 32],
        now: u64,
    ) -> Result<Option<(TokenRecord, Account)>, DbError> {
        let rows: Vec<TokenRow> =
            sqlx::query_as(select_tokens!("t.secret_hash = ?1 AND t.expires > ?2"))
                .bind(secret_hash.to_vec())
                .bind(signed(now))
                .fetch_all(&self.readers)
                .await?;
        let Some(token) = stored::tokens(rows)?.pop() else { return Ok(None) };
        let account: Option<AccountRow> = sqlx::query_as(
            "SELECT id, key, role, admin, created, revoked, of_community FROM accounts
             WHERE id = ? AND revoked IS NULL",
        )
        .bind(token.account.0)
        .fetch_optional(&self.readers)
        .await?;
        let Some(account) = account.map(stored::account).transpose()? else { return Ok(None) };
        let noted = token.last_used.is_some_and(|last| last.saturating_add(USE_RECORDED) > now);
        if !noted {
            let noting = sqlx::query("UPDATE tokens SET last_used = ? WHERE id = ?")
                .bind(signed(now))
                .bind(token.id.0)
                .execute(&self.writer);
            let _ = tokio::time::timeout(NOTE_TIME, noting).await;
        }
        Ok(Some((token, account)))
    }

    async fn token_in_force(
        &self,
        id: TokenId,
        account: AccountId,
        now: u64,
    ) -> Result<bool, DbError> {
        let found: Option<i64> = sqlx::query_scalar(
            "SELECT t.id FROM tokens t JOIN accounts a ON a.id = t.account
             WHERE t.id = ? AND t.account = ? AND t.expires > ? AND a.revoked IS NULL",
        )
        .bind(id.0)
        .bind(account.0)
        .bind(signed(now))
        .fetch_optional(&self.readers)
        .await?;
        Ok(found.is_some())
    }

    async fn tokens(&self, account: AccountId) -> Result<Vec<TokenRecord>, DbError> {
        let rows: Vec<TokenRow> = sqlx::query_as(select_tokens!("t.account = ?"))
            .bind(account.0)
            .fetch_all(&self.readers)
            .await?;
        stored::tokens(rows)
    }

    async fn revoke_token(&self, id: TokenId, account: Option<AccountId>) -> Result<bool, DbError> {
        let done =
            sqlx::query("DELETE FROM tokens WHERE id = ?1 AND account = coalesce(?2, account)")
                .bind(id.0)
                .bind(account.map(|account| account.0))
                .execute(&self.writer)
                .await?;
        Ok(done.rows_affected() > 0)
    }
}
