//! One run: who there is, what happens next, and when it is over.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use content::ChunkId;
use documents::{NodeKey, PublicKey, ReleaseName};
use random::Random;

use crate::clock::{Clock, Moment};
use crate::context::Context;
use crate::faults::{Cast, Happening, agenda};
use crate::hub::Hub;
use crate::judge::Judge;
use crate::network::{Network, Party};
use crate::node::Node;
use crate::publisher::{Publisher, Task};
use crate::trace::Trace;
use crate::trees::trees;
use crate::{Outcome, Sabotage};

/// How long after the last fault everybody may take to have the newest release: a stream that
/// was lost is opened again within five minutes, and so is a fetch that failed; one that says
/// nothing is not believed for longer than a quarter of an hour.
const SETTLED_WITHIN: Duration = Duration::from_secs(30 * 60);
/// Most events at one moment: more is a loop in which no time passes.
const AT_ONCE_MAX: u32 = 20_000;
const DAY: u64 = 86_400;

struct Env {
    now: Moment,
    network: Network,
    random: Random,
    judge: Judge,
    trace: Trace,
    sabotage: Option<Sabotage>,
}

impl Env {
    fn context(&mut self) -> Context<'_> {
        Context {
            now: self.now,
            network: &mut self.network,
            random: &mut self.random,
            judge: &mut self.judge,
            trace: &mut self.trace,
            sabotage: self.sabotage,
        }
    }
}

pub(crate) struct World {
    env: Env,
    hubs: Vec<Hub>,
    publishers: Vec<Publisher>,
    nodes: Vec<Node>,
    agenda: BTreeMap<(Moment, usize), Happening>,
    end: Moment,
}

fn number(index: usize) -> u8 {
    u8::try_from(index).unwrap_or(u8::MAX)
}

impl World {
    pub(crate) fn new(seed: u64, sabotage: Option<Sabotage>, trace: bool) -> Self {
        let mut random = Random::new(seed);
        let name: ReleaseName = "team/site".parse().expect("a valid name");
        let end = Duration::from_secs(300 + random.below(600));
        let mut key = |salt: u8| {
            let mut secret = [salt; 32];
            secret[..8].copy_from_slice(&random.next_u64().to_le_bytes());
            NodeKey::from_secret_bytes(secret)
        };
        let keys = [key(1), key(2)];
        let (owner, second) = (keys[0].public(), keys[1].public());
        let tasks = [owners_tasks(&mut random, second, end), seconds_tasks(&mut random, end)];
        let clock = |random: &mut Random| {
            let drift = i64::try_from(random.below(400)).unwrap_or(0) - 200;
            Clock { drift, jump: 0 }
        };
        let hubs =
            (0..3).map(|hub| Hub::new(Party::Hub(hub), clock(&mut random), name.clone(), owner));
        let hubs = hubs.collect();
        let publishers = keys.into_iter().zip(tasks).enumerate().map(|(index, (key, tasks))| {
            let party = Party::Publisher(number(index));
            Publisher::new(party, clock(&mut random), key, name.clone(), owner, tasks)
        });
        let publishers: Vec<Publisher> = publishers.collect();
        let (watchers, gets) = (2 + random.below(3), 1 + random.below(2));
        let nodes = (0..watchers + gets).map(|index| {
            let party = Party::Node(u8::try_from(index).unwrap_or(0));
            Node::new(party, clock(&mut random), index < watchers, name.clone(), owner)
        });
        let nodes: Vec<Node> = nodes.collect();
        let cast = Cast {
            publishers: publishers.iter().map(|publisher| publisher.party).collect(),
            watchers: nodes.iter().filter(|node| node.watches).map(|node| node.party).collect(),
            nodes: nodes.iter().map(|node| node.party).collect(),
        };
        let agenda = agenda(&mut random, &cast, end);
        let agenda = agenda.into_iter().enumerate().map(|(index, (at, what))| ((at, index), what));
        let agenda = agenda.collect();
        let network = Network::new(Random::new(random.next_u64()));
        let (judge, trace) = (Judge::default(), Trace::new(trace));
        let env = Env { now: Moment::ZERO, network, random, judge, trace, sabotage };
        Self { env, hubs, publishers, nodes, agenda, end }
    }

    /// Runs to the end, or to the first broken promise.
    pub(crate) fn run(mut self, seed: u64) -> Outcome {
        for node in &mut self.nodes {
            node.start(&mut self.env.context());
        }
        let mut at_once = 0;
        while self.env.judge.violation.is_none() {
            let Some(next) = self.next() else {
                self.env.judge.violated(self.env.now, || "nothing happens any more".to_owned());
                break;
            };
            at_once = if next > self.env.now { 0 } else { at_once + 1 };
            self.env.now = next.max(self.env.now);
            if at_once > AT_ONCE_MAX {
                self.env.judge.violated(next, || "no time passes any more".to_owned());
            }
            self.step();
            if self.env.now > self.end {
                if self.is_settled() {
                    break;
                }
                if self.env.now > self.end + SETTLED_WITHIN {
                    let who = self.unsettled();
                    self.env.judge.violated(self.env.now, || format!("not settled: {who}"));
                }
            }
        }
        let hashes = self.hubs[0].hashes();
        self.env.judge.hub_has(self.env.now, &hashes);
        let (events, counts) = (self.env.trace.events, self.env.judge.counts);
        let (trace, lines) = self.env.trace.finish();
        let lasted = self.env.now;
        Outcome { seed, trace, lines, violation: self.env.judge.violation, counts, events, lasted }
    }

    /// When something happens next.
    fn next(&mut self) -> Option<Moment> {
        let agenda = self.agenda.first_key_value().map(|((at, _), _)| *at);
        let hubs = self.hubs.iter().filter_map(Hub::due);
        let publishers = self.publishers.iter_mut().filter_map(Publisher::due);
        let nodes = self.nodes.iter().filter_map(Node::due);
        agenda
            .into_iter()
            .chain(self.env.network.due())
            .chain(hubs)
            .chain(publishers)
            .chain(nodes)
            .min()
    }

    /// One thing happens: a fault, else a packet, else somebody's timer.
    fn step(&mut self) {
        let now = self.env.now;
        if let Some(entry) = self.agenda.first_entry()
            && entry.key().0 <= now
        {
            let happening = entry.remove();
            return self.happen(happening);
        }
        if self.env.network.due().is_some_and(|due| due <= now) {
            return self.deliver();
        }
        for hub in &mut self.hubs {
            if hub.due().is_some_and(|due| due <= now) {
                return hub.wake(&mut self.env.context());
            }
        }
        for publisher in &mut self.publishers {
            if publisher.due().is_some_and(|due| due <= now) {
                return publisher.wake(&mut self.env.context());
            }
        }
        for node in &mut self.nodes {
            if node.due().is_some_and(|due| due <= now) {
                return node.wake(&mut self.env.context());
            }
        }
    }

    fn deliver(&mut self) {
        let Some(packet) = self.env.network.take() else { return };
        let mut context = self.env.context();
        crate::trace::packet(context.trace, context.now, &packet);
        match packet.to {
            Party::Hub(hub) => {
                if let Some(hub) = self.hubs.get_mut(usize::from(hub)) {
                    hub.handle(&mut context, &packet);
                }
            }
            Party::Publisher(publisher) => {
                if let Some(publisher) = self.publishers.get_mut(usize::from(publisher)) {
                    publisher.handle(&mut context, &packet);
                }
            }
            Party::Node(node) => {
                if let Some(node) = self.nodes.get_mut(usize::from(node)) {
                    node.handle(&mut context, &packet);
                }
            }
        }
    }

    fn happen(&mut self, happening: Happening) {
        let mut context = self.env.context();
        context.note(format_args!("{happening:?}"));
        match happening {
            Happening::Cut(one, other) => context.network.cut(one, other),
            Happening::Heal(one, other) => context.network.heal(one, other),
            Happening::Crash(party) => self.crash(party),
            Happening::Start(party) => self.start(party),
            Happening::Jump(party, seconds) => self.clock(party).jump = seconds,
            Happening::Lie(lie) => self.hubs[0].lie = lie,
            Happening::Manner(manner) => self.hubs[2].manner = manner,
            Happening::FullDisk(times) => self.hubs[0].store.fail(times),
            Happening::Hold(party, hold) => self.hold(party, hold),
            Happening::Mirror => self.mirror(),
            Happening::End => self.heal(),
        }
    }

    fn crash(&mut self, party: Party) {
        let context = &mut self.env.context();
        match party {
            Party::Hub(hub) => {
                let hub = &mut self.hubs[usize::from(hub)];
                if !hub.down {
                    hub.crash(context);
                }
            }
            Party::Publisher(publisher) => self.publishers[usize::from(publisher)].crash(context),
            Party::Node(node) => self.nodes[usize::from(node)].crash(context),
        }
    }

    fn start(&mut self, party: Party) {
        let context = &mut self.env.context();
        match party {
            Party::Hub(hub) => self.hubs[usize::from(hub)].start(context),
            Party::Publisher(publisher) => {
                let publisher = &mut self.publishers[usize::from(publisher)];
                if publisher.down {
                    publisher.start(context);
                }
            }
            Party::Node(node) => {
                let node = &mut self.nodes[usize::from(node)];
                if node.is_down() {
                    node.start(context);
                }
            }
        }
    }

    fn clock(&mut self, party: Party) -> &mut Clock {
        match party {
            Party::Hub(hub) => &mut self.hubs[usize::from(hub)].clock,
            Party::Publisher(publisher) => &mut self.publishers[usize::from(publisher)].clock,
            Party::Node(node) => &mut self.nodes[usize::from(node)].clock,
        }
    }

    fn hold(&mut self, party: Party, hold: bool) {
        let Party::Node(node) = party else { return };
        let newest = self.env.judge.newest().unwrap_or(0);
        let release = (hold && newest > 0).then(|| 1 + self.env.random.below(newest));
        self.nodes[usize::from(node)].order(&mut self.env.context(), release);
    }

    /// Most of what the hub has of one version reaches the other sources.
    fn mirror(&mut self) {
        let random = &mut self.env.random;
        let tree = random.pick(&(0..trees().len()).collect::<Vec<_>>());
        let share = 500 + random.below(501);
        let (hub, others) = self.hubs.split_at_mut(1);
        for (id, bytes) in &trees()[tree].chunks {
            let has = |id: &ChunkId| hub[0].store.has(&[*id]).first() == Some(&true);
            for other in others.iter_mut() {
                if self.env.random.happens(share) && has(id) {
                    other.store.insert(*id, bytes.clone());
                }
            }
        }
    }

    /// From now on everything works and every clock is right.
    fn heal(&mut self) {
        self.agenda.clear();
        self.env.network.heal_all();
        self.hubs[0].lie = None;
        self.hubs[0].store.fail(0);
        // Whoever would still publish what expires soon gives up: the owner has the last word.
        self.publishers[1].tasks.clear();
        self.crash(Party::Publisher(1));
        let parties: Vec<Party> = self.hubs.iter().map(|hub| hub.party).collect();
        let publishers = self.publishers.iter().map(|publisher| publisher.party);
        let nodes = self.nodes.iter().map(|node| node.party);
        let parties: Vec<Party> = parties.into_iter().chain(publishers).chain(nodes).collect();
        for party in parties {
            self.clock(party).jump = 0;
            self.start(party);
            self.hold(party, false);
        }
    }

    /// Whether everything is published and everybody has the newest release.
    fn is_settled(&self) -> bool {
        let newest = self.env.judge.newest();
        self.publishers.iter().all(|publisher| publisher.tasks.is_empty())
            && self.nodes.iter().all(|node| node.current() == newest)
    }

    fn unsettled(&self) -> String {
        let newest = self.env.judge.newest();
        let publishers = self.publishers.iter().filter(|publisher| !publisher.tasks.is_empty());
        let publishers: Vec<_> =
            publishers.map(|publisher| (publisher.party, publisher.tasks.front())).collect();
        let nodes = self.nodes.iter().filter(|node| node.current() != newest);
        let nodes: Vec<_> = nodes.map(|node| (node.party, node.current())).collect();
        format!("publishers {publishers:?}, nodes {nodes:?}, newest {newest:?}")
    }
}

/// The owner publishes one version after the other, adds a second publisher and may end it; the
/// last version comes when everything works again.
fn owners_tasks(random: &mut Random, second: PublicKey, end: Moment) -> VecDeque<(Moment, Task)> {
    let millis = end.as_secs() * 1000;
    let last = trees().len() - 1;
    let mut tasks = vec![(random.millis(0, 20_000), publish(random, 0))];
    for tree in (1..last).step_by(2) {
        tasks.push((random.millis(20_000, millis), publish(random, tree)));
    }
    let added = random.millis(0, millis / 2);
    tasks.push((added, Task::Add(second)));
    if random.happens(500) {
        let ended = random.millis(u64::try_from(added.as_millis()).unwrap_or(0), millis);
        tasks.push((ended, Task::End { key: second, disown: random.happens(400) }));
    }
    tasks.sort_by_key(|(at, _)| *at);
    let last = Task::Publish { tree: last, valid_time: 30 * DAY };
    tasks.push((end + Duration::from_secs(1), last));
    tasks.into()
}

fn seconds_tasks(random: &mut Random, end: Moment) -> VecDeque<(Moment, Task)> {
    let millis = end.as_secs() * 1000;
    let count = random.below(3);
    let mut at: Vec<Moment> = (0..count).map(|_| random.millis(millis / 4, millis)).collect();
    at.sort();
    at.into_iter().zip([2, 4]).map(|(at, tree)| (at, publish(random, tree))).collect()
}

fn publish(random: &mut Random, tree: usize) -> Task {
    Task::Publish { tree, valid_time: random.pick(&[300, 3600, 30 * DAY, 30 * DAY]) }
}
