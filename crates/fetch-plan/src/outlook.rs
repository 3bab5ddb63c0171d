//! What can be read off a plan: how far it is and what it waits for.

use crate::pieces::PieceState;
use crate::plan::FetchPlan;
use crate::source::Standing;
use crate::words::{PieceId, Progress, SourceProgress, Waiting};

impl FetchPlan {
    /// Whether everything wanted is there.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.pieces.missing_count().pieces == 0
    }

    /// Whether everything wanted is there and no answer is still coming in.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.is_complete() && self.requests.open.is_empty()
    }

    /// Whether more should be wanted now: it bounds what the plan and its caller keep in mind.
    #[must_use]
    pub fn accepts_wants(&self) -> bool {
        let missing = self.pieces.missing_count();
        missing.bytes < self.config.wanted_bytes_max
            && missing.pieces < self.config.wanted_pieces_max as u64
    }

    /// Where a piece is; `None` if it was never wanted.
    #[must_use]
    pub fn state_of(&self, piece: PieceId) -> Option<PieceState> {
        self.pieces.state(piece)
    }

    /// How far everything is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let (wanted, retrieved) = (self.pieces.wanted(), self.pieces.retrieved());
        let sources = self.sources.iter().map(|(id, source)| SourceProgress {
            source: *id,
            rate: source.effective_rate(),
            in_flight_bytes: source.in_flight_bytes,
            retrieved_bytes: source.retrieved_bytes,
            lacked_pieces: source.lacked_pieces,
        });
        Progress {
            wanted_pieces: wanted.pieces,
            wanted_bytes: wanted.bytes,
            retrieved_pieces: retrieved.pieces,
            retrieved_bytes: retrieved.bytes,
            in_flight_bytes: self.sources.values().map(|source| source.in_flight_bytes).sum(),
            wasted_bytes: self.wasted_bytes,
            sources: sources.collect(),
        }
    }

    /// What the plan waits for, and since when.
    #[must_use]
    pub fn waits_for(&self) -> Waiting {
        if self.is_complete() {
            return Waiting::Wants;
        }
        if self.sources.is_empty() {
            return Waiting::Sources;
        }
        // One that brought everything still takes its source's turn until it ends; what is awaited
        // comes first.
        let open = self.requests.open.values();
        if let Some(open) = open.min_by_key(|open| (open.awaited_pieces == 0, open.heard)) {
            return Waiting::Answer {
                source: open.source,
                since: open.heard,
                pieces: open.awaited_pieces,
                bytes: open.awaited_bytes,
            };
        }
        let pauses = self.sources.iter().filter_map(|(id, source)| match &source.standing {
            Standing::Suspended { since, until, reason } => {
                let (source, reason) = (*id, reason.clone());
                Some((*until, Waiting::BackOff { source, since: *since, until: *until, reason }))
            }
            Standing::Ready | Standing::Dropped { .. } => None,
        });
        let soonest = pauses.min_by_key(|(until, _)| *until);
        soonest.map_or(Waiting::AnotherSource, |(_, waiting)| waiting)
    }
}
