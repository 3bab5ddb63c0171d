//! `consign package send`

use std::fs;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use community::{Membership, PeerName};
use deploy::State;
use node::communities::publisher::{Forgotten, Selection, SendOutcome, SendRequest};
use node::publish::PublishProgress;
use package::label::Expression;
use serde_json::json;

use super::apply::shown;
use super::opened::Opened;
use crate::args::SendArgs;
use crate::commands::{Session, parse};
use crate::exit::Ended;
use crate::output::{bytes, counted};
use crate::progress::{Look, watch};

pub(super) async fn run(session: &Session, args: SendArgs) -> anyhow::Result<Ended> {
    if args.watch {
        return super::again::run(session, &args).await;
    }
    send(session, &args).await?;
    Ok(Ended::Done)
}

/// Sends it once, or says to whom it would go. Who watches sends nothing that was sent before.
pub(super) async fn send(session: &Session, args: &SendArgs) -> anyhow::Result<()> {
    let node = session.node()?;
    let place = node.community(args.whom.community.as_deref())?;
    let to = selection(&args.whom.to, args.whom.labels.as_deref())?;
    let path = session.path(&args.path);
    let opened = Opened::open(&path)?;
    if args.whom.dry_run {
        let targets = session.patiently(place.select(&to)).await?;
        for target in &targets {
            would_go_to(session, target)?;
        }
        let (package, total) = (&opened.package, opened.bytes()?);
        session.output.fact(
            format!(
                "{} {}, {}, would go to {}",
                package.name,
                package.version,
                bytes(total),
                counted(targets.len() as u64, "target")
            ),
            &json!({
                "event": "would_send", "package": package.name, "version": package.version,
                "bytes": total, "targets": targets.len(),
            }),
        )?;
        return Ok(());
    }
    let ledger = crate::ledger::open(session).await?;
    // Two at once would build in one place.
    let building = State::take(&session.state_directory()?.join("sending"))?;
    let tree = opened.tree(&building)?;
    let request = SendRequest {
        tree,
        package: opened.package.clone(),
        // However it is named now, it is found from elsewhere later.
        sources: fs::canonicalize(&path).ok(),
        to,
        valid_for: Duration::from_secs(args.whom.valid.saturating_mul(86_400)),
        staging: super::rollout::staging(&args.staging),
        unless_sent: args.watch,
    };
    let progress = PublishProgress::default();
    let look = || {
        let offered = progress.upload.offered_bytes.load(Relaxed);
        let settled =
            progress.upload.sent_bytes.load(Relaxed) + progress.upload.known_bytes.load(Relaxed);
        let waits =
            (offered > settled).then(|| format!("the hub to take {}", bytes(offered - settled)));
        let look = Look { waits_for: waits, ..Look::of_snapshot(&progress.snapshot) };
        look.or_waits_for(progress.waits.reason()).with_calls(&session.activity, Instant::now())
    };
    let sent = watch(session.output, place.send(&request, &*ledger, &progress), look).await;
    ledger.close().await;
    let sent = sent?;
    if let Err(error) = opened.clear(&building) {
        session.output.remark(format!("{error:#}"));
    }
    let name = format!("{} {}", request.package.name, request.package.version);
    let sent = match sent {
        SendOutcome::Sent(sent) => sent,
        SendOutcome::Unchanged(sequence) => {
            return session.output.fact(
                format!("{name} is as it was sent as release {sequence}"),
                &json!({
                    "event": "unchanged", "package": request.package.name,
                    "version": request.package.version, "sequence": sequence,
                    "community": place.id().to_string(),
                }),
            );
        }
    };
    sent.forgotten.iter().try_for_each(|forgotten| told(session, forgotten))?;
    let targets: Vec<&str> = sent.targets.iter().map(PeerName::as_str).collect();
    session.output.fact(
        format!(
            "sent {name} as release {} to {}: {} of files, {} on the wire",
            sent.sequence,
            counted(targets.len() as u64, "target"),
            bytes(sent.bytes),
            bytes(sent.bytes_sent),
        ),
        &json!({
            "event": "sent", "package": request.package.name, "version": request.package.version,
            "sequence": sent.sequence, "targets": targets, "bytes": sent.bytes,
            "bytes_sent": sent.bytes_sent, "community": place.id().to_string(),
        }),
    )?;
    if let Some(rollout) = &sent.rollout {
        super::rollout::tell(session.output, sent.sequence, rollout)?;
        let remark = "the node addresses the next waves: `consign node` has to run";
        session.output.remark(remark);
    }
    Ok(())
}

/// What became of a release that the hub had forgotten.
pub(super) fn told(session: &Session, forgotten: &Forgotten) -> anyhow::Result<()> {
    let line = match forgotten {
        Forgotten::GivenBack { sequence, package, targets } => json!({
            "event": "given_back", "sequence": sequence, "package": package, "targets": targets,
        }),
        Forgotten::Lost { sequence, package, reason, targets } => {
            let targets: Vec<&str> = targets.iter().map(PeerName::as_str).collect();
            json!({
                "event": "lost", "sequence": sequence, "package": package, "reason": reason,
                "targets": targets,
            })
        }
    };
    let next = match forgotten {
        Forgotten::GivenBack { .. } => "",
        Forgotten::Lost { .. } => "; send the package again",
    };
    session.output.fact(format!("{}{next}", shown(&forgotten.to_string())), &line)
}

/// For whom a package is, as it was typed.
pub(super) fn selection(to: &[String], labels: Option<&str>) -> anyhow::Result<Selection> {
    if let Some(labels) = labels {
        return Ok(Selection::Labels(parse::<Expression>(labels)?));
    }
    if to.is_empty() {
        return Ok(Selection::All);
    }
    let peers = to.iter().map(|peer| parse(peer)).collect::<anyhow::Result<_>>()?;
    Ok(Selection::Peers(peers))
}

/// One whom a package would go to.
pub(super) fn would_go_to(session: &Session, target: &Membership) -> anyhow::Result<()> {
    session.output.fact(
        target.peer.to_string(),
        &json!({
            "event": "target", "peer": target.peer.as_str(),
            "key": target.key.to_string(), "labels": target.labels,
        }),
    )
}
