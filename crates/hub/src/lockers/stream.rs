//! The recipient's stream out of a locker: segments in order, heart-beats in between.

use std::sync::Arc;

use bytes::Bytes;
use hub_api::limits::{SEGMENT_BYTES_MAX, SEGMENT_HEARTBEAT_INTERVAL};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until};

use super::register::Admission;
use super::{Locker, LockerError, blocking};
use crate::app::App;
use crate::files::unix_now;
use crate::places::Sharer;
use crate::refusal::{Chain, Refusal};

/// An open stream. A segment is in memory while the connection has it, and has a place among the answers for that
/// long.
pub(crate) struct LockerStream {
    app: Arc<App>,
    locker: Locker,
    sharer: Sharer,
    next: u64,
    /// A segment whose head was sent.
    begun: Option<Bytes>,
    beat_at: Instant,
    _place: OwnedSemaphorePermit,
}

/// What is there for the stream.
enum Turn {
    Segment(u64),
    Nothing,
    End,
}

impl LockerStream {
    /// Opens it from the segment `from` on.
    pub(crate) fn open(
        app: Arc<App>,
        locker: Locker,
        from: u64,
        sharer: Sharer,
    ) -> Result<Self, Refusal> {
        let place = Arc::clone(&app.event_streams).try_acquire_owned();
        let place = place.map_err(|_| Refusal::busy("too many streams at once"))?;
        let (segments, admission) = {
            let mut register = app.lockers.lock();
            let kept = register.get_mut(&locker.id).ok_or_else(Refusal::not_found)?;
            let download = locker.download.ok_or_else(Refusal::not_found)?;
            (kept.facts.segments, kept.admit(download, unix_now()))
        };
        if from > segments {
            return Err(Refusal::malformed("the delivery has fewer segments"));
        }
        if admission == Admission::Busy {
            let busy = "somebody else is receiving it, and it may be downloaded no more often";
            return Err(Refusal::busy(busy));
        }
        // One that is used up ends at once; its status says why.
        let beat_at = Instant::now();
        Ok(Self { app, locker, sharer, next: from, begun: None, beat_at, _place: place })
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
            self.locker.stirred.mark_unchanged();
            match self.turn() {
                Turn::End => return None,
                Turn::Segment(bytes_max) => {
                    let bytes = self.read(bytes_max).await?;
                    self.app.metrics.delivered_segments.inc();
                    self.app.metrics.delivered_bytes.inc_by(bytes.len() as u64);
                    self.beat_at = Instant::now() + SEGMENT_HEARTBEAT_INTERVAL;
                    let head = wire::encode_segment_head(self.next, bytes.len());
                    self.next += 1;
                    self.begun = Some(bytes);
                    return Some(Bytes::copy_from_slice(&head));
                }
                Turn::Nothing => {}
            }
            if Instant::now() >= self.beat_at {
                self.beat_at = Instant::now() + SEGMENT_HEARTBEAT_INTERVAL;
                return Some(Bytes::copy_from_slice(&wire::encode_heart_beat(self.next)));
            }
            tokio::select! {
                _ = self.locker.stirred.changed() => {}
                () = sleep_until(self.beat_at) => {}
                _ = stopping.changed() => {}
            }
        }
    }

    fn turn(&self) -> Turn {
        let mut register = self.locker.lockers.lock();
        let Some(kept) = register.get_mut(&self.locker.id) else { return Turn::End };
        let (now, facts) = (unix_now(), &kept.facts);
        if facts.is_over() || facts.until <= now || self.next == facts.segments {
            return Turn::End;
        }
        let bytes_max = facts.sealed_bytes_max(self.next);
        let Some(download) = self.locker.download else { return Turn::End };
        kept.handle_request(hub_api::DeliveryParty::Recipient, now);
        match kept.admit(download, now) {
            Admission::Admitted if self.next < kept.kept => Turn::Segment(bytes_max),
            Admission::Admitted => Turn::Nothing,
            Admission::Busy | Admission::UsedUp => Turn::End,
        }
    }

    /// The next segment from the disk; `None` when it cannot be handed out.
    async fn read(&self, bytes_max: u64) -> Option<Bytes> {
        // Before the segment is in memory, so that slow recipients hold no more than there is room for.
        let place = self.app.room(SEGMENT_BYTES_MAX, self.sharer).await.ok()?;
        let (lockers, id, next) = (Arc::clone(&self.locker.lockers), self.locker.id, self.next);
        let read = blocking(move || {
            lockers.folder.read_segment(&id, next, bytes_max).map_err(LockerError::Disk)
        });
        let bytes = match read.await {
            Ok(Some(bytes)) => bytes,
            Ok(None) => {
                self.locker.damaged().await;
                return None;
            }
            // It was ended meanwhile, or the disk fails; the recipient asks again.
            Err(error) => {
                if self.locker.lockers.shown(&id).is_some() {
                    tracing::error!(error = %Chain(&error), "a locker cannot be read");
                }
                return None;
            }
        };
        self.count().await?;
        Some(place.hold(bytes.into()))
    }

    /// With the last segment it counts as a download, durably, before that is handed out.
    async fn count(&self) -> Option<()> {
        let (lockers, id) = (&self.locker.lockers, self.locker.id);
        let download = self.locker.download?;
        let is_last = {
            let register = lockers.lock();
            let facts = &register.get(&id)?.facts;
            facts.downloads_max.is_some() && self.next + 1 == facts.segments
        };
        if is_last {
            let counted = lockers.change(id, move |facts| facts.handle_handed_out(download)).await;
            if let Err(error) = counted {
                tracing::error!(error = %Chain(&error), "a download was not counted, and not handed out");
                return None;
            }
        }
        Some(())
    }
}
