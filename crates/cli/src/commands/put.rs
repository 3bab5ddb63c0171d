//! `consign put`

use std::sync::Arc;

use node::Waits;
use serde_json::json;
use snapshot::SnapshotProgress;

use super::Session;
use super::publish::report_skipped;
use crate::args::PutArgs;
use crate::exit::Ended;
use crate::output::{bytes, counted};
use crate::progress::{Look, watch};

pub(super) async fn run(session: &Session, args: PutArgs) -> anyhow::Result<Ended> {
    let started = std::time::Instant::now();
    let node = session.node()?;
    let progress = Arc::new(SnapshotProgress::default());
    let waits = Waits::default();
    let look = || Look::of_snapshot(&progress).or_waits_for(waits.reason());
    let path = session.path(&args.path);
    let job = node.put(&path, args.reread, Arc::clone(&progress), &waits);
    let shot = watch(session.output, job, look).await?;
    report_skipped(session.output, &shot.skipped)?;
    let elapsed = started.elapsed().as_secs_f64();
    session.output.fact(
        format!(
            "kept {}: {}, {} in {elapsed:.1} s\ntree {}",
            args.path.display(),
            counted(shot.totals.files, "file"),
            bytes(shot.totals.bytes),
            shot.tree.id()
        ),
        &json!({
            "event": "done",
            "release": null,
            "tree": shot.tree.id().to_string(),
            "bytes_sent": 0,
            "bytes_reused": shot.totals.bytes.saturating_sub(shot.bytes_read),
            "files": shot.totals.files,
            "files_read": shot.files_read,
            "bytes_total": shot.totals.bytes,
            "skipped": shot.skipped.len(),
            "wall_s": elapsed,
        }),
    )?;
    Ok(if shot.skipped.is_empty() { Ended::Done } else { Ended::InPart })
}
