//! A publisher: what `node::publish` and `node::delegate` do, one question at a time.
//!
//! Behind it is a person who runs a command again until it is done.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use content::ChunkId;
use content::frame::FrameCodec;
use documents::{
    Authority, Delegation, DocumentHash, Manifest, NodeKey, PublicKey, ReleaseName, Seen, Tenure,
};
use hub_api::{
    Base64Bytes, DelegationDocument, HeadDocuments, NameInfo, NewestRelease, Problem, ProblemCode,
};
use wire::{HaveBitmap, IdList, encode_end, encode_frame};

use crate::clock::{Clock, Moment};
use crate::context::{Asked, Context, Reply, json};
use crate::hub::sign;
use crate::keeping::frames_of;
use crate::network::{Kind, Packet, Party, Route};
use crate::trees::{Tree, trees};

const HUB: Party = Party::Hub(0);
const LIST_TIME: u64 = 365 * 86_400;
/// How often a question under one key is sent again, and the whole tree gone through.
const TRIES: u32 = 3;
/// The least time between two tries of a person.
const AGAIN: Duration = Duration::from_secs(2);

/// What a person wants done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    Publish { tree: usize, valid_time: u64 },
    Add(PublicKey),
    End { key: PublicKey, disown: bool },
}

/// What is known of the name when a release is made.
#[derive(Clone)]
struct History {
    list: Option<Vec<u8>>,
    newest: Option<(Manifest, DocumentHash)>,
    /// Whether readers believe it.
    counts: bool,
    attempt: u32,
}

enum Stage {
    Idle,
    Head(Asked),
    /// No release yet: the list may come before it.
    FirstList(Asked),
    Uphold(Asked, History, Vec<u8>),
    Have(Asked, History, Vec<ChunkId>),
    Upload(Asked, History),
    Post {
        asked: Asked,
        history: History,
        manifest: Box<Manifest>,
        body: Bytes,
        key: u64,
        tries: u32,
    },
    Name(Asked),
    OwnList(Asked, NameInfo),
    PutList(Asked, Vec<u8>),
}

pub(crate) struct Publisher {
    pub(crate) party: Party,
    pub(crate) clock: Clock,
    key: NodeKey,
    name: ReleaseName,
    owner: PublicKey,
    /// When each is asked for, in order.
    pub(crate) tasks: VecDeque<(Moment, Task)>,
    // What survives a crash.
    seen: Option<Seen>,
    list: Option<Vec<u8>>,
    /// What it has sent in a release that was accepted.
    index: BTreeSet<ChunkId>,
    // What does not.
    stage: Stage,
    again_at: Moment,
    pub(crate) down: bool,
    pub(crate) stuck: u32,
}

impl Publisher {
    pub(crate) fn new(
        party: Party,
        clock: Clock,
        key: NodeKey,
        name: ReleaseName,
        owner: PublicKey,
        tasks: VecDeque<(Moment, Task)>,
    ) -> Self {
        Self {
            party,
            clock,
            key,
            name,
            owner,
            tasks,
            seen: None,
            list: None,
            index: BTreeSet::new(),
            stage: Stage::Idle,
            again_at: Moment::ZERO,
            down: false,
            stuck: 0,
        }
    }

    fn is_owner(&self) -> bool {
        self.key.public() == self.owner
    }

    pub(crate) fn crash(&mut self, context: &mut Context<'_>) {
        self.down = true;
        self.stage = Stage::Idle;
        context.network.crash(context.now, self.party);
    }

    pub(crate) fn start(&mut self, context: &mut Context<'_>) {
        self.down = false;
        self.again_at = context.now + AGAIN;
    }

    fn asked(&mut self) -> Option<&mut Asked> {
        match &mut self.stage {
            Stage::Idle => None,
            Stage::Head(asked)
            | Stage::FirstList(asked)
            | Stage::Uphold(asked, ..)
            | Stage::Have(asked, ..)
            | Stage::Upload(asked, ..)
            | Stage::Post { asked, .. }
            | Stage::Name(asked)
            | Stage::OwnList(asked, _)
            | Stage::PutList(asked, _) => Some(asked),
        }
    }

    pub(crate) fn due(&mut self) -> Option<Moment> {
        if self.down {
            return None;
        }
        let again_at = self.again_at;
        let next = self.tasks.front().map(|(at, _)| (*at).max(again_at));
        self.asked().map(|asked| asked.deadline).or(next)
    }

    pub(crate) fn wake(&mut self, context: &mut Context<'_>) {
        if self.down {
            return;
        }
        match self.asked().map(|asked| (asked.call, asked.deadline)) {
            Some((call, deadline)) if deadline <= context.now => {
                context.stop(call);
                self.replied(context, &Reply::Failed);
            }
            Some(_) => {}
            None => self.begin(context),
        }
    }

    pub(crate) fn handle(&mut self, context: &mut Context<'_>, packet: &Packet) {
        let now = context.now;
        let Some(asked) = self.asked().filter(|asked| asked.call == packet.call) else { return };
        let taken = match &packet.kind {
            kind @ (Kind::Answer { .. } | Kind::Broken) => asked.take(now, kind),
            Kind::Ask { .. } | Kind::Stop => None,
        };
        if let Some(reply) = taken {
            self.replied(context, &reply);
        }
    }

    fn ask(&self, context: &mut Context<'_>, route: Route, body: Bytes) -> Asked {
        context.ask(self.party, HUB, route, body)
    }

    /// Runs the command for the task that is next.
    fn begin(&mut self, context: &mut Context<'_>) {
        let Some((at, task)) = self.tasks.front().copied() else { return };
        if at.max(self.again_at) > context.now {
            return;
        }
        context.judge.acts(context.now, self.party);
        context.note(format_args!("{:?} begins {task:?}", self.party));
        self.stage = match task {
            Task::Publish { .. } => Stage::Head(self.ask(context, Route::Head, Bytes::new())),
            Task::Add(_) | Task::End { .. } => {
                Stage::Name(self.ask(context, Route::Name, Bytes::new()))
            }
        };
    }

    fn replied(&mut self, context: &mut Context<'_>, reply: &Reply) {
        let next = match std::mem::replace(&mut self.stage, Stage::Idle) {
            Stage::Idle => Ok(Stage::Idle),
            Stage::Head(_) => self.head(context, reply),
            Stage::FirstList(_) => self.first_list(context, reply),
            Stage::Uphold(_, history, list) => self.upheld(context, reply, history, list),
            Stage::Have(_, history, ids) => self.upload(context, reply, history, &ids),
            Stage::Upload(_, history) => {
                reply.json::<hub_api::UploadResponse>().and_then(|_| self.post(context, history))
            }
            Stage::Post { history, manifest, body, key, tries, .. } => {
                self.posted(context, reply, history, manifest, body, key, tries)
            }
            Stage::Name(_) => reply.json::<NameInfo>().map(|info| {
                Stage::OwnList(self.ask(context, Route::Delegation, Bytes::new()), info)
            }),
            Stage::OwnList(_, info) => self.own_list(context, reply, &info),
            Stage::PutList(_, list) => self.list_put(context, reply, list),
        };
        match next {
            Ok(stage) => self.stage = stage,
            Err(why) => {
                context.note(format_args!("{:?} fails: {why}", self.party));
                self.again_at = context.now + AGAIN + context.random.millis(1, 15_000);
                self.stuck += 1;
                // Somebody who is told that he may not publish stops trying some day.
                if !self.is_owner() && self.stuck > 8 {
                    self.done(context);
                }
            }
        }
    }

    fn done(&mut self, context: &mut Context<'_>) {
        let done = self.tasks.pop_front();
        self.stuck = 0;
        self.again_at = context.now + AGAIN;
        context.note(format_args!("{:?} is done with {done:?}", self.party));
    }

    fn authority(&self, offered: Option<&[u8]>, now: u64) -> Authority {
        let lists = self.list.as_deref().into_iter().chain(offered);
        Authority::new(self.owner, lists, &self.name, now)
    }

    fn head(&mut self, context: &mut Context<'_>, reply: &Reply) -> Result<Stage, String> {
        if reply.is_not_found() {
            return Ok(Stage::FirstList(self.ask(context, Route::Delegation, Bytes::new())));
        }
        let newest: NewestRelease = reply.json()?;
        let list = newest.delegation.map(|list| list.0);
        self.history(context, Some(&newest.manifest.0), list)
    }

    fn first_list(&mut self, context: &mut Context<'_>, reply: &Reply) -> Result<Stage, String> {
        let list = match reply.is_not_found() {
            true => None,
            false => Some(reply.json::<DelegationDocument>()?.delegation.0),
        };
        self.history(context, None, list)
    }

    /// As `node::publish::history`: what the new release continues.
    fn history(
        &mut self,
        context: &mut Context<'_>,
        newest: Option<&[u8]>,
        list: Option<Vec<u8>>,
    ) -> Result<Stage, String> {
        // Owners believe their own list however old it is: it is renewed below.
        let now = if self.is_owner() { 0 } else { self.clock.unix(context.now) };
        let authority = self.authority(list.as_deref(), now);
        let (own, seen) = (self.key.public(), self.seen.as_ref());
        let opened = newest.map(|newest| authority.open_latest(newest, &own, seen)).transpose();
        let newest = opened.map_err(|error| format!("history: {error}"))?;
        let offered = newest.as_ref().map_or(0, |(manifest, _)| manifest.sequence);
        if let Some(seen) = &self.seen {
            let forked = newest.as_ref().is_some_and(|(manifest, hash)| {
                manifest.sequence == seen.sequence && *hash != seen.manifest
            });
            if seen.sequence > offered || forked {
                return Err(format!("the hub shows release {offered}, not what was seen"));
            }
        }
        authority.check(&self.key.public(), offered + 1).map_err(|error| error.to_string())?;
        let signed = authority.signed().map(<[u8]>::to_vec);
        let counts = newest.as_ref().is_none_or(|(manifest, _)| {
            authority.check(&manifest.publisher, manifest.sequence).is_ok()
        });
        let history = History { list: signed.clone(), newest, counts, attempt: 1 };
        if self.is_owner()
            && let (Ok(Some(known)), Some(signed)) = (authority.delegation(), signed)
        {
            let left = known.expires.saturating_sub(self.clock.unix(context.now));
            if left < LIST_TIME / 2 && !known.publishers.is_empty() {
                let list = self.sign_list(context, known.clone());
                return Ok(self.uphold(context, history, list));
            }
            if list.as_ref() != Some(&signed) {
                return Ok(self.uphold(context, history, signed));
            }
        }
        Ok(self.have(context, history, None))
    }

    fn uphold(&self, context: &mut Context<'_>, history: History, list: Vec<u8>) -> Stage {
        let body = json(&DelegationDocument { delegation: Base64Bytes(list.clone()) });
        Stage::Uphold(self.ask(context, Route::PutDelegation, body), history, list)
    }

    fn upheld(
        &mut self,
        context: &mut Context<'_>,
        reply: &Reply,
        history: History,
        list: Vec<u8>,
    ) -> Result<Stage, String> {
        accepted(reply)?;
        self.list = Some(list.clone());
        Ok(self.have(context, History { list: Some(list), ..history }, None))
    }

    fn tree(&self) -> Option<&'static Tree> {
        match self.tasks.front()?.1 {
            Task::Publish { tree, .. } => trees().get(tree),
            Task::Add(_) | Task::End { .. } => None,
        }
    }

    /// Asks which chunks the hub lacks: of what changed, or of what it said it lacks.
    fn have(
        &self,
        context: &mut Context<'_>,
        history: History,
        resend: Option<Vec<ChunkId>>,
    ) -> Stage {
        let chunks = self.tree().map(|tree| &tree.chunks).into_iter().flatten();
        let new = chunks.map(|(id, _)| *id).filter(|id| !self.index.contains(id));
        let ids = resend.unwrap_or_else(|| new.collect());
        let asked = self.ask(context, Route::Have, IdList::encode_ids(&ids));
        Stage::Have(asked, history, ids)
    }

    fn upload(
        &mut self,
        context: &mut Context<'_>,
        reply: &Reply,
        history: History,
        ids: &[ChunkId],
    ) -> Result<Stage, String> {
        let Reply::Whole(200, bitmap) = reply else { return Err("no answer".to_owned()) };
        let known = HaveBitmap::decode(bitmap, ids.len()).map_err(|error| error.to_string())?;
        let tree = self.tree().ok_or("no tree")?;
        let lacking = ids.iter().zip(&known.0).filter(|(_, known)| !**known);
        let chunks: Vec<_> =
            lacking.filter_map(|(id, _)| Some((*id, tree.chunks.get(id)?.clone()))).collect();
        if chunks.is_empty() {
            return self.post(context, history);
        }
        let mut body = Vec::new();
        for frame in frames_of(&mut FrameCodec::default(), chunks.into_iter()) {
            encode_frame(&frame).iter().for_each(|part| body.extend_from_slice(part));
        }
        body.extend_from_slice(&encode_end(&[]));
        Ok(Stage::Upload(self.ask(context, Route::Upload, body.into()), history))
    }

    fn post(&mut self, context: &mut Context<'_>, history: History) -> Result<Stage, String> {
        let Some((_, Task::Publish { valid_time, .. })) = self.tasks.front().copied() else {
            return Ok(Stage::Idle);
        };
        let tree = self.tree().ok_or("no tree")?;
        let issued = self.clock.unix(context.now);
        if let Some((newest, hash)) = &history.newest
            && history.counts
            && newest.tree.id == tree.root.id
            && newest.expires.saturating_sub(issued) >= valid_time / 2
        {
            // It is published already, perhaps by the run whose answer was lost.
            self.seen = Some(Seen { sequence: newest.sequence, manifest: *hash });
            self.list = history.list;
            self.done(context);
            return Ok(Stage::Idle);
        }
        let newest = history.newest.as_ref();
        let manifest = Manifest {
            publisher: self.key.public(),
            name: self.name.clone(),
            sequence: newest.map_or(1, |(manifest, _)| manifest.sequence + 1),
            previous: newest.map(|(_, hash)| *hash),
            issued,
            expires: issued + valid_time,
            tree: tree.root,
            closure: tree.closure,
            totals: Some(tree.totals),
            parameters: content::cut::PARAMETERS,
            sealed_root: None,
        };
        let (signed, head, _) = sign(&manifest, &self.key);
        let documents =
            HeadDocuments { manifest: Base64Bytes(signed), head: Base64Bytes(head), after: None };
        let body = json(&documents);
        let key = context.random.next_u64();
        Ok(self.send(context, history, Box::new(manifest), body, key, 1))
    }

    fn send(
        &self,
        context: &mut Context<'_>,
        history: History,
        manifest: Box<Manifest>,
        body: Bytes,
        key: u64,
        tries: u32,
    ) -> Stage {
        let asked = context.ask_once(self.party, HUB, Route::Publish, body.clone(), Some(key));
        Stage::Post { asked, history, manifest, body, key, tries }
    }

    #[expect(clippy::too_many_arguments, reason = "one step of `replied`, cut out to be read")]
    fn posted(
        &mut self,
        context: &mut Context<'_>,
        reply: &Reply,
        history: History,
        manifest: Box<Manifest>,
        body: Bytes,
        key: u64,
        tries: u32,
    ) -> Result<Stage, String> {
        match reply {
            Reply::Whole(200, _) => {
                let hash = DocumentHash::of(&manifest.sign(&self.key));
                context.judge.acknowledged(manifest.sequence, hash);
                self.seen = Some(Seen { sequence: manifest.sequence, manifest: hash });
                self.list = history.list;
                self.index =
                    self.tree().into_iter().flat_map(|t| t.chunks.keys().copied()).collect();
                self.done(context);
                Ok(Stage::Idle)
            }
            Reply::Failed if tries < TRIES => {
                Ok(self.send(context, history, manifest, body, key, tries + 1))
            }
            Reply::Failed => Err("no answer".to_owned()),
            Reply::Whole(_, problem) => {
                let problem: Problem =
                    serde_json::from_slice(problem).map_err(|error| error.to_string())?;
                if problem.code == ProblemCode::ChunksMissing && history.attempt < TRIES {
                    let missing = problem.missing.iter();
                    let missing = missing.map(|id| ChunkId::from_bytes(id.0)).collect();
                    let history = History { attempt: history.attempt + 1, ..history };
                    return Ok(self.have(context, history, Some(missing)));
                }
                Err(format!("{:?}: {}", problem.code, problem.detail))
            }
        }
    }

    /// As `node::delegate`: the list that is there, changed, under the next number.
    fn own_list(
        &mut self,
        context: &mut Context<'_>,
        reply: &Reply,
        info: &NameInfo,
    ) -> Result<Stage, String> {
        let offered = match reply.is_not_found() {
            true => None,
            false => Some(reply.json::<DelegationDocument>()?.delegation.0),
        };
        let authority = self.authority(offered.as_deref(), 0);
        let known = authority.delegation().map_err(ToString::to_string)?;
        let mut list = known.cloned().unwrap_or_else(|| Delegation {
            owner: self.owner,
            name: self.name.clone(),
            number: 0,
            issued: 0,
            expires: 0,
            publishers: BTreeMap::new(),
        });
        match self.tasks.front().map(|(_, task)| *task) {
            Some(Task::Add(key)) => {
                list.publishers.insert(key, Tenure::Current);
            }
            Some(Task::End { key, disown }) => match info.latest.filter(|_| !disown) {
                Some(last) => {
                    list.publishers.insert(key, Tenure::Until(last));
                }
                None => {
                    list.publishers.remove(&key);
                }
            },
            Some(Task::Publish { .. }) | None => return Ok(Stage::Idle),
        }
        let signed = self.sign_list(context, list);
        let body = json(&DelegationDocument { delegation: Base64Bytes(signed.clone()) });
        Ok(Stage::PutList(self.ask(context, Route::PutDelegation, body), signed))
    }

    fn sign_list(&self, context: &Context<'_>, list: Delegation) -> Vec<u8> {
        let issued = self.clock.unix(context.now);
        let (number, expires) = (list.number + 1, issued + LIST_TIME);
        Delegation { number, issued, expires, ..list }.sign(&self.key)
    }

    fn list_put(
        &mut self,
        context: &mut Context<'_>,
        reply: &Reply,
        list: Vec<u8>,
    ) -> Result<Stage, String> {
        accepted(reply)?;
        self.list = Some(list);
        self.done(context);
        Ok(Stage::Idle)
    }
}

fn accepted(reply: &Reply) -> Result<(), String> {
    match reply {
        Reply::Whole(200..300, _) => Ok(()),
        Reply::Whole(status, body) => Err(format!("{status}: {}", String::from_utf8_lossy(body))),
        Reply::Failed => Err("no answer".to_owned()),
    }
}
