//! A node: follows the name, or gets it now and then.
//!
//! What it does about releases is decided by `watch-plan`, `documents` and `fetch-plan`; this is
//! the loop of `node::watch::follow` without tasks, and a disk that remembers what was synced.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use documents::{Authority, Manifest, PublicKey, ReleaseName, Seen, accept_head, accept_numbered};
use hub_api::{HeadDocuments, NameInfo, NewestRelease, ReleaseEvent};
use watch_plan::{Action, Doing, Wanted, WatchConfig, WatchPlan};

use crate::Sabotage;
use crate::clock::{Clock, Moment};
use crate::context::{Asked, Context, Reply};
use crate::fetching::{Fetch, Place};
use crate::keeping::Keeping;
use crate::network::{Kind, Packet, Party, Route};

/// As in `hub-client`: three heart-beats of the hub.
const STREAM_IDLE_MAX: Duration = Duration::from_secs(45);
const HUB: Party = Party::Hub(0);
/// The hub, its mirror and the hostile source.
const SOURCES: u32 = 3;

/// What a node remembers about the name.
#[derive(Debug, Clone)]
struct Trust {
    owner: PublicKey,
    seen: Option<Seen>,
    list: Option<Vec<u8>>,
}

/// What survives a crash.
struct Disk {
    trust: Trust,
    chunks: Keeping,
    complete: BTreeSet<u64>,
    current: Option<u64>,
    hold: Option<u64>,
}

/// A release on its way to being current.
struct Apply {
    wanted: Wanted,
    stage: Stage,
}

enum Stage {
    Head(Asked),
    Numbered(Asked, Authority, u64),
    Fetch(u64, Box<Fetch>),
    Sync(u64, Moment),
}

/// How the node comes to ask.
enum Manner {
    /// It follows the name.
    Watch(Box<WatchPlan>),
    /// Somebody gets the newest release now and then; again soon when that failed.
    Get { next: Moment },
    /// It is switched off.
    Down,
}

enum Stream {
    Closed,
    Opening(Asked),
    Open(Asked),
}

pub(crate) struct Node {
    pub(crate) party: Party,
    pub(crate) clock: Clock,
    pub(crate) watches: bool,
    name: ReleaseName,
    disk: Disk,
    // What a crash takes.
    manner: Manner,
    stream: Stream,
    asking: Option<Asked>,
    apply: Option<Apply>,
}

impl Node {
    pub(crate) fn new(
        party: Party,
        clock: Clock,
        watches: bool,
        name: ReleaseName,
        owner: PublicKey,
    ) -> Self {
        let trust = Trust { owner, seen: None, list: None };
        let (complete, chunks) = (BTreeSet::new(), Keeping::new());
        Self {
            party,
            clock,
            watches,
            name,
            disk: Disk { trust, chunks, complete, current: None, hold: None },
            manner: Manner::Down,
            stream: Stream::Closed,
            asking: None,
            apply: None,
        }
    }

    pub(crate) fn current(&self) -> Option<u64> {
        self.disk.current
    }

    pub(crate) fn start(&mut self, context: &mut Context<'_>) {
        self.manner = if self.watches {
            let now = self.clock.instant(context.now);
            let (disk, seed) = (&self.disk, context.random.next_u64());
            let config = WatchConfig::default();
            Manner::Watch(Box::new(WatchPlan::new(config, disk.current, disk.hold, seed, now)))
        } else {
            Manner::Get { next: context.now + context.random.millis(1, 60_000) }
        };
        self.show(context);
        self.drive(context);
    }

    pub(crate) fn crash(&mut self, context: &mut Context<'_>) {
        self.manner = Manner::Down;
        (self.stream, self.asking, self.apply) = (Stream::Closed, None, None);
        self.disk.chunks.crash(context.random);
        if context.is(Sabotage::ForgetSeen) {
            self.disk.trust.seen = None;
        }
        context.network.crash(context.now, self.party);
    }

    pub(crate) fn is_down(&self) -> bool {
        matches!(self.manner, Manner::Down)
    }

    /// Somebody wants it to stay at a release, or to follow again.
    pub(crate) fn order(&mut self, context: &mut Context<'_>, hold: Option<u64>) {
        if !self.watches {
            return;
        }
        self.disk.hold = hold;
        let now = self.clock.instant(context.now);
        let cut_off = self.drop_apply(context);
        if let Manner::Watch(plan) = &mut self.manner {
            if cut_off {
                plan.handle_apply_failed(now);
            }
            plan.handle_current(self.disk.current);
            plan.handle_hold(hold, now);
        }
        self.drive(context);
    }

    fn drop_apply(&mut self, context: &mut Context<'_>) -> bool {
        let Some(apply) = self.apply.take() else { return false };
        match apply.stage {
            Stage::Head(asked) | Stage::Numbered(asked, ..) => context.stop(asked.call),
            Stage::Fetch(_, fetch) => fetch.stop(context),
            Stage::Sync(..) => {}
        }
        true
    }

    fn show(&mut self, context: &mut Context<'_>) {
        let Some(current) = self.disk.current else { return };
        let chunks = &self.disk.chunks;
        let has = |ids: &[_]| {
            if context.sabotage == Some(Sabotage::SwitchBeforeSync) {
                // What a crash would leave is looked at after one.
                return chunks.has(ids);
            }
            chunks.has_durable(ids)
        };
        context.judge.shows(context.now, self.party, (current, self.disk.hold), has);
    }

    pub(crate) fn due(&self) -> Option<Moment> {
        let plan = match &self.manner {
            Manner::Watch(plan) => plan.poll_timeout().map(|due| self.clock.when(due)),
            Manner::Get { next } if self.apply.is_none() => Some(*next),
            Manner::Get { .. } => None,
            Manner::Down => return None,
        };
        let apply = self.apply.as_ref().and_then(|apply| match &apply.stage {
            Stage::Head(asked) | Stage::Numbered(asked, ..) => Some(asked.deadline),
            Stage::Fetch(_, fetch) => fetch.due().map(|due| self.clock.when(due)),
            Stage::Sync(_, done) => Some(*done),
        });
        let stream = match &self.stream {
            Stream::Closed => None,
            Stream::Opening(asked) | Stream::Open(asked) => Some(asked.deadline),
        };
        let asking = self.asking.as_ref().map(|asked| asked.deadline);
        [plan, apply, stream, asking].into_iter().flatten().min()
    }

    /// Does what is due.
    pub(crate) fn wake(&mut self, context: &mut Context<'_>) {
        let late = |asked: &Asked| asked.deadline <= context.now;
        match &self.stream {
            Stream::Opening(asked) | Stream::Open(asked) if late(asked) => {
                let call = asked.call;
                context.stop(call);
                self.stream_lost(context);
            }
            Stream::Opening(_) | Stream::Open(_) | Stream::Closed => {}
        }
        if let Some(asked) = self.asking.take_if(|asked| asked.deadline <= context.now) {
            context.stop(asked.call);
            self.answered(context, &Reply::Failed);
        }
        let stuck = self.apply.as_ref().is_some_and(|apply| match &apply.stage {
            Stage::Head(asked) | Stage::Numbered(asked, ..) => asked.deadline <= context.now,
            Stage::Fetch(..) | Stage::Sync(..) => false,
        });
        if stuck {
            self.fail(context, "no answer");
        }
        self.drive(context);
    }

    pub(crate) fn handle(&mut self, context: &mut Context<'_>, packet: &Packet) {
        if self.is_down() {
            return;
        }
        self.dispatch(context, packet);
        self.drive(context);
    }

    fn dispatch(&mut self, context: &mut Context<'_>, packet: &Packet) {
        let call = packet.call;
        if let Some(asked) = &mut self.asking
            && asked.call == call
        {
            if let Some(reply) = asked.take(context.now, &packet.kind) {
                self.asking = None;
                self.answered(context, &reply);
            }
            return;
        }
        if let Stream::Opening(asked) | Stream::Open(asked) = &self.stream
            && asked.call == call
        {
            return self.streamed(context, &packet.kind);
        }
        let place =
            &mut Place { party: self.party, clock: &self.clock, store: &mut self.disk.chunks };
        let reply = match self.apply.as_mut().map(|apply| &mut apply.stage) {
            Some(Stage::Head(asked) | Stage::Numbered(asked, ..)) if asked.call == call => {
                asked.take(context.now, &packet.kind)
            }
            Some(Stage::Fetch(_, fetch)) => {
                fetch.handle(context, place, call, &packet.kind);
                None
            }
            Some(Stage::Head(_) | Stage::Numbered(..) | Stage::Sync(..)) | None => None,
        };
        if let Some(reply) = reply {
            self.advance(context, &reply);
        }
    }

    fn streamed(&mut self, context: &mut Context<'_>, kind: &Kind) {
        let now = self.clock.instant(context.now);
        let (Stream::Opening(asked) | Stream::Open(asked)) = &mut self.stream else { return };
        asked.deadline = context.now + STREAM_IDLE_MAX;
        let Manner::Watch(plan) = &mut self.manner else { return };
        match kind {
            Kind::Answer { status: 200, part, end: false } => {
                let was_opening = matches!(self.stream, Stream::Opening(_));
                self.stream = match std::mem::replace(&mut self.stream, Stream::Closed) {
                    Stream::Opening(asked) | Stream::Open(asked) => Stream::Open(asked),
                    Stream::Closed => Stream::Closed,
                };
                if was_opening {
                    plan.handle_stream_opened(now);
                }
                if let Ok(event) = serde_json::from_slice::<ReleaseEvent>(part) {
                    plan.handle_event(event.sequence, now);
                }
            }
            Kind::Answer { .. } | Kind::Broken => self.stream_lost(context),
            Kind::Ask { .. } | Kind::Stop => {}
        }
    }

    fn stream_lost(&mut self, context: &mut Context<'_>) {
        self.stream = Stream::Closed;
        let now = self.clock.instant(context.now);
        if let Manner::Watch(plan) = &mut self.manner {
            plan.handle_stream_lost(now);
        }
    }

    /// The question which release is the newest has ended.
    fn answered(&mut self, context: &mut Context<'_>, reply: &Reply) {
        let now = self.clock.instant(context.now);
        let Manner::Watch(plan) = &mut self.manner else { return };
        match reply.json::<NameInfo>() {
            Ok(info) => plan.handle_newest(info.latest, now),
            Err(_) if context.is(Sabotage::LoseFailures) => {}
            Err(_) => plan.handle_question_failed(now),
        }
    }

    /// Lets the plan act until it has nothing more to do, and looks at what it waits for.
    fn drive(&mut self, context: &mut Context<'_>) {
        self.work(context);
        let now = self.clock.instant(context.now);
        loop {
            let action = match &mut self.manner {
                Manner::Watch(plan) => plan.poll_action(now),
                Manner::Get { next } if *next <= context.now && self.apply.is_none() => {
                    Some(Action::Apply(Wanted::Newest))
                }
                Manner::Get { .. } => None,
                Manner::Down => return,
            };
            let Some(action) = action else { break };
            context.judge.acts(context.now, self.party);
            self.act(context, action);
            self.work(context);
        }
        self.check(context);
    }

    fn act(&mut self, context: &mut Context<'_>, action: Action) {
        match action {
            Action::OpenStream => {
                let asked = context.ask(self.party, HUB, Route::Events, Bytes::new());
                self.stream = Stream::Opening(asked);
            }
            Action::CloseStream => {
                if let Stream::Opening(asked) | Stream::Open(asked) = &self.stream {
                    let call = asked.call;
                    context.stop(call);
                }
                self.stream = Stream::Closed;
            }
            Action::AskNewest => {
                self.asking = Some(context.ask(self.party, HUB, Route::Name, Bytes::new()));
            }
            Action::Apply(wanted) => self.begin(context, wanted),
        }
    }

    fn begin(&mut self, context: &mut Context<'_>, wanted: Wanted) {
        let stage = match wanted {
            // It was checked when it was fetched: going back must not need the hub.
            Wanted::Release(sequence) if self.disk.complete.contains(&sequence) => {
                Stage::Sync(sequence, context.now)
            }
            Wanted::Newest | Wanted::Release(_) => {
                Stage::Head(context.ask(self.party, HUB, Route::Head, Bytes::new()))
            }
        };
        self.apply = Some(Apply { wanted, stage });
    }

    /// Goes on after a document came.
    fn advance(&mut self, context: &mut Context<'_>, reply: &Reply) {
        let Some(apply) = self.apply.take() else { return };
        let wanted = apply.wanted;
        let manifest = match apply.stage {
            Stage::Head(_) => match self.accept(context, reply) {
                Ok((manifest, authority)) => match wanted {
                    Wanted::Release(number) if number != manifest.sequence => {
                        let route = Route::Release(number);
                        let asked = context.ask(self.party, HUB, route, Bytes::new());
                        let stage = Stage::Numbered(asked, authority, number);
                        self.apply = Some(Apply { wanted, stage });
                        return;
                    }
                    Wanted::Newest | Wanted::Release(_) => Ok(manifest),
                },
                Err(why) => Err(why),
            },
            Stage::Numbered(_, authority, number) => {
                reply.json::<HeadDocuments>().and_then(|documents| {
                    accept_numbered(&documents.manifest.0, &authority, &self.name, number)
                        .map_err(|error| error.to_string())
                })
            }
            stage @ (Stage::Fetch(..) | Stage::Sync(..)) => {
                self.apply = Some(Apply { wanted, stage });
                return;
            }
        };
        match manifest {
            Ok(manifest) if self.disk.complete.contains(&manifest.sequence) => {
                let stage = Stage::Sync(manifest.sequence, context.now);
                self.apply = Some(Apply { wanted, stage });
            }
            Ok(manifest) => {
                let (clock, store) = (&self.clock, &mut self.disk.chunks);
                let place = &mut Place { party: self.party, clock, store };
                let fetch = Box::new(Fetch::new(&manifest, SOURCES, context, place));
                let stage = Stage::Fetch(manifest.sequence, fetch);
                self.apply = Some(Apply { wanted, stage });
            }
            Err(why) => {
                context.judge.counts.refused += 1;
                self.fail(context, &why);
            }
        }
    }

    /// As `Node::find_tree` does it: the list and the head are judged, then remembered.
    fn accept(
        &mut self,
        context: &mut Context<'_>,
        reply: &Reply,
    ) -> Result<(Manifest, Authority), String> {
        let newest: NewestRelease = reply.json()?;
        let now = self.clock.unix(context.now);
        let trust = &self.disk.trust;
        let offered = newest.delegation.as_ref().map(|list| list.0.as_slice());
        let lists = trust.list.as_deref().into_iter().chain(offered);
        let authority = Authority::new(trust.owner, lists, &self.name, now);
        let seen = trust.seen.as_ref().filter(|_| !context.is(Sabotage::IgnoreSeen));
        let judged_at = if context.is(Sabotage::IgnoreExpiry) { 0 } else { now };
        let (head, manifest) = (&newest.head.0, &newest.manifest.0);
        let accepted = accept_head(head, manifest, &authority, &self.name, seen, judged_at)
            .map_err(|error| error.to_string())?;
        let who = (self.party, &self.clock);
        let what = (accepted.manifest.sequence, accepted.hash);
        context.judge.accepted(context.now, who, what, accepted.manifest.expires);
        context.note(format_args!("{:?} accepts release {}", self.party, what.0));
        self.disk.trust.seen = Some(accepted.seen);
        self.disk.trust.list = authority.signed().map(<[u8]>::to_vec);
        Ok((accepted.manifest, authority))
    }

    /// Goes on with a fetch or the end of one.
    fn work(&mut self, context: &mut Context<'_>) {
        let Some(apply) = &mut self.apply else { return };
        match &mut apply.stage {
            Stage::Head(_) | Stage::Numbered(..) => {}
            Stage::Fetch(sequence, fetch) => {
                let sequence = *sequence;
                let (clock, store) = (&self.clock, &mut self.disk.chunks);
                let place = &mut Place { party: self.party, clock, store };
                match fetch.turn(context, place) {
                    None => fetch.check(context, place),
                    Some(Ok(())) if context.is(Sabotage::SwitchBeforeSync) => {
                        self.switch(context, sequence);
                    }
                    Some(Ok(())) => {
                        let done = context.now + context.random.millis(1, 3_000);
                        apply.stage = Stage::Sync(sequence, done);
                    }
                    Some(Err(why)) => {
                        context.judge.counts.failed_fetches += 1;
                        self.fail(context, &why);
                    }
                }
            }
            Stage::Sync(sequence, done) => {
                let sequence = *sequence;
                if *done > context.now {
                    return;
                }
                match self.disk.chunks.flush() {
                    Ok(()) => self.switch(context, sequence),
                    Err(error) => self.fail(context, &error.to_string()),
                }
            }
        }
    }

    fn switch(&mut self, context: &mut Context<'_>, sequence: u64) {
        self.apply = None;
        self.disk.complete.insert(sequence);
        if self.disk.current != Some(sequence) {
            context.note(format_args!("{:?} switches to {sequence}", self.party));
            self.disk.current = Some(sequence);
            self.show(context);
        }
        let now = self.clock.instant(context.now);
        match &mut self.manner {
            Manner::Watch(plan) => plan.handle_applied(sequence, now),
            Manner::Get { next } => *next = context.now + context.random.millis(20_000, 240_000),
            Manner::Down => {}
        }
    }

    fn fail(&mut self, context: &mut Context<'_>, why: &str) {
        context.note(format_args!("{:?} fails: {why}", self.party));
        self.drop_apply(context);
        let now = self.clock.instant(context.now);
        match &mut self.manner {
            Manner::Watch(plan) => plan.handle_apply_failed(now),
            Manner::Get { next } => *next = context.now + context.random.millis(2_000, 30_000),
            Manner::Down => {}
        }
    }

    /// What it says it does is what it does, and it waits for something that can come.
    fn check(&self, context: &mut Context<'_>) {
        let Manner::Watch(plan) = &self.manner else { return };
        let now = self.clock.instant(context.now);
        let doing = plan.doing();
        let due = plan.poll_timeout();
        let (opening, open) = match &self.stream {
            Stream::Closed => (false, false),
            Stream::Opening(_) => (true, false),
            Stream::Open(_) => (false, true),
        };
        let sound = match doing {
            Doing::Applying => self.apply.is_some(),
            Doing::Connecting => opening,
            Doing::Listening => open && (due.is_some() || self.asking.is_some()),
            Doing::Polling => !open && (due.is_some() || self.asking.is_some()),
            Doing::BackingOff => due.is_some() || opening || self.asking.is_some(),
            Doing::Holding => plan.hold().is_some() && self.disk.current == plan.hold(),
        };
        if !sound || due.is_some_and(|due| due <= now) {
            context.judge.violated(context.now, || {
                format!("{:?} is {doing:?} and waits for nothing; next look {due:?}", self.party)
            });
        }
    }
}
