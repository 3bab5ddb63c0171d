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
        Self { until, stopping: app.leaving.clone(), _place: place }
    }

    /// The same waiting, in the place of this one.
    pub(super) fn beside(&self) -> Self {
        Self { until: self.until, stopping: self.stopping.clone(), _place: None }
    }

    pub(super) fn until(&self) -> Instant {
        self.until
    }

    pub(super) fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_stopping() || Instant::now() >= self.until
    }

    /// Waits until it is over.
    pub(crate) async fn ended(&mut self) {
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

/// A segment as one delivery has it.
#[derive(Debug)]
pub(crate) struct Segment {
    /// What is its own of a segment that several have; else nothing.
    pub(super) head: Bytes,
    /// The rest. Its share of the delivery's room lives as long as these.
    pub(super) rest: Bytes,
}

/// Bytes of a segment, which are zeros before their memory is anybody else's.
#[derive(Debug)]
pub(super) struct Wiped(pub(super) Vec<u8>);

impl Wiped {
    fn wipe(&mut self) {
        self.0.fill(0);
        // Nobody reads them any more, so they would not be written either.
        std::hint::black_box(&mut self.0);
    }
}

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Wiped {
    fn drop(&mut self) {
        self.wipe();
    }
}

/// Bytes with a share of a delivery's room.
struct Roomed<B> {
    bytes: B,
    _room: OwnedSemaphorePermit,
}

impl<B: AsRef<[u8]>> AsRef<[u8]> for Roomed<B> {
    fn as_ref(&self) -> &[u8] {
        self.bytes.as_ref()
    }
}

/// A place for a segment, and room for its bytes.
pub(super) struct Place<'a> {
    kept: Kept<'a>,
    room: OwnedSemaphorePermit,
}

impl Place<'_> {
    /// Waits until the place is not kept any more.
    pub(super) async fn lost(&self) {
        self.kept.lost().await;
    }

    /// Fills it; whether the segment is taken.
    pub(super) fn fill<B>(self, head: Bytes, rest: B) -> Result<bool, Refusal>
    where
        B: AsRef<[u8]> + Send + 'static,
    {
        let Kept { delivery, number, ticket } = &self.kept;
        let rest = Bytes::from_owner(Roomed { bytes: rest, _room: self.room });
        let segment = Segment { head, rest };
        let taken = delivery
            .with(|exchange, _, now| exchange.handle_segment(*number, *ticket, segment, now));
        taken.ok_or_else(Refusal::not_found)
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
        let Some(place) = self.place(number, &mut waiting).await? else { return Ok(false) };
        drop(waiting);
        let expected = SEGMENT_BYTES_MAX.min(body.bytes_expected());
        let mut bytes = Wiped(Vec::with_capacity(expected));
        {
            let lost = place.lost();
            tokio::pin!(lost);
            loop {
                let piece = tokio::select! {
                    piece = body.next() => piece?,
                    () = &mut lost => return Ok(false),
                };
                let Some(piece) = piece else { break };
                bytes.0.extend_from_slice(&piece);
            }
        }
        if bytes.0.is_empty() {
            return Err(Refusal::malformed("a segment has at least one byte"));
        }
        place.fill(Bytes::new(), bytes)
    }

    /// Waits for a place and for room; `None` when there is none for this segment.
    pub(super) async fn place(
        &mut self,
        number: u64,
        waiting: &mut Waiting,
    ) -> Result<Option<Place<'_>>, Refusal> {
        let Some(ticket) = self.reserve(number, waiting).await? else { return Ok(None) };
        let kept = Kept { delivery: self, number, ticket };
        // The segment before may not be written yet.
        let room = tokio::select! {
            room = Arc::clone(&self.room).acquire_owned() => room,
            () = kept.lost() => return Ok(None),
            () = waiting.ended() => return Ok(None),
        };
        let room = room.expect("the semaphore is never closed");
        Ok(Some(Place { kept, room }))
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
            let wanted = |exchange: &mut super::Exchange<Segment>| {
                exchange.is_wanted(self.number, self.ticket)
            };
            let is_wanted = self.delivery.with(|exchange, _, _| wanted(exchange));
            if is_wanted != Some(true) || stirred.changed().await.is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::extract::Request;
    use hub_api::{DeliveryAnnouncement, Hex};
    use hub_db::AccountKey;

    use super::super::exchange::Handed;
    use super::super::{Asker, Deliveries};
    use super::*;
    use crate::config::HubLimits;
    use crate::places::Sharer;

    #[test]
    fn what_was_a_segment_is_zeros() {
        let mut bytes = Wiped(vec![7; 9_000]);
        bytes.wipe();
        assert_eq!(bytes.0, [0; 9_000]);
    }

    const LONG: Duration = Duration::from_hours(1);

    fn waiting(time: Duration, stopping: &watch::Receiver<bool>) -> Waiting {
        Waiting { until: Instant::now() + time, stopping: stopping.clone(), _place: None }
    }

    fn body(bytes: Body) -> BoundedBody {
        BoundedBody::new(Request::new(bytes), SEGMENT_BYTES_MAX, LONG).expect("no length")
    }

    #[tokio::test(start_paused = true)]
    async fn room_is_given_back_when_bytes_are_written_and_not_when_they_are_handed_out() {
        let deliveries = Arc::new(Deliveries::new(&HubLimits::default()));
        let recipient = blake3::hash(b"token");
        let announcement = DeliveryAnnouncement {
            segments: 9,
            bytes: 9,
            recipient: Hex(*recipient.as_bytes()),
            until: None,
            direct: None,
        };
        let key = AccountKey([1; 32]);
        deliveries
            .announce([1; 16], (key, Sharer::Account(key)), &announcement, false)
            .expect("announced");
        let mut sender = deliveries.open([1; 16], Asker::Sender(key)).expect("is there");
        let taker = deliveries.open([1; 16], Asker::Recipient(recipient)).expect("is there");
        let stream = taker.with(|exchange, ticket, now| {
            exchange.handle_stream(ticket, 0, now).expect("from the first");
            ticket
        });
        let stream = stream.expect("is there");
        let next = || {
            let handed = taker.with(|exchange, _, now| exchange.poll_segment(stream, now));
            let Some(Handed::Segment(_, segment)) = handed else { panic!("{handed:?}") };
            segment
        };
        let (_stop, stopping) = watch::channel(false);
        let second = Duration::from_secs(1);
        for number in 0..2 {
            let taken = sender.take(number, body("x".into()), waiting(second, &stopping)).await;
            assert!(taken.expect("goes well"));
        }
        // What a connection has and did not write yet.
        let unwritten = [next(), next()];
        assert_eq!(sender.room.available_permits(), 0);
        let taken = sender.take(2, body("x".into()), waiting(second, &stopping)).await;
        assert!(!taken.expect("goes well"), "there is no room");
        assert_eq!(
            sender.segment_taken(false).expect("is there").next,
            Some(2),
            "its place is free"
        );

        drop(unwritten);
        assert_eq!(sender.room.available_permits(), 2);
        let taken = sender.take(2, body("x".into()), waiting(second, &stopping)).await;
        assert!(taken.expect("goes well"));

        // A body that does not come gives room and place back when it is given up.
        let silent = body(Body::from_stream(futures_util::stream::pending::<
            Result<Bytes, std::convert::Infallible>,
        >()));
        let taking = sender.take(3, silent, waiting(second, &stopping));
        assert!(tokio::time::timeout(second * 9, taking).await.is_err(), "it waits for the body");
        assert_eq!(sender.room.available_permits(), 1);
        assert_eq!(sender.segment_taken(false).expect("is there").next, Some(3));
        // So does an end.
        taker.end(String::new());
        assert_eq!(sender.room.available_permits(), 2);
    }
}
