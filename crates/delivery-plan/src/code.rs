//! The sender's side of codes: one that is shown, until its ticket is handed over or it was tried in vain;
//! then another.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use backoff::Delay;

use crate::DeliveryConfig;

/// How long the other side may be silent once it has claimed the ticket. Four messages take a second or two.
pub const EXCHANGE_TIME: Duration = Duration::from_secs(60);
/// Codes that may be tried in vain within [`TRIES_TIME`]: more are made only after it. Each try finds the
/// right one of 2^30, so somebody who tries for a year has it with a chance of one in 680.
pub const TRIES_MAX: usize = 3;
/// The time that [`TRIES_MAX`] counts for.
pub const TRIES_TIME: Duration = Duration::from_secs(60);

/// What the driver is to do; it reports how it ended. One at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeAction {
    /// Make the code known to the hub: [`CodePlan::handle_announced`], [`CodePlan::handle_taken`] or
    /// [`CodePlan::handle_failed`].
    Announce {
        /// Whether a new code is drawn first. The one before is of no use any more.
        anew: bool,
    },
    /// Ask for the claim: [`CodePlan::handle_claim`], [`CodePlan::handle_silence`] or
    /// [`CodePlan::handle_failed`].
    AwaitClaim,
    /// Send the answer: [`CodePlan::handle_sent`] or [`CodePlan::handle_failed`].
    Answer,
    /// Ask for the proof: [`CodePlan::handle_proof`], [`CodePlan::handle_silence`] or
    /// [`CodePlan::handle_failed`].
    AwaitProof,
    /// Send the ticket or the refusal: [`CodePlan::handle_sent`] or [`CodePlan::handle_failed`].
    Close,
}

/// What became of a code, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeEvent {
    /// The hub knows it: it can be shown.
    Ready,
    /// The ticket was handed over. It is of no use any more.
    HandedOver,
    /// Somebody tried another code of its number. It is of no use any more, and another is made.
    TriedInVain,
    /// Somebody began with it and did not go on, or the hub lost what was said. Another is made.
    BrokenOff,
    /// Its number was taken by another sender while the hub did not know it. Another is made.
    NumberTaken,
}

/// What is waited for, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodePhase {
    /// The hub has not answered yet, or no more.
    WaitingForHub,
    /// The code is shown and nobody has come with it.
    WaitingForClaim,
    /// Somebody came with it.
    HandingOver,
    /// Too many codes were tried in vain; the next one is made at this time.
    Pausing(Instant),
    /// The ticket was handed over.
    Done,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Unknown {
        anew: bool,
    },
    Shown,
    Claimed,
    Answered,
    /// The proof came.
    Closing {
        is_right: bool,
    },
    Done,
}

/// The schedule of a sender's codes.
#[derive(Debug)]
pub struct CodePlan {
    stage: Stage,
    /// Whether this code was said to be ready.
    is_ready: bool,
    busy: bool,
    delay: Delay,
    at: Instant,
    /// When the exchange that runs is given up.
    deadline: Option<Instant>,
    in_vain: VecDeque<Instant>,
    events: VecDeque<CodeEvent>,
}

impl CodePlan {
    /// A plan that begins at `now` with a first code; `seed` spreads the delays of many senders.
    #[must_use]
    pub fn new(config: DeliveryConfig, seed: u64, now: Instant) -> Self {
        Self {
            stage: Stage::Unknown { anew: true },
            is_ready: false,
            busy: false,
            delay: Delay::new(config.retry, seed),
            at: now,
            deadline: None,
            in_vain: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// The hub knows the code.
    pub fn handle_announced(&mut self) {
        self.answered();
        self.stage = Stage::Shown;
        if !std::mem::replace(&mut self.is_ready, true) {
            self.events.push_back(CodeEvent::Ready);
        }
    }

    /// The hub has another sender's code of this number, or somebody has claimed this one's ticket.
    pub fn handle_taken(&mut self, now: Instant) {
        self.busy = false;
        if self.is_ready {
            self.events.push_back(CodeEvent::NumberTaken);
        }
        self.is_ready = false;
        self.stage = Stage::Unknown { anew: true };
        self.at = now + self.delay.next_delay();
    }

    /// Nothing came yet; the hub is there.
    pub fn handle_silence(&mut self) {
        self.answered();
    }

    /// Somebody came with the code's number. From here on the code is of no other use.
    pub fn handle_claim(&mut self, now: Instant) {
        self.answered();
        self.stage = Stage::Claimed;
        self.deadline = Some(now + EXCHANGE_TIME);
    }

    /// What came as a claim or a proof is none.
    pub fn handle_nonsense(&mut self, now: Instant) {
        self.answered();
        self.tried(CodeEvent::BrokenOff, now);
    }

    /// The message of [`CodeAction::Answer`] or [`CodeAction::Close`] is at the hub.
    pub fn handle_sent(&mut self, now: Instant) {
        self.answered();
        match self.stage {
            Stage::Claimed => self.stage = Stage::Answered,
            Stage::Closing { is_right: true } => {
                self.stage = Stage::Done;
                self.deadline = None;
                self.events.push_back(CodeEvent::HandedOver);
            }
            Stage::Closing { is_right: false } => self.tried(CodeEvent::TriedInVain, now),
            Stage::Unknown { .. } | Stage::Shown | Stage::Answered | Stage::Done => {}
        }
    }

    /// The proof came, and whether it is of this code.
    pub fn handle_proof(&mut self, is_right: bool) {
        self.answered();
        self.stage = Stage::Closing { is_right };
    }

    /// The action came to nothing. `forgotten` says that the hub does not know the code: it was restarted, or
    /// the sender was away for too long.
    pub fn handle_failed(&mut self, forgotten: bool, now: Instant) {
        self.busy = false;
        match self.stage {
            Stage::Shown if forgotten => {
                // Nobody has tried it, so it is as good as it was.
                self.stage = Stage::Unknown { anew: false };
                self.at = now;
            }
            Stage::Closing { is_right: false } => self.tried(CodeEvent::TriedInVain, now),
            Stage::Claimed | Stage::Answered | Stage::Closing { is_right: true } if forgotten => {
                self.tried(CodeEvent::BrokenOff, now);
            }
            Stage::Unknown { .. }
            | Stage::Shown
            | Stage::Claimed
            | Stage::Answered
            | Stage::Closing { .. }
            | Stage::Done => self.at = now + self.delay.next_delay(),
        }
    }

    /// Gives up on an exchange in which the other side is silent; whether it did. What is under way for it
    /// is of no use then.
    pub fn handle_timeout(&mut self, now: Instant) -> bool {
        let is_over = self.deadline.is_some_and(|deadline| deadline <= now);
        if is_over {
            self.busy = false;
            self.tried(CodeEvent::BrokenOff, now);
        }
        is_over
    }

    fn answered(&mut self) {
        self.busy = false;
        self.delay.reset();
    }

    /// The code was used up in vain.
    fn tried(&mut self, event: CodeEvent, now: Instant) {
        self.events.push_back(event);
        self.is_ready = false;
        self.deadline = None;
        self.stage = Stage::Unknown { anew: true };
        self.in_vain.push_back(now);
        if self.in_vain.len() > TRIES_MAX {
            self.in_vain.pop_front();
        }
        let first = self.in_vain.front().filter(|_| self.in_vain.len() == TRIES_MAX);
        self.at = first.map_or(now, |first| (*first + TRIES_TIME).max(now));
    }

    /// What to do now; ask again until there is nothing.
    pub fn poll_action(&mut self, now: Instant) -> Option<CodeAction> {
        if self.busy || self.at > now {
            return None;
        }
        let action = match &mut self.stage {
            Stage::Unknown { anew } => {
                // Drawn once, however often the hub has to be asked.
                CodeAction::Announce { anew: std::mem::take(anew) }
            }
            Stage::Shown => CodeAction::AwaitClaim,
            Stage::Claimed => CodeAction::Answer,
            Stage::Answered => CodeAction::AwaitProof,
            Stage::Closing { .. } => CodeAction::Close,
            Stage::Done => return None,
        };
        self.busy = true;
        Some(action)
    }

    /// What happened.
    pub fn poll_event(&mut self) -> Option<CodeEvent> {
        self.events.pop_front()
    }

    /// When to look again although nothing happened.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let next = (!self.busy && self.stage != Stage::Done).then_some(self.at);
        next.into_iter().chain(self.deadline).min()
    }

    /// What it waits for at `now`.
    #[must_use]
    pub fn phase(&self, now: Instant) -> CodePhase {
        match self.stage {
            Stage::Unknown { anew: true } if self.in_vain.len() == TRIES_MAX && self.at > now => {
                CodePhase::Pausing(self.at)
            }
            Stage::Unknown { .. } => CodePhase::WaitingForHub,
            Stage::Shown if self.delay.failures() > 0 => CodePhase::WaitingForHub,
            Stage::Shown => CodePhase::WaitingForClaim,
            Stage::Claimed | Stage::Answered | Stage::Closing { .. } => CodePhase::HandingOver,
            Stage::Done => CodePhase::Done,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[expect(clippy::disallowed_methods, reason = "some moment to begin with")]
    fn start() -> Instant {
        Instant::now()
    }

    fn plan(now: Instant) -> CodePlan {
        CodePlan::new(DeliveryConfig::default(), 7, now)
    }

    /// Shows a code.
    fn show(plan: &mut CodePlan, now: Instant) {
        assert_eq!(plan.poll_action(now), Some(CodeAction::Announce { anew: true }));
        plan.handle_announced();
        assert_eq!(plan.poll_event(), Some(CodeEvent::Ready));
    }

    /// Lets somebody try it, with the right words or not.
    fn try_it(plan: &mut CodePlan, is_right: bool, now: Instant) {
        assert_eq!(plan.poll_action(now), Some(CodeAction::AwaitClaim));
        plan.handle_claim(now);
        assert_eq!(plan.poll_action(now), Some(CodeAction::Answer));
        plan.handle_sent(now);
        assert_eq!(plan.poll_action(now), Some(CodeAction::AwaitProof));
        plan.handle_proof(is_right);
        assert_eq!(plan.poll_action(now), Some(CodeAction::Close));
        plan.handle_sent(now);
    }

    #[test]
    fn the_right_code_hands_the_ticket_over_and_nothing_follows() {
        let now = start();
        let mut plan = plan(now);
        show(&mut plan, now);
        assert_eq!(plan.phase(now), CodePhase::WaitingForClaim);
        try_it(&mut plan, true, now);
        assert_eq!(plan.poll_event(), Some(CodeEvent::HandedOver));
        assert_eq!((plan.poll_action(now), plan.poll_timeout()), (None, None));
        assert_eq!(plan.phase(now), CodePhase::Done);
    }

    #[test]
    fn three_codes_may_be_tried_in_vain_in_a_minute() {
        let now = start();
        let at = |seconds| now + Duration::from_secs(seconds);
        let mut plan = plan(now);
        for second in [0, 10, 20] {
            show(&mut plan, at(second));
            try_it(&mut plan, false, at(second));
            assert_eq!(plan.poll_event(), Some(CodeEvent::TriedInVain));
        }
        assert_eq!(plan.poll_action(at(59)), None);
        assert_eq!(plan.phase(at(59)), CodePhase::Pausing(at(60)));
        assert_eq!(plan.poll_timeout(), Some(at(60)));
        show(&mut plan, at(60));
        try_it(&mut plan, false, at(60));
        plan.poll_event();
        assert_eq!(plan.poll_timeout(), Some(at(70)), "a minute after the second of them");
    }

    #[test]
    fn a_restarted_hub_gets_the_same_code_unless_somebody_tried_it() {
        let now = start();
        let mut plan = plan(now);
        show(&mut plan, now);
        plan.poll_action(now);
        plan.handle_failed(true, now);
        assert_eq!(plan.poll_action(now), Some(CodeAction::Announce { anew: false }));
        plan.handle_announced();
        assert_eq!(plan.poll_event(), None, "it is shown already");
        plan.poll_action(now);
        plan.handle_claim(now);
        plan.poll_action(now);
        plan.handle_failed(true, now);
        assert_eq!(plan.poll_event(), Some(CodeEvent::BrokenOff));
        assert_eq!(plan.poll_action(now), Some(CodeAction::Announce { anew: true }));
        // Meanwhile somebody else has the number.
        plan.handle_taken(now);
        assert_eq!(plan.poll_event(), None, "nobody has seen this one");
        let later = plan.poll_timeout().expect("again");
        show(&mut plan, later);
    }

    #[test]
    fn whoever_claims_and_says_no_more_costs_a_try() {
        let now = start();
        let mut plan = plan(now);
        show(&mut plan, now);
        plan.poll_action(now);
        plan.handle_claim(now);
        plan.poll_action(now);
        plan.handle_sent(now);
        assert_eq!(plan.poll_action(now), Some(CodeAction::AwaitProof));
        assert_eq!(plan.phase(now), CodePhase::HandingOver);
        let deadline = plan.poll_timeout().expect("a deadline");
        assert_eq!(deadline, now + EXCHANGE_TIME);
        assert!(plan.handle_timeout(deadline));
        assert_eq!(plan.poll_event(), Some(CodeEvent::BrokenOff));
        show(&mut plan, deadline);
    }

    proptest! {
        /// However everything goes: a code is answered once and never after, and in no minute are more than
        /// [`TRIES_MAX`] of them tried in vain.
        #[test]
        fn a_code_is_answered_once(turns in proptest::collection::vec((0..8u8, 0..30u64), 1..200)) {
            let mut now = start();
            let mut plan = plan(now);
            let (mut is_spent, mut in_vain) = (true, Vec::new());
            for (turn, seconds) in turns {
                now += Duration::from_secs(seconds);
                plan.handle_timeout(now);
                let Some(action) = plan.poll_action(now) else { continue };
                match (action, turn) {
                    (CodeAction::Announce { anew }, _) => {
                        prop_assert!(anew || !is_spent, "a code that was tried is shown again");
                        is_spent = false;
                        match turn {
                            0 | 1 => plan.handle_failed(false, now),
                            2 => plan.handle_taken(now),
                            _ => plan.handle_announced(),
                        }
                    }
                    (_, 0) => plan.handle_failed(true, now),
                    (_, 1) => plan.handle_failed(false, now),
                    (CodeAction::AwaitClaim | CodeAction::AwaitProof, 2) => plan.handle_silence(),
                    (CodeAction::AwaitClaim, _) => {
                        prop_assert!(!is_spent, "a second claim is answered");
                        is_spent = true;
                        plan.handle_claim(now);
                    }
                    (CodeAction::AwaitProof, 3) => plan.handle_nonsense(now),
                    (CodeAction::AwaitProof, _) => plan.handle_proof(false),
                    (CodeAction::Answer | CodeAction::Close, _) => plan.handle_sent(now),
                }
                while let Some(event) = plan.poll_event() {
                    prop_assert_ne!(event, CodeEvent::HandedOver);
                    if matches!(event, CodeEvent::TriedInVain | CodeEvent::BrokenOff) {
                        in_vain.push(now);
                    }
                }
            }
            for tries in in_vain.windows(TRIES_MAX + 1) {
                prop_assert!(tries[TRIES_MAX] - tries[0] >= TRIES_TIME);
            }
        }
    }
}
