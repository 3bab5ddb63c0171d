//! The sender's side.

use std::collections::BTreeSet;
use std::time::Instant;

use backoff::Delay;

use crate::{DeliveryConfig, WINDOW};

/// What the driver is to do; it reports how each ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendAction {
    /// Tell the hub of the delivery: [`SendPlan::handle_announced`] or [`SendPlan::handle_failed`].
    Announce,
    /// Ask how it stands, and wait for a change after this one: [`SendPlan::handle_status`] or
    /// [`SendPlan::handle_failed`].
    Ask {
        /// The last change that is known.
        after: u64,
    },
    /// Send this segment: [`SendPlan::handle_taken`], [`SendPlan::handle_not_taken`] or
    /// [`SendPlan::handle_failed`].
    Put(u64),
}

/// How the hub says it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HubStatus {
    /// Grows with every change.
    pub change: u64,
    /// The first segment that it does not have; `None` while no recipient is connected.
    pub next: Option<u64>,
    /// How many segments the recipient says it has verified.
    pub verified: u64,
    /// Whether it has a receipt, which the driver has to look at.
    pub has_receipt: bool,
}

/// What a sender waits for or does, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendPhase {
    /// The hub has not answered yet, or no more.
    WaitingForHub,
    /// The recipient has not come yet, or is away.
    WaitingForRecipient,
    /// Segments are on their way to the hub.
    Sending,
    /// The hub has segments which the recipient, who is connected, has not verified yet.
    Passing,
    /// Everything was sent; the recipient verifies and writes the rest.
    WaitingForReceipt,
    /// The receipt is there.
    Done,
}

/// The schedule of a sender.
#[derive(Debug)]
pub struct SendPlan {
    segments: u64,
    announced: bool,
    /// An announcement or a question is under way.
    asking: bool,
    known_change: u64,
    /// Whether the hub passes segments on.
    open: bool,
    /// The first segment that was neither taken nor is on its way.
    cursor: u64,
    in_flight: BTreeSet<u64>,
    /// So many segments the hub has or has passed on, all from the first on.
    at_hub: u64,
    verified: u64,
    has_receipt: bool,
    ask_delay: Delay,
    ask_at: Instant,
    put_delay: Delay,
    put_at: Instant,
}

impl SendPlan {
    /// A plan for so many segments that begins at `now`; `seed` spreads the delays of many senders.
    #[must_use]
    pub fn new(config: DeliveryConfig, segments: u64, seed: u64, now: Instant) -> Self {
        let delay = |salt| Delay::new(config.retry, seed.wrapping_add(salt));
        Self {
            segments,
            announced: false,
            asking: false,
            known_change: 0,
            open: false,
            cursor: 0,
            in_flight: BTreeSet::new(),
            at_hub: 0,
            verified: 0,
            has_receipt: false,
            ask_delay: delay(1),
            ask_at: now,
            put_delay: delay(2),
            put_at: now,
        }
    }

    /// The hub knows the delivery and said how it stands.
    pub fn handle_announced(&mut self, status: HubStatus) {
        self.announced = true;
        // A hub that was restarted counts its changes from the beginning.
        self.known_change = 0;
        self.handle_status(status);
    }

    /// The hub said how the delivery stands.
    pub fn handle_status(&mut self, status: HubStatus) {
        self.asking = false;
        self.ask_delay.reset();
        if status.change < self.known_change {
            return;
        }
        self.known_change = status.change;
        self.verified = status.verified.min(self.segments);
        self.has_receipt = status.has_receipt;
        self.at_hub = status.next.unwrap_or(0);
        match (status.next, self.in_flight.first()) {
            // Their answers are newer than this.
            (None, Some(_)) => {}
            (Some(next), Some(first)) if *first <= next => self.open = true,
            // Nothing is on its way, or the recipient went back behind all that is.
            (next, _) => self.go_on(next),
        }
    }

    /// The hub has segment `number`, and says how many were verified.
    pub fn handle_taken(&mut self, number: u64, verified: u64) {
        self.in_flight.remove(&number);
        self.put_delay.reset();
        self.verified = self.verified.max(verified.min(self.segments));
    }

    /// The hub did not take segment `number`: it wants `next`, or nothing because the recipient left.
    pub fn handle_not_taken(&mut self, number: u64, next: Option<u64>) {
        self.in_flight.remove(&number);
        self.put_delay.reset();
        match next {
            // What it lacks is on its way; there was no room for this one in time.
            Some(next) if self.in_flight.contains(&next) => {
                let back = if number > next { self.cursor.min(number) } else { self.cursor };
                self.cursor = back.max(next);
            }
            _ => self.go_on(next),
        }
    }

    /// The action came to nothing. `forgotten` says that the hub does not know the delivery: it was
    /// restarted, or dropped it.
    pub fn handle_failed(&mut self, action: SendAction, forgotten: bool, now: Instant) {
        match action {
            SendAction::Announce | SendAction::Ask { .. } => {
                self.asking = false;
                if !forgotten {
                    self.ask_at = now + self.ask_delay.next_delay();
                }
            }
            SendAction::Put(number) => {
                self.in_flight.remove(&number);
                self.cursor = self.cursor.min(number);
                self.put_at = now + self.put_delay.next_delay();
            }
        }
        if forgotten {
            self.open = false;
            if std::mem::take(&mut self.announced) {
                self.ask_at = now;
            } else {
                // It denies what it was just told.
                self.ask_at = now + self.ask_delay.next_delay();
            }
        }
    }

    fn go_on(&mut self, next: Option<u64>) {
        self.open = next.is_some();
        self.at_hub = next.unwrap_or(0);
        if let Some(next) = next {
            self.cursor = next.min(self.segments);
        }
    }

    /// What to do now; ask again until there is nothing.
    pub fn poll_action(&mut self, now: Instant) -> Option<SendAction> {
        if self.has_receipt {
            return None;
        }
        if !self.asking && self.ask_at <= now {
            self.asking = true;
            return Some(match self.announced {
                true => SendAction::Ask { after: self.known_change },
                false => SendAction::Announce,
            });
        }
        while self.in_flight.contains(&self.cursor) {
            self.cursor += 1;
        }
        if self.announced && self.open && self.has_room() && self.put_at <= now {
            let number = self.cursor;
            self.cursor += 1;
            self.in_flight.insert(number);
            return Some(SendAction::Put(number));
        }
        None
    }

    /// Whether the next segment may go. One more than usual when the recipient went back: the hub takes
    /// none of those that are on its way before it has that one.
    fn has_room(&self) -> bool {
        let is_behind = self.in_flight.first().is_some_and(|first| self.cursor < *first);
        let most = if is_behind { WINDOW + 1 } else { WINDOW };
        self.cursor < self.segments && self.in_flight.len() < most
    }

    /// When to look again although nothing happened.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.has_receipt {
            return None;
        }
        let ask = (!self.asking).then_some(self.ask_at);
        let put = (self.open && self.has_room()).then_some(self.put_at);
        ask.into_iter().chain(put).min()
    }

    /// What it does.
    #[must_use]
    pub fn phase(&self) -> SendPhase {
        if self.has_receipt {
            SendPhase::Done
        } else if !self.announced {
            SendPhase::WaitingForHub
        } else if self.verified == self.segments
            || self.in_flight.is_empty() && self.cursor == self.segments && self.verified > 0
        {
            // The recipient may have them from elsewhere than from the hub.
            SendPhase::WaitingForReceipt
        } else if self.open && self.at_hub > self.verified {
            SendPhase::Passing
        } else if self.open || !self.in_flight.is_empty() {
            SendPhase::Sending
        } else {
            SendPhase::WaitingForRecipient
        }
    }

    /// How many segments the recipient has verified: what counts as progress at both ends.
    #[must_use]
    pub fn verified(&self) -> u64 {
        self.verified
    }
}
