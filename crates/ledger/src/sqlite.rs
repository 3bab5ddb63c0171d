//! [`Ledger`] in a file of the node's.
//!
//! As with the hub's database one connection writes and few read; every writing transaction begins
//! with `BEGIN IMMEDIATE`, so that it waits for other processes at its start.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use documents::{PublicKey, ReleaseName};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Sqlite, Transaction};

use crate::shared::implement;
use crate::shared::rollouts::implement_rollouts;
use crate::stored::{Columns as _, labels_json, signed};
use crate::{Addressee, Ledger, LedgerError};

/// The schema, one step after another; `PRAGMA user_version` counts the steps taken. A released
/// step never changes.
const STEPS: [&str; 5] = [
    include_str!("../migrations/sqlite/0001_first.sql"),
    include_str!("../migrations/sqlite/0002_rollouts.sql"),
    include_str!("../migrations/sqlite/0003_limits.sql"),
    include_str!("../migrations/sqlite/0004_lost.sql"),
    include_str!("../migrations/sqlite/0005_begun.sql"),
];

/// `CSLG`: what the first step writes into the file's head.
const APPLICATION_ID: i64 = 0x4353_4c47;

/// How long a statement waits for another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// Connections for reading; an export holds one for as long as it takes.
const READERS_MAX: u32 = 4;

/// The publisher's database in one SQLite file, which only its owner may read.
#[derive(Debug, Clone)]
pub struct SqliteLedger {
    writer: SqlitePool,
    readers: SqlitePool,
}

implement!(SqliteLedger, sqlx::Sqlite);
implement_rollouts!(SqliteLedger);

impl SqliteLedger {
    /// Opens the ledger at `path`, creating it or bringing its schema up to date.
    ///
    /// # Errors
    /// [`LedgerError::NoLedger`] for a file that is something else, [`LedgerError::Newer`] for one of a
    /// newer version, [`LedgerError::Failed`] and [`LedgerError::Create`] otherwise.
    pub async fn open(path: &Path) -> Result<Self, LedgerError> {
        create(path).map_err(LedgerError::Create)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .foreign_keys(true)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT);
        let writer = open_writer(options.clone()).await?;
        migrate(&writer).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS_MAX)
            .connect_with(options.pragma("query_only", "1"))
            .await?;
        Ok(Self { writer, readers })
    }

    async fn write(&self) -> Result<Transaction<'static, Sqlite>, LedgerError> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }

    async fn insert_targets(
        transaction: &mut Transaction<'static, Sqlite>,
        package: i64,
        targets: &[Addressee],
    ) -> Result<(), LedgerError> {
        for target in targets {
            sqlx::query(
                "INSERT INTO targets (package, key, peer, labels) VALUES ($1, $2, $3, $4)
                 ON CONFLICT (package, key) DO NOTHING",
            )
            .bind(package)
            .bind(target.key.as_bytes().to_vec())
            .bind(target.peer.to_string())
            .bind(labels_json(&target.labels))
            .execute(&mut **transaction)
            .await?;
        }
        Ok(())
    }

    async fn last_sent_of(
        &self,
        feed: &ReleaseName,
        keys: &[PublicKey],
        before: u64,
    ) -> Result<BTreeMap<PublicKey, u64>, LedgerError> {
        let mut last = BTreeMap::new();
        let mut connection = self.readers.acquire().await?;
        for key in keys {
            let row = sqlx::query(
                "SELECT max(p.sequence) FROM targets t JOIN packages p ON p.id = t.package
                 WHERE t.key = $1 AND t.sent IS NOT NULL AND p.feed = $2 AND p.sequence < $3
                   AND (t.lost IS NULL OR t.answered IS NOT NULL)",
            )
            .bind(key.as_bytes().to_vec())
            .bind(feed.as_str().to_owned())
            .bind(signed(before))
            .fetch_one(&mut *connection)
            .await?;
            last.extend(row.maybe_unsigned(0)?.map(|sequence| (*key, sequence)));
        }
        Ok(last)
    }
}

/// Makes an empty file, which SQLite takes for none: what scripts say on machines is not for everybody.
fn create(path: &Path) -> std::io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Connects and switches to the write-ahead log, for which two processes that create the same file must
/// take turns: the switch does not wait.
async fn open_writer(options: SqliteConnectOptions) -> Result<SqlitePool, LedgerError> {
    let mut attempts = 0u32;
    loop {
        let opened = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(4 * BUSY_TIMEOUT)
            // Out of room, SQLite rolls a transaction back by itself; the driver fails to do it
            // again, and holds it for open ever after. Such a connection is replaced.
            .before_acquire(|connection, _| {
                let is_free = !sqlx::Connection::is_in_transaction(connection);
                Box::pin(async move { Ok(is_free) })
            })
            .connect_with(options.clone().journal_mode(SqliteJournalMode::Wal))
            .await
            .map_err(LedgerError::from);
        match opened {
            Err(error) if error.is_retryable() && attempts < 100 => {
                attempts += 1;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            other => return other,
        }
    }
}

/// Takes the steps that are missing, all or none. Other processes wait meanwhile.
async fn migrate(writer: &SqlitePool) -> Result<(), LedgerError> {
    let known = signed(STEPS.len() as u64);
    let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
    let found: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *transaction).await?;
    let tables: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_schema")
        .fetch_one(&mut *transaction)
        .await?;
    let id: i64 = sqlx::query_scalar("PRAGMA application_id").fetch_one(&mut *transaction).await?;
    if (found > 0 || tables > 0) && id != APPLICATION_ID {
        return Err(LedgerError::NoLedger);
    }
    if found > known {
        return Err(LedgerError::Newer { found, known });
    }
    let taken =
        usize::try_from(found).map_err(|_| LedgerError::Damaged("negative schema version"))?;
    for step in &STEPS[taken..] {
        sqlx::raw_sql(*step).execute(&mut *transaction).await?;
    }
    let version = sqlx::AssertSqlSafe(format!("PRAGMA user_version = {known}"));
    sqlx::raw_sql(version).execute(&mut *transaction).await?;
    Ok(transaction.commit().await?)
}

#[async_trait]
impl Ledger for SqliteLedger {
    async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}
