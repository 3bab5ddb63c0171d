//! What is noted of addressed deliveries that run: in the database stands how they are, not each segment.
//!
//! Pure, as `deliveries::exchange` is: whoever drives it looks at all of them now and then.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use hub_api::DeliveryStatus;
use hub_db::{DeliveryNote, DeliveryState};

/// How often it is noted how far a delivery is that goes on running.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(10);

/// What was noted last of each delivery that was seen.
#[derive(Debug, Default)]
pub(crate) struct Noting {
    seen: HashMap<[u8; 16], Noted>,
}

#[derive(Debug, Clone, Copy)]
struct Noted {
    note: DeliveryNote,
    at: Instant,
}

/// A change to be noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) delivery: [u8; 16],
    pub(crate) note: DeliveryNote,
    /// Whether it stands otherwise now, which its sides are told.
    pub(crate) is_news: bool,
}

fn note_of(status: &DeliveryStatus) -> Option<DeliveryNote> {
    let is_through = status.receipt.is_some() && status.verified == status.segments;
    // Who ended it has noted so at once; what was through before was not ended by that.
    if status.ended.is_some() && !is_through {
        return None;
    }
    let state = match status.sender.here && status.recipient.here {
        _ if is_through => DeliveryState::Received,
        true => DeliveryState::Running,
        false => DeliveryState::Waiting,
    };
    Some(DeliveryNote { state, verified: status.verified })
}

impl Noting {
    /// What has changed, of all addressed deliveries in memory; those that are there no more wait.
    pub(crate) fn handle_statuses(
        &mut self,
        statuses: &[([u8; 16], DeliveryStatus)],
        now: Instant,
    ) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut seen = HashMap::with_capacity(statuses.len());
        for (delivery, status) in statuses {
            let before = self.seen.remove(delivery);
            let Some(note) = note_of(status) else { continue };
            let waiting = DeliveryNote { state: DeliveryState::Waiting, verified: 0 };
            // One that was announced and no more stands as it was addressed.
            let before = before.unwrap_or(Noted { note: waiting, at: now });
            let is_news = note.state != before.note.state;
            let is_further = note.verified != before.note.verified
                && now.saturating_duration_since(before.at) >= PROGRESS_INTERVAL;
            let noted = match is_news || is_further {
                true => {
                    changes.push(Change { delivery: *delivery, note, is_news });
                    Noted { note, at: now }
                }
                false => before,
            };
            seen.insert(*delivery, noted);
        }
        for (delivery, Noted { note, .. }) in std::mem::replace(&mut self.seen, seen) {
            let is_ended = statuses.iter().any(|(other, _)| *other == delivery);
            if note.state == DeliveryState::Running && !is_ended {
                let note = DeliveryNote { state: DeliveryState::Waiting, ..note };
                changes.push(Change { delivery, note, is_news: true });
            }
        }
        changes
    }

    /// A change could not be written down: it is tried again.
    pub(crate) fn handle_failure(&mut self, delivery: &[u8; 16]) {
        if let Some(noted) = self.seen.get_mut(delivery) {
            // A state that nothing is in, so that every one is news.
            noted.note.state = DeliveryState::PendingApproval;
        }
    }
}

#[cfg(test)]
mod tests {
    use hub_api::{Base64Bytes, DeliveryEnd, DeliveryParty, DeliverySide};

    use super::*;

    fn status(sender: bool, recipient: bool, verified: u64) -> DeliveryStatus {
        let side = |here| DeliverySide { here, since: 0 };
        let (sender, recipient) = (side(sender), side(recipient));
        let (next, receipt, ended) = (None, None, None);
        DeliveryStatus {
            segments: 5,
            bytes: 9,
            next,
            verified,
            sender,
            recipient,
            receipt,
            ended,
            change: 1,
            locker: None,
            direct: None,
        }
    }

    fn change(state: DeliveryState, verified: u64, is_news: bool) -> Vec<Change> {
        vec![Change { delivery: [1; 16], note: DeliveryNote { state, verified }, is_news }]
    }

    #[test]
    fn states_are_noted_at_once_and_progress_now_and_then() {
        let start = Instant::now();
        let mut noting = Noting::default();
        let mut look = |status: DeliveryStatus, seconds| {
            noting.handle_statuses(&[([1; 16], status)], start + Duration::from_secs(seconds))
        };
        assert_eq!(look(status(true, false, 0), 0), [], "it waits as before");
        assert_eq!(look(status(true, true, 0), 1), change(DeliveryState::Running, 0, true));
        assert_eq!(look(status(true, true, 1), 2), []);
        assert_eq!(look(status(true, true, 2), 11), change(DeliveryState::Running, 2, false));
        assert_eq!(look(status(true, true, 3), 12), []);
        assert_eq!(look(status(true, false, 3), 13), change(DeliveryState::Waiting, 3, true));
        assert_eq!(look(status(true, false, 3), 99), []);
        assert_eq!(look(status(true, true, 5), 100), change(DeliveryState::Running, 5, true));
        let receipt = Some(Base64Bytes(vec![1]));
        let through = DeliveryStatus { receipt, ..status(true, true, 5) };
        assert_eq!(look(through.clone(), 101), change(DeliveryState::Received, 5, true));
        assert_eq!(look(through, 199), []);
    }

    #[test]
    fn what_is_in_memory_no_more_waits_unless_it_was_ended() {
        let now = Instant::now();
        let mut noting = Noting::default();
        let running = [([1; 16], status(true, true, 3))];
        noting.handle_statuses(&running, now);
        assert_eq!(noting.handle_statuses(&[], now), change(DeliveryState::Waiting, 3, true));
        assert_eq!(noting.handle_statuses(&[], now), []);
        noting.handle_statuses(&running, now);
        let end = DeliveryEnd { by: DeliveryParty::Sender, reason: String::new() };
        let ended = DeliveryStatus { ended: Some(end), ..status(true, true, 3) };
        assert_eq!(noting.handle_statuses(&[([1; 16], ended)], now), []);
        assert_eq!(noting.handle_statuses(&[], now), []);
    }

    #[test]
    fn what_could_not_be_written_is_tried_again() {
        let now = Instant::now();
        let mut noting = Noting::default();
        let running = [([1; 16], status(true, true, 0))];
        let first = noting.handle_statuses(&running, now);
        assert_eq!(noting.handle_statuses(&running, now), []);
        noting.handle_failure(&[1; 16]);
        assert_eq!(noting.handle_statuses(&running, now), first);
    }
}
