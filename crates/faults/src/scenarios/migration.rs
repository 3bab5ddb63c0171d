//! A hub of today starts with the database of its first version.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};

use super::content::same;
use super::nodes::{arrives, publish_first};
use super::{Hub, Scenario};
use crate::world::{World, remove};

/// What the first version made; a released step never changes.
const FIRST: &str = include_str!("../../../hub-db/migrations/sqlite/0001_first.sql");
/// What is in both versions, with the columns that the first one had.
const SHARED: [(&str, &str); 5] = [
    ("accounts", "id, key, role, created, revoked"),
    ("names", "id, name, public, owner, created"),
    ("releases", "name, sequence, hash, manifest, head, tree, closure, stored_bytes, issued"),
    ("chunk_holders", "chunk, holder"),
    ("readers", "key, name"),
];

/// The hub moves its database forward when it is started, then serves.
pub(super) struct Migrate;

impl Scenario for Migrate {
    fn name(&self) -> &'static str {
        "migration"
    }

    fn hub(&self) -> Hub {
        Hub::Subject
    }

    fn prepare(&self, world: &mut World) -> anyhow::Result<()> {
        publish_first(world)?;
        world.kill_hub();
        let (newer, older) = (world.path("hub/hub.sqlite"), world.path("older.sqlite"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(back(&newer, &older)).context("the first version's database")?;
        for name in ["hub.sqlite-wal", "hub.sqlite-shm"] {
            remove(&world.path("hub").join(name))?;
        }
        Ok(fs::rename(older, newer)?)
    }

    fn roots(&self) -> &'static [&'static str] {
        &["hub"]
    }

    fn command(&self, world: &World) -> Command {
        world.command("bert", &["get", "team/site", "--to", "copy"])
    }

    fn always(&self, world: &World) -> anyhow::Result<()> {
        arrives(world, "team/site", "source")
    }

    fn done(&self, world: &World) -> anyhow::Result<()> {
        same(&world.path("copy"), &world.path("source"))?;
        arrives(world, "team/site", "source")
    }
}

/// Makes what the first version would have in place of `newer`.
async fn back(newer: &Path, older: &Path) -> anyhow::Result<()> {
    let options = SqliteConnectOptions::new().filename(older).create_if_missing(true);
    let pool = SqlitePool::connect_with(options).await?;
    let mut connection = pool.acquire().await?;
    sqlx::raw_sql(FIRST).execute(&mut *connection).await?;
    let newer = newer.to_str().context("a path in UTF-8")?;
    let mut steps = format!("ATTACH '{newer}' AS newer; PRAGMA foreign_keys = OFF;");
    for (table, columns) in SHARED {
        let from = match table {
            "readers" => "newer.grants WHERE level = 0".to_owned(),
            _ => format!("newer.{table}"),
        };
        steps += &format!("INSERT INTO main.{table} ({columns}) SELECT {columns} FROM {from};");
    }
    steps += "DETACH newer; PRAGMA user_version = 1;";
    sqlx::raw_sql(sqlx::AssertSqlSafe(steps)).execute(&mut *connection).await?;
    drop(connection);
    pool.close().await;
    Ok(())
}
