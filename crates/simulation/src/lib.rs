//! Hub, publishers and nodes in virtual time over links that fail, repeated by a seed.
//!
//! One thread, no clock, no sockets: [`simulate`] runs minutes of a small world in milliseconds,
//! and the same seed gives the same run to the last byte ([`Outcome::trace`]).
//!
//! Everything that is a decision is the real thing: trees are read by `snapshot` and travel in real
//! frames, id lists and closures (`content`, `wire`); releases, heads and lists of publishers are
//! signed and judged by `documents`, with the date of the machine and what it has seen; what is
//! asked of whom and when is `fetch-plan` and `watch-plan`; chunks lie in the `store` crate's memory
//! store behind its decorator that fails; JSON bodies and problem codes are those of `hub-api`.
//!
//! The drivers around them are not. The HTTP server, its database and the tokio loops of `node`
//! and `fetch` keep threads, real clocks and random numbers of their own (SQLite runs in threads, so
//! does every checkout), and with those a seed would not repeat. They are replaced by actors that
//! follow them call by call: `hub.rs` the routes and the rules of `hub-db`, `publisher.rs` the
//! modules `publish` and `delegate` of `node`, `node.rs` its `watch::follow`, `fetching.rs` the
//! driver of `fetch`. A fault in a driver alone is therefore not found here; what the real program
//! does when it is killed is `faults`' business.
//!
//! Not simulated: sessions and TLS, accounts and grants (the list of publishers alone decides),
//! sealed releases, checkout into a directory and its journal (a node shows a release when all
//! chunks of it are durable), hooks, pruning and garbage collection, several names, a hub restored
//! from an old backup, a second hub that publishes, bit rot, and heads renewed without a release.
//!
//! What must hold is in `judge.rs`. [`Sabotage`] breaks one rule on purpose: the tests demand that the
//! judge notices.
//!
//! Start with [`simulate`], then `world.rs`, whose `run` is the loop.

mod clock;
mod context;
mod faults;
mod fetching;
mod hub;
mod judge;
mod keeping;
mod network;
mod node;
mod publisher;
mod trace;
mod trees;
mod world;

use std::time::Duration;

pub use judge::Counts;

/// A rule that is broken on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// A node judges a head without what it has seen.
    IgnoreSeen,
    /// A node forgets what it has seen when it stops.
    ForgetSeen,
    /// A node judges a head as if it were 1970.
    IgnoreExpiry,
    /// A node writes what a source sends, whatever it is.
    BelieveSources,
    /// A node makes a release current before its chunks are durable.
    SwitchBeforeSync,
    /// A watch is not told that a question failed.
    LoseFailures,
    /// The hub acknowledges a release before it is durable.
    AcknowledgeEarly,
    /// The hub takes a release that does not follow the newest one.
    AnyPredecessor,
}

impl Sabotage {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::IgnoreSeen,
        Self::ForgetSeen,
        Self::IgnoreExpiry,
        Self::BelieveSources,
        Self::SwitchBeforeSync,
        Self::LoseFailures,
        Self::AcknowledgeEarly,
        Self::AnyPredecessor,
    ];
}

/// How a run went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The seed that repeats it.
    pub seed: u64,
    /// A hash over everything that arrived anywhere and everything that was decided, with its time.
    pub trace: String,
    /// The same in words, if that was asked for.
    pub lines: Vec<String>,
    /// The first promise that did not hold.
    pub violation: Option<String>,
    /// How much was tried.
    pub counts: Counts,
    /// Lines of the trace.
    pub events: u64,
    /// Virtual time that passed.
    pub lasted: Duration,
}

/// Runs a world.
///
/// # Panics
/// When the temporary directory that the first run reads its trees from cannot be used.
#[must_use]
pub fn simulate(seed: u64, sabotage: Option<Sabotage>, with_lines: bool) -> Outcome {
    world::World::new(seed, sabotage, with_lines).run(seed)
}
