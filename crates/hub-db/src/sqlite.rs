//! [`HubDb`] on SQLite.
//!
//! One connection writes, several read: SQLite lets one writer in at a time, and a queue of
//! tasks before one connection is fairer than several connections that poll for the lock.
//! Every writing transaction begins with `BEGIN IMMEDIATE`, so that it waits for other
//! processes at its start and never fails half-way on a lock.

mod accounts;
mod answers;
mod audit;
mod books;
mod chunks;
mod claims;
mod cluster;
mod communities;
mod console;
mod deliveries;
mod grants;
mod joins;
mod names;
mod people;
mod queues;
mod recoveries;
mod releases;
mod retention;
mod schema;
mod tokens;

use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _, Sqlite, Transaction};

use crate::answers::Answers;
use crate::community::hex;
use crate::stored::signed;
use crate::{Accounts as _, CLAIM_LIFETIME, DbError, HubDb, JOINING_LIFETIME, LOGIN_MEMORY};

/// How long a statement waits for another process. Publishing a release of a million chunks
/// holds the lock for some ten seconds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// Connections for reading. Reads are short and served from memory; more connections only
/// help when many clients look up cold chunks at once.
const READERS_MAX: u32 = 4;

/// The hub's database in one SQLite file.
#[derive(Debug, Clone)]
pub struct SqliteDb {
    /// How to connect without creating anything.
    options: SqliteConnectOptions,
    writer: SqlitePool,
    readers: SqlitePool,
    /// Writes nothing that matters, to see whether writing works; waits for nobody and is not
    /// durable. Made when it is asked first.
    prober: SqlitePool,
    answers: Arc<Answers>,
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
        schema::migrate(&writer).await?;
        let options = options.create_if_missing(false);
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS_MAX)
            .connect_with(options.clone().pragma("query_only", "1"))
            .await?;
        let probing =
            options.clone().synchronous(SqliteSynchronous::Normal).busy_timeout(Duration::ZERO);
        let prober = SqlitePoolOptions::new().max_connections(1).connect_lazy_with(probing);
        Ok(Self { options, writer, readers, prober, answers: Arc::default() })
    }

    async fn write(&self) -> Result<Transaction<'static, Sqlite>, DbError> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }
}

/// Bytes as a list that a statement reads with `json_each` and `unhex`: however long it is, it is
/// one parameter.
fn json_list(items: impl IntoIterator<Item = impl AsRef<[u8]>>) -> String {
    let items = items.into_iter().map(|item| format!("\"{}\"", hex(item.as_ref())));
    format!("[{}]", items.collect::<Vec<_>>().join(","))
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
            // Out of room, SQLite rolls a transaction back by itself; the driver fails to do it
            // again, and holds it for open ever after. Such a connection is replaced.
            .before_acquire(|connection, _| {
                let is_free = !connection.is_in_transaction();
                Box::pin(async move { Ok(is_free) })
            })
            .connect_with(options.clone().journal_mode(SqliteJournalMode::Wal))
            .await
            .map_err(DbError::from);
        match opened {
            Err(error) if error.is_retryable() && attempts < 100 => {
                attempts += 1;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            other => return other,
        }
    }
}

#[async_trait]
impl HubDb for SqliteDb {
    async fn belongs_to(&self, hub: &[u8; 32], adopt: bool) -> Result<bool, DbError> {
        if adopt {
            sqlx::query("INSERT OR IGNORE INTO hub (one, key) VALUES (1, ?)")
                .bind(hub.to_vec())
                .execute(&self.writer)
                .await?;
        }
        let key: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT key FROM hub").fetch_optional(&self.readers).await?;
        Ok(key.is_some_and(|key| key == hub))
    }

    async fn ready(&self) -> Result<(), DbError> {
        sqlx::query("SELECT 1 FROM accounts LIMIT 1").fetch_optional(&self.readers).await?;
        // A transaction that is taken back never comes to the disk, and a row that stays as it is
        // neither; this number is written although nobody uses it and it stays.
        let wrote = sqlx::query("PRAGMA application_id = 0").execute(&self.prober).await;
        match wrote.map(drop).map_err(DbError::from) {
            // Held by somebody who writes, so writing works.
            Err(error) if error.is_retryable() => Ok(()),
            other => other,
        }
    }

    async fn drop_expired(&self, now: u64) -> Result<(), DbError> {
        self.drop_expired_invitations(now).await?;
        let statements = [
            ("DELETE FROM sign_ins WHERE expires <= ?", now),
            ("DELETE FROM console_sessions WHERE expires <= ?", now),
            ("DELETE FROM tokens WHERE expires <= ?", now),
            ("DELETE FROM claims WHERE created <= ?", now.saturating_sub(CLAIM_LIFETIME.as_secs())),
            ("DELETE FROM admissions WHERE expires <= ?", now),
            (
                "DELETE FROM joins WHERE changed <= ?",
                now.saturating_sub(JOINING_LIFETIME.as_secs()),
            ),
            (
                "DELETE FROM failed_logins WHERE time <= ?",
                now.saturating_sub(LOGIN_MEMORY.as_secs()),
            ),
        ];
        for (statement, time) in statements {
            sqlx::query(statement).bind(signed(time)).execute(&self.writer).await?;
        }
        Ok(())
    }

    async fn snapshot_to(&self, path: &Path) -> Result<bool, DbError> {
        let target = path.to_str().ok_or_else(|| {
            DbError::Copy(std::io::Error::new(std::io::ErrorKind::InvalidInput, "not UTF-8"))
        })?;
        // SQLite takes an empty file for none; this one is not readable by others.
        let mut create = std::fs::OpenOptions::new();
        create.write(true).create_new(true).mode(0o600);
        let file = create.open(path).map_err(DbError::Copy)?;
        // A connection of its own: those for reading refuse to write to any file.
        let mut connection = self.options.connect().await?;
        let copied = sqlx::query("VACUUM INTO ?").bind(target).execute(&mut connection).await;
        let closed = connection.close().await;
        if let Err(error) = copied.map(drop).and(closed) {
            std::fs::remove_file(path).map_err(DbError::Copy)?;
            return Err(error.into());
        }
        file.sync_all().map_err(DbError::Copy)?;
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = std::fs::File::open(parent.unwrap_or(Path::new(".")));
        parent.and_then(|parent| parent.sync_all()).map_err(DbError::Copy)?;
        Ok(true)
    }

    async fn close(&self) {
        self.prober.close().await;
        self.readers.close().await;
        self.writer.close().await;
    }
}
