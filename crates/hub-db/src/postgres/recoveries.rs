//! Codes that go to a person's mail address.

use async_trait::async_trait;

use super::PostgresDb;
use crate::stored::signed;
use crate::{DbError, PersonId, Recoveries};

#[async_trait]
impl Recoveries for PostgresDb {
    async fn begin_recovery(
        &self,
        handle: &str,
        code: &[u8; 32],
        most: u32,
        since: u64,
        now: u64,
    ) -> Result<Option<String>, DbError> {
        let mut transaction = self.write().await?;
        sqlx::query("DELETE FROM recoveries WHERE made <= $1")
            .bind(signed(since))
            .execute(&mut *transaction)
            .await?;
        let found: Option<(i64, String)> = sqlx::query_as(
            "SELECT id, email FROM people WHERE handle = $1 AND email <> '' FOR UPDATE",
        )
        .bind(handle)
        .fetch_optional(&mut *transaction)
        .await?;
        let Some((person, email)) = found else { return Ok(None) };
        let open: i64 = sqlx::query_scalar("SELECT count(*) FROM recoveries WHERE person = $1")
            .bind(person)
            .fetch_one(&mut *transaction)
            .await?;
        if open >= i64::from(most) {
            return Ok(None);
        }
        sqlx::query("INSERT INTO recoveries (code, person, made) VALUES ($1, $2, $3)")
            .bind(code.to_vec())
            .bind(person)
            .bind(signed(now))
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(Some(email))
    }

    async fn take_recovery(
        &self,
        handle: &str,
        code: &[u8; 32],
        since: u64,
    ) -> Result<Option<PersonId>, DbError> {
        let mut transaction = self.write().await?;
        let person: Option<i64> = sqlx::query_scalar(
            "DELETE FROM recoveries WHERE code = $1 AND made > $3
               AND person = (SELECT id FROM people WHERE handle = $2)
             RETURNING person",
        )
        .bind(code.to_vec())
        .bind(handle)
        .bind(signed(since))
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(person) = person else { return Ok(None) };
        sqlx::query("DELETE FROM recoveries WHERE person = $1")
            .bind(person)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(Some(PersonId(person)))
    }
}
