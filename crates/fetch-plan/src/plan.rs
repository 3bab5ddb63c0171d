//! The plan: what the parts do together when something happens.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use crate::pieces::{PieceState, Pieces};
use crate::requests::{Mark, Open, Requests};
use crate::source::{Source, Standing};
use crate::words::{
    Config, Event, Fault, Obstacle, Outcome, PieceId, Priority, RequestId, SourceId,
};

/// The machine. Feed it with `handle_*`, then poll until everything answers `None`:
/// [`FetchPlan::poll_event`], [`FetchPlan::poll_request`], [`FetchPlan::poll_timeout`].
///
/// Calls about requests that have ended, or sources that were never added, are ignored: a
/// driver need not know in which order its news crossed the plan's decisions.
#[derive(Debug)]
pub struct FetchPlan {
    pub(crate) config: Config,
    pub(crate) pieces: Pieces,
    pub(crate) requests: Requests,
    pub(crate) sources: BTreeMap<SourceId, Source>,
    events: VecDeque<Event>,
    pub(crate) wasted_bytes: u64,
    pub(crate) blocked_since: Option<Instant>,
}

impl FetchPlan {
    /// An empty plan.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            config,
            pieces: Pieces::default(),
            requests: Requests::default(),
            sources: BTreeMap::new(),
            events: VecDeque::new(),
            wasted_bytes: 0,
            blocked_since: None,
        }
    }

    /// Wants a piece of `length` bytes. Wanting it again can only make it more urgent.
    pub fn handle_wanted(&mut self, piece: PieceId, length: u32, priority: Priority) {
        self.pieces.want(piece, length, priority);
        self.note_unavailable();
    }

    /// Adds a source, or ends its pause. One that was dropped stays dropped.
    pub fn handle_source_ready(&mut self, source: SourceId, now: Instant) {
        match self.sources.get_mut(&source) {
            Some(known) => match known.standing {
                Standing::Suspended { .. } => known.standing = Standing::Ready,
                Standing::Ready | Standing::Dropped { .. } => {}
            },
            None => {
                let mut new = Source::new(&self.config);
                new.restart_sample(now);
                self.sources.insert(source, new);
                self.pieces.hope_again();
            }
        }
    }

    /// Notes that a source does not have a piece.
    pub fn handle_source_lacks(&mut self, source: SourceId, piece: PieceId) {
        if let Some(known) = self.sources.get_mut(&source)
            && self.pieces.lacks(piece, source)
        {
            known.lacked_pieces += 1;
            self.note_unavailable();
        }
    }

    /// Drops a source for a reason that is known outside, adding it if need be.
    pub fn handle_source_dropped(&mut self, source: SourceId, fault: Fault, reason: &str) {
        self.sources.entry(source).or_insert_with(|| Source::new(&self.config));
        self.drop_source(source, fault, reason.to_owned());
    }

    /// Notes `bytes` of an answer, before they are verified.
    pub fn handle_progress(&mut self, request: RequestId, bytes: u64, now: Instant) {
        let Some(open) = self.requests.open.get_mut(&request) else { return };
        open.heard = now;
        if let Some(source) = self.sources.get_mut(&open.source) {
            source.arrived(bytes, now);
        }
    }

    /// Notes a piece whose bytes the caller has verified, in an answer to `request`.
    pub fn handle_verified(&mut self, request: RequestId, piece: PieceId, now: Instant) -> Outcome {
        let mut repeated = false;
        if let Some(open) = self.requests.open.get_mut(&request) {
            open.heard = now;
            repeated = open.marks.get(&piece) == Some(&Mark::Delivered);
        }
        self.settle(request, piece, Mark::Delivered, now);
        let source = self.requests.source_of(request);
        if let Some(source) = source.and_then(|source| self.sources.get_mut(&source)) {
            source.delivered();
        }
        let outcome = match self.pieces.retrieve(piece) {
            Some((length, state)) => {
                if let Some(source) = source.and_then(|source| self.sources.get_mut(&source)) {
                    source.retrieved_bytes += u64::from(length);
                }
                if let PieceState::Assigned { request: first, backup } = state {
                    for other in [Some(first), backup].into_iter().flatten() {
                        self.settle(other, piece, Mark::Moot, now);
                        self.cancel_loser(other, now);
                    }
                }
                self.events.push_back(Event::PieceRetrieved(piece));
                Outcome::Retrieved
            }
            None => {
                let bytes = u64::from(self.pieces.retrieved_length(piece));
                if repeated {
                    self.handle_excess(request, bytes);
                } else {
                    self.wasted_bytes += bytes;
                }
                Outcome::Duplicate
            }
        };
        self.cancel_loser(request, now);
        outcome
    }

    /// Notes bytes in an answer that were not asked for; a source that sends too many of them
    /// is dropped.
    pub fn handle_excess(&mut self, request: RequestId, bytes: u64) {
        self.wasted_bytes += bytes;
        let Some(open) = self.requests.open.get_mut(&request) else { return };
        if open.exceed(bytes) {
            let source = open.source;
            let reason = "keeps sending what it was not asked for".to_owned();
            self.drop_source(source, Fault::Dishonest, reason);
        }
    }

    /// Notes bytes that are not what they claim to be: the source is dropped for good.
    pub fn handle_wrong_bytes(&mut self, request: RequestId, detail: &str) {
        if let Some(source) = self.requests.source_of(request) {
            self.drop_source(source, Fault::Dishonest, format!("sent wrong bytes: {detail}"));
        }
    }

    /// Notes that the source refused for a reason that will not go away: it is dropped.
    pub fn handle_refused(&mut self, request: RequestId, reason: &str) {
        if let Some(source) = self.requests.source_of(request) {
            self.drop_source(source, Fault::Refused, reason.to_owned());
        }
    }

    /// Notes that the source said all it has: what has not come, it lacks.
    ///
    /// Call it after [`FetchPlan::handle_verified`] of everything in the answer.
    pub fn handle_finished(&mut self, request: RequestId, now: Instant) {
        let Some(open) = self.requests.open.get(&request) else { return };
        let (source, lacking) = (open.source, open.awaited().collect::<Vec<_>>());
        for piece in lacking {
            self.handle_source_lacks(source, piece);
        }
        self.close(request);
        if let Some(source) = self.sources.get_mut(&source) {
            source.delivered();
            source.resume(now);
        }
        self.note_unavailable();
    }

    /// Notes that the answer broke off: what has not come returns to the queue, and the source
    /// is suspended, or dropped if that goes on.
    pub fn handle_failed(&mut self, request: RequestId, now: Instant, reason: &str) {
        if let Some(open) = self.close(request) {
            self.fail_source(open.source, now, reason);
        }
    }

    /// Nobody can take what comes in: until [`FetchPlan::handle_unblocked`] no request ages.
    pub fn handle_blocked(&mut self, now: Instant) {
        self.blocked_since.get_or_insert(now);
    }

    /// What comes in is taken again.
    pub fn handle_unblocked(&mut self, now: Instant) {
        let Some(since) = self.blocked_since.take() else { return };
        let pause = now.duration_since(since);
        for open in self.requests.open.values_mut() {
            open.postpone(pause);
        }
        for source in self.sources.values_mut().filter(|source| source.requests > 0) {
            source.restart_sample(now);
        }
    }

    /// Does what is due. Call it at [`FetchPlan::poll_timeout`] or any time.
    pub fn handle_timeout(&mut self, now: Instant) {
        for source in self.sources.values_mut() {
            source.resume(now);
        }
        if self.blocked_since.is_some() {
            return;
        }
        let requests: Vec<RequestId> = self.requests.open.keys().copied().collect();
        for request in requests {
            self.check_request(request, now);
        }
    }

    /// When to call [`FetchPlan::handle_timeout`] next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let pauses = self.sources.values().filter_map(|source| match source.standing {
            Standing::Suspended { until, .. } => Some(until),
            Standing::Ready | Standing::Dropped { .. } => None,
        });
        let open = self.requests.open.values().filter(|_| self.blocked_since.is_none());
        let deadlines = open.map(|open| {
            let risk = (open.settled.is_none() && !open.at_risk).then_some(open.risk_at);
            let dead = open.dead_at(&self.config);
            risk.map_or(dead, |risk| risk.min(dead))
        });
        pauses.chain(deadlines).min()
    }

    /// What the driver should hear of next.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Settles a piece in a request and in the books of its source.
    fn settle(&mut self, request: RequestId, piece: PieceId, how: Mark, now: Instant) {
        if let Some(open) = self.requests.open.get_mut(&request)
            && let Some(length) = open.settle(piece, how, now)
            && let Some(source) = self.sources.get_mut(&open.source)
        {
            source.in_flight_bytes -= u64::from(length);
        }
    }

    /// Cancels a request whose last pieces came from elsewhere. One that was at risk and brought
    /// nothing at all is a failure of its source.
    fn cancel_loser(&mut self, request: RequestId, now: Instant) {
        let open = self.requests.open.get(&request);
        if open.is_some_and(|open| open.awaited_pieces == 0 && open.is_loser())
            && let Some(open) = self.cancel(request)
            && open.at_risk
            && open.is_unheard()
        {
            self.fail_source(open.source, now, &silence(&open, now));
        }
    }

    fn cancel(&mut self, request: RequestId) -> Option<Open> {
        let open = self.close(request)?;
        self.events.push_back(Event::RequestCancelled(request));
        Some(open)
    }

    /// Ends a request; what it still awaited returns to the queue.
    fn close(&mut self, request: RequestId) -> Option<Open> {
        let open = self.requests.end(request)?;
        for piece in open.awaited() {
            self.pieces.release(piece, request);
        }
        if let Some(source) = self.sources.get_mut(&open.source) {
            source.ended(open.awaited_bytes);
        }
        Some(open)
    }

    fn check_request(&mut self, request: RequestId, now: Instant) {
        let Some(open) = self.requests.open.get_mut(&request) else { return };
        if open.dead_at(&self.config) <= now {
            let reason = if open.settled.is_some() {
                "did not end its answer".to_owned()
            } else {
                silence(open, now)
            };
            if let Some(open) = self.cancel(request) {
                self.fail_source(open.source, now, &reason);
            }
        } else if open.settled.is_none() && !open.at_risk && open.risk_at <= now {
            open.at_risk = true;
            let quiet = open.is_quiet(&self.config, now);
            if let Some(source) = self.sources.get_mut(&open.source)
                && quiet
            {
                source.take_sample(now);
            }
        }
    }

    fn fail_source(&mut self, id: SourceId, now: Instant, reason: &str) {
        let Some(source) = self.sources.get_mut(&id) else { return };
        match source.fail(now, reason, &self.config) {
            Some(Standing::Suspended { until, reason, .. }) => {
                self.events.push_back(Event::SourceSuspended { source: id, until, reason });
            }
            Some(Standing::Dropped { reason }) => {
                source.standing = Standing::Ready;
                self.drop_source(id, Fault::GivenUp, reason);
            }
            Some(Standing::Ready) | None => {}
        }
        self.note_unavailable();
    }

    fn drop_source(&mut self, id: SourceId, fault: Fault, reason: String) {
        let Some(source) = self.sources.get_mut(&id).filter(|source| !source.is_dropped()) else {
            return;
        };
        source.standing = Standing::Dropped { reason: reason.clone() };
        let requests: Vec<RequestId> = self.requests.at(id).map(|(request, _)| request).collect();
        for request in requests {
            self.cancel(request);
        }
        self.events.push_back(Event::SourceDropped { source: id, fault, reason });
        self.note_unavailable();
    }

    /// Tells of queued pieces that no source is left for.
    fn note_unavailable(&mut self) {
        if self.sources.is_empty() {
            return;
        }
        let usable = self.sources.iter().filter(|(_, source)| !source.is_dropped());
        let usable: Vec<SourceId> = usable.map(|(id, _)| *id).collect();
        for (piece, lacking) in self.pieces.set_aside(&usable) {
            let reasons = self.sources.iter().map(|(id, source)| {
                let obstacle = match &source.standing {
                    Standing::Dropped { reason } if !lacking.contains(id) => {
                        Obstacle::Dropped(reason.clone())
                    }
                    Standing::Ready | Standing::Suspended { .. } | Standing::Dropped { .. } => {
                        Obstacle::Lacks
                    }
                };
                (*id, obstacle)
            });
            let reasons = reasons.collect();
            self.events.push_back(Event::PieceUnavailable { piece, reasons });
        }
    }
}

fn silence(open: &Open, now: Instant) -> String {
    format!("sent nothing for {} s", now.duration_since(open.heard).as_secs())
}
