//! `consign hub backup` and `consign hub restore`

use anyhow::Context as _;
use serde_json::json;

use super::super::Session;
use crate::args::{HubBackupArgs, HubRestoreArgs};
use crate::exit::Ended;
use crate::output::{bytes, number};

pub(super) async fn backup(session: &Session, args: HubBackupArgs) -> anyhow::Result<Ended> {
    let job = hub::backup(&args.data, &args.to);
    let done = session.busily("packs to be copied; a collection under way ends first", job).await;
    let done = done.with_context(|| format!("cannot back up {}", args.data.display()))?;
    let without = if done.has_database {
        ""
    } else {
        "; the database is on a server and not in it: keep what pg_dump wrote before with it"
    };
    session.output.fact(
        format!(
            "backed up to {}: {} packs copied ({}), {} kept{without}",
            args.to.display(),
            number(done.packs_copied),
            bytes(done.bytes_copied),
            number(done.packs_kept),
        ),
        &json!({
            "event": "backed-up",
            "packs_copied": done.packs_copied,
            "bytes_copied": done.bytes_copied,
            "packs_kept": done.packs_kept,
            "has_database": done.has_database,
        }),
    )?;
    Ok(Ended::Done)
}

pub(super) async fn restore(session: &Session, args: HubRestoreArgs) -> anyhow::Result<Ended> {
    let job = hub::restore(&args.from, &args.data);
    let done = session.busily("packs to be copied and checked", job).await;
    let done = done.with_context(|| format!("cannot restore from {}", args.from.display()))?;
    let releases = match done.releases {
        Some(releases) => format!("{} releases, each of them whole", number(releases)),
        None => "the database is on a server: restore it with pg_restore".to_owned(),
    };
    session.output.fact(
        format!(
            "restored to {}: {} packs ({}), {releases}",
            args.data.display(),
            number(done.packs),
            bytes(done.bytes),
        ),
        &json!({
            "event": "restored",
            "packs": done.packs,
            "bytes": done.bytes,
            "releases": done.releases,
        }),
    )?;
    Ok(Ended::Done)
}
