//! The hub: the rules of the routes, over a database and a store that forget what was not durable.
//!
//! What is a decision of other crates is theirs: whether a release is signed by who may
//! (`documents`), what is in a closure (`content`), what travels (`wire`, `hub-api`).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use content::frame::FrameCodec;
use content::{ChunkId, Closure, ClosureHead};
use documents::{
    Authority, Delegation, DocumentHash, Manifest, NodeKey, PublicKey, ReleaseName, accept_head,
};
use hub_api::limits::HEARTBEAT_INTERVAL;
use hub_api::text::{Base64Bytes, Hex};
use hub_api::{
    DelegationDocument, HeadDocuments, NameInfo, NewestRelease, Problem, ProblemCode,
    ReleaseAccepted, ReleaseEvent, UploadResponse,
};
use wire::{
    FrameStreamDecoder, HAVE_IDS_MAX, HaveBitmap, IDS_MAX, IdList, encode_end, encode_frame,
};

use crate::Sabotage;
use crate::clock::{Clock, Moment};
use crate::context::{Context, json};
use crate::keeping::{Keeping, frames_of};
use crate::network::{CallId, Kind, Packet, Party, Route};

/// How a hub that lies answers who asks for the newest release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lie {
    /// With a release from before.
    Old,
    /// With the newest head and the manifest of another release.
    Mixed,
    /// With one signed by a stranger.
    Forged,
    /// With the owner's first list of publishers, or none.
    OldList,
}

/// What a hostile source does with a request for chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    WrongBytes,
    Silent,
    LacksAll,
    Unasked,
    NeverEnds,
}

#[derive(Debug, Clone)]
struct Release {
    manifest: Vec<u8>,
    head: Vec<u8>,
    hash: DocumentHash,
}

/// What becomes durable after a while, and is answered then.
#[derive(Debug)]
enum Step {
    Upload { chunks: u64 },
    Publish { accepted: Box<Manifest>, release: Release, key: Option<(u64, DocumentHash)> },
    List { number: u64, signed: Vec<u8> },
}

pub(crate) struct Hub {
    pub(crate) party: Party,
    pub(crate) clock: Clock,
    pub(crate) store: Keeping,
    name: ReleaseName,
    owner: PublicKey,
    releases: BTreeMap<u64, Release>,
    list: Option<(u64, Vec<u8>)>,
    lists: Vec<Vec<u8>>,
    /// Answers by idempotency key, with the hash of the question.
    answers: BTreeMap<u64, (DocumentHash, Bytes)>,
    pub(crate) lie: Option<Lie>,
    pub(crate) manner: Option<Manner>,
    pub(crate) down: bool,
    // What a crash takes.
    waiting: VecDeque<(Moment, CallId, Step)>,
    claims: BTreeSet<u64>,
    streams: BTreeSet<CallId>,
    beat_at: Moment,
}

impl Hub {
    pub(crate) fn new(party: Party, clock: Clock, name: ReleaseName, owner: PublicKey) -> Self {
        Self {
            party,
            clock,
            store: Keeping::new(),
            name,
            owner,
            releases: BTreeMap::new(),
            list: None,
            lists: Vec::new(),
            answers: BTreeMap::new(),
            lie: None,
            manner: None,
            down: false,
            waiting: VecDeque::new(),
            claims: BTreeSet::new(),
            streams: BTreeSet::new(),
            beat_at: Moment::ZERO,
        }
    }

    pub(crate) fn crash(&mut self, context: &mut Context<'_>) {
        self.down = true;
        self.store.crash(context.random);
        self.waiting.clear();
        self.claims.clear();
        self.streams.clear();
        context.network.crash(context.now, self.party);
    }

    pub(crate) fn start(&mut self, context: &mut Context<'_>) {
        self.down = false;
        if self.party == Party::Hub(0) {
            context.judge.hub_has(context.now, &self.hashes());
        }
    }

    pub(crate) fn hashes(&self) -> BTreeMap<u64, DocumentHash> {
        self.releases.iter().map(|(sequence, release)| (*sequence, release.hash)).collect()
    }

    pub(crate) fn due(&self) -> Option<Moment> {
        let step = self.waiting.front().map(|(due, ..)| *due);
        let beat = (!self.streams.is_empty()).then_some(self.beat_at);
        step.into_iter().chain(beat).min().filter(|_| !self.down)
    }

    /// Does what is due.
    pub(crate) fn wake(&mut self, context: &mut Context<'_>) {
        if !self.streams.is_empty() && self.beat_at <= context.now {
            self.tell(context, &Bytes::new());
            self.beat_at = context.now + HEARTBEAT_INTERVAL;
        }
        while let Some((_, call, step)) = self.waiting.pop_front_if(|(due, ..)| *due <= context.now)
        {
            self.finish(context, call, step);
        }
    }

    fn tell(&mut self, context: &mut Context<'_>, part: &Bytes) {
        self.streams.retain(|call| context.network.is_open(*call));
        for call in &self.streams {
            context.answer(*call, 200, part.clone(), false);
        }
    }

    pub(crate) fn handle(&mut self, context: &mut Context<'_>, packet: &Packet) {
        if self.down {
            return context.network.refuse(context.now, packet);
        }
        match &packet.kind {
            Kind::Ask { route, key, body } => self.asked(context, packet.call, *route, *key, body),
            Kind::Stop => {
                self.streams.remove(&packet.call);
            }
            Kind::Answer { .. } | Kind::Broken => {}
        }
    }

    fn asked(
        &mut self,
        context: &mut Context<'_>,
        call: CallId,
        route: Route,
        key: Option<u64>,
        body: &Bytes,
    ) {
        let answer = match route {
            Route::Name => Ok(Some(self.name_info(context))),
            Route::Head => self.head(context).map(Some),
            Route::Release(sequence) => match self.releases.get(&sequence) {
                Some(release) => Ok(Some(release.documents())),
                None => Err(ProblemCode::NotFound.into()),
            },
            Route::Delegation => match &self.list {
                Some((_, signed)) => {
                    Ok(Some(json(&DelegationDocument { delegation: Base64Bytes(signed.clone()) })))
                }
                None => Err(ProblemCode::NotFound.into()),
            },
            Route::PutDelegation => self.put_list(context, call, body).map(|()| None),
            Route::Have => self.have(body).map(Some),
            Route::Upload => self.upload(context, call, body).map(|()| None),
            Route::Publish => self.publish(context, call, key, body),
            Route::Chunks => {
                self.chunks(context, call, body);
                Ok(None)
            }
            Route::Events => {
                if self.streams.is_empty() {
                    self.beat_at = context.now + HEARTBEAT_INTERVAL;
                }
                self.streams.insert(call);
                context.answer(call, 200, Bytes::new(), false);
                Ok(None)
            }
        };
        match answer {
            Ok(Some(body)) => context.answer(call, 200, body, true),
            Ok(None) => {}
            Err(refusal) => self.refuse(context, call, &refusal),
        }
    }

    fn refuse(&mut self, context: &mut Context<'_>, call: CallId, refusal: &Refusal) {
        let problem = match refusal {
            Refusal::Code(code, why) => Problem::new(*code, why.clone()),
            Refusal::Missing(ids) => Problem::chunks_missing(ids.clone()),
        };
        context.note(format_args!("{:?} refuses {call}: {}", self.party, problem.detail));
        context.answer(call, problem.status, json(&problem), true);
    }

    fn name_info(&self, context: &mut Context<'_>) -> Bytes {
        let mut latest = self.releases.keys().next_back().copied();
        if self.lie.is_some() && context.random.happens(500) {
            latest = Some(context.random.below(20));
        }
        let (name, publisher) = (self.name.to_string(), Hex(*self.owner.as_bytes()));
        json(&NameInfo { name, public: true, publisher, latest })
    }

    fn head(&self, context: &mut Context<'_>) -> Result<Bytes, Refusal> {
        let Some((sequence, newest)) = self.releases.last_key_value() else {
            return Err(ProblemCode::NotFound.into());
        };
        let older = |context: &mut Context<'_>| {
            let number = 1 + context.random.below(*sequence);
            self.releases.get(&number).unwrap_or(newest).clone()
        };
        let mut release = newest.clone();
        let mut list = self.list.as_ref().map(|(_, signed)| signed.clone());
        match self.lie {
            None => {}
            Some(Lie::Old) => release = older(context),
            Some(Lie::Mixed) => release.manifest = older(context).manifest,
            Some(Lie::OldList) => list = self.lists.first().cloned(),
            Some(Lie::Forged) => release = self.forged(context, newest),
        }
        Ok(json(&NewestRelease {
            manifest: Base64Bytes(release.manifest),
            head: Base64Bytes(release.head),
            delegation: list.map(Base64Bytes),
        }))
    }

    /// A release with the next number, by somebody who may not.
    fn forged(&self, context: &mut Context<'_>, newest: &Release) -> Release {
        let key = NodeKey::from_secret_bytes([0xee; 32]);
        let opened = Manifest::peek_publisher(&newest.manifest)
            .and_then(|signer| Manifest::open(&newest.manifest, &signer));
        let Ok((manifest, previous)) = opened else { return newest.clone() };
        let sequence = manifest.sequence + 1;
        // It may claim to be the owner's, or be honest about whose it is.
        let publisher = if context.random.happens(500) { key.public() } else { self.owner };
        let manifest = Manifest { publisher, sequence, previous: Some(previous), ..manifest };
        Release::sign(&manifest, &key)
    }

    fn have(&self, body: &Bytes) -> Result<Bytes, Refusal> {
        let ids = IdList::decode(body, HAVE_IDS_MAX).map_err(|error| malformed(&error))?;
        Ok(HaveBitmap(self.store.has(&ids.0)).encode())
    }

    fn upload(
        &mut self,
        context: &mut Context<'_>,
        call: CallId,
        body: &Bytes,
    ) -> Result<(), Refusal> {
        let mut decoder = FrameStreamDecoder::default();
        decoder.push(body.clone());
        let mut frames = Vec::new();
        while let Some(frame) = decoder.next_frame().map_err(|error| malformed(&error))? {
            frames.push(frame);
        }
        decoder.finish().map_err(|error| malformed(&error))?;
        let chunks = self.store.append(&frames).map_err(|error| malformed(&error))?;
        self.later(context, call, Step::Upload { chunks });
        Ok(())
    }

    fn put_list(
        &mut self,
        context: &mut Context<'_>,
        call: CallId,
        body: &[u8],
    ) -> Result<(), Refusal> {
        let document: DelegationDocument =
            serde_json::from_slice(body).map_err(|error| malformed(&error))?;
        let signed = document.delegation.0;
        let (list, _) = Delegation::open(&signed, &self.owner).map_err(|error| refused(&error))?;
        if list.expires <= self.clock.unix(context.now) {
            return Err(refused(&"it has expired"));
        }
        self.later(context, call, Step::List { number: list.number, signed });
        Ok(())
    }

    fn publish(
        &mut self,
        context: &mut Context<'_>,
        call: CallId,
        key: Option<u64>,
        body: &Bytes,
    ) -> Result<Option<Bytes>, Refusal> {
        let question = DocumentHash::of(body);
        if let Some(key) = key {
            match self.answers.get(&key) {
                Some((known, answer)) if *known == question => return Ok(Some(answer.clone())),
                Some(_) => return Err(ProblemCode::IdempotencyMismatch.into()),
                None if self.claims.contains(&key) => {
                    return Err(ProblemCode::IdempotencyRunning.into());
                }
                None => {}
            }
        }
        let documents: HeadDocuments =
            serde_json::from_slice(body).map_err(|error| malformed(&error))?;
        let (manifest, head) = (documents.manifest.0, documents.head.0);
        let now = self.clock.unix(context.now);
        let list = self.list.as_ref().map(|(_, signed)| signed.as_slice());
        let authority = Authority::new(self.owner, list, &self.name, now);
        let accepted = accept_head(&head, &manifest, &authority, &self.name, None, now)
            .map_err(|error| refused(&error))?;
        let (release, hash) = (accepted.manifest, accepted.hash);
        let answer = json(&ReleaseAccepted { sequence: release.sequence });
        if self.releases.last_key_value().is_some_and(|(_, latest)| latest.hash == hash) {
            return Ok(Some(answer));
        }
        self.closure(&release)?;
        if let Some(key) = key {
            self.claims.insert(key);
        }
        if context.is(Sabotage::AcknowledgeEarly) {
            context.answer(call, 200, answer, true);
        }
        let new = Release { manifest, head, hash };
        let key = key.map(|key| (key, question));
        let step = Step::Publish { accepted: Box::new(release), release: new, key };
        self.later(context, call, step);
        Ok(None)
    }

    /// Whether everything under a release is here.
    fn closure(&self, release: &Manifest) -> Result<(), Refusal> {
        let stored = |id: ChunkId| {
            self.store.read(&id).ok_or_else(|| Refusal::Missing(vec![Hex(*id.as_bytes())]))
        };
        let head = ClosureHead::decode(&stored(release.closure.id)?).map_err(|e| refused(&e))?;
        let mut ids = Vec::new();
        for segment in &head.segments {
            let entries = Closure::decode(&stored(segment.id)?).map_err(|error| refused(&error))?;
            ids.extend(entries.0.iter().map(|entry| entry.id));
        }
        if head.tree != release.tree.id || !ids.contains(&release.tree.id) {
            return Err(refused(&"the closure does not fit its tree"));
        }
        let lacking = ids.iter().zip(self.store.has(&ids)).filter(|(_, here)| !here);
        let missing: Vec<_> = lacking.map(|(id, _)| Hex(*id.as_bytes())).collect();
        if missing.is_empty() { Ok(()) } else { Err(Refusal::Missing(missing)) }
    }

    fn later(&mut self, context: &mut Context<'_>, call: CallId, step: Step) {
        let last = self.waiting.back().map_or(Moment::ZERO, |(due, ..)| *due);
        let due = (context.now + context.random.millis(1, 400)).max(last);
        self.waiting.push_back((due, call, step));
    }

    /// What was begun becomes durable, and is answered.
    fn finish(&mut self, context: &mut Context<'_>, call: CallId, step: Step) {
        let flushed = self.store.flush();
        let done = match step {
            _ if flushed.is_err() => Err(ProblemCode::StorageFull.into()),
            Step::Upload { chunks } => Ok(json(&UploadResponse { stored: chunks, known: 0 })),
            Step::List { number, signed } => self.set_list(number, signed),
            Step::Publish { accepted, release, key } => {
                let done = self.commit(context, &accepted, release);
                if let Some((key, question)) = key {
                    self.claims.remove(&key);
                    if let Ok(answer) = &done {
                        self.answers.insert(key, (question, answer.clone()));
                    }
                }
                done
            }
        };
        match done {
            Ok(body) => context.answer(call, 200, body, true),
            Err(refusal) => self.refuse(context, call, &refusal),
        }
    }

    fn set_list(&mut self, number: u64, signed: Vec<u8>) -> Result<Bytes, Refusal> {
        if self.list.as_ref().is_some_and(|(known, _)| *known >= number) {
            return Err(ProblemCode::DelegationConflict.into());
        }
        self.lists.push(signed.clone());
        self.list = Some((number, signed));
        Ok(Bytes::new())
    }

    /// The rules that hold over several rows, as in `hub-db`.
    fn commit(
        &mut self,
        context: &mut Context<'_>,
        manifest: &Manifest,
        release: Release,
    ) -> Result<Bytes, Refusal> {
        let latest = self.releases.last_key_value();
        let (number, previous) =
            latest.map_or((0, None), |(number, latest)| (*number, Some(latest.hash)));
        let follows = manifest.sequence == number + 1 && manifest.previous == previous;
        if !follows && !context.is(Sabotage::AnyPredecessor) {
            return Err(ProblemCode::ReleaseConflict.into());
        }
        let list = self.list.as_ref().map(|(_, signed)| signed.as_slice());
        let now = self.clock.unix(context.now);
        Authority::new(self.owner, list, &self.name, now)
            .check(&manifest.publisher, manifest.sequence)
            .map_err(|error| refused(&error))?;
        let sequence = manifest.sequence;
        context.judge.committed(context.now, sequence, release.hash, manifest.tree.id);
        context.note(format_args!("{:?} has release {sequence} {}", self.party, release.hash));
        self.releases.insert(sequence, release);
        let event = ReleaseEvent { name: self.name.to_string(), sequence };
        self.tell(context, &json(&event));
        Ok(json(&ReleaseAccepted { sequence }))
    }

    fn chunks(&mut self, context: &mut Context<'_>, call: CallId, body: &Bytes) {
        let Ok(IdList(mut ids)) = IdList::decode(body, IDS_MAX) else {
            return self.refuse(context, call, &malformed(&"not a list of ids"));
        };
        match self.manner {
            None => {}
            Some(Manner::Silent) => return,
            Some(Manner::LacksAll) => return context.answer(call, 200, encode_end(&ids), true),
            Some(Manner::WrongBytes | Manner::Unasked) => {
                let unasked = self.manner == Some(Manner::Unasked);
                let junk = Bytes::from(context.random.bytes(3000));
                let wrong = |id| (if unasked { ChunkId::of(&junk) } else { id }, junk.clone());
                let chunks: Vec<_> = ids.into_iter().map(wrong).collect();
                let frames = frames_of(&mut FrameCodec::default(), chunks.into_iter());
                for part in frames.iter().flat_map(encode_frame) {
                    context.answer(call, 200, part, false);
                }
                return context.answer(call, 200, encode_end(&[]), true);
            }
            Some(Manner::NeverEnds) => {}
        }
        let mut lacking = Vec::new();
        while !ids.is_empty() {
            let (frames, missing) = self.store.frames(&ids);
            let mut answered: BTreeSet<ChunkId> = missing.iter().copied().collect();
            lacking.extend(missing);
            for frame in &frames {
                answered.extend(frame.entries().iter().map(|entry| entry.id));
                for part in encode_frame(frame) {
                    context.answer(call, 200, part, false);
                }
            }
            ids.retain(|id| !answered.contains(id));
        }
        if self.manner != Some(Manner::NeverEnds) {
            context.answer(call, 200, encode_end(&lacking), true);
        }
    }
}

impl Release {
    fn documents(&self) -> Bytes {
        let (manifest, head) = (self.manifest.clone(), self.head.clone());
        json(&HeadDocuments {
            manifest: Base64Bytes(manifest),
            head: Base64Bytes(head),
            after: None,
        })
    }

    fn sign(manifest: &Manifest, key: &NodeKey) -> Self {
        let (manifest, head, hash) = sign(manifest, key);
        Self { manifest, head, hash }
    }
}

/// Signs a release and the head that makes it the newest.
pub(crate) fn sign(manifest: &Manifest, key: &NodeKey) -> (Vec<u8>, Vec<u8>, DocumentHash) {
    let signed = manifest.sign(key);
    let hash = DocumentHash::of(&signed);
    (signed, manifest.head(hash).sign(key), hash)
}

/// Why a request was refused.
enum Refusal {
    Code(ProblemCode, String),
    Missing(Vec<Hex<32>>),
}

impl From<ProblemCode> for Refusal {
    fn from(code: ProblemCode) -> Self {
        Self::Code(code, String::new())
    }
}

fn malformed(error: &dyn std::fmt::Display) -> Refusal {
    Refusal::Code(ProblemCode::MalformedRequest, error.to_string())
}

fn refused(error: &dyn std::fmt::Display) -> Refusal {
    Refusal::Code(ProblemCode::DocumentRefused, error.to_string())
}
