//! The loop that joins a plan to sources, workers and a destination.
//!
//! It decides nothing. Each turn: due timers, events, requests out, jobs out, then one input.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use content::ChunkId;
use fetch_plan::{
    Event, Fault, FetchPlan, Outcome, PieceId, Progress, Request, RequestId, SourceId, Waiting,
};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

use crate::request::{self, Arrival, Room};
use crate::work::{Done, Opened, Received, Verified, Work};
use crate::{
    Culprit, Destination, FetchConfig, FetchError, FetchProgress, FetchReport, Source, SourceError,
    SourceReason, SourceShare, WaitsFor, Want,
};

/// Wants taken in one turn: enough to fill a request, too few to starve the rest.
const WANTS_PER_TURN: usize = 256;

struct Running {
    task: AbortHandle,
    asked: Arc<HashSet<ChunkId>>,
    /// Frames received and not opened yet.
    frames: usize,
    /// How it ended, held back until all its frames were opened.
    ended: Option<Result<(), SourceError>>,
}

/// One fetch.
pub(crate) struct Driver<'a> {
    sources: &'a [Arc<dyn Source>],
    plan: FetchPlan,
    work: Work,
    room: Room,
    running: BTreeMap<RequestId, Running>,
    tasks: JoinSet<()>,
    arrivals: mpsc::UnboundedReceiver<Arrival>,
    arrivals_sender: mpsc::UnboundedSender<Arrival>,
    progress: &'a FetchProgress,
    published: Progress,
    culprits: Vec<Culprit>,
    faults: BTreeMap<SourceId, Fault>,
    pub(crate) dishonest: Vec<(usize, String)>,
}

impl<'a> Driver<'a> {
    pub(crate) fn new(
        sources: &'a [Arc<dyn Source>],
        dropped: &BTreeMap<usize, String>,
        config: &FetchConfig,
        destination: Arc<dyn Destination>,
        progress: &'a FetchProgress,
    ) -> Self {
        let mut plan = FetchPlan::new(config.plan);
        for (number, id) in (0..sources.len()).zip(0..) {
            match dropped.get(&number) {
                Some(why) => plan.handle_source_dropped(SourceId(id), Fault::Dishonest, why),
                None => plan.handle_source_ready(SourceId(id), now()),
            }
        }
        let (arrivals_sender, arrivals) = mpsc::unbounded_channel();
        Self {
            sources,
            plan,
            work: Work::new(destination, config.workers),
            room: Room::new(config.unwritten_bytes_max),
            running: BTreeMap::new(),
            tasks: JoinSet::new(),
            arrivals,
            arrivals_sender,
            progress,
            published: Progress::default(),
            culprits: Vec::new(),
            faults: dropped
                .keys()
                .filter_map(|number| u32::try_from(*number).ok())
                .map(|number| (SourceId(number), Fault::Dishonest))
                .collect(),
            dishonest: Vec::new(),
        }
    }

    /// Runs until all is there or something ends it early; no job runs afterwards.
    pub(crate) async fn run(&mut self, wants: mpsc::Receiver<Want>) -> Result<(), FetchError> {
        let mut result = self.turns(wants).await;
        self.tasks.abort_all();
        self.work.discard_all();
        // What was verified is kept, whatever ended the fetch.
        self.work.start();
        while let Some(Done { opened, written }) = self.work.done().await {
            opened.into_iter().for_each(|opened| self.opened(opened));
            if let Err(error) = written {
                result = result.and(Err(FetchError::Destination(error)));
            }
            self.work.start();
        }
        self.publish();
        self.progress.set_waits_for(None);
        result
    }

    async fn turns(&mut self, mut wants: mpsc::Receiver<Want>) -> Result<(), FetchError> {
        let mut wants_closed = false;
        let mut wanted = Vec::with_capacity(WANTS_PER_TURN);
        loop {
            self.note_room();
            self.plan.handle_timeout(now());
            self.events()?;
            while let Some(request) = self.plan.poll_request(now()) {
                self.send(request);
            }
            self.work.start();
            self.publish();
            if wants_closed && self.plan.is_idle() && self.work.is_idle() {
                return Ok(());
            }
            let deadline = self.plan.poll_timeout().map(tokio::time::Instant::from_std);
            let accepts = !wants_closed && self.plan.accepts_wants();
            tokio::select! {
                biased;
                Some(done) = self.work.done() => {
                    done.opened.into_iter().for_each(|opened| self.opened(opened));
                    done.written.map_err(FetchError::Destination)?;
                }
                Some(arrival) = self.arrivals.recv() => self.arrived(arrival),
                count = wants.recv_many(&mut wanted, WANTS_PER_TURN), if accepts => {
                    wants_closed = count == 0;
                    for want in wanted.drain(..) {
                        let piece = PieceId(*want.id.as_bytes());
                        self.plan.handle_wanted(piece, want.length, want.priority);
                    }
                }
                () = tokio::time::sleep_until(deadline.unwrap_or_else(tokio::time::Instant::now)),
                    if deadline.is_some() => {}
            }
            while self.tasks.try_join_next().is_some() {}
        }
    }

    fn note_room(&mut self) {
        if self.room.is_short() {
            self.plan.handle_blocked(now());
        } else {
            self.plan.handle_unblocked(now());
        }
    }

    fn events(&mut self) -> Result<(), FetchError> {
        while let Some(event) = self.plan.poll_event() {
            match event {
                Event::PieceRetrieved(_) => {}
                Event::SourceDropped { source, fault, reason } => {
                    tracing::warn!(source = self.name(source), reason, "source dropped");
                    self.faults.insert(source, fault);
                    if fault == Fault::Dishonest {
                        self.dishonest.push((source.0 as usize, reason.clone()));
                    }
                    self.blame(source, reason);
                }
                Event::SourceSuspended { source, reason, .. } => {
                    tracing::info!(source = self.name(source), reason, "source suspended");
                    self.blame(source, reason);
                }
                Event::RequestCancelled(request) => {
                    if let Some(running) = self.running.remove(&request) {
                        running.task.abort();
                    }
                    let bytes = self.work.discard(request);
                    self.plan.handle_excess(request, bytes);
                }
                Event::PieceUnavailable { piece, reasons } => {
                    let each = |(source, obstacle): &(SourceId, fetch_plan::Obstacle)| {
                        let fault = self.faults.get(source).copied();
                        let source = self.name(*source).to_owned();
                        SourceReason { source, fault, reason: obstacle.to_string() }
                    };
                    let reasons = reasons.iter().map(each).collect();
                    let id = ChunkId::from_bytes(piece.0);
                    return Err(FetchError::Unavailable { id, reasons });
                }
            }
        }
        Ok(())
    }

    fn send(&mut self, request: Request) {
        let Request { id, source, pieces, .. } = request;
        let ids: Vec<ChunkId> = pieces.iter().map(|piece| ChunkId::from_bytes(piece.0)).collect();
        let asked = Arc::new(ids.iter().copied().collect());
        let source = Arc::clone(&self.sources[source.0 as usize]);
        let (room, sender) = (self.room.clone(), self.arrivals_sender.clone());
        let task = self.tasks.spawn(request::run(id, source, ids, room, sender));
        self.running.insert(id, Running { task, asked, frames: 0, ended: None });
    }

    fn arrived(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Frame { request, frame, held } => {
                let bytes = frame.plain_length() as u64;
                match self.running.get_mut(&request) {
                    Some(running) => {
                        running.frames += 1;
                        let asked = Arc::clone(&running.asked);
                        self.plan.handle_progress(request, bytes, now());
                        self.work.open(Received { request, frame, asked, held });
                    }
                    None => self.plan.handle_excess(request, bytes),
                }
            }
            Arrival::Ended { request, result } => {
                if let Some(running) = self.running.get_mut(&request) {
                    running.ended = Some(result);
                    self.end(request);
                }
            }
        }
    }

    fn opened(&mut self, opened: Opened) {
        let Opened { request, mut chunks, excess_bytes, error, held } = opened;
        chunks.retain(|(id, _)| {
            let outcome = self.plan.handle_verified(request, PieceId(*id.as_bytes()), now());
            outcome == Outcome::Retrieved
        });
        if !chunks.is_empty() {
            self.work.write(Verified { chunks, held });
        }
        if excess_bytes > 0 {
            self.plan.handle_excess(request, excess_bytes);
        }
        if let Some(error) = error {
            self.plan.handle_wrong_bytes(request, &error.to_string());
        }
        if let Some(running) = self.running.get_mut(&request) {
            running.frames -= 1;
            self.end(request);
        }
    }

    /// Tells the plan that a request ended, once all its frames were opened.
    fn end(&mut self, request: RequestId) {
        let Some(running) = self.running.get_mut(&request).filter(|running| running.frames == 0)
        else {
            return;
        };
        let Some(result) = running.ended.take() else { return };
        self.running.remove(&request);
        match result {
            Ok(()) => self.plan.handle_finished(request, now()),
            Err(SourceError::Failed(reason)) => {
                self.plan.handle_failed(request, now(), &reason);
            }
            Err(error @ SourceError::Refused(_)) => {
                self.plan.handle_refused(request, &error.to_string());
            }
            Err(SourceError::Malformed(detail)) => self.plan.handle_wrong_bytes(request, &detail),
        }
    }

    fn name(&self, source: SourceId) -> &'a str {
        self.sources[source.0 as usize].name()
    }

    fn blame(&mut self, source: SourceId, reason: String) {
        let culprit = Culprit { source: self.name(source).to_owned(), reason };
        if !self.culprits.contains(&culprit) {
            self.culprits.push(culprit);
        }
    }

    fn publish(&mut self) {
        let progress = self.plan.progress();
        self.progress.advance(&self.published, &progress);
        self.published = progress;
        self.progress.set_waits_for(self.waits_for());
    }

    fn waits_for(&self) -> Option<WaitsFor> {
        if self.room.is_short() {
            let what = "the destination to take what was received".to_owned();
            return Some(WaitsFor { what, since: now() });
        }
        let (what, since) = match self.plan.waits_for() {
            Waiting::Wants | Waiting::Sources => return None,
            Waiting::Answer { source, since, pieces: 0, .. } => {
                (format!("the end of an answer from {}", self.name(source)), since)
            }
            Waiting::Answer { source, since, pieces, .. } => {
                (format!("{pieces} chunks from {}", self.name(source)), since)
            }
            Waiting::BackOff { source, since, reason, .. } => {
                (format!("another try of {}, which {reason}", self.name(source)), since)
            }
            Waiting::AnotherSource => ("a source that has the rest".to_owned(), now()),
        };
        Some(WaitsFor { what, since })
    }

    /// Says what was done.
    pub(crate) fn report(mut self) -> FetchReport {
        let progress = self.plan.progress();
        let mut sources = Vec::with_capacity(self.sources.len());
        for share in &progress.sources {
            let lacked = share.lacked_pieces;
            if lacked > 0 && self.sources[share.source.0 as usize].promises_all() {
                self.blame(share.source, format!("did not have {lacked} chunks it promised"));
            }
            let source = self.name(share.source).to_owned();
            sources.push(SourceShare { source, bytes: share.retrieved_bytes, lacked });
        }
        FetchReport {
            sources,
            culprits: self.culprits,
            chunks: progress.retrieved_pieces,
            bytes: progress.retrieved_bytes,
            wasted_bytes: progress.wasted_bytes,
        }
    }
}

/// The runtime's clock, which tests may stop.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
