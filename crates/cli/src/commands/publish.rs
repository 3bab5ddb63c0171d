//! `consign publish`

use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use node::publish::{PublishError, PublishProgress, PublishRequest};
use serde_json::{Value, json};

use super::{Session, capability, parse};
use crate::args::PublishArgs;
use crate::exit::Ended;
use crate::output::{Output, bytes, counted, path};
use crate::progress::{Look, watch};

pub(super) async fn run(session: &Session, args: PublishArgs) -> anyhow::Result<Ended> {
    let node = session.node()?;
    let link = node.hub(session.hub.as_deref())?;
    let mut request = PublishRequest {
        path: session.path(&args.path),
        name: parse(&args.name)?,
        public: args.public,
        sealed: args.sealed,
        capability: capability(args.capability.as_ref(), false).await?,
        reread: args.reread,
        owners: args.owners,
        valid_for: Duration::from_secs(args.valid.saturating_mul(86_400)),
    };
    let progress = PublishProgress::default();
    let look = || {
        let offered = progress.upload.offered_bytes.load(Relaxed);
        let settled =
            progress.upload.sent_bytes.load(Relaxed) + progress.upload.known_bytes.load(Relaxed);
        let waits = (offered > settled)
            .then(|| format!("{} to take {}", link.url, bytes(offered - settled)));
        let look = Look { waits_for: waits, ..Look::of_snapshot(&progress.snapshot) };
        look.or_waits_for(progress.waits.reason()).with_calls(&session.activity, Instant::now())
    };
    let mut result = watch(session.output, node.publish(&link, &request, &progress), look).await;
    if let Err(PublishError::NeedsCapability { .. }) = &result
        && let Some(typed) = capability(None, true).await?
    {
        request.capability = Some(typed);
        result = watch(session.output, node.publish(&link, &request, &progress), look).await;
    }
    let published = result?;

    report_skipped(session.output, &published.skipped)?;
    let manifest = &published.manifest;
    let release = format!("{}@{}", manifest.name, manifest.sequence);
    let capability = published.capability.as_ref().map(ToString::to_string);
    let file = args.capability_file.as_deref().map(|file| session.path(file));
    if let (Some(file), Some(text)) = (&file, &capability) {
        std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(file)
            .and_then(|mut file| {
                std::io::Write::write_all(&mut file, format!("{text}\n").as_bytes())
            })
            .with_context(|| format!("cannot write the capability to {}", file.display()))?;
    }
    let shown = capability.filter(|_| args.capability_file.is_none());
    let mut line = json!({
        "event": "done",
        "release": release,
        "sequence": manifest.sequence,
        "new": published.new,
        "tree": manifest.tree.id.to_string(),
        "files": published.totals.files,
        "files_read": published.files_read,
        "bytes_total": published.totals.bytes,
        "bytes_sent": published.bytes_sent,
        "bytes_reused": published.bytes_reused,
        "skipped": published.skipped.len(),
        "wall_s": published.elapsed.as_secs_f64(),
    });
    if let (Some(text), Some(line)) = (&shown, line.as_object_mut()) {
        line.insert("capability".into(), Value::from(text.as_str()));
    }
    let said = if published.new { "published" } else { "nothing changed since" };
    let mut human = format!(
        "{said} {release}: {}, {}; {} sent in {:.1} s\ntree {}",
        counted(published.totals.files, "file"),
        bytes(published.totals.bytes),
        bytes(published.bytes_sent),
        published.elapsed.as_secs_f64(),
        manifest.tree.id,
    );
    if let Some(text) = &shown {
        human.push_str(&format!("\ncapability (whoever has it can read all releases): {text}"));
    }
    session.output.fact(human, &line)?;
    Ok(if published.skipped.is_empty() { Ended::Done } else { Ended::InPart })
}

/// Names what was left out; more than a screenful is counted.
pub(super) fn report_skipped(output: Output, skipped: &[snapshot::Skipped]) -> anyhow::Result<()> {
    const SHOWN: usize = 20;
    for (index, one) in skipped.iter().enumerate() {
        let (name, reason) = (path(&one.path), one.reason.to_string());
        let line = json!({"event": "skipped", "path": name, "reason": reason});
        if output.is_json() || index < SHOWN {
            output.warn(format!("left out {name}: {reason}"), &line)?;
        }
    }
    if skipped.len() > SHOWN {
        output.remark(format!("and {} more; --json names them all", skipped.len() - SHOWN));
    }
    Ok(())
}
