//! The recipient's side.

use std::time::Instant;

use backoff::Delay;

use crate::DeliveryConfig;

/// How often the same segment may come damaged before the sender or the hub is called broken. Once is a
/// fault of somebody's memory; TLS leaves no others.
const DAMAGED_MAX: u32 = 3;

/// What the driver is to do; it reports how each ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiveAction {
    /// Open the stream at this segment: [`ReceivePlan::handle_opened`], then
    /// [`ReceivePlan::handle_segment`] for each that comes, and [`ReceivePlan::handle_closed`].
    Open {
        /// The first segment that is not here.
        from: u64,
    },
    /// Close the stream; nothing is reported.
    Close,
    /// Tell the hub how many segments are here: [`ReceivePlan::handle_reported`] or
    /// [`ReceivePlan::handle_report_failed`]. With all of them the receipt comes along, once more to a hub
    /// that was restarted and forgot it.
    Report {
        /// How many.
        verified: u64,
    },
    /// Nothing comes: ask how the delivery stands, for whoever waits to know of whom.
    /// [`ReceivePlan::handle_looked`] or [`ReceivePlan::handle_report_failed`].
    Look,
    /// The hub has the receipt: ask how the delivery stands, and wait for a change after this one.
    /// [`ReceivePlan::handle_awaited`] or [`ReceivePlan::handle_report_failed`].
    Await {
        /// The last change that is known.
        after: u64,
    },
}

/// How the receipt stands at the hub.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReceiptStanding {
    /// The hub has it.
    pub is_there: bool,
    /// The sender has seen it, or the hub keeps it durably.
    pub is_taken: bool,
    /// The last change of the delivery.
    pub change: u64,
}

/// What a recipient waits for or does, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceivePhase {
    /// The hub has not answered yet, or no more, or the sender has not come.
    Connecting,
    /// The stream is open.
    Receiving,
    /// Everything is here; the sender does not have the receipt yet.
    HandingIn,
    /// The sender has the receipt.
    Done,
    /// The same segment came damaged again and again.
    Broken,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stream {
    Closed { open_at: Instant },
    Opening,
    Open,
}

/// The schedule of a recipient.
#[derive(Debug)]
pub struct ReceivePlan {
    config: DeliveryConfig,
    segments: u64,
    verified: u64,
    damaged: u32,
    stream: Stream,
    /// The stream has to be closed: what comes on it is of no use.
    close: bool,
    reported: u64,
    reporting: bool,
    report_at: Instant,
    /// The last change that the hub told of with the receipt in its hands.
    awaiting: Option<u64>,
    /// Some moment that is over.
    begun: Instant,
    handed_in: bool,
    /// When to look who is silent, if nothing comes on the stream before.
    look_at: Instant,
    stream_delay: Delay,
    report_delay: Delay,
    look_delay: Delay,
}

impl ReceivePlan {
    /// A plan for a delivery of so many segments of which the first `verified` are here.
    #[must_use]
    pub fn new(
        config: DeliveryConfig,
        (verified, segments): (u64, u64),
        seed: u64,
        now: Instant,
    ) -> Self {
        let delay = |salt| Delay::new(config.retry, seed.wrapping_add(salt));
        Self {
            config,
            segments,
            verified: verified.min(segments),
            damaged: 0,
            stream: Stream::Closed { open_at: now },
            close: false,
            reported: 0,
            reporting: false,
            report_at: now,
            awaiting: None,
            begun: now,
            handed_in: false,
            look_at: now,
            stream_delay: delay(1),
            report_delay: delay(2),
            look_delay: Delay::new(config.look_every, seed.wrapping_add(3)),
        }
    }

    /// The hub answered; segments may come.
    pub fn handle_opened(&mut self, now: Instant) {
        self.stream = Stream::Open;
        self.look_later(now);
    }

    /// Whether segment `number`, which came, is the one to verify and keep. Any other one ends the stream.
    pub fn is_next(&mut self, number: u64) -> bool {
        let is_next = number == self.verified && self.stream == Stream::Open && !self.close;
        self.close |= !is_next;
        is_next
    }

    /// The next segment was verified and is kept.
    pub fn handle_segment(&mut self, now: Instant) {
        self.verified += 1;
        self.damaged = 0;
        self.stream_delay.reset();
        self.look_delay.reset();
        self.look_later(now);
    }

    /// The next segment was not what the sender sealed.
    pub fn handle_damaged(&mut self) {
        self.damaged += 1;
        self.close = true;
    }

    /// The stream could not be opened, broke, or ended.
    pub fn handle_closed(&mut self, now: Instant) {
        self.close = false;
        self.stream = Stream::Closed { open_at: now + self.stream_delay.next_delay() };
    }

    /// The hub knows that so many are here.
    pub fn handle_reported(&mut self, verified: u64, receipt: ReceiptStanding, now: Instant) {
        self.reporting = false;
        self.reported = verified;
        self.report_delay.reset();
        self.report_at = now + self.config.report_every;
        if verified == self.segments {
            self.take_in(receipt);
            if receipt.is_there {
                self.report_at = now;
            }
        }
    }

    /// Something changed, or nothing for as long as a hub lets anybody wait. `begun` is when it was asked: one that
    /// answers at once is not asked again at once.
    pub fn handle_awaited(&mut self, receipt: ReceiptStanding, begun: Instant) {
        self.reporting = false;
        self.report_delay.reset();
        self.report_at = begun + self.config.report_every;
        self.take_in(receipt);
    }

    /// The hub said who is there.
    pub fn handle_looked(&mut self, now: Instant) {
        self.reporting = false;
        self.report_delay.reset();
        self.look_later(now);
    }

    fn look_later(&mut self, now: Instant) {
        self.look_at = now + self.look_delay.next_delay();
    }

    fn take_in(&mut self, ReceiptStanding { is_there, is_taken, change }: ReceiptStanding) {
        self.handed_in = is_taken;
        self.awaiting = is_there.then_some(change);
    }

    /// The hub did not answer a report or a question, or does not know the delivery.
    pub fn handle_report_failed(&mut self, now: Instant) {
        self.reporting = false;
        self.awaiting = None;
        self.report_at = now + self.report_delay.next_delay();
        self.look_later(now);
    }

    /// What to do now; ask again until there is nothing.
    pub fn poll_action(&mut self, now: Instant) -> Option<ReceiveAction> {
        if self.damaged >= DAMAGED_MAX || self.handed_in {
            return None;
        }
        let is_complete = self.verified == self.segments;
        if self.close || (is_complete && self.stream == Stream::Open) {
            self.handle_closed(now);
            return Some(ReceiveAction::Close);
        }
        if let Stream::Closed { open_at } = self.stream
            && open_at <= now
            && !is_complete
        {
            self.stream = Stream::Opening;
            return Some(ReceiveAction::Open { from: self.verified });
        }
        if self.report_due().is_some_and(|at| at <= now) {
            self.reporting = true;
            return Some(match self.awaiting {
                Some(after) => ReceiveAction::Await { after },
                None => ReceiveAction::Report { verified: self.verified },
            });
        }
        if self.look_due().is_some_and(|at| at <= now) {
            self.reporting = true;
            return Some(ReceiveAction::Look);
        }
        None
    }

    /// When to look who is silent: what there is to report is reported first.
    fn look_due(&self) -> Option<Instant> {
        let waits = self.stream == Stream::Open && self.verified < self.segments;
        (waits && !self.reporting).then_some(self.look_at)
    }

    /// When the next report or question is due, if there is anything to report or to ask.
    fn report_due(&self) -> Option<Instant> {
        let is_complete = self.verified == self.segments;
        let is_news = self.reported < self.verified;
        if self.reporting || !(is_news || is_complete) {
            return None;
        }
        // The first with the receipt does not wait for its turn, unless the hub was not there.
        let at_once = is_complete && is_news && self.report_delay.failures() == 0;
        Some(if at_once { self.begun } else { self.report_at })
    }

    /// When to look again although nothing happened.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.damaged >= DAMAGED_MAX || self.handed_in {
            return None;
        }
        let open = match self.stream {
            Stream::Closed { open_at } if self.verified < self.segments => Some(open_at),
            Stream::Closed { .. } | Stream::Opening | Stream::Open => None,
        };
        open.into_iter().chain(self.report_due()).chain(self.look_due()).min()
    }

    /// What it does.
    #[must_use]
    pub fn phase(&self) -> ReceivePhase {
        if self.handed_in {
            ReceivePhase::Done
        } else if self.damaged >= DAMAGED_MAX {
            ReceivePhase::Broken
        } else if self.verified == self.segments {
            ReceivePhase::HandingIn
        } else if self.stream == Stream::Open {
            ReceivePhase::Receiving
        } else {
            ReceivePhase::Connecting
        }
    }

    /// How many segments are here.
    #[must_use]
    pub fn verified(&self) -> u64 {
        self.verified
    }
}
