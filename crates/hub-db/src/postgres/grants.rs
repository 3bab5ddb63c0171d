//! Grants.

use async_trait::async_trait;

use super::names::{for_name, in_force};
use super::{PostgresDb, text};
use crate::stored::{self, hash, signed};
use crate::{AccountKey, Caller, DbError, Grant, GrantRecord, Grants, NameId, NewDelegation};

#[async_trait]
impl Grants for PostgresDb {
    async fn add_reader(&self, name: &str, key: &AccountKey) -> Result<(), DbError> {
        sqlx::query(
            "INSERT INTO grants (key, name, level) VALUES ($1, $2, 0)
             ON CONFLICT (key, name) DO UPDATE SET level = excluded.level",
        )
        .bind(key.0.to_vec())
        .bind(text(name))
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    async fn remove_grant(&self, name: &str, key: &AccountKey) -> Result<bool, DbError> {
        let done = sqlx::query("DELETE FROM grants WHERE key = $1 AND name = $2")
            .bind(key.0.to_vec())
            .bind(text(name))
            .execute(&self.pool)
            .await?;
        Ok(done.rows_affected() > 0)
    }

    async fn set_delegation(&self, new: &NewDelegation) -> Result<bool, DbError> {
        let mut transaction = self.write().await?;
        let name: Option<String> = sqlx::query_scalar(
            "UPDATE names SET delegation = $1, delegation_number = $2
             WHERE id = $3 AND delegation_number < $2
               AND owner = (SELECT id FROM accounts WHERE key = $4)
             RETURNING name",
        )
        .bind(&new.document)
        .bind(signed(new.number))
        .bind(new.name.0)
        .bind(new.owner.0.to_vec())
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(name) = name else { return Ok(false) };
        sqlx::query("DELETE FROM grants WHERE name = $1 AND level = 1")
            .bind(&name)
            .execute(&mut *transaction)
            .await?;
        for key in &new.publishers {
            sqlx::query(
                "INSERT INTO grants (key, name, level) VALUES ($1, $2, 1)
                 ON CONFLICT (key, name) DO UPDATE SET level = excluded.level",
            )
            .bind(key.0.to_vec())
            .bind(&name)
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(true)
    }

    async fn delegation(&self, name: NameId) -> Result<Option<Vec<u8>>, DbError> {
        let found: Option<Option<Vec<u8>>> =
            sqlx::query_scalar("SELECT delegation FROM names WHERE id = $1")
                .bind(name.0)
                .fetch_optional(&self.pool)
                .await?;
        Ok(found.flatten())
    }

    async fn grants(&self, name: &str) -> Result<Vec<GrantRecord>, DbError> {
        let rows: Vec<(Vec<u8>, i64)> = sqlx::query_as(
            "SELECT key, max(level) FROM (
               SELECT key, level FROM grants WHERE name = $1
               UNION ALL
               SELECT a.key, 2 FROM names n JOIN accounts a ON a.id = n.owner WHERE n.name = $1) AS held
             GROUP BY key ORDER BY max(level) = 2 DESC, key",
        )
        .bind(text(name))
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter()
            .map(|(key, level)| {
                Ok(GrantRecord { key: AccountKey(hash(key)?), grant: stored::grant(level)? })
            })
            .collect()
    }

    async fn grant_of(&self, name: NameId, caller: &Caller) -> Result<Option<Grant>, DbError> {
        let (account, key, token) = caller.binds();
        let row: Option<(Option<i64>, Option<i64>)> = sqlx::query_as(concat!(
            "SELECT CASE WHEN n.owner = $1 THEN 2 ELSE
                      (SELECT g.level FROM grants g WHERE g.key = $2 AND g.name = n.name) END,
                    (SELECT t.scope FROM tokens t WHERE t.id = $3)
             FROM names n WHERE n.id = $4 AND ",
            in_force!(),
            " AND ",
            for_name!()
        ))
        .bind(account)
        .bind(key)
        .bind(token)
        .bind(name.0)
        .fetch_optional(&self.pool)
        .await?;
        let Some((Some(level), scope)) = row else { return Ok(None) };
        stored::scoped(stored::grant(level)?, scope).map(Some)
    }
}
