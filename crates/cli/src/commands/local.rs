//! `consign verify`, `gc` and `stats`: this machine's store.

use std::time::{Duration, Instant};

use serde_json::json;
use store::Scope;

use super::Session;
use crate::args::{GcArgs, VerifyArgs};
use crate::exit::Ended;
use crate::output::{bytes, number};

pub(super) async fn verify(session: &Session, args: VerifyArgs) -> anyhow::Result<Ended> {
    let started = Instant::now();
    let scope = args.sample.map_or(Scope::All, Scope::Sample);
    let report = session.node()?.verify(scope).await?;
    for damage in &report.damaged {
        session.output.warn(
            format!("damaged: {damage}"),
            &json!({"event": "damaged", "what": damage.to_string()}),
        )?;
    }
    session.output.fact(
        format!(
            "{} chunks checked, {} damaged places",
            number(report.checked),
            report.damaged.len()
        ),
        &json!({"event": "done", "checked": report.checked, "damaged": report.damaged.len(), "wall_s": started.elapsed().as_secs_f64()}),
    )?;
    Ok(if report.damaged.is_empty() { Ended::Done } else { Ended::Refused })
}

pub(super) async fn gc(session: &Session, args: GcArgs) -> anyhow::Result<Ended> {
    let started = Instant::now();
    let grace = Duration::from_secs(args.grace.saturating_mul(3600));
    let report = session.node()?.gc(grace).await?;
    session.output.fact(
        format!(
            "{} chunks removed, {} freed",
            number(report.removed_chunks),
            bytes(report.freed_bytes)
        ),
        &json!({"event": "done", "removed_chunks": report.removed_chunks, "freed_bytes": report.freed_bytes, "wall_s": started.elapsed().as_secs_f64()}),
    )?;
    Ok(Ended::Done)
}

pub(super) async fn stats(session: &Session) -> anyhow::Result<Ended> {
    let node = session.node()?;
    let stats = node.stats().await?;
    let cache = node.cache_status();
    let bound = cache.as_ref().map(|cache| {
        format!(
            "; a cache of {}, {} chunks evicted, {}",
            bytes(cache.max_bytes),
            number(cache.evicted_chunks),
            bytes(cache.evicted_bytes)
        )
    });
    session.output.fact(
        format!(
            "{} chunks, {} of content in {} on disk, {} packs{}",
            number(stats.chunks),
            bytes(stats.plain_bytes),
            bytes(stats.stored_bytes),
            number(stats.packs),
            bound.unwrap_or_default(),
        ),
        &json!({
            "event": "done",
            "chunks": stats.chunks,
            "plain_bytes": stats.plain_bytes,
            "stored_bytes": stats.stored_bytes,
            "packs": stats.packs,
            "cache": cache,
        }),
    )?;
    Ok(Ended::Done)
}
