//! The requests that are out.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::words::{Config, PieceId, RequestId, SourceId};

/// What became of a piece within one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// It should still come.
    Awaited(u32),
    /// This request brought it.
    Delivered,
    /// Another request brought it first.
    Moot,
}

/// One request.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) source: SourceId,
    /// The pieces in the order they were asked for.
    pub(crate) order: Vec<PieceId>,
    pub(crate) marks: BTreeMap<PieceId, Mark>,
    pub(crate) awaited_bytes: u64,
    pub(crate) awaited_pieces: usize,
    asked_bytes: u64,
    longest: u32,
    pub(crate) sent: Instant,
    /// When something last came, or when it was sent.
    pub(crate) heard: Instant,
    /// When nothing was awaited any more.
    pub(crate) settled: Option<Instant>,
    pub(crate) risk_at: Instant,
    pub(crate) at_risk: bool,
    excess_bytes: u64,
}

impl Open {
    pub(crate) fn new(source: SourceId, pieces: &[(PieceId, u32)], now: Instant) -> Self {
        let bytes = pieces.iter().map(|(_, length)| u64::from(*length)).sum();
        Self {
            source,
            order: pieces.iter().map(|(piece, _)| *piece).collect(),
            marks: pieces.iter().map(|(piece, length)| (*piece, Mark::Awaited(*length))).collect(),
            awaited_bytes: bytes,
            awaited_pieces: pieces.len(),
            asked_bytes: bytes,
            longest: pieces.iter().map(|(_, length)| *length).max().unwrap_or(0),
            sent: now,
            heard: now,
            settled: None,
            risk_at: now,
            at_risk: false,
            excess_bytes: 0,
        }
    }

    /// Settles an awaited piece; its length, or `None` if it was not awaited here.
    pub(crate) fn settle(&mut self, piece: PieceId, how: Mark, now: Instant) -> Option<u32> {
        let mark = self.marks.get_mut(&piece)?;
        let Mark::Awaited(length) = *mark else { return None };
        *mark = how;
        self.awaited_bytes -= u64::from(length);
        self.awaited_pieces -= 1;
        if self.awaited_pieces == 0 {
            self.settled = Some(now);
        }
        Some(length)
    }

    /// Pieces that should still come.
    pub(crate) fn awaited(&self) -> impl DoubleEndedIterator<Item = PieceId> {
        let awaited = |piece: &&PieceId| matches!(self.marks.get(piece), Some(Mark::Awaited(_)));
        self.order.iter().filter(awaited).copied()
    }

    /// Whether another request was the first to bring some piece of it.
    pub(crate) fn is_loser(&self) -> bool {
        self.marks.values().any(|mark| *mark == Mark::Moot)
    }

    /// Whether nothing of it has come.
    pub(crate) fn is_unheard(&self) -> bool {
        self.heard == self.sent
    }

    /// Counts bytes that this request should not have brought; true when they are too many.
    ///
    /// A third more is usual: whole frames are sent when most of one is asked for.
    pub(crate) fn exceed(&mut self, bytes: u64) -> bool {
        // Tiny answers cost as much work as small ones.
        self.excess_bytes += bytes.max(4096);
        self.excess_bytes > self.asked_bytes / 2 + (4 << 20)
    }

    /// Whether it is at risk and nothing comes at all: its source gets no further request.
    pub(crate) fn is_quiet(&self, config: &Config, now: Instant) -> bool {
        self.at_risk && now.duration_since(self.heard) >= config.risk_after_min
    }

    /// When the request has failed if nothing comes before.
    pub(crate) fn dead_at(&self, config: &Config) -> Instant {
        match self.settled {
            Some(settled) => settled + config.linger,
            None => {
                let rate = config.slowest_rate.max(1);
                let longest = Duration::from_millis(u64::from(self.longest) * 1000 / rate);
                self.heard + config.idle_max + longest
            }
        }
    }

    /// Moves all its times on: nobody could listen for `pause`.
    pub(crate) fn postpone(&mut self, pause: Duration) {
        self.sent += pause;
        self.heard += pause;
        self.risk_at += pause;
        self.settled = self.settled.map(|settled| settled + pause);
    }
}

/// The requests that are out, and who the last ones that ended were sent to.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    next: u64,
    pub(crate) open: BTreeMap<RequestId, Open>,
    ended: BTreeMap<RequestId, SourceId>,
}

/// Verification may still hold answers of this many requests that ended.
const ENDED_MAX: usize = 1024;

impl Requests {
    pub(crate) fn next_id(&mut self) -> RequestId {
        self.next += 1;
        RequestId(self.next)
    }

    pub(crate) fn end(&mut self, request: RequestId) -> Option<Open> {
        let open = self.open.remove(&request)?;
        self.ended.insert(request, open.source);
        if self.ended.len() > ENDED_MAX {
            self.ended.pop_first();
        }
        Some(open)
    }

    /// Whom the request was sent to, also when it has ended.
    pub(crate) fn source_of(&self, request: RequestId) -> Option<SourceId> {
        let open = self.open.get(&request).map(|open| open.source);
        open.or_else(|| self.ended.get(&request).copied())
    }

    pub(crate) fn at(&self, source: SourceId) -> impl Iterator<Item = (RequestId, &Open)> {
        self.open
            .iter()
            .filter(move |(_, open)| open.source == source)
            .map(|(id, open)| (*id, open))
    }
}
