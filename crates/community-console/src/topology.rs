//! The picture of a community: who sends, through what, to whom, and how those are.
//!
//! Drawn here, as boxes in columns with lines between them. Few targets are a box each; more of them are
//! put together by a label, so that ten thousand are as easily seen as ten. A group belongs to one way:
//! what goes through one relay is not mixed with what goes through another.

mod groups;

use std::collections::BTreeSet;

use community::Role;
use ledger::PackageRecord;
use pages::format::{Moment, count, counted, duration, handle, shown};

pub(crate) use self::groups::{Choice, escape};
use self::groups::{Group, Grouping};
use crate::picture::{Machine, Picture};
use crate::tally::{Mark, Tally};

/// Boxes of one kind; one more, and they are put together.
const BOXES_MAX: usize = 12;

const WIDTH: u32 = 204;
const HEIGHT: u32 = 48;
const PITCH: u32 = 58;
const GAP: u32 = 92;
const TOP: u32 = 30;
/// Height of the way above the relays, on which lines pass that lead around them.
const LANE: u32 = 24;
/// Characters of a name that fit into a box.
const NAME_FITS: usize = 24;
const LINE_FITS: usize = 31;

/// A box, which is a row of the table, too.
#[derive(Debug, Clone, Default)]
pub(crate) struct Node {
    pub(crate) x: u32,
    pub(crate) y: u32,
    /// What it is, in a word.
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    /// How it is, in words.
    pub(crate) state: String,
    pub(crate) since: Option<Moment>,
    /// Class of its colour.
    pub(crate) colour: &'static str,
    pub(crate) link: Option<String>,
    /// What goes through it and waits at it, in words.
    pub(crate) load: String,
    /// Whether something is on its way to it.
    moves: bool,
    /// How its machines are, when it is several.
    pub(crate) tally: Option<Tally>,
    column: usize,
    /// Boxes of earlier columns that it gets its packages from.
    from: Vec<usize>,
}

/// A line between two boxes.
#[derive(Debug, Clone)]
pub(crate) struct Edge {
    pub(crate) path: String,
    pub(crate) colour: &'static str,
    /// Whether something is on its way.
    pub(crate) moves: bool,
}

/// What stands above a column.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) x: u32,
    pub(crate) text: &'static str,
}

/// The picture.
#[derive(Debug, Clone)]
pub(crate) struct Drawing {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) heads: Vec<Head>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) edges: Vec<Edge>,
    /// How targets may be put together.
    pub(crate) choices: Vec<Choice>,
}

impl Node {
    fn new(kind: &'static str, column: usize, name: impl Into<String>) -> Self {
        Self { kind, column, name: name.into(), colour: "still", ..Self::default() }
    }

    /// As much of its name as fits.
    pub(crate) fn short_name(&self) -> String {
        cut(&self.name, NAME_FITS)
    }

    /// As much of its state as fits.
    pub(crate) fn short_state(&self) -> String {
        let since = self.since.as_ref().map_or(String::new(), |it| format!(" · {}", it.relative));
        cut(&format!("{}{since}", self.state), LINE_FITS)
    }

    /// Pieces of its bar, as x and width.
    pub(crate) fn bar(&self) -> Vec<(&'static str, String, String)> {
        let Some(tally) = &self.tally else { return Vec::new() };
        let long = f64::from(WIDTH - 26);
        let piece = |percent: f64| format!("{:.1}", percent * long / 100.0);
        let pieces = tally.bar().into_iter();
        pieces.map(|it| (it.colour, piece(it.from), piece(it.width))).collect()
    }
}

fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most - 1).collect();
    format!("{}…", kept.trim_end())
}

/// Draws what is known; `by` says by which label targets are put together.
pub(crate) fn draw(
    picture: &Picture,
    newest: Option<&PackageRecord>,
    by: &str,
    now: u64,
) -> Drawing {
    let grouping = Grouping::choose(picture, by);
    let mut nodes = Vec::new();
    managers(picture, now, &mut nodes);
    let publishers = publishers(picture, newest, now, &mut nodes);
    let hub = nodes.len();
    nodes.push(hub_of(picture, now, &publishers));
    let ways = relays(picture, &grouping, (hub, now), &mut nodes);
    let has_ways = ways.len() > 1;
    for group in grouping.groups(picture, BOXES_MAX) {
        let mut node = target(&group, now, if has_ways { 3 } else { 2 });
        node.from = ways.iter().filter(|(way, _)| *way == group.way).map(|(_, at)| *at).collect();
        nodes.push(node);
    }
    let lane = place(&mut nodes);
    let columns = if has_ways { 4 } else { 3 };
    let heads: &[&str] = if has_ways {
        &["Managers and publishers", "Hub", "Relays", "Targets"]
    } else {
        &["Managers and publishers", "Hub", "Targets"]
    };
    let heads = heads.iter().enumerate().map(|(at, text)| Head { x: left(at), text }).collect();
    let bottom = nodes.iter().map(|node| node.y + HEIGHT).max().unwrap_or(TOP);
    Drawing {
        width: left(columns - 1) + WIDTH + 2,
        height: bottom + 4,
        heads,
        edges: edges(&nodes, lane),
        nodes,
        choices: grouping.choices,
    }
}

fn left(column: usize) -> u32 {
    1 + u32::try_from(column).unwrap_or(0) * (WIDTH + GAP)
}

/// Columns stand in the middle of the tallest one. Returns where lines pass that lead around relays, if
/// any do: behind a box they would look as if they came from it.
fn place(nodes: &mut [Node]) -> Option<u32> {
    let in_column = |column| move |node: &&Node| node.column == column;
    let tall = |column| nodes.iter().filter(in_column(column)).count();
    let mut heights: Vec<u32> =
        (0..4).map(|it| u32::try_from(tall(it)).unwrap_or(0) * PITCH).collect();
    let leads_around = |node: &Node| node.from.iter().any(|from| nodes[*from].column < 2);
    let has_lane = nodes.iter().any(|node| node.column == 3 && leads_around(node));
    if has_lane {
        heights[2] += LANE;
    }
    let tallest = heights.iter().copied().max().unwrap_or(0);
    let mut next: Vec<u32> = heights.iter().map(|height| TOP + (tallest - height) / 2).collect();
    let lane = has_lane.then(|| next[2] + LANE / 3);
    if has_lane {
        next[2] += LANE;
    }
    for node in nodes {
        node.x = left(node.column);
        node.y = next[node.column];
        next[node.column] += PITCH;
    }
    lane
}

fn edges(nodes: &[Node], lane: Option<u32>) -> Vec<Edge> {
    let mut edges = Vec::new();
    for node in nodes {
        for from in &node.from {
            let from = &nodes[*from];
            let begin = (from.x + WIDTH, from.y + HEIGHT / 2);
            let end = (node.x, node.y + HEIGHT / 2);
            let moves = match &node.tally {
                Some(tally) => tally.number(Mark::Pending) + tally.number(Mark::Running) > 0,
                None => node.moves || node.colour == "warn",
            };
            let path = match lane.filter(|_| from.column + 1 < node.column) {
                None => format!("M{} {}{}", begin.0, begin.1, curve(begin, end)),
                Some(lane) => {
                    let (in_, out) = ((left(from.column + 1), lane), (end.0 - GAP, lane));
                    let (in_, out) = (curve(begin, in_), format!("H{}{}", out.0, curve(out, end)));
                    format!("M{} {}{in_}{out}", begin.0, begin.1)
                }
            };
            edges.push(Edge { path, colour: node.colour, moves });
        }
    }
    edges
}

/// A curve that leaves and arrives level.
fn curve((x0, y0): (u32, u32), (x1, y1): (u32, u32)) -> String {
    let middle = u32::midpoint(x0, x1);
    format!("C{middle} {y0} {middle} {y1} {x1} {y1}")
}

/// The name of the peer with a key, or a few digits of it.
fn named(picture: &Picture, key: &documents::PublicKey) -> String {
    let found = picture.machines.iter().find(|machine| machine.key == *key);
    let short = || format!("manager {}", &handle(key.as_bytes())[..8]);
    found.map_or_else(short, |machine| machine.name.clone())
}

fn managers(picture: &Picture, now: u64, nodes: &mut Vec<Node>) {
    let Some(known) = picture.known() else { return };
    let left = duration(known.until.saturating_sub(now));
    let names: Vec<String> = known.managers.iter().map(|key| named(picture, key)).collect();
    let state = format!("roster {} holds {left} more", known.roster.number);
    let shown: &[String] = if names.len() > BOXES_MAX / 2 { &[] } else { &names };
    for name in shown {
        nodes.push(Node { state: state.clone(), ..Node::new("manager", 0, name) });
    }
    if shown.is_empty() {
        let name = counted(names.len() as u64, "manager");
        nodes.push(Node { state, ..Node::new("manager", 0, name) });
    }
}

fn publishers(
    picture: &Picture,
    newest: Option<&PackageRecord>,
    now: u64,
    nodes: &mut Vec<Node>,
) -> Vec<usize> {
    let mut all: Vec<&Machine> =
        picture.machines.iter().filter(|machine| machine.is(Role::Publisher)).collect();
    let own = picture.known().and_then(|known| known.own.as_ref()).map(|own| own.as_str());
    all.sort_by_key(|machine| Some(&*machine.name) != own);
    let first = nodes.len();
    for machine in all.iter().take(BOXES_MAX / 2) {
        let is_own = Some(&*machine.name) == own;
        let mut node = Node::new("publisher", 0, &machine.name);
        node.link = Some(format!("/peers/{}", machine.name));
        match newest {
            Some(newest) if is_own => {
                let name = format!("sent {} {}", newest.name, newest.version);
                node.state = shown(name.as_bytes());
                node.since = newest.sent.map(|sent| Moment::new(sent, now));
                node.colour = "accent";
            }
            Some(_) | None if is_own => node.state = "has sent nothing".into(),
            Some(_) | None => node.state = "its receipts are with it".into(),
        }
        nodes.push(node);
    }
    if all.len() > BOXES_MAX / 2 {
        let more = counted((all.len() - BOXES_MAX / 2) as u64, "more publisher");
        let link = Some("/peers?role=publisher".to_owned());
        let state = "their receipts are with them".into();
        nodes.push(Node { link, state, ..Node::new("publisher", 0, more) });
    }
    (first..nodes.len()).collect()
}

fn hub_of(picture: &Picture, now: u64, publishers: &[usize]) -> Node {
    let name = picture.known().map_or_else(|| "hub".to_owned(), |known| host_of(&known.hub));
    let mut node = Node { from: publishers.to_vec(), ..Node::new("hub", 1, name) };
    match &picture.looked.trouble {
        Some(trouble) => {
            node.state = "does not answer".into();
            node.since = Some(Moment::new(trouble.since, now));
            node.colour = "bad";
        }
        None if picture.looked.known.is_some() => {
            node.state = "answers".into();
            node.colour = "good";
            if let Some(told) = picture.relays().filter(|told| told.waiting > 0) {
                node.state = format!("answers, {} wait", count(told.waiting));
                node.load = format!("{} in its queue", count(told.waiting));
            }
        }
        None => node.state = "is being asked".into(),
    }
    node
}

/// `https://hub.example.org:7400` without what all of them have.
fn host_of(url: &str) -> String {
    let host = url.split_once("://").map_or(url, |(_, host)| host);
    shown(host.trim_end_matches('/').as_bytes())
}

/// Relays, and other ways that targets go: which way is at which box. The first is the hub itself.
fn relays(
    picture: &Picture,
    grouping: &Grouping,
    (hub, now): (usize, u64),
    nodes: &mut Vec<Node>,
) -> Vec<(String, usize)> {
    let mut ways = vec![(String::new(), hub)];
    let known: BTreeSet<&str> = picture.targets().map(|target| grouping.way(target)).collect();
    let relays: Vec<&Machine> =
        picture.machines.iter().filter(|machine| machine.is(Role::Relay)).collect();
    let machines = relays.iter().take(BOXES_MAX).map(|relay| (relay.name.as_str(), Some(*relay)));
    let others = known
        .iter()
        .filter(|way| !way.is_empty() && !relays.iter().any(|relay| relay.name == **way))
        .map(|way| (*way, None));
    for (way, relay) in machines.chain(others.take(BOXES_MAX)) {
        let through = picture.targets().filter(|target| grouping.way(target) == way).count() as u64;
        let kind = if relay.is_some() { "relay" } else { "route" };
        let mut node = Node::new(kind, 2, host_of(way));
        let served = format!("for {}", counted(through, "target"));
        match relay.and_then(|relay| picture.relay_state(relay, now)) {
            Some(state) => {
                node.load = [served, state.line()].join("; ").trim_end_matches("; ").to_owned();
                node.moves = state.rates.is_some();
                (node.state, node.since, node.colour) = (state.words, state.since, state.colour);
            }
            None => node.state = served,
        }
        node.link = relay.map(|_| format!("/peers/{way}"));
        node.from = vec![hub];
        ways.push((way.to_owned(), nodes.len()));
        nodes.push(node);
    }
    ways
}

fn target(group: &Group<'_>, now: u64, column: usize) -> Node {
    if let [machine] = &group.machines[..]
        && group.is_single
    {
        let mark = machine.mark();
        let state = match machine.release() {
            Some(release) => format!("{} {release}", mark.label()),
            None => mark.label().to_owned(),
        };
        return Node {
            state,
            since: machine.since(now),
            colour: mark.colour(),
            link: Some(format!("/peers/{}", machine.name)),
            ..Node::new("target", column, &machine.name)
        };
    }
    let mut tally = Tally::default();
    group.machines.iter().for_each(|machine| tally.add(machine.mark(), 1));
    Node {
        state: tally.words(),
        colour: tally.worst().colour(),
        link: Some(group.link.clone()),
        tally: Some(tally),
        ..Node::new("targets", column, format!("{} ({})", group.name, count(tally.total())))
    }
}

#[cfg(test)]
mod tests;
