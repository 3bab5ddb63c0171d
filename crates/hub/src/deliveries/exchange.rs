//! One delivery: which segments are held, what comes next, who is there, how far it is.
//!
//! Pure: no sockets, no clock, no tasks; `deliveries` drives it. A segment is `B`, which is bytes
//! for the driver and anything for tests.
//!
//! Invariants: segments are handed out in order, each once to one stream; held and coming ones are
//! never more than [`WINDOW`] and lie in `[base, base + WINDOW)`; what is verified was handed out,
//! here, before a restart, or by the sender itself where it offers that.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hub_api::{
    Base64Bytes, DeliveryEnd, DeliveryParty, DeliverySide, DeliveryStatus, SegmentTaken, limits,
};
use hub_db::AccountKey;

use super::side::{Now, Side};

/// Segments of one delivery that are held or come in at once.
pub(crate) const WINDOW: u64 = limits::DELIVERY_WINDOW as u64;

/// How long one that was ended can still be asked about.
pub(crate) const ENDED_TIME: Duration = Duration::from_mins(2);

/// What a delivery was announced with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Announced {
    pub(crate) sender: AccountKey,
    pub(crate) segments: u64,
    pub(crate) bytes: u64,
    /// BLAKE3 of the recipient's token.
    pub(crate) recipient: [u8; 32],
}

/// Names one attempt to bring a segment, or one stream to the recipient; never given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket(pub(crate) u64);

/// What the hub says to a segment that is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offer {
    /// There is a place for it: bring it.
    Reserved,
    /// There may be a place later.
    Wait,
    /// It is not wanted: it is here already, was handed out, or nobody takes it.
    Unwanted,
}

/// What the recipient's stream gets.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Handed<B> {
    /// The next segment.
    Segment(u64, B),
    /// It is not there yet; this is its number.
    Nothing(u64),
    /// The stream is over.
    End,
}

/// The recipient claims what it cannot have, or hands in a receipt before the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unearned;

#[derive(Debug)]
enum Slot<B> {
    Coming(Ticket),
    Held(B),
}

/// What a change of is one of the status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    next: Option<u64>,
    verified: u64,
    sides: [DeliverySide; 2],
    has_receipt: bool,
    is_ended: bool,
}

/// The state of one delivery.
#[derive(Debug)]
pub(crate) struct Exchange<B> {
    announced: Announced,
    began: Instant,
    window: BTreeMap<u64, Slot<B>>,
    /// The segment that is handed out next.
    base: u64,
    /// The stream that has the segments.
    stream: Option<Ticket>,
    verified: u64,
    receipt: Option<Vec<u8>>,
    /// Where the recipient reaches the sender itself, as the sender sealed it.
    direct: Option<Vec<u8>>,
    sender: Side,
    recipient: Side,
    ended: Option<(DeliveryEnd, Instant)>,
    change: u64,
    seen: Seen,
    /// Grows whenever somebody who waits may go on.
    stirs: u64,
}

impl<B> Exchange<B> {
    pub(crate) fn new(announced: Announced, now: Now) -> Self {
        let [sender, recipient] = [Side::absent(now), Side::absent(now)];
        let sides = [sender.shown(), recipient.shown()];
        let seen = Seen { next: None, verified: 0, sides, has_receipt: false, is_ended: false };
        Self {
            announced,
            began: now.at,
            window: BTreeMap::new(),
            base: 0,
            stream: None,
            verified: 0,
            receipt: None,
            direct: None,
            sender,
            recipient,
            ended: None,
            change: 1,
            seen,
            stirs: 0,
        }
    }

    pub(crate) fn announced(&self) -> &Announced {
        &self.announced
    }

    /// The sender was announced with this, or once more.
    pub(crate) fn handle_direct_path(&mut self, direct: Option<Vec<u8>>) {
        self.direct = direct;
    }

    /// A segment is offered. A place that was reserved is filled by
    /// [`handle_segment`](Self::handle_segment) or given back by [`handle_cut`](Self::handle_cut).
    pub(crate) fn handle_offer(&mut self, number: u64, ticket: Ticket, now: Now) -> Offer {
        if self.ended.is_some() || self.stream.is_none() || number < self.base {
            return Offer::Unwanted;
        }
        match self.window.get(&number) {
            Some(Slot::Held(_)) => Offer::Unwanted,
            // Whoever brings it may be gone, which shows after a while.
            Some(Slot::Coming(_)) => Offer::Wait,
            None if number - self.base >= WINDOW => Offer::Wait,
            None => {
                self.window.insert(number, Slot::Coming(ticket));
                self.stir(now);
                Offer::Reserved
            }
        }
    }

    /// Whether the place is still kept for this attempt.
    pub(crate) fn is_wanted(&self, number: u64, ticket: Ticket) -> bool {
        matches!(self.window.get(&number), Some(Slot::Coming(kept)) if *kept == ticket)
    }

    /// A segment has come; whether it is taken: its place may be gone.
    pub(crate) fn handle_segment(
        &mut self,
        number: u64,
        ticket: Ticket,
        bytes: B,
        now: Now,
    ) -> bool {
        let is_wanted = self.is_wanted(number, ticket);
        if is_wanted {
            self.window.insert(number, Slot::Held(bytes));
            self.stir(now);
        }
        is_wanted
    }

    /// A segment for which there was a place does not come.
    pub(crate) fn handle_cut(&mut self, number: u64, ticket: Ticket, now: Now) {
        if self.is_wanted(number, ticket) {
            self.window.remove(&number);
            self.stir(now);
        }
    }

    /// The recipient takes segments from here on; a stream before this one is over.
    pub(crate) fn handle_stream(
        &mut self,
        stream: Ticket,
        from: u64,
        now: Now,
    ) -> Result<(), Unearned> {
        if from > self.announced.segments {
            return Err(Unearned);
        }
        if self.ended.is_none() {
            self.stream = Some(stream);
            self.base = from;
            self.window.retain(|number, _| (from..from.saturating_add(WINDOW)).contains(number));
            // It may have lost what it had.
            self.verified = self.verified.min(from);
            self.stir(now);
        }
        Ok(())
    }

    /// A stream to the recipient was closed.
    pub(crate) fn handle_stream_end(&mut self, stream: Ticket, now: Now) {
        if self.stream == Some(stream) {
            self.stream = None;
            self.stir(now);
        }
    }

    /// The next segment for this stream.
    pub(crate) fn poll_segment(&mut self, stream: Ticket, now: Now) -> Handed<B> {
        let is_over = self.ended.is_some() || self.base == self.announced.segments;
        if self.stream != Some(stream) || is_over {
            return Handed::End;
        }
        let number = self.base;
        match self.window.remove(&number) {
            Some(Slot::Held(bytes)) => {
                self.base += 1;
                self.stir(now);
                Handed::Segment(number, bytes)
            }
            Some(coming @ Slot::Coming(_)) => {
                self.window.insert(number, coming);
                Handed::Nothing(number)
            }
            None => Handed::Nothing(number),
        }
    }

    /// The recipient has verified and kept so many segments; a smaller number than before is of a
    /// request that was overtaken. The first receipt stands.
    ///
    /// Who has no stream may have got them from a hub that has forgotten it since: this one, before it
    /// was started again. Its word counts for as much then as where it asks for a stream from. So it does of one that
    /// may have them from the sender itself, while the end of a stream is not noticed here.
    pub(crate) fn handle_verified(
        &mut self,
        segments: u64,
        receipt: Option<Vec<u8>>,
        now: Now,
    ) -> Result<(), Unearned> {
        self.check_verified(segments, receipt.is_some())?;
        if self.ended.is_none() {
            if segments > self.base {
                self.base = segments;
                self.window.retain(|number, _| *number >= segments);
            }
            self.verified = self.verified.max(segments);
            self.receipt = self.receipt.take().or(receipt);
            self.stir(now);
        }
        Ok(())
    }

    /// Refuses what [`handle_verified`](Self::handle_verified) would.
    pub(crate) fn check_verified(&self, segments: u64, has_receipt: bool) -> Result<(), Unearned> {
        let has_other_way = self.stream.is_none() || self.direct.is_some();
        let known = if has_other_way { self.announced.segments } else { self.base };
        match segments > known || has_receipt && segments < self.announced.segments {
            true => Err(Unearned),
            false => Ok(()),
        }
    }

    /// Somebody ends it; the first end stands. What was held is let go.
    pub(crate) fn handle_end(&mut self, end: DeliveryEnd, now: Now) {
        if self.ended.is_none() {
            self.ended = Some((end, now.at));
            self.window.clear();
            self.stream = None;
            self.stir(now);
        }
    }

    /// A request of one side came.
    pub(crate) fn handle_request(&mut self, by: DeliveryParty, now: Now) {
        if let Some(side) = self.side(by) {
            side.came(now);
        }
        self.handle_time(now);
    }

    /// A request of one side was answered.
    pub(crate) fn handle_answer(&mut self, by: DeliveryParty, now: Now) {
        if let Some(side) = self.side(by) {
            side.left(now);
        }
        self.handle_time(now);
    }

    /// Time went by.
    pub(crate) fn handle_time(&mut self, now: Now) {
        let is_streaming = self.stream.is_some();
        self.sender.look(now, false);
        self.recipient.look(now, is_streaming);
        let seen = Seen {
            next: self.next(),
            verified: self.verified,
            sides: [self.sender.shown(), self.recipient.shown()],
            has_receipt: self.receipt.is_some(),
            is_ended: self.ended.is_some(),
        };
        if seen != self.seen {
            self.seen = seen;
            self.change += 1;
            self.stirs += 1;
        }
    }

    /// When [`handle_time`](Self::handle_time) will find that somebody has gone.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let gone = [self.sender.gone_at(false), self.recipient.gone_at(self.stream.is_some())];
        gone.into_iter().flatten().min()
    }

    /// Whether nobody needs it any more: ended a while ago, or nobody asked for `idle_time`.
    pub(crate) fn is_over(&self, now: Now, idle_time: Duration) -> bool {
        let is_past = |at: Instant, time| now.at.saturating_duration_since(at) >= time;
        if let Some((_, at)) = &self.ended {
            return is_past(*at, ENDED_TIME);
        }
        let is_used =
            self.stream.is_some() || self.sender.is_asking() || self.recipient.is_asking();
        let last = self.sender.last().max(self.recipient.last()).max(Some(self.began));
        !is_used && last.is_some_and(|last| is_past(last, idle_time))
    }

    pub(crate) fn ended_at(&self) -> Option<Instant> {
        self.ended.as_ref().map(|(_, at)| *at)
    }

    /// See the field.
    pub(crate) fn stirs(&self) -> u64 {
        self.stirs
    }

    pub(crate) fn status(&self) -> DeliveryStatus {
        DeliveryStatus {
            segments: self.announced.segments,
            bytes: self.announced.bytes,
            next: self.next(),
            verified: self.verified,
            sender: self.sender.shown(),
            recipient: self.recipient.shown(),
            receipt: self.receipt.clone().map(Base64Bytes),
            ended: self.ended.as_ref().map(|(end, _)| end.clone()),
            change: self.change,
            locker: None,
            direct: self.direct.clone().map(Base64Bytes),
        }
    }

    pub(crate) fn taken(&self, taken: bool) -> SegmentTaken {
        SegmentTaken { taken, next: self.next(), verified: self.verified }
    }

    fn next(&self) -> Option<u64> {
        self.stream?;
        let place = (self.base..).find(|number| !self.window.contains_key(number));
        place.map(|next| next.min(self.announced.segments))
    }

    fn side(&mut self, party: DeliveryParty) -> Option<&mut Side> {
        match party {
            DeliveryParty::Sender => Some(&mut self.sender),
            DeliveryParty::Recipient => Some(&mut self.recipient),
            DeliveryParty::Hub => None,
        }
    }

    fn stir(&mut self, now: Now) {
        self.stirs += 1;
        self.handle_time(now);
    }
}

#[cfg(test)]
mod tests;
