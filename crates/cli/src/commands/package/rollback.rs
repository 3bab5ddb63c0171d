//! `consign package rollback`

use std::time::Duration;

use community::PeerName;
use node::communities::publisher::RollBackRequest;
use serde_json::json;

use super::send::{selection, told, would_go_to};
use crate::args::RollbackArgs;
use crate::commands::Session;
use crate::exit::Ended;

pub(super) async fn run(session: &Session, args: RollbackArgs) -> anyhow::Result<Ended> {
    let place = session.node()?.community(args.whom.community.as_deref())?;
    let request = RollBackRequest {
        release: args.sequence,
        to: selection(&args.whom.to, args.whom.labels.as_deref())?,
        valid_for: Duration::from_secs(args.whom.valid.saturating_mul(86_400)),
    };
    let ledger = crate::ledger::open(session).await?;
    if args.whom.dry_run {
        let found = session.patiently(place.would_roll_back(&request, &*ledger)).await;
        ledger.close().await;
        let (old, targets) = found?;
        for target in &targets {
            would_go_to(session, target)?;
        }
        let count = targets.len();
        let name = format!("{} {}", old.name, old.version);
        session.output.remark(format!("{count} targets would go back to {name}"));
        return Ok(Ended::Done);
    }
    let back = session.patiently(place.roll_back(&request, &*ledger)).await;
    ledger.close().await;
    let back = back?;
    back.sent.forgotten.iter().try_for_each(|forgotten| told(session, forgotten))?;
    let name = format!("{} {}", back.of.name, back.of.version);
    let targets: Vec<&str> = back.sent.targets.iter().map(PeerName::as_str).collect();
    session.output.fact(
        format!(
            "sent {name} of release {} again as release {} to {} targets",
            back.of.sequence,
            back.sent.sequence,
            targets.len(),
        ),
        &json!({
            "event": "rolled_back", "package": back.of.name, "version": back.of.version,
            "sequence": back.sent.sequence, "release": back.of.sequence, "targets": targets,
            "aborted": back.aborted, "community": place.id().to_string(),
        }),
    )?;
    for aborted in &back.aborted {
        session.output.remark(format!("the roll-out of release {aborted} was aborted"));
    }
    Ok(Ended::Done)
}
