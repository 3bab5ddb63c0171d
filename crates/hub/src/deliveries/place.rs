//! A place for one segment in the hub's memory: waiting for it, filling it, giving it back.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hub_api::limits::SEGMENT_BYTES_MAX;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, sleep_until};

use super::Delivery;
use super::exchange::{Offer, Ticket};
use crate::app::App;
use crate::body::BoundedBody;
use crate::refusal::Refusal;

/// How long somebody waits: until a moment, and no longer than the hub runs. Those who wait are
/// counted among the event streams; without a place there is no waiting.
pub(crate) struct Waiting {
    until: Instant,
    stopping: watch::Receiver<bool>,
    _place: Option<OwnedSemaphorePermit>,
}

impl Waiting {
    pub(crate) fn new(app: &App, time: Duration) -> Self {
        let place = Arc::clone(&app.event_streams).try_acquire_owned().ok();
        let until = Instant::now() + place.as_ref().map_or(Duration::ZERO, |_| time);
        Self { until, stopping: app.stopping.clone(), _place: place }
    }

    pub(super) fn until(&self) -> Instant {
        self.until
    }

    pub(super) fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_stopping() || Instant::now() >= self.until
    }

    /// Waits until it is over.
    pub(super) async fn ended(&mut self) {
        let until = self.until;
        tokio::select! {
            () = sleep_until(until) => {}
            // An error means that the hub is gone.
            _ = self.stopping.wait_for(|stopping| *stopping) => {}
        }
    }
}

/// A place that is kept for a segment until it is filled; dropped before, it is given back.
struct Kept<'a> {
    delivery: &'a Delivery,
    number: u64,
    ticket: Ticket,
}

impl Drop for Kept<'_> {
    fn drop(&mut self) {
        self.delivery.with(|exchange, _, now| exchange.handle_cut(self.number, self.ticket, now));
    }
}

/// A segment with its share of the delivery's room, which lives as long as its bytes.
struct Roomed {
    bytes: Vec<u8>,
    _room: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Roomed {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Delivery {
    /// Takes a segment from `body` when there is room for it; whether it is taken. The body is not
    /// read before.
    pub(crate) async fn take(
        &mut self,
        number: u64,
        mut body: BoundedBody,
        mut waiting: Waiting,
    ) -> Result<bool, Refusal> {
        let Some(ticket) = self.reserve(number, &mut waiting).await? else { return Ok(false) };
        let kept = Kept { delivery: self, number, ticket };
        let lost = kept.lost();
        tokio::pin!(lost);
        // The segment before may not be written yet.
        let room = tokio::select! {
            room = Arc::clone(&self.room).acquire_owned() => room,
            () = &mut lost => return Ok(false),
            () = waiting.ended() => return Ok(false),
        };
        drop(waiting);
        let room = room.expect("the semaphore is never closed");
        let mut bytes = Vec::with_capacity(SEGMENT_BYTES_MAX.min(body.bytes_expected()));
        loop {
            let piece = tokio::select! {
                piece = body.next() => piece?,
                () = &mut lost => return Ok(false),
            };
            let Some(piece) = piece else { break };
            bytes.extend_from_slice(&piece);
        }
        if bytes.is_empty() {
            return Err(Refusal::malformed("a segment has at least one byte"));
        }
        let bytes = Bytes::from_owner(Roomed { bytes, _room: room });
        let taken =
            self.with(|exchange, _, now| exchange.handle_segment(number, ticket, bytes, now));
        taken.ok_or_else(Refusal::not_found)
    }

    /// Waits for a place; `None` when there is none for this segment.
    async fn reserve(
        &mut self,
        number: u64,
        waiting: &mut Waiting,
    ) -> Result<Option<Ticket>, Refusal> {
        loop {
            if waiting.is_stopping() {
                return Err(Refusal::stopping());
            }
            // Before looking: what comes in between wakes.
            self.stirred.mark_unchanged();
            let offered = self
                .with(|exchange, ticket, now| (exchange.handle_offer(number, ticket, now), ticket));
            match offered.ok_or_else(Refusal::not_found)? {
                (Offer::Reserved, ticket) => return Ok(Some(ticket)),
                (Offer::Unwanted, _) => return Ok(None),
                (Offer::Wait, _) if waiting.is_over() => return Ok(None),
                (Offer::Wait, _) => {}
            }
            tokio::select! {
                _ = self.stirred.changed() => {}
                () = waiting.ended() => {}
            }
        }
    }
}

impl Kept<'_> {
    /// Waits until the place is not kept any more: the recipient wants others, or it was ended.
    async fn lost(&self) {
        let mut stirred = self.delivery.stirred.clone();
        loop {
            stirred.mark_unchanged();
            let wanted = |exchange: &mut super::Exchange<Bytes>| {
                exchange.is_wanted(self.number, self.ticket)
            };
            let is_wanted = self.delivery.with(|exchange, _, _| wanted(exchange));
            if is_wanted != Some(true) || stirred.changed().await.is_err() {
                return;
            }
        }
    }
}
