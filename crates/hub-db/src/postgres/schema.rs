//! Bringing a database's tables up to date.

use sqlx::postgres::PgPool;

use crate::DbError;

/// The schema, one step after another; the table `schema_version` counts the steps taken. A
/// released step never changes.
const STEPS: [&str; 15] = [
    include_str!("../../migrations/postgres/0001_first.sql"),
    include_str!("../../migrations/postgres/0002_creators.sql"),
    include_str!("../../migrations/postgres/0003_delegations.sql"),
    include_str!("../../migrations/postgres/0004_queues.sql"),
    include_str!("../../migrations/postgres/0005_communities.sql"),
    include_str!("../../migrations/postgres/0006_mirrors.sql"),
    include_str!("../../migrations/postgres/0007_people.sql"),
    include_str!("../../migrations/postgres/0008_cluster.sql"),
    include_str!("../../migrations/postgres/0009_open_invitations.sql"),
    include_str!("../../migrations/postgres/0010_recoveries.sql"),
    include_str!("../../migrations/postgres/0011_audit_chain.sql"),
    include_str!("../../migrations/postgres/0012_delivery_receipts.sql"),
    include_str!("../../migrations/postgres/0013_clients.sql"),
    include_str!("../../migrations/postgres/0014_begun.sql"),
    include_str!("../../migrations/postgres/0015_beginnings.sql"),
];

/// Takes the steps that are missing, all or none. Other processes wait meanwhile.
pub(super) async fn migrate(pool: &PgPool) -> Result<(), DbError> {
    let known = STEPS.len() as i64;
    let mut transaction = pool.begin().await?;
    // Two processes may be the first ones at once. The number says `consign` in ASCII.
    sqlx::query("SELECT pg_advisory_xact_lock(27988542867728238)")
        .execute(&mut *transaction)
        .await?;
    let exists: bool = sqlx::query_scalar("SELECT to_regclass('schema_version') IS NOT NULL")
        .fetch_one(&mut *transaction)
        .await?;
    let found: i64 = if exists {
        sqlx::query_scalar("SELECT version FROM schema_version")
            .fetch_optional(&mut *transaction)
            .await?
            .ok_or(DbError::Damaged("no schema version"))?
    } else {
        0
    };
    if found > known {
        return Err(DbError::Newer { found, known });
    }
    if found == known {
        return Ok(());
    }
    if !exists {
        let create = "CREATE TABLE schema_version (version bigint NOT NULL);
                      INSERT INTO schema_version VALUES (0)";
        sqlx::raw_sql(create).execute(&mut *transaction).await?;
    }
    let taken = usize::try_from(found).map_err(|_| DbError::Damaged("negative schema version"))?;
    for step in &STEPS[taken..] {
        sqlx::raw_sql(*step).execute(&mut *transaction).await?;
    }
    sqlx::query("UPDATE schema_version SET version = $1")
        .bind(known)
        .execute(&mut *transaction)
        .await?;
    Ok(transaction.commit().await?)
}
