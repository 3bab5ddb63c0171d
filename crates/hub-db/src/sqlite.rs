//! [`HubDb`] on SQLite.
//!
//! One connection writes, several read: SQLite lets one writer in at a time, and a queue of
//! tasks before one connection is fairer than several connections that poll for the lock.
//! Every writing transaction begins with `BEGIN IMMEDIATE`, so that it waits for other
//! processes at its start and never fails half-way on a lock.

mod accounts;
mod chunks;
mod names;
mod releases;

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use content::ChunkId;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Sqlite, Transaction};

use crate::{
    Account, AccountId, AccountKey, Caller, DbError, EventId, HolderId, HubDb, NameId, NamePut,
    NameRecord, NewInvitation, NewRelease, PublishError, RegisterError, Release, RenewError,
};

/// The schema, one step after another; `PRAGMA user_version` counts the steps taken.
const MIGRATIONS: [&str; 1] = [include_str!("../migrations/sqlite/0001_first.sql")];

/// How long a statement waits for another process. Publishing a release of a million chunks
/// holds the lock for some ten seconds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// Connections for reading. Reads are short and served from memory; more connections only
/// help when many clients look up cold chunks at once.
const READERS_MAX: u32 = 4;

/// The hub's database in one SQLite file.
#[derive(Debug, Clone)]
pub struct SqliteDb {
    writer: SqlitePool,
    readers: SqlitePool,
}

impl SqliteDb {
    /// Opens the database at `path`, creating it or bringing its schema up to date.
    ///
    /// # Errors
    /// [`DbError::Newer`] for a file of a newer version, [`DbError::Failed`] otherwise.
    pub async fn open(path: &Path) -> Result<Self, DbError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .foreign_keys(true)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT)
            .pragma("cache_size", "-32768")
            .pragma("mmap_size", "268435456");
        let writer = open_writer(options.clone()).await?;
        migrate(&writer).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS_MAX)
            .connect_with(options.create_if_missing(false).pragma("query_only", "1"))
            .await?;
        Ok(Self { writer, readers })
    }

    /// Closes all connections after their current statement.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    async fn write(&self) -> Result<Transaction<'static, Sqlite>, DbError> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }
}

/// Connects and switches to the write-ahead log.
///
/// The switch needs the file alone and does not wait for it, so two processes that create the
/// same database at once must take turns here.
async fn open_writer(options: SqliteConnectOptions) -> Result<SqlitePool, DbError> {
    let mut attempts = 0u32;
    loop {
        let opened = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(4 * BUSY_TIMEOUT)
            .connect_with(options.clone().journal_mode(SqliteJournalMode::Wal))
            .await;
        match opened {
            Err(error) if is_locked(&error) && attempts < 100 => {
                attempts += 1;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            other => return Ok(other?),
        }
    }
}

fn is_locked(error: &sqlx::Error) -> bool {
    // 5 is SQLITE_BUSY; extended codes keep it in their lowest byte.
    let code = error.as_database_error().and_then(|error| error.code()?.parse::<i32>().ok());
    code.is_some_and(|code| code & 0xff == 5)
}

async fn migrate(writer: &SqlitePool) -> Result<(), DbError> {
    let known = MIGRATIONS.len() as i64;
    let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
    let found: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *transaction).await?;
    if found > known {
        return Err(DbError::Newer { found, known });
    }
    let taken = usize::try_from(found).map_err(|_| DbError::Damaged("negative schema version"))?;
    for step in &MIGRATIONS[taken..] {
        sqlx::raw_sql(*step).execute(&mut *transaction).await?;
    }
    let version = sqlx::AssertSqlSafe(format!("PRAGMA user_version = {known}"));
    sqlx::raw_sql(version).execute(&mut *transaction).await?;
    Ok(transaction.commit().await?)
}

/// An unsigned number as SQLite has it; what is beyond its range is as good as endless.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> Result<u64, DbError> {
    u64::try_from(number).map_err(|_| DbError::Damaged("a negative number"))
}

fn hash(bytes: Vec<u8>) -> Result<[u8; 32], DbError> {
    bytes.try_into().map_err(|_| DbError::Damaged("a hash or key that is not 32 bytes"))
}

fn chunk_id(bytes: Vec<u8>) -> Result<ChunkId, DbError> {
    hash(bytes).map(ChunkId::from_bytes)
}

impl Caller {
    /// Account number and key to bind; `NULL` equals nothing, so an anonymous caller matches
    /// no owner, no grant and no holder.
    fn binds(&self) -> (Option<i64>, Option<Vec<u8>>) {
        match self {
            Self::Anonymous => (None, None),
            Self::Account { id, key } => (Some(id.0), Some(key.0.to_vec())),
        }
    }
}

#[async_trait]
impl HubDb for SqliteDb {
    async fn create_invitation(&self, invitation: &NewInvitation) -> Result<(), DbError> {
        accounts::create_invitation(self, invitation).await
    }

    async fn register(
        &self,
        key: &AccountKey,
        secret_hash: &[u8; 32],
        now: u64,
    ) -> Result<Account, RegisterError> {
        accounts::register(self, key, secret_hash, now).await
    }

    async fn drop_expired_invitations(&self, now: u64) -> Result<u64, DbError> {
        accounts::drop_expired_invitations(self, now).await
    }

    async fn account(&self, key: &AccountKey) -> Result<Option<Account>, DbError> {
        accounts::account(&self.readers, key).await
    }

    async fn revoke_account(&self, key: &AccountKey, now: u64) -> Result<bool, DbError> {
        accounts::revoke(self, key, now).await
    }

    async fn put_name(
        &self,
        name: &str,
        owner: AccountId,
        public: bool,
        now: u64,
    ) -> Result<NamePut, DbError> {
        names::put(self, name, owner, public, now).await
    }

    async fn name(&self, name: &str, caller: &Caller) -> Result<Option<NameRecord>, DbError> {
        names::one(self, name, caller).await
    }

    async fn names(
        &self,
        caller: &Caller,
        after: &str,
        limit: u32,
    ) -> Result<Vec<NameRecord>, DbError> {
        names::list(self, caller, after, limit).await
    }

    async fn grant_reader(&self, name: &str, key: &AccountKey) -> Result<(), DbError> {
        names::grant(self, name, key).await
    }

    async fn revoke_reader(&self, name: &str, key: &AccountKey) -> Result<bool, DbError> {
        names::revoke(self, name, key).await
    }

    async fn publish(
        &self,
        release: &NewRelease,
        chunks: &[ChunkId],
    ) -> Result<EventId, PublishError> {
        releases::publish(self, release, chunks).await
    }

    async fn renew_head(
        &self,
        name: NameId,
        hash: &[u8; 32],
        head: &[u8],
    ) -> Result<(), RenewError> {
        releases::renew_head(self, name, hash, head).await
    }

    async fn latest_release(&self, name: NameId) -> Result<Option<Release>, DbError> {
        Ok(releases::list(self, name, None, 1).await?.pop())
    }

    async fn release(&self, name: NameId, sequence: u64) -> Result<Option<Release>, DbError> {
        let found = releases::list(self, name, Some(sequence.saturating_add(1)), 1).await?.pop();
        Ok(found.filter(|release| release.sequence == sequence))
    }

    async fn releases(
        &self,
        name: NameId,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Release>, DbError> {
        releases::list(self, name, before, limit).await
    }

    async fn releases_after(
        &self,
        name: NameId,
        after: EventId,
        limit: u32,
    ) -> Result<Vec<(EventId, u64)>, DbError> {
        releases::after(self, name, after, limit).await
    }

    async fn closures(&self) -> Result<Vec<ChunkId>, DbError> {
        releases::closures(self).await
    }

    async fn add_holders(&self, holder: HolderId, chunks: &[ChunkId]) -> Result<(), DbError> {
        let mut transaction = self.write().await?;
        chunks::add_holders(&mut transaction, holder, chunks).await?;
        Ok(transaction.commit().await?)
    }

    async fn readable(
        &self,
        caller: &Caller,
        chunks: &[ChunkId],
    ) -> Result<HashSet<ChunkId>, DbError> {
        chunks::readable(self, caller, chunks).await
    }

    async fn held_chunks(
        &self,
        after: Option<ChunkId>,
        limit: u32,
    ) -> Result<Vec<ChunkId>, DbError> {
        chunks::held(self, after, limit).await
    }

    async fn drop_holders(&self, chunks: &[ChunkId]) -> Result<(), DbError> {
        chunks::drop_holders(self, chunks).await
    }
}
