//! How a release reaches its targets wave after wave, for people.

use ledger::{Ledger, PackageId, PlannedRecord, PlannedState, RolloutState};
use node::communities::rollout::{RolloutStatus, Waits, WaitsFor, status};
use pages::format::{Moment, count, counted, duration, shown};

use crate::page::Failure;
use crate::releases::badge;
use crate::tally::{Mark, Piece, Tally};

/// How a roll-out stands.
pub(crate) struct RolloutView {
    pub(crate) state: &'static str,
    pub(crate) badge: &'static str,
    pub(crate) since: Moment,
    pub(crate) reason: Option<String>,
    pub(crate) rules: String,
    /// What it waits for, and until when.
    pub(crate) waits: Option<String>,
    pub(crate) waits_since: Option<Moment>,
    pub(crate) until: Option<Moment>,
    /// What comes next, or can be done.
    pub(crate) next: String,
    pub(crate) command: Option<String>,
    pub(crate) waves: Vec<Wave>,
    /// Waves that are not shown.
    pub(crate) hidden: usize,
    /// Those whose wave has not come, and those that will not get it.
    pub(crate) left: Vec<Left>,
}

/// One wave.
pub(crate) struct Wave {
    pub(crate) name: String,
    pub(crate) targets: String,
    pub(crate) words: String,
    pub(crate) bar: Vec<Piece>,
    pub(crate) is_begun: bool,
}

/// A target that was not addressed.
#[derive(Debug, Clone)]
pub(crate) struct Left {
    pub(crate) peer: String,
    pub(crate) mark: Mark,
    pub(crate) wave: u32,
    pub(crate) since: Option<u64>,
    pub(crate) reason: String,
}

/// Waves shown; small ones may be thousands.
const WAVES_MAX: usize = 40;

impl RolloutView {
    pub(crate) async fn of(
        ledger: &dyn Ledger,
        package: PackageId,
        sequence: u64,
        now: u64,
    ) -> Result<Option<Self>, Failure> {
        let Some(found) = status(ledger, package, now).await? else { return Ok(None) };
        let planned = ledger.planned(package).await?;
        let mut waves = waves(&planned, found.state.is_over());
        let hidden = waves.len().saturating_sub(WAVES_MAX);
        if hidden > 0 {
            // What happens now is in the middle of what is shown.
            let from = found.begun.saturating_sub(WAVES_MAX / 2).min(hidden);
            waves = waves.into_iter().skip(from).take(WAVES_MAX).collect();
        }
        let (waits, next, command) = told(&found, sequence);
        Ok(Some(Self {
            state: found.state.word(),
            badge: badge(found.state),
            since: Moment::new(found.since, now),
            reason: found.reason.as_ref().map(|why| shown(why.as_bytes())),
            rules: shown(found.rules.as_bytes()),
            waits,
            waits_since: found.waits.map(|it| Moment::new(it.since, now)),
            until: found.waits.and_then(|it| it.until).map(|it| Moment::new(it, now)),
            next,
            command,
            waves,
            hidden,
            left: left(&planned, &found),
        }))
    }
}

fn waves(planned: &[PlannedRecord], is_over: bool) -> Vec<Wave> {
    let last = planned.iter().map(|target| target.wave).max();
    let mut tallies = vec![Tally::default(); last.map_or(0, |last| last as usize + 1)];
    let mut begun = vec![false; tallies.len()];
    for target in planned {
        let wave = target.wave as usize;
        let mark = mark(&target.state, is_over);
        begun[wave] |= !matches!(mark, Mark::Waiting | Mark::Skipped);
        tallies[wave].add(mark, 1);
    }
    let wave = |(number, (tally, is_begun)): (usize, (Tally, bool))| Wave {
        name: if number == 0 { "Wave 1, canary".into() } else { format!("Wave {}", number + 1) },
        targets: counted(tally.total(), "target"),
        words: tally.words(),
        bar: tally.bar(),
        is_begun,
    };
    tallies.into_iter().zip(begun).enumerate().map(wave).collect()
}

fn mark(state: &PlannedState, is_over: bool) -> Mark {
    match state {
        PlannedState::Waiting if is_over => Mark::Skipped,
        PlannedState::Waiting => Mark::Waiting,
        PlannedState::Skipped(..) => Mark::Skipped,
        PlannedState::Drafted | PlannedState::Sent(_) => Mark::Pending,
        PlannedState::Running { .. } => Mark::Running,
        PlannedState::Answered { verdict, .. } => Mark::of(Some(verdict)),
    }
}

fn left(planned: &[PlannedRecord], status: &RolloutStatus) -> Vec<Left> {
    let mut left = Vec::new();
    for target in planned {
        let mark = mark(&target.state, status.state.is_over());
        let (since, reason) = match &target.state {
            PlannedState::Waiting if status.state.is_over() => {
                let why = status.reason.clone();
                let why =
                    why.unwrap_or_else(|| format!("the roll-out was {}", status.state.word()));
                (Some(status.since), why)
            }
            PlannedState::Waiting => (None, "its wave has not come".to_owned()),
            PlannedState::Skipped(since, why) => (Some(*since), why.clone()),
            PlannedState::Drafted
            | PlannedState::Sent(_)
            | PlannedState::Running { .. }
            | PlannedState::Answered { .. } => {
                continue;
            }
        };
        let (peer, reason) = (target.peer.as_str().to_owned(), shown(reason.as_bytes()));
        left.push(Left { peer, mark, wave: target.wave + 1, since, reason });
    }
    left
}

/// What it waits for, what comes next, and the command that helps.
fn told(status: &RolloutStatus, sequence: u64) -> (Option<String>, String, Option<String>) {
    let wave = status.begun + 1;
    let next = if status.begun < status.waves {
        format!("Then wave {wave} of {} is addressed by this machine's node.", status.waves)
    } else {
        "Then it is finished.".to_owned()
    };
    let command = |order: &str| Some(format!("consign package {order} {sequence}"));
    match &status.waits {
        Some(Waits { what, .. }) => match what {
            WaitsFor::Answers(1) => {
                (Some("the answer of one target".into()), next, command("pause"))
            }
            WaitsFor::Answers(targets) => {
                let text = format!("the answers of {} targets", count(*targets as u64));
                (Some(text), next, command("pause"))
            }
            WaitsFor::Pause => {
                (Some("the pause after a wave to pass".into()), next, command("pause"))
            }
            WaitsFor::Window => (Some("a window to open".into()), next, command("pause")),
            WaitsFor::Resume => {
                let next = "Nobody more gets it until it is resumed.".to_owned();
                (Some("somebody to resume it".into()), next, command("resume"))
            }
            WaitsFor::Decision => {
                let next =
                    "Look at what failed below; then resume it, which counts anew, or abort it.";
                (Some("a decision".into()), next.to_owned(), command("resume"))
            }
        },
        None => match status.state {
            RolloutState::Running => {
                let next = "The next wave is addressed by this machine's node, which has to run.";
                (None, next.to_owned(), Some("consign node".into()))
            }
            RolloutState::Paused
            | RolloutState::Stopped
            | RolloutState::Aborted
            | RolloutState::Expired
            | RolloutState::Finished => (None, "Nobody more will get this release.".into(), None),
        },
    }
}

/// How long somebody has been waited for, in words.
pub(crate) fn waited(since: u64, now: u64) -> String {
    duration(now.saturating_sub(since))
}
