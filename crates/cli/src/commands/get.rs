//! `consign get`

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use checkout::CheckoutProgress;
use node::get::{GetRequest, Got};
use node::tree::{TreeError, TreeSpec};
use serde_json::json;

use super::{Session, capability, parse};
use crate::args::GetArgs;
use crate::exit::{Ended, Usage};
use crate::output::{bytes, counted};
use crate::progress::{Look, watch};

pub(super) async fn run(session: &Session, args: GetArgs) -> anyhow::Result<Ended> {
    let node = session.node()?;
    let spec: TreeSpec = parse(&args.tree)?;
    let mut request = GetRequest {
        to: session.path(&args.to.unwrap_or_else(|| default_directory(&spec))),
        only: globs(&args.only)?,
        capability: capability(args.sealed.capability.as_ref(), false).await?,
        publisher: args.sealed.publisher.as_deref().map(parse).transpose()?,
        owners: args.owners,
        also: args.source.iter().map(|source| place(session, source)).collect(),
        spec,
    };
    let progress = Arc::new(CheckoutProgress::default());
    let look = || Look::of_checkout(&progress).with_calls(&session.activity, Instant::now());
    let get = |request| {
        let (node, hub, progress) = (&node, session.hub.as_deref(), Arc::clone(&progress));
        async move {
            let request: GetRequest = request;
            node.get(&request, hub, progress).await
        }
    };
    let mut result = watch(session.output, get(request.clone()), look).await;
    if let Err(node::GetError::Tree(TreeError::NeedsCapability(_))) = &result
        && let Some(typed) = capability(None, true).await?
    {
        request.capability = Some(typed);
        result = watch(session.output, get(request.clone()), look).await;
    }
    finish(session, &request, &result?)
}

fn finish(session: &Session, request: &GetRequest, got: &Got) -> anyhow::Result<Ended> {
    let report = &got.report;
    for culprit in &report.fetch.culprits {
        session.output.warn(
            format!("dropped {}: {}", culprit.source, culprit.reason),
            &json!({"event": "culprit", "source": culprit.source, "reason": culprit.reason.to_string()}),
        )?;
    }
    let release = got.release.as_ref().map(|one| format!("{}@{}", one.name, one.sequence));
    session.output.fact(
        format!(
            "{} is complete in {}: {}, {}; {} received, {} reused, in {:.1} s",
            release.as_deref().unwrap_or(&got.tree.short()),
            request.to.display(),
            counted(report.files, "file"),
            bytes(report.bytes_total),
            bytes(got.bytes_received),
            bytes(report.bytes_reused),
            got.elapsed.as_secs_f64(),
        ),
        &json!({
            "event": "done",
            "release": release,
            "sequence": got.release.as_ref().map(|one| one.sequence),
            "tree": got.tree.to_string(),
            "files": report.files,
            "bytes_total": report.bytes_total,
            "bytes_received": got.bytes_received,
            "bytes_reused": report.bytes_reused,
            "bytes_written": report.bytes_written,
            "repaired": report.repaired,
            "removed": report.removed,
            "wall_s": got.elapsed.as_secs_f64(),
        }),
    )?;
    Ok(Ended::Done)
}

/// A source as the user meant it: URLs as they are, directories from where the user is.
fn place(session: &Session, source: &str) -> String {
    if source.contains("://") {
        return source.to_owned();
    }
    session.path(Path::new(source)).to_string_lossy().into_owned()
}

fn default_directory(spec: &TreeSpec) -> PathBuf {
    match spec {
        TreeSpec::Release { name, .. } => {
            PathBuf::from(name.as_str().rsplit('/').next().unwrap_or_default())
        }
        TreeSpec::Id(id) => PathBuf::from(id.short()),
    }
}

fn globs(patterns: &[String]) -> anyhow::Result<Option<globset::GlobSet>> {
    if patterns.is_empty() {
        return Ok(None);
    }
    let mut set = globset::GlobSetBuilder::new();
    for pattern in patterns {
        let glob = globset::GlobBuilder::new(pattern)
            .literal_separator(true)
            .build()
            .map_err(|error| Usage(format!("--only {pattern:?}: {}", error.kind())))?;
        set.add(glob);
    }
    Ok(Some(set.build()?))
}
