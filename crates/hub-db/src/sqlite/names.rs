//! Names.

use async_trait::async_trait;

use super::SqliteDb;
use crate::stored::{self, NameRow, UsageRow, signed};
use crate::{
    AccountId, AccountKey, Caller, DbError, HolderId, NameId, NamePut, NameRecord, NameUsage, Names,
};

/// Whether the caller's account, and its token if it has one, are in force. `?1` is the account,
/// `?2` its key, `?3` the token.
macro_rules! in_force {
    () => {
        "EXISTS (SELECT 1 FROM accounts f WHERE f.id = ?1 AND f.revoked IS NULL)
         AND (?3 IS NULL OR EXISTS (SELECT 1 FROM tokens t WHERE t.id = ?3 AND t.account = ?1))"
    };
}

/// Whether the caller is no token, or one for all names.
macro_rules! for_all_names {
    () => {
        "(?3 IS NULL OR NOT EXISTS (SELECT 1 FROM token_names l WHERE l.token = ?3))"
    };
}

/// Whether the caller's token, if it has one, is for the name `n`.
macro_rules! for_name {
    () => {
        concat!(
            "(",
            crate::sqlite::names::for_all_names!(),
            " OR EXISTS (SELECT 1 FROM token_names l WHERE l.token = ?3 AND l.name = n.name))"
        )
    };
}

/// Whether the caller may read the name `n`: one half of the access rule.
macro_rules! may_read {
    () => {
        concat!(
            "(n.public OR (",
            crate::sqlite::names::in_force!(),
            " AND ",
            crate::sqlite::names::for_name!(),
            " AND (n.owner = ?1 OR EXISTS
                   (SELECT 1 FROM grants g WHERE g.key = ?2 AND g.name = n.name))))"
        )
    };
}

pub(super) use {for_all_names, for_name, in_force, may_read};

macro_rules! select_names {
    ($($rest:expr),+) => {
        concat!(
            "SELECT n.id, n.name, n.public, n.owner, a.key,
                    (SELECT max(sequence) FROM releases r WHERE r.name = n.id)
             FROM names n JOIN accounts a ON a.id = n.owner WHERE ",
            $($rest),+
        )
    };
}

#[async_trait]
impl Names for SqliteDb {
    async fn put_name(
        &self,
        name: &str,
        owner: AccountId,
        public: bool,
        now: u64,
    ) -> Result<NamePut, DbError> {
        let mut transaction = self.write().await?;
        let known: Option<i64> = sqlx::query_scalar("SELECT owner FROM names WHERE name = ?")
            .bind(name)
            .fetch_optional(&mut *transaction)
            .await?;
        if known.is_some_and(|known| known != owner.0) {
            return Ok(NamePut::OwnedByAnother);
        }
        sqlx::query(
            "INSERT INTO names (name, public, owner, created) VALUES (?, ?, ?, ?)
             ON CONFLICT (name) DO UPDATE SET public = excluded.public",
        )
        .bind(name)
        .bind(public)
        .bind(owner.0)
        .bind(signed(now))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(if known.is_some() { NamePut::Updated } else { NamePut::Created })
    }

    async fn set_public(&self, name: NameId, public: bool) -> Result<bool, DbError> {
        let done = sqlx::query("UPDATE names SET public = ? WHERE id = ?")
            .bind(public)
            .bind(name.0)
            .execute(&self.writer)
            .await?;
        Ok(done.rows_affected() > 0)
    }

    async fn name(&self, name: &str, caller: &Caller) -> Result<Option<NameRecord>, DbError> {
        let (account, key, token) = caller.binds();
        let row: Option<NameRow> = sqlx::query_as(select_names!(may_read!(), " AND n.name = ?4"))
            .bind(account)
            .bind(key)
            .bind(token)
            .bind(name)
            .fetch_optional(&self.readers)
            .await?;
        row.map(stored::name).transpose()
    }

    async fn names(
        &self,
        caller: &Caller,
        after: &str,
        limit: u32,
    ) -> Result<Vec<NameRecord>, DbError> {
        let (account, key, token) = caller.binds();
        let sql = select_names!(may_read!(), " AND n.name > ?4 ORDER BY n.name LIMIT ?5");
        let rows: Vec<NameRow> = sqlx::query_as(sql)
            .bind(account)
            .bind(key)
            .bind(token)
            .bind(after)
            .bind(i64::from(limit))
            .fetch_all(&self.readers)
            .await?;
        rows.into_iter().map(stored::name).collect()
    }

    async fn all_names(&self, after: &str, limit: u32) -> Result<Vec<NameRecord>, DbError> {
        let rows: Vec<NameRow> =
            sqlx::query_as(select_names!("n.name > ?1 ORDER BY n.name LIMIT ?2"))
                .bind(after)
                .bind(i64::from(limit))
                .fetch_all(&self.readers)
                .await?;
        rows.into_iter().map(stored::name).collect()
    }

    async fn transfer_name(&self, name: NameId, to: &AccountKey) -> Result<bool, DbError> {
        let mut transaction = self.write().await?;
        let done = sqlx::query(
            "UPDATE names SET owner = a.id FROM accounts a
             WHERE names.id = ? AND a.key = ? AND a.role = 1 AND a.revoked IS NULL
               AND NOT a.of_community",
        )
        .bind(name.0)
        .bind(to.0.to_vec())
        .execute(&mut *transaction)
        .await?;
        sqlx::query(
            "DELETE FROM grants WHERE (name, key) IN
             (SELECT n.name, a.key FROM names n JOIN accounts a ON a.id = n.owner WHERE n.id = ?)",
        )
        .bind(name.0)
        .execute(&mut *transaction)
        .await?;
        // The new owner has named nobody yet.
        if done.rows_affected() > 0 {
            sqlx::query(
                "UPDATE grants SET level = 0 WHERE name = (SELECT name FROM names WHERE id = ?)",
            )
            .bind(name.0)
            .execute(&mut *transaction)
            .await?;
            sqlx::query("UPDATE names SET delegation = NULL, delegation_number = 0 WHERE id = ?")
                .bind(name.0)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(done.rows_affected() > 0)
    }

    async fn delete_name(&self, name: NameId) -> Result<(), DbError> {
        let mut transaction = self.write().await?;
        let statements = [
            ("DELETE FROM releases WHERE name = ?", name.0),
            ("DELETE FROM chunk_holders WHERE holder = ?", HolderId::from(name).0),
            ("DELETE FROM grants WHERE name = (SELECT name FROM names WHERE id = ?)", name.0),
            ("DELETE FROM names WHERE id = ?", name.0),
        ];
        for (statement, id) in statements {
            sqlx::query(statement).bind(id).execute(&mut *transaction).await?;
        }
        Ok(transaction.commit().await?)
    }

    async fn name_usage(&self) -> Result<Vec<NameUsage>, DbError> {
        let rows: Vec<UsageRow> = sqlx::query_as(
            "SELECT n.name, (SELECT count(*) FROM releases r WHERE r.name = n.id),
                    coalesce((SELECT r.stored_bytes FROM releases r WHERE r.name = n.id
                              ORDER BY r.sequence DESC LIMIT 1), 0),
                    (SELECT coalesce(sum(r.stored_bytes), 0) FROM releases r
                     WHERE r.name = n.id),
                    n.chunks_held
             FROM names n ORDER BY n.name",
        )
        .fetch_all(&self.readers)
        .await?;
        rows.into_iter().map(stored::usage).collect()
    }
}
