//! Decides which targets get a release next, when, and what stops that.
//!
//! Pure: no hub, no database, no clock; the `node` crate drives it. It knows targets by their numbers
//! alone; which of them are in which wave was chosen before ([`Rules::waves_of`]). Time is an argument,
//! in unix seconds, because roll-outs last for days and follow the days of the week.
//!
//! The driver asks what is to be done and says what became of it. A target *waits* until its wave is
//! addressed, then is *addressed* until it *answered*; one that no longer belongs is *skipped*. A
//! wave is over when each of its targets answered, was skipped, or was waited for as long as the rules
//! say.
//!
//! The roll-out itself is in one of these phases, which the driver keeps with the targets:
//!
//! * *running*: the next wave is addressed when the one before is over, the pause has passed and
//!   a window is open.
//! * *paused*: by a person; *stopped*: by failures or by targets that do not answer. Nobody is
//!   addressed until a person resumes it. What was held against it then no longer counts.
//! * *aborted* by a person, *expired* with its release, or *finished*: nobody is addressed ever after.
//!
//! Invariants:
//!
//! 1. Nobody is addressed unless it is running, and nobody of a wave before the waves before it are over.
//! 2. Nobody is addressed twice.
//! 3. When the failures allowed are reached, nobody is addressed any more, whatever answers come
//!    later, until a person says so.
//!
//! Start reading at [`RolloutPlan::poll_task`].

mod rules;
mod window;

use std::fmt;

pub use rules::{ParseRulesError, ParseShareError, Rules, Share, Unanswered};
pub use window::{ParseWindowError, Window};

/// Place of a target in its roll-out, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TargetNumber(pub usize);

/// One target as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// Its wave, from 0.
    pub wave: usize,
    /// How it stands.
    pub state: TargetState,
}

/// How a target stands; times are unix seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetState {
    /// Its wave has not come.
    Waiting,
    /// It was addressed, at this time, and has not answered.
    Addressed(u64),
    /// It answered.
    Answered {
        /// When it was addressed.
        addressed: u64,
        /// When it answered.
        at: u64,
        /// What it said.
        answer: Answer,
    },
    /// It will not be addressed, because it no longer belongs.
    Skipped,
}

/// What a target answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It carried the release out.
    Passed,
    /// It could not, or nobody can read what it says.
    Failed,
    /// The release is not for it.
    NotApplicable,
}

/// Where a roll-out is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It goes on.
    Running,
    /// A person paused it.
    Paused,
    /// The rules stopped it.
    Stopped,
    /// A person ended it.
    Aborted,
    /// The release expired before everybody was addressed.
    Expired,
    /// The last wave is over.
    Finished,
}

/// What is to be kept of a roll-out, besides its targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Where it is.
    pub phase: Phase,
    /// Since when.
    pub since: u64,
    /// What no longer counts.
    pub forgiven: Forgiven,
}

/// What had happened when a person resumed a roll-out that had stopped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Forgiven {
    /// Failures.
    pub failed: u64,
    /// Targets that had answered, failures among them, and for which the release is.
    pub answered: u64,
    /// Until when: targets that should have answered by then are not waited for.
    pub until: u64,
}

/// Why a roll-out stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// As many failures as the rules allow not.
    Failures {
        /// How many failed, without those that were forgiven.
        failed: u64,
        /// Of how many that answered or still may.
        of: u64,
        /// The rule.
        stop_at: Share,
    },
    /// Targets did not answer in time.
    Unanswered {
        /// How many.
        targets: usize,
        /// Within how many seconds they should have.
        within: u64,
    },
    /// The release is expired.
    Expired,
}

/// What the driver is to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// Address these targets, or find that they no longer belong: [`RolloutPlan::handle_addressed`],
    /// [`RolloutPlan::handle_skipped`].
    Address(Vec<TargetNumber>),
    /// Keep this: [`RolloutPlan::handle_kept`].
    Keep(Progress, Option<Reason>),
    /// Ask again when something happens, or when it is time.
    Wait(Wait),
    /// Nothing more, ever.
    Rest,
}

/// What a roll-out waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    /// For what.
    pub what: WaitsFor,
    /// Since when.
    pub since: u64,
    /// When that ends if nothing happens before.
    pub until: Option<u64>,
}

/// What a roll-out waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitsFor {
    /// So many targets of a wave to answer.
    Answers(usize),
    /// The pause after a wave to pass.
    Pause,
    /// A window to open.
    Window,
    /// A person to resume it after a pause.
    Resume,
    /// A person to resume or abort it after it stopped.
    Decision,
}

/// What a person wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Nobody more until it is resumed.
    Pause,
    /// Go on.
    Resume,
    /// Nobody more, ever.
    Abort,
}

/// Why an order was not followed. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// The roll-out is over.
    #[error("the roll-out is {0}")]
    Over(Phase),
    /// That is how it is.
    #[error("the roll-out is {0} already")]
    Already(Phase),
}

/// How many waves there are, and where the roll-out is among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Waves of which somebody was addressed.
    pub begun: usize,
    /// All of them.
    pub waves: usize,
    /// Targets that were not addressed yet.
    pub waiting: usize,
}

/// A roll-out.
#[derive(Debug, Clone)]
pub struct RolloutPlan {
    rules: Rules,
    expires: u64,
    targets: Vec<Target>,
    progress: Progress,
}

impl RolloutPlan {
    /// A roll-out as it was kept. The release expires at `expires`.
    #[must_use]
    pub fn resume(rules: Rules, expires: u64, targets: Vec<Target>, progress: Progress) -> Self {
        Self { rules, expires, targets, progress }
    }

    /// A target was addressed.
    ///
    /// # Panics
    /// If it was not waiting.
    pub fn handle_addressed(&mut self, target: TargetNumber, now: u64) {
        let state = &mut self.targets[target.0].state;
        assert_eq!(*state, TargetState::Waiting, "nobody is addressed twice");
        *state = TargetState::Addressed(now);
    }

    /// A target will not be addressed.
    ///
    /// # Panics
    /// If it was not waiting.
    pub fn handle_skipped(&mut self, target: TargetNumber) {
        let state = &mut self.targets[target.0].state;
        assert_eq!(*state, TargetState::Waiting, "who was addressed is not skipped");
        *state = TargetState::Skipped;
    }

    /// A target answered. Another answer takes the place of the one before; one of somebody who was not
    /// addressed is none.
    pub fn handle_answered(&mut self, target: TargetNumber, answer: Answer, now: u64) {
        let state = &mut self.targets[target.0].state;
        match *state {
            TargetState::Waiting | TargetState::Skipped => {}
            TargetState::Addressed(addressed) | TargetState::Answered { addressed, .. } => {
                *state = TargetState::Answered { addressed, at: now, answer };
            }
        }
    }

    /// What was to be kept is durable.
    pub fn handle_kept(&mut self, progress: Progress) {
        self.progress = progress;
    }

    /// What is to be kept when a person orders this; the order counts once it is
    /// ([`RolloutPlan::handle_kept`]).
    ///
    /// # Errors
    /// It is over, or so already.
    pub fn order(&self, order: Order, now: u64) -> Result<Progress, OrderError> {
        let phase = match (self.progress.phase, order) {
            (phase @ (Phase::Aborted | Phase::Expired | Phase::Finished), _) => {
                return Err(OrderError::Over(phase));
            }
            (_, Order::Abort) => Phase::Aborted,
            (Phase::Running, Order::Pause) => Phase::Paused,
            (Phase::Paused | Phase::Stopped, Order::Resume) => Phase::Running,
            (phase @ (Phase::Paused | Phase::Stopped), Order::Pause)
            | (phase @ Phase::Running, Order::Resume) => return Err(OrderError::Already(phase)),
        };
        let mut forgiven = self.progress.forgiven;
        if (self.progress.phase, order) == (Phase::Stopped, Order::Resume) {
            let (failed, answered) = self.answers();
            forgiven = Forgiven { failed, answered, until: now };
        }
        Ok(Progress { phase, since: now, forgiven })
    }

    /// What is kept of it.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// What is to be done at this time; the same answer until something happens.
    #[must_use]
    pub fn poll_task(&self, now: u64) -> Task {
        let wait = |what| Task::Wait(Wait { what, since: self.progress.since, until: None });
        match self.progress.phase {
            Phase::Aborted | Phase::Expired | Phase::Finished => return Task::Rest,
            Phase::Paused => return wait(WaitsFor::Resume),
            Phase::Stopped => return wait(WaitsFor::Decision),
            Phase::Running => {}
        }
        let Some(next) = self.next_wave() else { return self.poll_last(now) };
        if now >= self.expires {
            return self.keep(Phase::Expired, Some(Reason::Expired), now);
        }
        if let Some(reason) = self.stops(now) {
            return self.keep(Phase::Stopped, Some(reason), now);
        }
        let ended = match self.end_of_waves(now) {
            Ok(ended) => ended,
            Err(wait) => return Task::Wait(self.until_expiry(wait)),
        };
        if let Some(ended) = ended
            && let resumes = ended.saturating_add(self.rules.pause)
            && now < resumes
        {
            let wait = Wait { what: WaitsFor::Pause, since: ended, until: Some(resumes) };
            return Task::Wait(self.until_expiry(wait));
        }
        let opens = self.rules.windows.iter().map(|window| window.opens(now)).min();
        if let Some(opens) = opens.filter(|opens| now < *opens) {
            let since =
                ended.map_or(self.progress.since, |end| end.saturating_add(self.rules.pause));
            let wait = Wait { what: WaitsFor::Window, since, until: Some(opens) };
            return Task::Wait(self.until_expiry(wait));
        }
        let numbered = self.targets.iter().enumerate();
        let wanted = numbered.filter(|(_, it)| it.is_waiting() && it.wave == next);
        Task::Address(wanted.map(|(number, _)| TargetNumber(number)).collect())
    }

    /// How far it is.
    #[must_use]
    pub fn position(&self) -> Position {
        let waves = self.targets.iter().map(|target| target.wave + 1).max().unwrap_or(0);
        let addressed = self.targets.iter().filter(|target| target.addressed().is_some());
        let begun = addressed.map(|target| target.wave + 1).max().unwrap_or(0);
        let waiting = self.targets.iter().filter(|target| target.is_waiting()).count();
        Position { begun, waves, waiting }
    }

    /// Everybody was addressed or skipped: what is left is to wait.
    fn poll_last(&self, now: u64) -> Task {
        match self.end_of_waves(now) {
            Ok(_) => self.keep(Phase::Finished, None, now),
            // Nobody carries it out any more.
            Err(_) if now >= self.expires => self.keep(Phase::Finished, None, now),
            Err(wait) => Task::Wait(self.until_expiry(wait)),
        }
    }

    fn keep(&self, phase: Phase, reason: Option<Reason>, now: u64) -> Task {
        Task::Keep(Progress { phase, since: now, ..self.progress }, reason)
    }

    fn until_expiry(&self, wait: Wait) -> Wait {
        let until = wait.until.map_or(self.expires, |until| until.min(self.expires));
        Wait { until: Some(until), ..wait }
    }

    /// The first wave of which somebody was not addressed.
    fn next_wave(&self) -> Option<usize> {
        self.targets.iter().filter(|it| it.is_waiting()).map(|it| it.wave).min()
    }

    /// Failures, and answers of targets for which the release is.
    fn answers(&self) -> (u64, u64) {
        let counted = self.targets.iter().filter_map(|target| match target.state {
            TargetState::Answered { answer: Answer::Passed, .. } => Some(0),
            TargetState::Answered { answer: Answer::Failed, .. } => Some(1),
            TargetState::Answered { answer: Answer::NotApplicable, .. }
            | TargetState::Waiting
            | TargetState::Addressed(_)
            | TargetState::Skipped => None,
        });
        counted.fold((0, 0), |(failed, answered), one| (failed + one, answered + 1))
    }

    /// Whether something is held against going on.
    fn stops(&self, now: u64) -> Option<Reason> {
        let (failed, answered) = self.answers();
        let failed = failed.saturating_sub(self.progress.forgiven.failed);
        let answered = answered.saturating_sub(self.progress.forgiven.answered);
        // Who may still answer may still pass: a percentage counts once nothing can bring it down.
        let open = self.targets.iter().filter(|target| self.is_waited_for(target, now)).count();
        let of = answered.saturating_add(open as u64);
        let stop_at = self.rules.stop_at;
        let is_reached = match stop_at {
            Share::Count(count) => failed >= u64::from(count),
            Share::Percent(percent) => {
                failed > 0 && failed.saturating_mul(100) >= of.saturating_mul(percent.into())
            }
        };
        if is_reached {
            return Some(Reason::Failures { failed, of, stop_at });
        }
        let Unanswered::Stop(within) = self.rules.unanswered else { return None };
        let late = |target: &&Target| {
            target.due(within).is_some_and(|due| due <= now && due > self.progress.forgiven.until)
        };
        match self.targets.iter().filter(late).count() {
            0 => None,
            targets => Some(Reason::Unanswered { targets, within }),
        }
    }

    /// Until when an answer is waited for; `None` for ever.
    fn waited_until(&self, target: &Target) -> Option<u64> {
        match self.rules.unanswered {
            Unanswered::Wait => None,
            Unanswered::GoOn(after) | Unanswered::Stop(after) => target.due(after),
        }
    }

    fn is_waited_for(&self, target: &Target, now: u64) -> bool {
        matches!(target.state, TargetState::Addressed(_))
            && self.waited_until(target).is_none_or(|until| now < until)
    }

    /// When the last of those that were addressed answered or was given up, `None` when nobody was;
    /// or what is waited for.
    fn end_of_waves(&self, now: u64) -> Result<Option<u64>, Wait> {
        let open: Vec<_> =
            self.targets.iter().filter(|target| self.is_waited_for(target, now)).collect();
        if let Some(since) = open.iter().filter_map(|target| target.addressed()).min() {
            let until = open.iter().filter_map(|target| self.waited_until(target)).min();
            return Err(Wait { what: WaitsFor::Answers(open.len()), since, until });
        }
        let ended = self.targets.iter().filter_map(|target| match target.state {
            // What a hub says of the time is not believed beyond what is possible.
            TargetState::Answered { addressed, at, .. } => Some(at.min(now).max(addressed)),
            TargetState::Addressed(_) => self.waited_until(target),
            TargetState::Waiting | TargetState::Skipped => None,
        });
        Ok(ended.max())
    }
}

impl Target {
    fn is_waiting(&self) -> bool {
        self.state == TargetState::Waiting
    }

    fn addressed(&self) -> Option<u64> {
        match self.state {
            TargetState::Addressed(addressed) | TargetState::Answered { addressed, .. } => {
                Some(addressed)
            }
            TargetState::Waiting | TargetState::Skipped => None,
        }
    }

    /// When it should have answered and has not.
    fn due(&self, within: u64) -> Option<u64> {
        match self.state {
            TargetState::Addressed(addressed) => Some(addressed.saturating_add(within)),
            TargetState::Waiting | TargetState::Answered { .. } | TargetState::Skipped => None,
        }
    }
}

impl Phase {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Running, Self::Paused, Self::Stopped, Self::Aborted, Self::Expired, Self::Finished];

    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
            Self::Aborted => "aborted",
            Self::Expired => "expired",
            Self::Finished => "finished",
        }
    }

    /// Whether nobody will be addressed any more.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Aborted | Self::Expired | Self::Finished)
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failures { failed, of, stop_at: Share::Percent(percent) } => {
                write!(f, "{failed} of {of} targets failed, and {percent}% stop it")
            }
            Self::Failures { failed, stop_at: Share::Count(count), .. } => {
                write!(f, "{failed} targets failed, and {count} stop it")
            }
            Self::Unanswered { targets, within } => {
                write!(f, "{targets} targets did not answer within {within} s")
            }
            Self::Expired => f.write_str("the release expired"),
        }
    }
}

#[cfg(test)]
mod tests;
