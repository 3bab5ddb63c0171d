//! Decides which piece to ask of which source, and when to ask again.
//!
//! Pure: no sockets, no clock, no tasks, no chunks; the `fetch` crate drives it. Time is an
//! argument (`clippy.toml` beside this crate forbids the rest).
//!
//! Invariant: a wanted piece is in exactly one of three states, not assigned, assigned,
//! retrieved ([`PieceState`]); the plan is complete exactly when all are retrieved. A piece is
//! asked of at most two sources at once, so waste is bounded by what was in flight.
//!
//! How it decides:
//!
//! * Each source has a measured rate; its window is what it moves in 1.5 s, split into several
//!   requests so that its pipe never drains. Towards the end it gets only its share of what is
//!   missing, so that all sources end together.
//! * A request that takes three times as long as it should is *at risk*: its pieces are asked
//!   of one other source too, and whoever has nothing left to bring is cancelled.
//! * A source with nothing to do helps the slowest one, from the far end of its queue.
//! * A failure suspends a source, longer each time, and in the end drops it; wrong bytes drop
//!   it at once. What it owed returns to the queue.
//! * An answer that ends without a piece says that the source lacks it. A piece that every
//!   source lacks or was dropped for is reported with the reason of each.
//!
//! Parts, each the owner of its state: `pieces` (the table and the queue), `source` (rate,
//! window, pauses), `requests` (what is out and when it is late), `schedule` (who is asked for
//! what), `outlook` (what others may read). Start at [`FetchPlan`].

mod outlook;
mod pieces;
mod plan;
mod requests;
mod schedule;
mod source;
mod words;

pub use pieces::PieceState;
pub use plan::FetchPlan;
pub use words::{
    Config, Event, Fault, Obstacle, Outcome, PieceId, Priority, Progress, Request, RequestId,
    SourceId, SourceProgress, Waiting,
};

#[cfg(test)]
mod tests;
