//! Which source is asked for what next.
//!
//! In this order: pieces of requests at risk elsewhere, pieces nobody is asked for, and, when a
//! source has nothing left to do, the far end of what a slower one still has before it.

use std::time::{Duration, Instant};

use crate::plan::FetchPlan;
use crate::requests::Open;
use crate::source::Standing;
use crate::words::{Config, PieceId, Request, RequestId, SourceId};

/// Smaller shares are not worth a round trip of their own.
const SHARE_BYTES_MIN: u64 = 256 << 10;

/// A source that will be done sooner than this is not helped.
const HELP_AFTER_MIN: Duration = Duration::from_millis(500);

impl FetchPlan {
    /// The next request to send, if there is one.
    pub fn poll_request(&mut self, now: Instant) -> Option<Request> {
        if self.blocked_since.is_some() {
            return None;
        }
        let ready = self.sources.iter().filter(|(id, source)| {
            source.standing == Standing::Ready
                && source.requests < source.requests_max(&self.config)
                && !self.requests.at(**id).any(|(_, open)| open.is_quiet(&self.config, now))
        });
        // Who runs dry first is asked first.
        let mut ready: Vec<_> =
            ready.map(|(id, source)| (source.time_for(source.in_flight_bytes), *id)).collect();
        ready.sort_unstable();
        ready.into_iter().find_map(|(_, source)| self.request_for(source, now))
    }

    fn request_for(&mut self, id: SourceId, now: Instant) -> Option<Request> {
        let source = self.sources.get(&id)?;
        let (idle, in_flight) = (source.requests == 0, source.in_flight_bytes);
        let window = source.window_bytes(&self.config);
        let share = self.share_bytes(id).max(SHARE_BYTES_MIN).min(window);
        let room = share.saturating_sub(in_flight);
        let batch = (share / 3).max(SHARE_BYTES_MIN).min(self.config.request_bytes_max);
        // Room for less than half a batch is worth a request only when that is all there is.
        let fits = idle || room >= batch / 2 || (room > 0 && room >= self.pieces.queued().bytes);
        let limit = if idle { batch } else { batch.min(room) };

        let request = self.requests.next_id();
        let mut pieces = Vec::new();
        if fits {
            pieces = self.at_risk_elsewhere(id, limit);
            let mut backups = pieces.len();
            if pieces.is_empty() {
                let config = self.config;
                let mut bytes = 0;
                while let Some((piece, length)) = self.pieces.next_for(id) {
                    if !fit(&mut bytes, length, limit, pieces.len(), &config) {
                        break;
                    }
                    self.pieces.assign(piece, request);
                    pieces.push((piece, length));
                }
            }
            if pieces.is_empty() && idle {
                pieces = self.far_end_of_slower(id);
                backups = pieces.len();
            }
            for (piece, _) in &pieces[..backups] {
                self.pieces.assign_backup(*piece, request);
            }
        }
        if pieces.is_empty() {
            if in_flight < window / 2
                && let Some(source) = self.sources.get_mut(&id)
            {
                source.starved();
            }
            return None;
        }
        Some(self.send(request, id, pieces, now))
    }

    fn send(
        &mut self,
        request: RequestId,
        id: SourceId,
        pieces: Vec<(PieceId, u32)>,
        now: Instant,
    ) -> Request {
        let source = self.sources.get_mut(&id).expect("the caller looked it up");
        let bytes: u64 = pieces.iter().map(|(_, length)| u64::from(*length)).sum();
        source.asked(bytes, now);
        let expected = source.time_for(source.in_flight_bytes);
        let mut open = Open::new(id, &pieces, now);
        let risk = expected.saturating_mul(self.config.risk_factor);
        open.risk_at = now + risk.max(self.config.risk_after_min);
        self.requests.open.insert(request, open);
        let pieces = pieces.into_iter().map(|(piece, _)| piece).collect();
        Request { id: request, source: id, pieces, bytes }
    }

    /// The part of everything missing that this source would bring if all sources were to end
    /// at the same time.
    fn share_bytes(&self, id: SourceId) -> u64 {
        let at_work = self.sources.iter().filter(|(other, source)| {
            source.standing == Standing::Ready
                && (source.in_flight_bytes > 0 || self.pieces.next_for(**other).is_some())
        });
        let rates: u128 = at_work.map(|(_, source)| u128::from(source.rate())).sum();
        let own = u128::from(self.sources.get(&id).map_or(0, |source| source.rate()));
        let missing = u128::from(self.pieces.missing_count().bytes);
        u64::try_from(missing * own / rates.max(own).max(1)).unwrap_or(u64::MAX)
    }

    /// Pieces of requests at risk at other sources that have no backup yet.
    fn at_risk_elsewhere(&self, id: SourceId, limit: u64) -> Vec<(PieceId, u32)> {
        let mut pieces = Vec::new();
        let mut bytes = 0;
        let others = self.requests.open.values().filter(|open| open.at_risk && open.source != id);
        for open in others {
            // From the far end, so that a slow source and its backup meet instead of
            // bringing the same; in order where nothing has come at all.
            if !open.is_unheard() {
                self.collect_backups(open.awaited().rev(), id, limit, &mut bytes, &mut pieces);
            } else {
                self.collect_backups(open.awaited(), id, limit, &mut bytes, &mut pieces);
            }
        }
        pieces
    }

    /// The far end of what the source that will need longest still has before it.
    fn far_end_of_slower(&self, id: SourceId) -> Vec<(PieceId, u32)> {
        let Some(own) = self.sources.get(&id) else { return Vec::new() };
        let others = self.sources.iter().filter(|(other, _)| **other != id);
        let slowest = others.max_by_key(|(_, source)| source.time_for(source.in_flight_bytes));
        let Some((slow_id, slow)) = slowest else { return Vec::new() };
        let left = slow.in_flight_bytes;
        let time = slow.time_for(left);
        if time < HELP_AFTER_MIN || time < own.time_for(left) * 2 {
            return Vec::new();
        }
        // What was not begun may be slow or dead: time tells, and then it is at risk.
        let begun = self.requests.at(*slow_id).filter(|(_, open)| !open.is_unheard());
        let latest_first: Vec<&Open> = begun.map(|(_, open)| open).collect();
        let begun_bytes: u64 = latest_first.iter().map(|open| open.awaited_bytes).sum();
        let part = u128::from(begun_bytes) * u128::from(own.rate())
            / (u128::from(own.rate()) + u128::from(slow.rate()));
        let limit = u64::try_from(part).unwrap_or(u64::MAX).min(self.config.request_bytes_max);
        let mut pieces = Vec::new();
        let mut bytes = 0;
        for open in latest_first.into_iter().rev() {
            self.collect_backups(open.awaited().rev(), id, limit, &mut bytes, &mut pieces);
        }
        pieces.reverse();
        pieces
    }

    fn collect_backups(
        &self,
        awaited: impl Iterator<Item = PieceId>,
        id: SourceId,
        limit: u64,
        bytes: &mut u64,
        pieces: &mut Vec<(PieceId, u32)>,
    ) {
        for piece in awaited {
            if let Some(length) = self.pieces.backup_for(piece, id) {
                if !fit(bytes, length, limit, pieces.len(), &self.config) {
                    return;
                }
                pieces.push((piece, length));
            }
        }
    }
}

/// Whether a request with `count` pieces takes one more; the first always fits.
fn fit(bytes: &mut u64, length: u32, limit: u64, count: usize, config: &Config) -> bool {
    let total = *bytes + u64::from(length);
    let fits = count == 0 || (total <= limit && count < config.request_pieces_max);
    if fits {
        *bytes = total;
    }
    fits
}
