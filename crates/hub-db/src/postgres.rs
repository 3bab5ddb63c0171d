//! [`HubDb`] on PostgreSQL.
//!
//! Transactions run as `READ COMMITTED`; where a decision must hold until it is written, the row
//! it rests on is locked (`FOR UPDATE`) or decision and change are one statement. Locks are taken
//! in one order: name, then chunks by id, then the order of events; of queues their order, then the
//! community. So nothing waits crosswise.
//!
//! A connection is asked whether it lives before it is lent out, so that a restarted server is
//! noticed by nobody but those whose statements it cut off. Their calls fail with
//! [`DbError::Unavailable`]; none is repeated here, because only the caller knows whether that is
//! safe.

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

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions as _, Executor as _, Postgres, Transaction};

use crate::answers::Answers;
use crate::stored::signed;
use crate::{Accounts as _, CLAIM_LIFETIME, DbError, HubDb, JOINING_LIFETIME, LOGIN_MEMORY};

/// Connections at once. A server takes 100 by default and runs better with few that are busy
/// than with many; lookups take a millisecond or two.
const CONNECTIONS_MAX: u32 = 16;

/// How long a call waits for a free connection, or for a server that is starting: a restart takes
/// some seconds, and a client gives up after thirty.
const ACQUIRE_TIME: Duration = Duration::from_secs(10);

/// What our connections ask of a server.
///
/// It may be set to answer before it has written: then what we answer would not be durable; a
/// stricter setting than our own is left alone. And all that is asked often goes by an index: while
/// a table has grown faster than its statistics, the planner would rather read or hash it whole,
/// which for a million holders takes a second instead of some milliseconds. Planning a lookup of a
/// thousand ids anew takes as long as the lookup.
const SETTINGS: &str = "
    SELECT set_config('synchronous_commit', 'on', false)
    WHERE current_setting('synchronous_commit') = 'off';
    SET enable_seqscan = off;
    SET enable_hashagg = off;
    SET plan_cache_mode = force_generic_plan;
    SET jit = off";

/// The hub's database on a PostgreSQL server.
#[derive(Debug, Clone)]
pub struct PostgresDb {
    pool: PgPool,
    /// How to connect, for who listens as long as the hub runs.
    options: PgConnectOptions,
    answers: Arc<Answers>,
}

impl PostgresDb {
    /// Connects, creating the tables in the first schema of the search path or bringing them up
    /// to date.
    ///
    /// # Errors
    /// [`DbError::Newer`] for a database of a newer version, [`DbError::Unavailable`] when the
    /// server cannot be reached within ten seconds, [`DbError::Failed`] when it refuses, or does not
    /// give the protection or the certificate that was asked for.
    pub async fn open(options: &PgConnectOptions) -> Result<Self, DbError> {
        must_have_authorities(options)?;
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS_MAX)
            .acquire_timeout(ACQUIRE_TIME)
            .after_connect(|connection, _| {
                Box::pin(async move {
                    connection.execute(SETTINGS).await?;
                    Ok(())
                })
            })
            .connect_with(options.clone().application_name("consign-hub"))
            .await;
        let pool = match pool {
            Ok(pool) => pool,
            // That the pool has waited long enough does not say for what.
            Err(sqlx::Error::PoolTimedOut) => {
                let asked = tokio::time::timeout(ACQUIRE_TIME, options.connect()).await;
                let reason = asked.map_or(Some(sqlx::Error::PoolTimedOut), Result::err);
                return Err(reason.unwrap_or(sqlx::Error::PoolTimedOut).into());
            }
            Err(error) => return Err(error.into()),
        };
        schema::migrate(&pool).await?;
        let options = options.clone().application_name("consign-hub");
        Ok(Self { pool, options, answers: Arc::default() })
    }

    async fn write(&self) -> Result<Transaction<'static, Postgres>, DbError> {
        Ok(self.pool.begin().await?)
    }
}

/// Names the file with the authorities when it cannot be read: the driver says only that some file
/// is missing, as it does of a socket.
///
/// # Errors
/// [`DbError::Failed`] when there is such a file in the address and it cannot be read.
pub fn must_have_authorities(options: &PgConnectOptions) -> Result<(), DbError> {
    let address = options.to_url_lossy();
    let mut pairs = address.query_pairs();
    let Some((_, file)) = pairs.find(|(name, _)| name == "sslrootcert") else { return Ok(()) };
    let Some(file) = file.strip_prefix("file: ") else { return Ok(()) };
    let unreadable = |error| {
        let text = format!("cannot read {file}, the authorities in sslrootcert: {error}");
        DbError::Failed(sqlx::Error::Configuration(text.into()))
    };
    std::fs::read(file).map(drop).map_err(unreadable)
}

/// Text as PostgreSQL takes it: without the zero character, which no valid name holds.
fn text(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// Where a page begins. No stored name holds a zero character, so those after `a` with one and
/// those after `a` are the same.
fn after(text: &str) -> &str {
    text.split('\0').next().unwrap_or(text)
}

#[async_trait]
impl HubDb for PostgresDb {
    async fn belongs_to(&self, hub: &[u8; 32], adopt: bool) -> Result<bool, DbError> {
        if adopt {
            sqlx::query("INSERT INTO hub (one, key) VALUES (1, $1) ON CONFLICT DO NOTHING")
                .bind(hub.to_vec())
                .execute(&self.pool)
                .await?;
        }
        let key: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT key FROM hub").fetch_optional(&self.pool).await?;
        Ok(key.is_some_and(|key| key == hub))
    }

    async fn ready(&self) -> Result<(), DbError> {
        // Asking for a transaction number is the least of all writes; a standby refuses it.
        sqlx::query("SELECT pg_current_xact_id()::text, EXISTS (SELECT 1 FROM accounts)")
            .fetch_one(&self.pool)
            .await?;
        Ok(())
    }

    async fn drop_expired(&self, now: u64) -> Result<(), DbError> {
        self.drop_expired_invitations(now).await?;
        let statements = [
            ("DELETE FROM sign_ins WHERE expires <= $1", now),
            ("DELETE FROM console_sessions WHERE expires <= $1", now),
            ("DELETE FROM tokens WHERE expires <= $1", now),
            (
                "DELETE FROM claims WHERE created <= $1",
                now.saturating_sub(CLAIM_LIFETIME.as_secs()),
            ),
            ("DELETE FROM admissions WHERE expires <= $1", now),
            (
                "DELETE FROM joins WHERE changed <= $1",
                now.saturating_sub(JOINING_LIFETIME.as_secs()),
            ),
            (
                "DELETE FROM failed_logins WHERE time <= $1",
                now.saturating_sub(LOGIN_MEMORY.as_secs()),
            ),
        ];
        for (statement, time) in statements {
            sqlx::query(statement).bind(signed(time)).execute(&self.pool).await?;
        }
        Ok(())
    }

    async fn snapshot_to(&self, _path: &Path) -> Result<bool, DbError> {
        Ok(false)
    }

    async fn close(&self) {
        self.pool.close().await;
    }
}
