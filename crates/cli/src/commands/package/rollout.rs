//! `consign package pause|resume|abort`, and how roll-outs are told.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use community::PeerName;
use ledger::RolloutState;
use node::communities::rollout::{
    Order, RolloutStatus, Rules, Share, Staging, Unanswered, Waits, WaitsFor,
};
use serde_json::json;

use super::apply::shown;
use crate::args::{OrderArgs, StagingArgs};
use crate::commands::Session;
use crate::exit::Ended;
use crate::output::{Output, Paint, utc};
use crate::progress::duration;

/// The roll-out that the options of `send` ask for; none when they ask for none.
pub(super) fn staging(args: &StagingArgs) -> Option<Staging> {
    let StagingArgs { canary, wave, canary_labels, window, .. } = args;
    let is_asked = canary.is_some() || canary_labels.is_some() || !wave.is_empty();
    if !is_asked && window.is_empty() {
        return None;
    }
    let unanswered = match (args.go_on_after, args.stop_after) {
        (Some(after), _) => Unanswered::GoOn(after.0),
        (None, Some(after)) => Unanswered::Stop(after.0),
        (None, None) => Unanswered::Wait,
    };
    let rules = Rules {
        canary: *canary,
        waves: wave.clone(),
        pause: args.pause_between.map_or(0, |pause| pause.0),
        stop_at: args.stop_at.unwrap_or(Share::Count(1)),
        windows: window.clone(),
        unanswered,
    };
    Some(Staging { rules, canaries: canary_labels.clone() })
}

pub(super) async fn run(session: &Session, args: OrderArgs, order: Order) -> anyhow::Result<Ended> {
    let place = session.node()?.community(args.community.as_deref())?;
    let ledger = crate::ledger::open(session).await?;
    let ordered = session.patiently(place.order_rollout(args.sequence, order, &*ledger)).await;
    ledger.close().await;
    tell(session.output, args.sequence, &ordered?)?;
    if order == Order::Resume {
        session.output.remark("the node goes on with it: `consign node` has to run");
    }
    Ok(Ended::Done)
}

/// Tells how a roll-out stands.
pub(super) fn tell(output: Output, sequence: u64, status: &RolloutStatus) -> anyhow::Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let paint = match status.state {
        RolloutState::Running | RolloutState::Finished => Paint::Good,
        RolloutState::Paused => Paint::Warning,
        RolloutState::Stopped | RolloutState::Aborted | RolloutState::Expired => Paint::Bad,
    };
    let because = status.reason.as_ref().map_or(String::new(), |why| format!(": {}", shown(why)));
    let mut text = format!(
        "roll-out {} since {}{because}\n  wave {} of {}; {}",
        output.paint(paint, status.state.word().to_owned()),
        utc(status.since),
        status.begun,
        status.waves,
        status.rules,
    );
    if let Some(waits) = &status.waits {
        text += &format!("\n  {}", waiting(waits, sequence, now));
    }
    if !status.running.is_empty() {
        let running = status.running.iter().map(|(peer, since)| {
            format!("{peer} for {}", duration(Duration::from_secs(now.saturating_sub(*since))))
        });
        text += &format!("\n  running: {}", few(running));
    }
    if !status.waiting.is_empty() {
        text += &format!(
            "\n  their wave has not come: {}",
            few(status.waiting.iter().map(ToString::to_string))
        );
    }
    for (peer, since, why) in &status.skipped {
        text += &format!("\n  {peer} skipped {}: {}", utc(*since), shown(why));
    }
    let skipped: Vec<_> = status
        .skipped
        .iter()
        .map(|(peer, since, why)| json!({"peer": peer.as_str(), "since": since, "reason": why}))
        .collect();
    let running: Vec<_> = status
        .running
        .iter()
        .map(|(peer, since)| json!({"peer": peer.as_str(), "since": since}))
        .collect();
    let peers: Vec<_> = status.waiting.iter().map(PeerName::as_str).collect();
    output.fact(
        text,
        &json!({
            "event": "rollout",
            "sequence": sequence,
            "state": status.state.word(),
            "since": status.since,
            "reason": status.reason,
            "rules": status.rules,
            "wave": status.begun,
            "waves": status.waves,
            "waits_for": status.waits.map(|waits| word(waits.what)),
            "waits_since": status.waits.map(|waits| waits.since),
            "waits_until": status.waits.and_then(|waits| waits.until),
            "running": running,
            "waiting": peers,
            "skipped": skipped,
        }),
    )
}

fn word(what: WaitsFor) -> &'static str {
    match what {
        WaitsFor::Answers(_) => "answers",
        WaitsFor::Pause => "pause",
        WaitsFor::Window => "window",
        WaitsFor::Resume => "resume",
        WaitsFor::Decision => "decision",
    }
}

fn waiting(waits: &Waits, sequence: u64, now: u64) -> String {
    let what = match waits.what {
        WaitsFor::Answers(1) => "the answer of one target".to_owned(),
        WaitsFor::Answers(targets) => format!("the answers of {targets} targets"),
        WaitsFor::Pause => "the pause after a wave to pass".to_owned(),
        WaitsFor::Window => "a window to open".to_owned(),
        WaitsFor::Resume => format!("`consign package resume {sequence}`"),
        WaitsFor::Decision => {
            format!("`consign package resume {sequence}`, or `abort`")
        }
    };
    let waited = duration(Duration::from_secs(now.saturating_sub(waits.since)));
    let until =
        waits.until.map_or(String::new(), |until| format!(", until {} at the latest", utc(until)));
    format!("waits for {what} since {} ({waited}){until}", utc(waits.since))
}

/// The first few, and how many more there are.
fn few(all: impl ExactSizeIterator<Item = String>) -> String {
    const SHOWN: usize = 8;
    let more = all.len().saturating_sub(SHOWN);
    let mut shown: Vec<_> = all.take(SHOWN).collect();
    if more > 0 {
        shown.push(format!("and {more} more"));
    }
    shown.join(", ")
}
