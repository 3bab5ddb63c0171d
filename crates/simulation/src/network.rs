//! Links between machines: slow, lossy, cut.
//!
//! A call is a connection of its own: a question one way, an answer in parts the other way, in
//! order. A part that is lost takes the rest of the call with it. Whoever asked may be told, as by
//! a reset connection, or not, as by a cable that was pulled.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use random::Random;

use crate::clock::Moment;

/// A machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Party {
    /// 0 is the hub; 1 mirrors its chunks; 2 is hostile.
    Hub(u8),
    /// 0 is the owner of the name.
    Publisher(u8),
    Node(u8),
}

/// What is asked of a hub: the routes of `hub-api` that matter here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    Name,
    Head,
    Release(u64),
    Delegation,
    PutDelegation,
    Have,
    Upload,
    Publish,
    Chunks,
    Events,
}

/// Names a call; never used twice.
pub(crate) type CallId = u64;

#[derive(Debug, Clone)]
pub(crate) enum Kind {
    /// A whole question, with its idempotency key.
    Ask { route: Route, key: Option<u64>, body: Bytes },
    /// A part of the answer.
    Answer { status: u16, part: Bytes, end: bool },
    /// The connection broke, as the asking side sees it.
    Broken,
    /// Whoever asked wants no more.
    Stop,
}

#[derive(Debug, Clone)]
pub(crate) struct Packet {
    pub(crate) from: Party,
    pub(crate) to: Party,
    pub(crate) call: CallId,
    pub(crate) kind: Kind,
}

/// One direction of a link.
#[derive(Debug)]
struct Line {
    latency: Duration,
    bytes_per_second: u64,
    /// When the last byte so far has left.
    free_at: Moment,
    /// When the last packet arrives: they do not overtake each other.
    last: Moment,
}

pub(crate) struct Network {
    lines: BTreeMap<(Party, Party), Line>,
    cut: BTreeSet<(Party, Party)>,
    /// Calls of which nothing more passes.
    dead: BTreeSet<CallId>,
    /// Calls that nobody waits for: what is on its way is dropped.
    stopped: BTreeSet<CallId>,
    open: BTreeMap<CallId, (Party, Party)>,
    queue: BTreeMap<(Moment, u64), Packet>,
    next_packet: u64,
    next_call: CallId,
    random: Random,
    /// Of a thousand packets, how many are lost.
    pub(crate) lost: u64,
    /// Of a thousand parts of answers, how many break off in the middle.
    pub(crate) broken: u64,
}

impl Network {
    pub(crate) fn new(mut random: Random) -> Self {
        let (lost, broken) = (random.pick(&[0, 2, 10, 40]), random.pick(&[0, 2, 10, 30]));
        Self {
            lines: BTreeMap::new(),
            cut: BTreeSet::new(),
            dead: BTreeSet::new(),
            stopped: BTreeSet::new(),
            open: BTreeMap::new(),
            queue: BTreeMap::new(),
            next_packet: 0,
            next_call: 0,
            random,
            lost,
            broken,
        }
    }

    /// Asks; the answer comes as packets of this call.
    pub(crate) fn ask(
        &mut self,
        now: Moment,
        (from, to): (Party, Party),
        route: Route,
        key: Option<u64>,
        body: Bytes,
    ) -> CallId {
        self.next_call += 1;
        let call = self.next_call;
        self.open.insert(call, (from, to));
        self.send(now, Packet { from, to, call, kind: Kind::Ask { route, key, body } });
        call
    }

    /// Sends a part of an answer.
    pub(crate) fn answer(
        &mut self,
        now: Moment,
        call: CallId,
        status: u16,
        part: Bytes,
        end: bool,
    ) {
        let Some((client, server)) = self.open.get(&call).copied() else { return };
        let kind = Kind::Answer { status, part, end };
        self.send(now, Packet { from: server, to: client, call, kind });
        if end {
            self.open.remove(&call);
        }
    }

    /// Whoever asked wants no more of this call.
    pub(crate) fn stop(&mut self, now: Moment, call: CallId) {
        self.stopped.insert(call);
        if let Some((from, to)) = self.open.remove(&call) {
            self.send(now, Packet { from, to, call, kind: Kind::Stop });
        }
    }

    /// Whether an answer to this call would still be sent.
    pub(crate) fn is_open(&self, call: CallId) -> bool {
        self.open.contains_key(&call) && !self.dead.contains(&call)
    }

    /// A machine stopped: its calls are over, and only some of the others learn of it.
    pub(crate) fn crash(&mut self, now: Moment, party: Party) {
        let calls: Vec<_> = self.open.iter().map(|(call, ends)| (*call, *ends)).collect();
        for (call, (client, server)) in calls {
            if client == party {
                self.stop(now, call);
            } else if server == party {
                self.fail(now, call, (client, server), 500);
            }
        }
    }

    /// Ends a call in the middle; the asking side is told so many times in a thousand.
    fn fail(&mut self, now: Moment, call: CallId, (client, server): (Party, Party), told: u64) {
        self.dead.insert(call);
        self.open.remove(&call);
        if self.random.happens(told) {
            let packet = Packet { from: server, to: client, call, kind: Kind::Broken };
            self.put(now, packet, 0);
        }
    }

    /// Nobody is there to answer.
    pub(crate) fn refuse(&mut self, now: Moment, packet: &Packet) {
        self.fail(now, packet.call, (packet.from, packet.to), 500);
    }

    pub(crate) fn cut(&mut self, one: Party, other: Party) {
        self.cut.extend([(one, other), (other, one)]);
    }

    pub(crate) fn heal(&mut self, one: Party, other: Party) {
        self.cut.remove(&(one, other));
        self.cut.remove(&(other, one));
    }

    /// From now on everything passes.
    pub(crate) fn heal_all(&mut self) {
        self.cut.clear();
        (self.lost, self.broken) = (0, 0);
    }

    fn send(&mut self, now: Moment, packet: Packet) {
        let (call, from, to) = (packet.call, packet.from, packet.to);
        if self.dead.contains(&call) || self.cut.contains(&(from, to)) {
            // Nobody is told: it is noticed by what does not come.
            self.dead.insert(call);
            return;
        }
        match packet.kind {
            Kind::Stop | Kind::Broken => self.put(now, packet, 0),
            Kind::Ask { ref body, .. } => {
                let length = body.len();
                if self.random.happens(self.lost) {
                    return self.fail(now, call, (from, to), 500);
                }
                self.put(now, packet, length);
            }
            Kind::Answer { status, part, end } => {
                if self.random.happens(self.lost) {
                    return self.fail(now, call, (to, from), 500);
                }
                let length = part.len();
                if length > 1 && self.random.happens(self.broken) {
                    let kept = usize::try_from(self.random.below(length as u64)).unwrap_or(0);
                    let kind = Kind::Answer { status, part: part.slice(..kept), end: false };
                    self.put(now, Packet { kind, ..packet }, kept);
                    return self.fail(now, call, (to, from), 900);
                }
                let kind = Kind::Answer { status, part, end };
                self.put(now, Packet { kind, ..packet }, length);
            }
        }
    }

    /// Puts a packet on its line.
    fn put(&mut self, now: Moment, packet: Packet, bytes: usize) {
        let random = &mut self.random;
        let line = self.lines.entry((packet.from, packet.to)).or_insert_with(|| Line {
            latency: random.millis(1, 400),
            bytes_per_second: random.pick(&[20_000, 200_000, 2_000_000, 20_000_000]),
            free_at: now,
            last: now,
        });
        let sending = (bytes as u64 + 200) * 1_000_000 / line.bytes_per_second;
        line.free_at = line.free_at.max(now) + Duration::from_micros(sending);
        let jitter = line.latency.mul_f64(0.1 * random.below(10) as f64);
        line.last = (line.free_at + line.latency + jitter).max(line.last);
        self.queue.insert((line.last, self.next_packet), packet);
        self.next_packet += 1;
    }

    /// When the next packet arrives.
    pub(crate) fn due(&self) -> Option<Moment> {
        self.queue.first_key_value().map(|((due, _), _)| *due)
    }

    /// Takes the next packet off the line; `None` when it does not arrive after all.
    pub(crate) fn take(&mut self) -> Option<Packet> {
        let (_, packet) = self.queue.pop_first()?;
        let stopped = self.stopped.contains(&packet.call) && !matches!(packet.kind, Kind::Stop);
        let cut = self.cut.contains(&(packet.from, packet.to));
        if cut {
            self.dead.insert(packet.call);
        }
        (!stopped && !cut).then_some(packet)
    }
}
