//! Both ends and a small model of a hub, under faults.

mod several;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use crate::{
    DeliveryConfig, HubStatus, ReceiptStanding, ReceiveAction, ReceivePhase, ReceivePlan,
    SendAction, SendPhase, SendPlan, WINDOW,
};

#[expect(clippy::disallowed_methods, reason = "some moment to begin with")]
fn start() -> Instant {
    Instant::now()
}

/// What a hub does for one delivery.
#[derive(Debug, Default)]
struct Hub {
    announced: bool,
    /// Where the recipient's stream is; `None` while there is none.
    base: Option<u64>,
    held: BTreeSet<u64>,
    verified: u64,
    has_receipt: bool,
    /// The sender has looked at the receipt and ended the delivery.
    taken: bool,
    change: u64,
}

impl Hub {
    fn status(&self) -> HubStatus {
        let Self { change, verified, has_receipt, .. } = *self;
        HubStatus { change, next: self.next(), verified, has_receipt }
    }

    /// The first segment that it does not have.
    fn next(&self) -> Option<u64> {
        (self.base?..).find(|number| !self.held.contains(number))
    }
}

struct World {
    now: Instant,
    segments: u64,
    seed: u64,
    hub: Hub,
    sender: SendPlan,
    recipient: ReceivePlan,
    /// What the sender has asked of the hub and not heard of.
    pending: Vec<SendAction>,
    reports: Vec<u64>,
    /// The recipient asks whether the sender took the receipt, and this is the change it knows.
    awaits: Option<u64>,
    /// What the recipient has kept, in order: outlives its process.
    kept: Vec<u64>,
    damaged: u32,
}

impl World {
    fn new(segments: u64, seed: u64) -> Self {
        let now = start();
        let config = DeliveryConfig::default();
        Self {
            now,
            segments,
            seed,
            hub: Hub::default(),
            sender: SendPlan::new(config, segments, seed, now),
            recipient: ReceivePlan::new(config, (0, segments), seed, now),
            pending: Vec::new(),
            reports: Vec::new(),
            awaits: None,
            kept: Vec::new(),
            damaged: 0,
        }
    }

    /// Lets both say what they want; whether anybody wanted anything.
    fn poll(&mut self) -> bool {
        let mut did = false;
        while let Some(action) = self.sender.poll_action(self.now) {
            self.pending.push(action);
            let puts = self.pending.iter().filter(|it| matches!(it, SendAction::Put(_)));
            assert!(puts.count() <= WINDOW + 1);
            let asks = self.pending.iter().filter(|it| !matches!(it, SendAction::Put(_)));
            assert!(asks.count() <= 1);
            did = true;
        }
        while let Some(action) = self.recipient.poll_action(self.now) {
            did = true;
            match action {
                ReceiveAction::Open { from } if self.hub.announced => {
                    assert_eq!(from, self.kept.len() as u64, "nothing that was kept is asked for");
                    self.hub.base = Some(from);
                    self.hub.held.clear();
                    self.hub.change += 1;
                    self.recipient.handle_opened(self.now);
                }
                ReceiveAction::Open { .. } => self.recipient.handle_closed(self.now),
                ReceiveAction::Close => self.hub_loses_recipient(),
                ReceiveAction::Report { verified } => self.reports.push(verified),
                ReceiveAction::Look if self.hub.announced => {
                    assert!(self.reports.is_empty() && self.awaits.is_none(), "one at a time");
                    self.recipient.handle_looked(self.now);
                }
                ReceiveAction::Look => self.recipient.handle_report_failed(self.now),
                ReceiveAction::Await { after } => {
                    assert!(self.reports.is_empty() && self.awaits.is_none(), "one at a time");
                    self.awaits = Some(after);
                }
            }
        }
        did
    }

    fn hub_loses_recipient(&mut self) {
        self.hub.base = None;
        self.hub.change += 1;
    }

    /// The hub answers one request of the sender, if it has something to answer.
    fn answer(&mut self, index: usize, out_of_time: bool) -> bool {
        let Some(action) = self.pending.get(index).copied() else { return false };
        let forgotten = !self.hub.announced;
        match action {
            SendAction::Announce => {
                self.hub.announced = true;
                self.hub.change += 1;
                self.sender.handle_announced(self.hub.status());
            }
            SendAction::Ask { .. } | SendAction::Put(_) if forgotten => {
                self.sender.handle_failed(action, true, self.now);
            }
            SendAction::Ask { after } if self.hub.change > after => {
                self.sender.handle_status(self.hub.status());
            }
            SendAction::Ask { .. } => return false,
            SendAction::Put(number) => match self.hub.base {
                Some(base) if number >= base + WINDOW as u64 && !out_of_time => return false,
                Some(base) if number < base || number >= base + WINDOW as u64 => {
                    self.sender.handle_not_taken(number, self.hub.next());
                }
                Some(_) => {
                    self.hub.held.insert(number);
                    self.sender.handle_taken(number, self.hub.verified);
                }
                None => self.sender.handle_not_taken(number, None),
            },
        }
        self.pending.remove(index);
        true
    }

    /// The hub passes a segment on.
    fn pass_on(&mut self, damage: bool) -> bool {
        let Some(base) = self.hub.base else { return false };
        if !self.hub.held.remove(&base) {
            return false;
        }
        self.hub.base = Some(base + 1);
        if self.recipient.is_next(base) {
            if damage {
                self.damaged += 1;
                self.recipient.handle_damaged();
            } else {
                self.damaged = 0;
                self.kept.push(base);
                self.recipient.handle_segment(self.now);
            }
        }
        true
    }

    fn take_report(&mut self) -> bool {
        let Some(verified) = self.reports.pop() else { return self.answer_recipient(false) };
        if !self.hub.announced {
            self.recipient.handle_report_failed(self.now);
            return true;
        }
        self.hub.verified = verified;
        self.hub.has_receipt = verified == self.segments;
        self.hub.change += 1;
        let Hub { has_receipt, taken, change, .. } = self.hub;
        let standing = ReceiptStanding { is_there: has_receipt, is_taken: taken, change };
        self.recipient.handle_reported(verified, standing, self.now);
        true
    }

    /// The sender has looked at the receipt.
    fn take_receipt(&mut self) {
        if !std::mem::replace(&mut self.hub.taken, true) {
            self.hub.change += 1;
        }
    }

    /// The hub answers who waits for the sender to take the receipt.
    fn answer_recipient(&mut self, out_of_time: bool) -> bool {
        let Some(after) = self.awaits else { return false };
        let Hub { announced, has_receipt, taken, change, .. } = self.hub;
        if !announced {
            self.recipient.handle_report_failed(self.now);
        } else if change != after || out_of_time {
            let standing = ReceiptStanding { is_there: has_receipt, is_taken: taken, change };
            self.recipient.handle_awaited(standing, self.now);
        } else {
            return false;
        }
        self.awaits = None;
        true
    }

    fn break_sender(&mut self) {
        for action in std::mem::take(&mut self.pending) {
            self.sender.handle_failed(action, false, self.now);
        }
    }

    fn break_recipient(&mut self) {
        if self.hub.base.is_some() {
            self.hub_loses_recipient();
            self.recipient.handle_closed(self.now);
        }
        if self.reports.pop().is_some() || self.awaits.take().is_some() {
            self.recipient.handle_report_failed(self.now);
        }
    }

    fn restart_hub(&mut self) {
        self.break_sender();
        self.break_recipient();
        self.hub = Hub::default();
    }

    fn restart_sender(&mut self) {
        self.pending.clear();
        let config = DeliveryConfig::default();
        self.sender = SendPlan::new(config, self.segments, self.seed, self.now);
    }

    fn restart_recipient(&mut self) {
        if self.hub.base.is_some() {
            self.hub_loses_recipient();
        }
        self.reports.clear();
        self.awaits = None;
        let have = (self.kept.len() as u64, self.segments);
        self.recipient = ReceivePlan::new(DeliveryConfig::default(), have, self.seed, self.now);
    }

    fn wait(&mut self) {
        let next = self.sender.poll_timeout().into_iter().chain(self.recipient.poll_timeout());
        self.now = next.min().unwrap_or(self.now).max(self.now + Duration::from_millis(1));
        self.answer_recipient(true);
    }

    fn step(&mut self, choice: u8) {
        match choice % 16 {
            0..=3 => {
                self.poll();
            }
            4..=6 => {
                let index = usize::from(choice / 16) % self.pending.len().max(1);
                self.answer(index, choice % 16 == 6);
            }
            7..=9 => {
                self.pass_on(false);
            }
            10 => {
                self.take_report();
            }
            11 => self.break_sender(),
            12 => self.break_recipient(),
            13 => match choice / 16 % 3 {
                0 => self.restart_hub(),
                1 => self.restart_sender(),
                _ => self.restart_recipient(),
            },
            // A third time in a row would be somebody's fault, and is another test.
            14 if self.damaged < 1 => {
                self.pass_on(true);
            }
            _ => self.wait(),
        }
    }

    /// No more faults: it ends, and soon.
    fn finish(&mut self) {
        for _ in 0..10_000 {
            let polled = self.poll();
            let answered = (0..self.pending.len()).rev().any(|index| self.answer(index, false));
            if self.sender.phase() == SendPhase::Done {
                self.take_receipt();
                // One that forgot cannot tell.
                if self.recipient.phase() == ReceivePhase::Done || !self.hub.announced {
                    return;
                }
            }
            let moved = self.pass_on(false) | self.take_report();
            if !(polled || answered || moved) {
                self.wait();
            }
        }
        panic!("{:?} {:?} {:?} {:?}", self.sender, self.recipient, self.hub, self.pending);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_breaks_everything_arrives_once_and_in_order(
        segments in 1u64..20,
        seed in any::<u64>(),
        choices in proptest::collection::vec(any::<u8>(), 0..400),
    ) {
        let mut world = World::new(segments, seed);
        for choice in choices {
            world.step(choice);
        }
        world.finish();
        let expected: Vec<u64> = (0..segments).collect();
        prop_assert_eq!(&world.kept, &expected);
        prop_assert_eq!(world.sender.verified(), segments);
    }
}

#[test]
fn a_sender_waits_for_its_recipient_and_goes_on_where_that_one_was() {
    let now = start();
    let mut plan = SendPlan::new(DeliveryConfig::default(), 10, 1, now);
    assert_eq!(plan.phase(), SendPhase::WaitingForHub);
    assert_eq!(plan.poll_action(now), Some(SendAction::Announce));
    let away = HubStatus { change: 1, next: None, verified: 0, has_receipt: false };
    plan.handle_announced(away);
    assert_eq!(plan.phase(), SendPhase::WaitingForRecipient);
    assert_eq!(plan.poll_action(now), Some(SendAction::Ask { after: 1 }));
    assert_eq!((plan.poll_action(now), plan.poll_timeout()), (None, None));
    plan.handle_status(HubStatus { change: 2, next: Some(7), verified: 7, ..away });
    let actions: Vec<_> = std::iter::from_fn(|| plan.poll_action(now)).collect();
    let expected = [SendAction::Ask { after: 2 }, SendAction::Put(7), SendAction::Put(8)];
    assert_eq!(actions, expected);
    // The recipient came again and lacks more than it did.
    plan.handle_not_taken(8, Some(5));
    plan.handle_not_taken(7, Some(5));
    assert_eq!(plan.poll_action(now), Some(SendAction::Put(5)));
}

#[test]
fn a_hub_that_forgot_is_told_again_and_one_that_denies_is_not_asked_without_end() {
    let now = start();
    let mut plan = SendPlan::new(DeliveryConfig::default(), 10, 1, now);
    plan.poll_action(now);
    plan.handle_announced(HubStatus { change: 9, next: None, verified: 0, has_receipt: false });
    let asked = plan.poll_action(now).expect("asks");
    plan.handle_failed(asked, true, now);
    assert_eq!(plan.poll_action(now), Some(SendAction::Announce), "at once");
    plan.handle_failed(SendAction::Announce, true, now);
    assert_eq!(plan.poll_action(now), None);
    assert!(plan.poll_timeout().expect("later") > now);
}

#[test]
fn a_recipient_gives_up_when_one_segment_is_damaged_again_and_again() {
    let mut now = start();
    let mut plan = ReceivePlan::new(DeliveryConfig::default(), (4, 10), 1, now);
    assert_eq!(plan.poll_action(now), Some(ReceiveAction::Open { from: 4 }));
    assert_eq!(plan.poll_action(now), Some(ReceiveAction::Report { verified: 4 }));
    plan.handle_reported(4, ReceiptStanding::default(), now);
    for round in 0..3 {
        if round > 0 {
            assert_eq!(plan.poll_action(now), Some(ReceiveAction::Open { from: 4 }));
        }
        plan.handle_opened(now);
        assert!(plan.is_next(4));
        plan.handle_damaged();
        assert!(!plan.is_next(5), "nothing is taken behind a damaged one");
        if plan.phase() != ReceivePhase::Broken {
            assert_eq!(plan.poll_action(now), Some(ReceiveAction::Close));
            now = plan.poll_timeout().expect("once more");
        }
    }
    assert_eq!((plan.phase(), plan.poll_action(now)), (ReceivePhase::Broken, None));
}

#[test]
fn what_a_hub_sends_out_of_order_is_not_kept() {
    let now = start();
    let mut plan = ReceivePlan::new(DeliveryConfig::default(), (0, 3), 1, now);
    plan.poll_action(now);
    plan.handle_opened(now);
    assert!(!plan.is_next(1), "one is missing");
    assert!(!plan.is_next(0), "the stream is of no use any more");
    assert_eq!(plan.poll_action(now), Some(ReceiveAction::Close));
    assert_eq!(plan.verified(), 0);
}

#[test]
fn a_recipient_waits_for_the_sender_to_take_the_receipt_and_asks_no_hub_without_a_pause() {
    let now = start();
    let mut plan = ReceivePlan::new(DeliveryConfig::default(), (3, 3), 1, now);
    let there = |change| ReceiptStanding { is_there: true, is_taken: false, change };
    assert_eq!(plan.poll_action(now), Some(ReceiveAction::Report { verified: 3 }));
    plan.handle_reported(3, there(8), now);
    assert_eq!(plan.poll_action(now), Some(ReceiveAction::Await { after: 8 }), "at once");
    assert_eq!((plan.poll_action(now), plan.poll_timeout()), (None, None));
    // Something else changed.
    plan.handle_awaited(there(9), now);
    assert_eq!(plan.poll_action(now), None);
    let later = plan.poll_timeout().expect("once more");
    assert!(later > now);
    assert_eq!(plan.poll_action(later), Some(ReceiveAction::Await { after: 9 }));
    // The hub was restarted, and knows the delivery from the sender again.
    plan.handle_awaited(ReceiptStanding { is_there: false, is_taken: false, change: 1 }, later);
    let later = plan.poll_timeout().expect("once more");
    assert_eq!(plan.poll_action(later), Some(ReceiveAction::Report { verified: 3 }));
    plan.handle_reported(3, there(2), later);
    assert_eq!(plan.poll_action(later), Some(ReceiveAction::Await { after: 2 }));
    plan.handle_awaited(ReceiptStanding { is_taken: true, ..there(3) }, later);
    assert_eq!((plan.phase(), plan.poll_action(later)), (ReceivePhase::Done, None));
}

#[test]
fn a_recipient_that_takes_nothing_is_told_from_an_upload_that_stands_still() {
    let now = start();
    let mut plan = SendPlan::new(DeliveryConfig::default(), 9, 1, now);
    assert_eq!(plan.poll_action(now), Some(SendAction::Announce));
    let stands = |change, next, verified| HubStatus { change, next, verified, has_receipt: false };
    plan.handle_announced(stands(1, Some(0), 0));
    assert_eq!(plan.phase(), SendPhase::Sending, "the hub waits for the first");
    plan.handle_status(stands(2, Some(3), 1));
    assert_eq!(plan.phase(), SendPhase::Passing, "two are there, and nobody takes them");
    plan.handle_status(stands(3, Some(3), 3));
    assert_eq!(plan.phase(), SendPhase::Sending, "the hub waits for the fourth");
    plan.handle_status(stands(4, None, 3));
    assert_eq!(plan.phase(), SendPhase::WaitingForRecipient, "who left");
}

#[test]
fn a_recipient_to_whom_nothing_comes_looks_who_is_silent_now_and_then() {
    let now = start();
    let mut plan = ReceivePlan::new(DeliveryConfig::default(), (0, 9), 1, now);
    assert_eq!(plan.poll_action(now), Some(ReceiveAction::Open { from: 0 }));
    plan.handle_opened(now);
    assert_eq!(plan.poll_action(now), None);
    let silent = plan.poll_timeout().expect("to look");
    let (least, most) = DeliveryConfig::default().look_every;
    assert!(silent > now && silent <= now + least * 2, "before a person wonders");
    assert_eq!(plan.poll_action(silent), Some(ReceiveAction::Look));
    assert_eq!(plan.poll_action(silent), None, "one question at a time");
    plan.handle_looked(silent);
    let again = plan.poll_timeout().expect("to look again");
    assert!(again > silent && again <= silent + most);

    // What comes puts it off, and is reported first.
    assert!(plan.is_next(0));
    plan.handle_segment(again);
    let report = ReceiveAction::Report { verified: 1 };
    assert_eq!(plan.poll_action(again), Some(report));
    plan.handle_reported(1, ReceiptStanding::default(), again);
    assert!(plan.poll_timeout().expect("to look") > again);
    // A hub that does not answer is asked again later, and nobody looks at a stream that is closed.
    let silent = plan.poll_timeout().expect("to look");
    assert_eq!(plan.poll_action(silent), Some(ReceiveAction::Look));
    plan.handle_report_failed(silent);
    assert_eq!(plan.poll_action(silent), None);
    plan.handle_closed(silent);
    let open = plan.poll_timeout().expect("to open");
    assert_eq!(plan.poll_action(open), Some(ReceiveAction::Open { from: 1 }));
}
