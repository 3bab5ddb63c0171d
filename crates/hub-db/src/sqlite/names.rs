//! Names and their readers.

use super::{SqliteDb, hash, signed, unsigned};
use crate::{AccountId, AccountKey, Caller, DbError, NameId, NamePut, NameRecord};

pub(super) async fn put(
    db: &SqliteDb,
    name: &str,
    owner: AccountId,
    public: bool,
    now: u64,
) -> Result<NamePut, DbError> {
    let mut transaction = db.write().await?;
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
    .bind(i64::from(public))
    .bind(owner.0)
    .bind(signed(now))
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(if known.is_some() { NamePut::Updated } else { NamePut::Created })
}

type Row = (i64, String, i64, i64, Vec<u8>, Option<i64>);

/// `?1` is the caller's account, `?2` the caller's key.
macro_rules! visible_names {
    ($condition:literal) => {
        concat!(
            "SELECT n.id, n.name, n.public, n.owner, a.key,
                    (SELECT max(sequence) FROM releases r WHERE r.name = n.id)
             FROM names n JOIN accounts a ON a.id = n.owner
             WHERE (n.public OR n.owner = ?1 OR EXISTS
                    (SELECT 1 FROM readers g WHERE g.key = ?2 AND g.name = n.name)) AND ",
            $condition
        )
    };
}

fn record((id, name, public, owner, key, latest): Row) -> Result<NameRecord, DbError> {
    Ok(NameRecord {
        id: NameId(id),
        name,
        public: public != 0,
        owner: AccountId(owner),
        owner_key: AccountKey(hash(key)?),
        latest: latest.map(unsigned).transpose()?,
    })
}

pub(super) async fn one(
    db: &SqliteDb,
    name: &str,
    caller: &Caller,
) -> Result<Option<NameRecord>, DbError> {
    let (account, key) = caller.binds();
    let row: Option<Row> = sqlx::query_as(visible_names!("n.name = ?3"))
        .bind(account)
        .bind(key)
        .bind(name)
        .fetch_optional(&db.readers)
        .await?;
    row.map(record).transpose()
}

pub(super) async fn list(
    db: &SqliteDb,
    caller: &Caller,
    after: &str,
    limit: u32,
) -> Result<Vec<NameRecord>, DbError> {
    let (account, key) = caller.binds();
    let rows: Vec<Row> = sqlx::query_as(visible_names!("n.name > ?3 ORDER BY n.name LIMIT ?4"))
        .bind(account)
        .bind(key)
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(&db.readers)
        .await?;
    rows.into_iter().map(record).collect()
}

pub(super) async fn grant(db: &SqliteDb, name: &str, key: &AccountKey) -> Result<(), DbError> {
    sqlx::query("INSERT OR IGNORE INTO readers (key, name) VALUES (?, ?)")
        .bind(key.0.to_vec())
        .bind(name)
        .execute(&db.writer)
        .await?;
    Ok(())
}

pub(super) async fn revoke(db: &SqliteDb, name: &str, key: &AccountKey) -> Result<bool, DbError> {
    let done = sqlx::query("DELETE FROM readers WHERE key = ? AND name = ?")
        .bind(key.0.to_vec())
        .bind(name)
        .execute(&db.writer)
        .await?;
    Ok(done.rows_affected() > 0)
}
