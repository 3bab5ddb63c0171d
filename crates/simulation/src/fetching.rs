//! One fetch of a node: `fetch-plan` joined to calls and a store, as the `fetch` crate does.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use bytes::Bytes;
use content::closure::ClosureEntry;
use content::frame::FrameCodec;
use content::{ChunkId, Closure, ClosureHead, Frame};
use documents::Manifest;
use fetch_plan::{
    Config, Event, FetchPlan, Outcome, PieceId, Priority, Request, RequestId, SourceId, Waiting,
};
use wire::{FrameStreamDecoder, IdList, StreamError};

use crate::Sabotage;
use crate::clock::{Clock, Moment};
use crate::context::Context;
use crate::keeping::Keeping;
use crate::network::{CallId, Kind, Party, Route};

/// A fetch that takes longer has no end: with every source silent it gives up much sooner.
const FETCH_MAX: Moment = Moment::from_secs(30 * 60);

/// The node whose fetch it is.
pub(crate) struct Place<'a> {
    pub(crate) party: Party,
    pub(crate) clock: &'a Clock,
    pub(crate) store: &'a mut Keeping,
}

struct Running {
    call: CallId,
    source: SourceId,
    decoder: FrameStreamDecoder,
    asked: BTreeSet<ChunkId>,
    /// Those of them that nobody has brought.
    awaited: BTreeSet<ChunkId>,
}

pub(crate) struct Fetch {
    plan: FetchPlan,
    running: BTreeMap<RequestId, Running>,
    /// The closure's head and segments that are not read yet.
    head: Option<ClosureEntry>,
    segments: BTreeSet<ChunkId>,
    failure: Option<String>,
    codec: FrameCodec,
    began: Moment,
}

impl Fetch {
    pub(crate) fn new(
        manifest: &Manifest,
        sources: u32,
        context: &mut Context<'_>,
        place: &mut Place<'_>,
    ) -> Self {
        let mut plan = FetchPlan::new(Config::default());
        let now = place.clock.instant(context.now);
        (0..sources).for_each(|source| plan.handle_source_ready(SourceId(source), now));
        let mut fetch = Self {
            plan,
            running: BTreeMap::new(),
            head: Some(manifest.closure),
            segments: BTreeSet::new(),
            failure: None,
            codec: FrameCodec::default(),
            began: context.now,
        };
        fetch.want(place, &manifest.tree, Priority::Demanded);
        fetch.want(place, &manifest.closure, Priority::Demanded);
        fetch
    }

    fn want(&mut self, place: &mut Place<'_>, entry: &ClosureEntry, priority: Priority) {
        match place.store.read(&entry.id) {
            Some(bytes) => self.read(place, entry.id, &bytes),
            None => {
                self.plan.handle_wanted(
                    PieceId(*entry.id.as_bytes()),
                    entry.stored_length,
                    priority,
                );
            }
        }
    }

    /// Goes on with what a part of the closure says.
    fn read(&mut self, place: &mut Place<'_>, id: ChunkId, bytes: &Bytes) {
        if self.head.is_some_and(|head| head.id == id) {
            self.head = None;
            match ClosureHead::decode(bytes) {
                Ok(head) => {
                    self.segments = head.segments.iter().map(|segment| segment.id).collect();
                    for segment in &head.segments {
                        self.want(place, segment, Priority::Demanded);
                    }
                }
                Err(error) => self.failure = Some(error.to_string()),
            }
        } else if self.segments.remove(&id) {
            match Closure::decode(bytes) {
                Ok(Closure(entries)) => {
                    for entry in &entries {
                        self.want(place, entry, Priority::Ordered);
                    }
                }
                Err(error) => self.failure = Some(error.to_string()),
            }
        }
    }

    /// When the next turn is due.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.plan.poll_timeout()
    }

    /// One turn, as in the driver: timers, events, requests; something when it has ended.
    pub(crate) fn turn(
        &mut self,
        context: &mut Context<'_>,
        place: &mut Place<'_>,
    ) -> Option<Result<(), String>> {
        let now = place.clock.instant(context.now);
        self.plan.handle_timeout(now);
        while let Some(event) = self.plan.poll_event() {
            match event {
                Event::PieceRetrieved(_) => {}
                Event::SourceDropped { source, reason, .. } => {
                    context.note(format_args!("{:?} drops {source:?}: {reason}", place.party));
                }
                Event::SourceSuspended { source, reason, .. } => {
                    context.note(format_args!("{:?} suspends {source:?}: {reason}", place.party));
                }
                Event::RequestCancelled(request) => {
                    if let Some(running) = self.running.remove(&request) {
                        context.stop(running.call);
                    }
                }
                Event::PieceUnavailable { piece, reasons } => {
                    let count = reasons.len();
                    return Some(Err(format!("none of {count} sources has chunk {piece}")));
                }
            }
        }
        if let Some(failure) = self.failure.take() {
            return Some(Err(failure));
        }
        while let Some(request) = self.plan.poll_request(now) {
            context.judge.acts(context.now, place.party);
            self.send(context, place.party, request);
        }
        if context.now > self.began + FETCH_MAX {
            context.judge.violated(context.now, || {
                format!("{:?} fetches for ever: {:?}", place.party, self.plan.waits_for())
            });
        }
        let read = self.head.is_none() && self.segments.is_empty();
        (read && self.plan.is_idle()).then_some(Ok(()))
    }

    fn send(&mut self, context: &mut Context<'_>, party: Party, request: Request) {
        let Request { id, source, pieces, .. } = request;
        let ids: Vec<ChunkId> = pieces.iter().map(|piece| ChunkId::from_bytes(piece.0)).collect();
        let others: Vec<&Running> = self.running.values().collect();
        for id in &ids {
            let asked = others.iter().filter(|other| other.awaited.contains(id));
            // What a request has brought is asked for no more, so only what is awaited counts.
            let open: Vec<SourceId> = asked.map(|other| other.source).collect();
            if open.len() > 1 || open.contains(&source) {
                context.judge.violated(context.now, || {
                    format!("{party:?} asks {source:?} for chunk {id} besides {open:?}")
                });
            }
        }
        let hub = Party::Hub(u8::try_from(source.0).unwrap_or(0));
        let asked = context.ask(party, hub, Route::Chunks, IdList::encode_ids(&ids));
        let awaited: BTreeSet<ChunkId> = ids.into_iter().collect();
        let (call, decoder) = (asked.call, FrameStreamDecoder::default());
        let running = Running { call, source, decoder, asked: awaited.clone(), awaited };
        self.running.insert(id, running);
    }

    /// Takes what came; false when it belongs to no request of this fetch.
    pub(crate) fn handle(
        &mut self,
        context: &mut Context<'_>,
        place: &mut Place<'_>,
        call: CallId,
        kind: &Kind,
    ) -> bool {
        let found = self.running.iter().find(|(_, running)| running.call == call);
        let Some(request) = found.map(|(request, _)| *request) else { return false };
        let now = place.clock.instant(context.now);
        match kind {
            Kind::Answer { status: 200..300, part, end } => {
                self.arrived(context, place, request, part.clone());
                if *end && let Some(running) = self.running.remove(&request) {
                    match running.decoder.finish() {
                        Ok(_) => self.plan.handle_finished(request, now),
                        Err(error @ StreamError::CutShort { .. }) => {
                            self.plan.handle_failed(request, now, &error.to_string());
                        }
                        Err(error) => self.plan.handle_wrong_bytes(request, &error.to_string()),
                    }
                }
            }
            Kind::Answer { status, .. } => {
                self.running.remove(&request);
                if *status >= 500 {
                    self.plan.handle_failed(request, now, "is not available");
                } else {
                    self.plan.handle_refused(request, "refused");
                }
            }
            Kind::Broken => {
                self.running.remove(&request);
                self.plan.handle_failed(request, now, "the connection broke");
            }
            Kind::Ask { .. } | Kind::Stop => {}
        }
        true
    }

    fn arrived(
        &mut self,
        context: &mut Context<'_>,
        place: &mut Place<'_>,
        request: RequestId,
        part: Bytes,
    ) {
        if let Some(running) = self.running.get_mut(&request) {
            running.decoder.push(part);
        }
        // Taking a frame in may end the request.
        while let Some(running) = self.running.get_mut(&request) {
            match running.decoder.next_frame() {
                Ok(Some(frame)) => self.open(context, place, request, &frame),
                Ok(None) => return,
                Err(error) => {
                    self.plan.handle_wrong_bytes(request, &error.to_string());
                    return;
                }
            }
        }
    }

    fn open(
        &mut self,
        context: &mut Context<'_>,
        place: &mut Place<'_>,
        request: RequestId,
        frame: &Frame,
    ) {
        let now = place.clock.instant(context.now);
        self.plan.handle_progress(request, frame.plain_length() as u64, now);
        let Some(running) = self.running.get(&request) else { return };
        let asked = &running.asked;
        let foreign = frame.entries().iter().filter(|entry| !asked.contains(&entry.id));
        let excess_bytes: u64 = foreign.map(|entry| u64::from(entry.length)).sum();
        let mut chunks = Vec::new();
        let opened = if context.is(Sabotage::BelieveSources) {
            let mut offset = 0;
            for entry in frame.entries() {
                let end = offset + entry.length as usize;
                if end <= frame.payload().len() {
                    chunks.push((entry.id, frame.payload().slice(offset..end)));
                }
                offset = end;
            }
            Ok(())
        } else {
            let sink = |id, bytes| chunks.push((id, bytes));
            self.codec.open(frame, |id| asked.contains(id), sink)
        };
        for (id, bytes) in chunks {
            let piece = PieceId(*id.as_bytes());
            if self.plan.handle_verified(request, piece, now) == Outcome::Retrieved {
                context.judge.written(context.now, place.party, &id, &bytes);
                place.store.insert(id, bytes.clone());
                self.read(place, id, &bytes);
            }
            for running in self.running.values_mut() {
                running.awaited.remove(&id);
            }
        }
        if excess_bytes > 0 {
            self.plan.handle_excess(request, excess_bytes);
        }
        if let Err(error) = opened {
            self.plan.handle_wrong_bytes(request, &error.to_string());
        }
    }

    /// Stops everything that is under way.
    pub(crate) fn stop(&self, context: &mut Context<'_>) {
        for running in self.running.values() {
            context.stop(running.call);
        }
    }

    /// What it waits for must be something that can come.
    pub(crate) fn check(&self, context: &mut Context<'_>, place: &Place<'_>) {
        let now = place.clock.instant(context.now);
        let waiting = self.plan.waits_for();
        let sound = match &waiting {
            Waiting::Wants => self.plan.is_complete() && !self.running.is_empty(),
            Waiting::Sources | Waiting::AnotherSource => false,
            Waiting::Answer { source, .. } => {
                self.running.values().any(|running| running.source == *source)
            }
            Waiting::BackOff { until, .. } => *until > now,
        };
        let due = self.plan.poll_timeout();
        if !sound || due.is_none_or(|due| due <= now) {
            context.judge.violated(context.now, || {
                format!("{:?} waits for {waiting:?}, next look {due:?}, now {now:?}", place.party)
            });
        }
    }
}
