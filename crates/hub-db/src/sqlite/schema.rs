//! Bringing a file's schema up to date.

use sqlx::sqlite::SqlitePool;

use crate::DbError;

/// The schema, one step after another; `PRAGMA user_version` counts the steps taken. A released
/// step never changes.
const STEPS: [&str; 15] = [
    include_str!("../../migrations/sqlite/0001_first.sql"),
    include_str!("../../migrations/sqlite/0002_roles_tokens_audit.sql"),
    include_str!("../../migrations/sqlite/0003_delegations.sql"),
    include_str!("../../migrations/sqlite/0004_queues.sql"),
    include_str!("../../migrations/sqlite/0005_communities.sql"),
    include_str!("../../migrations/sqlite/0006_mirrors.sql"),
    include_str!("../../migrations/sqlite/0007_people.sql"),
    include_str!("../../migrations/sqlite/0008_cluster.sql"),
    include_str!("../../migrations/sqlite/0009_open_invitations.sql"),
    include_str!("../../migrations/sqlite/0010_recoveries.sql"),
    include_str!("../../migrations/sqlite/0011_audit_chain.sql"),
    include_str!("../../migrations/sqlite/0012_delivery_receipts.sql"),
    include_str!("../../migrations/sqlite/0013_clients.sql"),
    include_str!("../../migrations/sqlite/0014_begun.sql"),
    include_str!("../../migrations/sqlite/0015_beginnings.sql"),
];

/// Takes the steps that are missing, all or none. Other processes wait meanwhile.
pub(super) async fn migrate(writer: &SqlitePool) -> Result<(), DbError> {
    let known = STEPS.len() as i64;
    let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
    let found: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *transaction).await?;
    if found > known {
        return Err(DbError::Newer { found, known });
    }
    let taken = usize::try_from(found).map_err(|_| DbError::Damaged("negative schema version"))?;
    for step in &STEPS[taken..] {
        sqlx::raw_sql(*step).execute(&mut *transaction).await?;
    }
    let version = sqlx::AssertSqlSafe(format!("PRAGMA user_version = {known}"));
    sqlx::raw_sql(version).execute(&mut *transaction).await?;
    Ok(transaction.commit().await?)
}
