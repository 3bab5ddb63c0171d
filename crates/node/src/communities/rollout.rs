//! Packages reach their targets wave after wave.
//!
//! The driver of `rollout-plan`. A release that is rolled out is posted once; whom it is for and in which
//! wave is in the ledger from then on, and so is what seals it for more targets. Whoever runs next, the
//! node or a command, reads how far it is, asks the plan what to do, and does it: so a roll-out goes on after
//! any interruption, and two that drive it at once do no harm.

use std::collections::BTreeMap;
use std::time::Duration;

use community::{Membership, PeerName, Role};
use content::{ChunkId, ChunkRef, Sealing, TreeRef};
use documents::{DocumentHash, PublicKey};
use hub_api::Hex;
use ledger::{
    DraftError, Ledger, LedgerError, NewRollout, PackageId, PackageRecord, PlannedRecord,
    PlannedState, RolloutProgress, RolloutRecord, RolloutState, Verdict, WaveDrafted,
};
use package::label::Expression;
use rollout_plan::{
    Answer, Forgiven, Phase, Progress, RolloutPlan, Target, TargetState, Task, Wait,
};
pub use rollout_plan::{
    Order, OrderError, ParseRulesError, ParseShareError, ParseWindowError, Rules, Share,
    Unanswered, WaitsFor, Window,
};

use super::Place;
use super::publisher::{Resume, SendError, addressee};
use crate::publish::unix_now;

/// How often the ledger is asked whether somebody else changed a roll-out.
const LOOK: Duration = Duration::from_secs(2);

/// How long what was not done because another run was sending waits for its next try.
const AGAIN_SECONDS: u64 = 5;

/// How often an order is tried anew because the roll-out changed at the same moment.
const ORDER_ATTEMPTS: usize = 8;

/// How a package is to reach its targets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staging {
    /// In which waves, when, and what stops it.
    pub rules: Rules,
    /// The first wave is taken from targets with such labels.
    pub canaries: Option<Expression>,
}

/// How a roll-out stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutStatus {
    /// How it is done.
    pub rules: String,
    /// What it does.
    pub state: RolloutState,
    /// Since when.
    pub since: u64,
    /// Why, for people.
    pub reason: Option<String>,
    /// Waves that were begun.
    pub begun: usize,
    /// All of them.
    pub waves: usize,
    /// What it waits for; none when it is over, or acts now.
    pub waits: Option<Waits>,
    /// Who told that they began, and since when they run.
    pub running: Vec<(PeerName, u64)>,
    /// Whose wave has not come.
    pub waiting: Vec<PeerName>,
    /// Who will not get it: since when, and why.
    pub skipped: Vec<(PeerName, u64, String)>,
}

/// What a roll-out waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waits {
    /// For what.
    pub what: WaitsFor,
    /// Since when.
    pub since: u64,
    /// When that ends by itself.
    pub until: Option<u64>,
}

/// Why an order to a roll-out was not followed. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum RolloutError {
    /// No release of this number was sent from here. `consign package list` shows those that were.
    #[error("no release {0} was sent from here")]
    Unknown(u64),
    /// It went to all of its targets at once: nothing is left to be held.
    #[error("release {0} went to all of its targets at once")]
    NoRollout(u64),
    /// The roll-out is over, or so already.
    #[error(transparent)]
    Order(#[from] OrderError),
    /// It kept changing. Try again.
    #[error("the roll-out of release {0} kept changing")]
    Contended(u64),
    /// The ledger, or what is in it.
    #[error(transparent)]
    Send(#[from] SendError),
}

impl From<LedgerError> for RolloutError {
    fn from(error: LedgerError) -> Self {
        Self::Send(error.into())
    }
}

impl Staging {
    /// The roll-out of a release. The same machines are not always the first: who is is decided by a hash
    /// of the release and the machine.
    pub(super) fn plan(
        &self,
        manifest: DocumentHash,
        tree: &TreeRef,
        targets: &[Membership],
    ) -> Result<NewRollout, SendError> {
        let mut ordered: Vec<_> = targets
            .iter()
            .map(|target| {
                let place = [*manifest.as_bytes(), *target.key.as_bytes()].concat();
                let is_late = self.canaries.as_ref().is_some_and(|it| !it.fits(&target.labels));
                (is_late, *ChunkId::of(&place).as_bytes(), target)
            })
            .collect();
        ordered.sort_unstable_by_key(|(is_late, place, _)| (*is_late, *place));
        let canaries = match &self.canaries {
            None => None,
            Some(labels) => match ordered.iter().filter(|(is_late, ..)| !is_late).count() {
                0 => return Err(SendError::NoCanary(labels.to_string())),
                canaries => Some(canaries),
            },
        };
        let sizes = self.rules.waves_of(targets.len(), canaries);
        let waves = (0u32..).zip(sizes).flat_map(|(wave, size)| std::iter::repeat_n(wave, size));
        let planned = waves.zip(&ordered).map(|(wave, (.., target))| (wave, addressee(target)));
        Ok(NewRollout {
            rules: self.rules.to_string(),
            root: root_secret(tree),
            began: unix_now(),
            targets: planned.collect(),
        })
    }
}

/// Key and lengths of the root of a tree: 32, 4 and 4 bytes.
pub(super) fn root_secret(tree: &TreeRef) -> Vec<u8> {
    let sealing = tree.0.sealing.expect("packages are sealed");
    let lengths = [tree.0.length.to_le_bytes(), sealing.stored_length.to_le_bytes()];
    [&sealing.key[..], &lengths.concat()].concat()
}

pub(super) fn tree_of(id: ChunkId, root: &[u8]) -> Option<TreeRef> {
    let root: &[u8; 40] = root.try_into().ok()?;
    let (key, lengths) = root.split_first_chunk::<32>()?;
    let (length, stored_length) = lengths.split_first_chunk::<4>()?;
    let stored_length = u32::from_le_bytes(stored_length.try_into().ok()?);
    let sealing = Some(Sealing { key: *key, stored_length });
    Some(TreeRef(ChunkRef { id, length: u32::from_le_bytes(*length), sealing }))
}

impl Place {
    /// Does what the roll-outs of this publisher have to do now: addresses the next waves, stops what has
    /// to stop. Returns what happened, for people.
    ///
    /// # Errors
    /// See [`SendError`]. What was done stays; the next one goes on.
    pub async fn advance_rollouts(&self, ledger: &dyn Ledger) -> Result<Vec<String>, SendError> {
        let feed = self.feed();
        let mut news = Vec::new();
        let mut members = None;
        for rollout in ledger.open_rollouts().await? {
            // One whose release is a draft is finished first.
            if rollout.package.feed == feed && rollout.package.sent.is_some() {
                self.advance(rollout, ledger, &mut members, &mut news).await?;
            }
        }
        Ok(news)
    }

    async fn advance(
        &self,
        mut rollout: RolloutRecord,
        ledger: &dyn Ledger,
        members: &mut Option<BTreeMap<PublicKey, Membership>>,
        news: &mut Vec<String>,
    ) -> Result<(), SendError> {
        let (package, sequence) = (rollout.package.id, rollout.package.sequence);
        loop {
            let now = unix_now();
            let planned = ledger.planned(package).await?;
            let plan = plan_of(&rollout, &planned, now)?;
            match plan.poll_task(now) {
                Task::Rest | Task::Wait(_) => return Ok(()),
                Task::Keep(progress, reason) => {
                    let reason = reason.map(|reason| reason.to_string());
                    let because = reason.as_ref().map_or(String::new(), |it| format!(": {it}"));
                    let to = stored(progress, reason);
                    if ledger.set_rollout(package, &rollout.progress, &to).await? {
                        let state = to.state.word();
                        news.push(format!("the roll-out of release {sequence} {state}{because}"));
                    }
                }
                Task::Address(wanted) => {
                    let members = match members {
                        Some(members) => members,
                        None => members.insert(self.target_members().await?),
                    };
                    let wanted: Vec<_> = wanted.iter().map(|it| &planned[it.0]).collect();
                    let addressed = self.address(&rollout, &wanted, members, ledger, now).await?;
                    let Some(addressed) = addressed else { return Ok(()) };
                    if addressed > 0 {
                        let s = if addressed == 1 { "" } else { "s" };
                        let wave = wanted.first().map_or(0, |first| first.wave + 1);
                        news.push(format!(
                            "wave {wave} of release {sequence} went to {addressed} target{s}"
                        ));
                    }
                }
            }
            let Some(again) = ledger.rollout(package).await? else { return Ok(()) };
            rollout = again;
        }
    }

    /// Addresses a wave; returns to how many, or nothing when it is somebody else's turn.
    async fn address(
        &self,
        rollout: &RolloutRecord,
        wanted: &[&PlannedRecord],
        members: &BTreeMap<PublicKey, Membership>,
        ledger: &dyn Ledger,
        now: u64,
    ) -> Result<Option<usize>, SendError> {
        let PackageRecord { id, sequence, manifest, tree, feed, .. } = &rollout.package;
        let root = rollout.root.as_deref().and_then(|root| tree_of(*tree, root));
        let Some(root) = root else { return Err(SendError::DamagedRollout(*sequence)) };
        let keys: Vec<_> = wanted.iter().map(|target| target.key).collect();
        let last = ledger.last_sent(feed, &keys, u64::MAX).await?;
        let mut skipped: BTreeMap<String, Vec<PublicKey>> = BTreeMap::new();
        let (mut targets, mut envelopes) = (Vec::new(), Vec::new());
        for target in wanted {
            let mut skip = |why: String| skipped.entry(why).or_default().push(target.key);
            let previous = last.get(&target.key).copied().unwrap_or(0);
            let Some(member) = members.get(&target.key) else {
                skip("it is no target of the community any more".to_owned());
                continue;
            };
            if previous > *sequence {
                // Targets never go back.
                skip(format!("release {previous} was sent to it meanwhile"));
                continue;
            }
            match self.envelope(&root, *manifest, member, previous) {
                Ok(envelope) => {
                    envelopes.push((Hex(*target.key.as_bytes()), envelope.into()));
                    targets.push(addressee(member));
                }
                Err(error @ SendError::WeakKey(_)) => skip(error.to_string()),
                Err(error) => return Err(error),
            }
        }
        for (reason, keys) in skipped {
            ledger.skip_targets(*id, &keys, &reason, now).await?;
        }
        if targets.is_empty() {
            return Ok(Some(0));
        }
        // The hub has the release: what is left to be given to it is the envelopes.
        let resume = Resume { manifest: Vec::new().into(), head: Vec::new().into(), envelopes };
        let resume = serde_json::to_vec(&resume).expect("text keys and no failing map");
        match ledger.draft_wave(*id, &targets, &resume).await {
            Ok(WaveDrafted::Now) => {}
            Ok(WaveDrafted::NotRunning) => return Ok(None),
            // Another run is sending: it, or the next one, comes back to this.
            Err(DraftError::Unfinished { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        self.finish_drafts(ledger).await?;
        Ok(Some(targets.len()))
    }

    pub(super) async fn target_members(
        &self,
    ) -> Result<BTreeMap<PublicKey, Membership>, SendError> {
        let (_, members) = self.members().await?;
        let targets = members.into_iter().filter(|member| member.roles.contains(&Role::Target));
        Ok(targets.map(|member| (member.key, member)).collect())
    }

    /// Pauses, resumes or aborts the roll-out of a release. What was addressed stays so, and a wave
    /// that was begun is completed. When this returns, no other one begins against the order.
    ///
    /// # Errors
    /// See [`RolloutError`].
    pub async fn order_rollout(
        &self,
        sequence: u64,
        order: Order,
        ledger: &dyn Ledger,
    ) -> Result<RolloutStatus, RolloutError> {
        let package = self.sent_package(ledger, sequence).await?;
        let id = package.ok_or(RolloutError::Unknown(sequence))?.id;
        for _ in 0..ORDER_ATTEMPTS {
            let rollout = ledger.rollout(id).await?.ok_or(RolloutError::NoRollout(sequence))?;
            let now = unix_now();
            let plan = plan_of(&rollout, &ledger.planned(id).await?, now)?;
            let to = stored(plan.order(order, now)?, None);
            if ledger.set_rollout(id, &rollout.progress, &to).await? {
                let status = status(ledger, id, now).await?;
                return status.ok_or(RolloutError::NoRollout(sequence));
            }
        }
        Err(RolloutError::Contended(sequence))
    }

    /// Ends the roll-out of a release that nobody more will get, if it has one that is not over.
    pub(super) async fn abandon_rollout(
        &self,
        package: PackageId,
        reason: &str,
        ledger: &dyn Ledger,
    ) -> Result<(), SendError> {
        loop {
            let Some(rollout) = ledger.rollout(package).await? else { return Ok(()) };
            let from = rollout.progress;
            if from.state.is_over() {
                return Ok(());
            }
            let (state, since) = (RolloutState::Aborted, unix_now());
            let to =
                RolloutProgress { state, since, reason: Some(reason.to_owned()), ..from.clone() };
            // Else somebody gave an order at the same moment.
            if ledger.set_rollout(package, &from, &to).await? {
                return Ok(());
            }
        }
    }

    /// Waits until there may be something to do for [`Place::advance_rollouts`]: it is time, or somebody
    /// began or ordered something.
    pub(super) async fn rollouts_due(&self, ledger: &dyn Ledger) -> Result<(), SendError> {
        let feed = self.feed();
        let open = async || -> Result<Vec<_>, SendError> {
            let open = ledger.open_rollouts().await?.into_iter();
            let own = open.filter(|it| it.package.feed == feed && it.package.sent.is_some());
            Ok(own.map(|it| (it.package.id, it.progress)).collect())
        };
        let before = open().await?;
        let mut due = None;
        for (package, _) in &before {
            let now = unix_now();
            let until = match status(ledger, *package, now).await? {
                // Somebody else was sending when it was to address its next wave.
                Some(RolloutStatus { state: RolloutState::Running, waits: None, .. }) => {
                    Some(now + AGAIN_SECONDS)
                }
                Some(status) => status.waits.and_then(|waits| waits.until),
                None => None,
            };
            due = due.into_iter().chain(until).min();
        }
        loop {
            tokio::time::sleep(LOOK).await;
            if due.is_some_and(|due| due <= unix_now()) || open().await? != before {
                return Ok(());
            }
        }
    }
}

/// How the roll-out of a package stands; none when it went to everybody at once.
///
/// # Errors
/// The ledger, or what is in it.
pub async fn status(
    ledger: &dyn Ledger,
    package: PackageId,
    now: u64,
) -> Result<Option<RolloutStatus>, SendError> {
    let Some(rollout) = ledger.rollout(package).await? else { return Ok(None) };
    let planned = ledger.planned(package).await?;
    let plan = plan_of(&rollout, &planned, now)?;
    let waits = match plan.poll_task(now) {
        Task::Wait(Wait { what, since, until }) => Some(Waits { what, since, until }),
        Task::Address(_) | Task::Keep(..) | Task::Rest => None,
    };
    let position = plan.position();
    let RolloutProgress { state, since, reason, .. } = rollout.progress;
    let mut status = RolloutStatus {
        rules: rollout.rules,
        state,
        since,
        reason,
        begun: position.begun,
        waves: position.waves,
        waits,
        running: Vec::new(),
        waiting: Vec::new(),
        skipped: Vec::new(),
    };
    for target in planned {
        match target.state {
            PlannedState::Waiting if state.is_over() => {
                let why = status.reason.clone();
                let why = why.unwrap_or_else(|| format!("the roll-out was {}", state.word()));
                status.skipped.push((target.peer, since, why));
            }
            PlannedState::Waiting => status.waiting.push(target.peer),
            PlannedState::Skipped(since, why) => status.skipped.push((target.peer, since, why)),
            PlannedState::Running { begun, .. } => status.running.push((target.peer, begun)),
            PlannedState::Drafted | PlannedState::Sent(_) | PlannedState::Answered { .. } => {}
        }
    }
    Ok(Some(status))
}

/// The plan as the ledger has it.
fn plan_of(
    rollout: &RolloutRecord,
    planned: &[PlannedRecord],
    now: u64,
) -> Result<RolloutPlan, SendError> {
    let package = &rollout.package;
    let rules: Rules =
        rollout.rules.parse().map_err(|_| SendError::DamagedRollout(package.sequence))?;
    let targets = planned.iter().map(|target| Target {
        wave: target.wave as usize,
        state: match &target.state {
            PlannedState::Waiting => TargetState::Waiting,
            PlannedState::Skipped(..) => TargetState::Skipped,
            // The hub may have it already.
            PlannedState::Drafted => TargetState::Addressed(now),
            PlannedState::Sent(sent) | PlannedState::Running { sent, .. } => {
                TargetState::Addressed(*sent)
            }
            PlannedState::Answered { sent, answered, verdict } => {
                let answer = match verdict {
                    Verdict::Passed => Answer::Passed,
                    Verdict::Failed(_) | Verdict::Unreadable(_) => Answer::Failed,
                    Verdict::NotApplicable(_) => Answer::NotApplicable,
                };
                TargetState::Answered { addressed: *sent, at: *answered, answer }
            }
        },
    });
    let RolloutProgress { forgiven_failed, forgiven_answered, forgiven_until, .. } =
        rollout.progress;
    let progress = Progress {
        phase: match rollout.progress.state {
            RolloutState::Running => Phase::Running,
            RolloutState::Paused => Phase::Paused,
            RolloutState::Stopped => Phase::Stopped,
            RolloutState::Aborted => Phase::Aborted,
            RolloutState::Expired => Phase::Expired,
            RolloutState::Finished => Phase::Finished,
        },
        since: rollout.progress.since,
        forgiven: Forgiven {
            failed: forgiven_failed,
            answered: forgiven_answered,
            until: forgiven_until,
        },
    };
    Ok(RolloutPlan::resume(rules, package.expires, targets.collect(), progress))
}

/// What is kept of where a plan is.
fn stored(progress: Progress, reason: Option<String>) -> RolloutProgress {
    let Progress { phase, since, forgiven } = progress;
    RolloutProgress {
        state: match phase {
            Phase::Running => RolloutState::Running,
            Phase::Paused => RolloutState::Paused,
            Phase::Stopped => RolloutState::Stopped,
            Phase::Aborted => RolloutState::Aborted,
            Phase::Expired => RolloutState::Expired,
            Phase::Finished => RolloutState::Finished,
        },
        since,
        reason,
        forgiven_failed: forgiven.failed,
        forgiven_answered: forgiven.answered,
        forgiven_until: forgiven.until,
    }
}

#[cfg(test)]
mod tests;
