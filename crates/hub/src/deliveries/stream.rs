//! The recipient's stream: segments in order, heart-beats in between.

use std::sync::Arc;

use bytes::Bytes;
use hub_api::limits::SEGMENT_HEARTBEAT_INTERVAL;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until};

use super::exchange::{Handed, Ticket};
use super::place::Segment;
use super::{Delivery, Unearned};
use crate::app::App;
use crate::refusal::Refusal;

/// An open stream. Dropping it tells the sender that nobody takes segments any more.
pub(crate) struct SegmentStream {
    app: Arc<App>,
    delivery: Delivery,
    stream: Ticket,
    /// A segment whose head was sent.
    begun: Option<Bytes>,
    /// When a heart-beat is due: the first at once, so that the recipient knows it is heard.
    beat_at: Instant,
    _place: OwnedSemaphorePermit,
}

impl SegmentStream {
    /// Opens it from the segment `from` on; one that was open before is over.
    pub(crate) fn open(app: Arc<App>, mut delivery: Delivery, from: u64) -> Result<Self, Refusal> {
        let place = Arc::clone(&app.event_streams).try_acquire_owned();
        let place = place.map_err(|_| Refusal::busy("too many streams at once"))?;
        let opened = delivery.with(|exchange, ticket, now| {
            exchange.handle_stream(ticket, from, now).map(|()| ticket)
        });
        let opened = opened.ok_or_else(Refusal::not_found)?;
        let stream =
            opened.map_err(|Unearned| Refusal::malformed("the delivery has fewer segments"))?;
        // From here on the stream itself says that the recipient is here.
        delivery.answered();
        let beat_at = Instant::now();
        Ok(Self { app, delivery, stream, begun: None, beat_at, _place: place })
    }

    /// The next bytes of the stream; `None` at its end.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        if let Some(bytes) = self.begun.take() {
            return Some(bytes);
        }
        let mut stopping = self.app.leaving.clone();
        loop {
            if *stopping.borrow() {
                return None;
            }
            // Before looking: what comes in between wakes.
            self.delivery.stirred.mark_unchanged();
            let stream = self.stream;
            let handed = self.delivery.with(|exchange, _, now| exchange.poll_segment(stream, now));
            let next = match handed? {
                Handed::End => return None,
                Handed::Segment(number, Segment { head: own, rest }) => {
                    let length = own.len() + rest.len();
                    self.app.metrics.delivered_segments.inc();
                    self.app.metrics.delivered_bytes.inc_by(length as u64);
                    self.beat_at = Instant::now() + SEGMENT_HEARTBEAT_INTERVAL;
                    let head = wire::encode_segment_head(number, length);
                    self.begun = Some(rest);
                    return Some([&head[..], &own].concat().into());
                }
                Handed::Nothing(number) => number,
            };
            if Instant::now() >= self.beat_at {
                self.beat_at = Instant::now() + SEGMENT_HEARTBEAT_INTERVAL;
                return Some(Bytes::copy_from_slice(&wire::encode_heart_beat(next)));
            }
            tokio::select! {
                _ = self.delivery.stirred.changed() => {}
                () = sleep_until(self.beat_at) => {}
                _ = stopping.changed() => {}
            }
        }
    }
}

impl Drop for SegmentStream {
    fn drop(&mut self) {
        let stream = self.stream;
        self.delivery.with(|exchange, _, now| exchange.handle_stream_end(stream, now));
    }
}
