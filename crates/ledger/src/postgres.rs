//! [`Ledger`] on a PostgreSQL server.
//!
//! Whoever writes takes one lock until its transaction ends: a publisher writes little, and what a
//! transaction has read cannot change beneath it.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use documents::{PublicKey, ReleaseName};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions as _, Executor as _, Postgres, Transaction};

use crate::shared::implement;
use crate::shared::rollouts::implement_rollouts;
use crate::stored::{self, Columns as _, labels_json, signed};
use crate::{Addressee, Ledger, LedgerError};

/// The schema, one step after another; the table `ledger_version` counts the steps taken. A released
/// step never changes.
const STEPS: [&str; 5] = [
    include_str!("../migrations/postgres/0001_first.sql"),
    include_str!("../migrations/postgres/0002_rollouts.sql"),
    include_str!("../migrations/postgres/0003_limits.sql"),
    include_str!("../migrations/postgres/0004_lost.sql"),
    include_str!("../migrations/postgres/0005_begun.sql"),
];

/// Connections at once; an export holds one for as long as it takes.
const CONNECTIONS_MAX: u32 = 4;

/// How long a call waits for a free connection, or for a server that is starting.
const ACQUIRE_TIME: Duration = Duration::from_secs(10);

/// It may be set to answer before it has written; a stricter setting than our own is left alone.
const SETTINGS: &str = "
    SELECT set_config('synchronous_commit', 'on', false)
    WHERE current_setting('synchronous_commit') = 'off'";

/// Whose turn it is to write. The number says `cledger` in ASCII.
const LOCK: &str = "SELECT pg_advisory_xact_lock(27985205426349426)";

/// The publisher's database on a PostgreSQL server.
#[derive(Debug, Clone)]
pub struct PostgresLedger {
    readers: PgPool,
}

implement!(PostgresLedger, sqlx::Postgres);
implement_rollouts!(PostgresLedger);

impl PostgresLedger {
    /// Connects, creating the tables in the first schema of the search path or bringing them up
    /// to date.
    ///
    /// # Errors
    /// [`LedgerError::Newer`] for a database of a newer version, [`LedgerError::Unavailable`] when the
    /// server cannot be reached within ten seconds, [`LedgerError::Failed`] when it refuses.
    pub async fn open(options: &PgConnectOptions) -> Result<Self, LedgerError> {
        hub_db::must_have_authorities(options)?;
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS_MAX)
            .acquire_timeout(ACQUIRE_TIME)
            .after_connect(|connection, _| {
                Box::pin(async move {
                    connection.execute(SETTINGS).await?;
                    Ok(())
                })
            })
            .connect_with(options.clone().application_name("consign-ledger"))
            .await;
        let readers = match pool {
            Ok(pool) => pool,
            // That the pool has waited long enough does not say for what.
            Err(sqlx::Error::PoolTimedOut) => {
                let asked = tokio::time::timeout(ACQUIRE_TIME, options.connect()).await;
                let reason = asked.map_or(Some(sqlx::Error::PoolTimedOut), Result::err);
                return Err(reason.unwrap_or(sqlx::Error::PoolTimedOut).into());
            }
            Err(error) => return Err(error.into()),
        };
        let ledger = Self { readers };
        ledger.migrate().await?;
        Ok(ledger)
    }

    async fn write(&self) -> Result<Transaction<'static, Postgres>, LedgerError> {
        let mut transaction = self.readers.begin().await?;
        sqlx::query(LOCK).execute(&mut *transaction).await?;
        Ok(transaction)
    }

    /// Takes the steps that are missing, all or none. Other processes wait meanwhile.
    async fn migrate(&self) -> Result<(), LedgerError> {
        let known = signed(STEPS.len() as u64);
        let mut transaction = self.write().await?;
        let exists: bool = sqlx::query_scalar("SELECT to_regclass('ledger_version') IS NOT NULL")
            .fetch_one(&mut *transaction)
            .await?;
        let found: i64 = if exists {
            sqlx::query_scalar("SELECT version FROM ledger_version")
                .fetch_optional(&mut *transaction)
                .await?
                .ok_or(LedgerError::Damaged("no schema version"))?
        } else {
            0
        };
        if found > known {
            return Err(LedgerError::Newer { found, known });
        }
        if found == known {
            return Ok(());
        }
        if !exists {
            let create = "CREATE TABLE ledger_version (version bigint NOT NULL);
                          INSERT INTO ledger_version VALUES (0)";
            sqlx::raw_sql(create).execute(&mut *transaction).await?;
        }
        let taken =
            usize::try_from(found).map_err(|_| LedgerError::Damaged("negative schema version"))?;
        for step in &STEPS[taken..] {
            sqlx::raw_sql(*step).execute(&mut *transaction).await?;
        }
        sqlx::query("UPDATE ledger_version SET version = $1")
            .bind(known)
            .execute(&mut *transaction)
            .await?;
        Ok(transaction.commit().await?)
    }

    async fn insert_targets(
        transaction: &mut Transaction<'static, Postgres>,
        package: i64,
        targets: &[Addressee],
    ) -> Result<(), LedgerError> {
        let column = |of: fn(&Addressee) -> String| targets.iter().map(of).collect::<Vec<_>>();
        let keys: Vec<_> = targets.iter().map(|target| target.key.as_bytes().to_vec()).collect();
        sqlx::query(
            "INSERT INTO targets (package, key, peer, labels)
             SELECT $1, key, peer, labels
             FROM unnest($2::bytea[], $3::text[], $4::text[]) WITH ORDINALITY
                AS new (key, peer, labels, place)
             ORDER BY place
             ON CONFLICT (package, key) DO NOTHING",
        )
        .bind(package)
        .bind(keys)
        .bind(column(|target| target.peer.to_string()))
        .bind(column(|target| labels_json(&target.labels)))
        .execute(&mut **transaction)
        .await?;
        Ok(())
    }

    async fn last_sent_of(
        &self,
        feed: &ReleaseName,
        keys: &[PublicKey],
        before: u64,
    ) -> Result<BTreeMap<PublicKey, u64>, LedgerError> {
        let keys: Vec<_> = keys.iter().map(|key| key.as_bytes().to_vec()).collect();
        let rows = sqlx::query(
            "SELECT t.key, max(p.sequence) FROM targets t JOIN packages p ON p.id = t.package
             WHERE t.key = ANY($1) AND t.sent IS NOT NULL AND p.feed = $2 AND p.sequence < $3
               AND (t.lost IS NULL OR t.answered IS NOT NULL)
             GROUP BY t.key",
        )
        .bind(keys)
        .bind(feed.as_str().to_owned())
        .bind(signed(before))
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(|row| Ok((stored::key(row, 0)?, row.unsigned(1)?))).collect()
    }
}

#[async_trait]
impl Ledger for PostgresLedger {
    async fn close(&self) {
        self.readers.close().await;
    }
}
