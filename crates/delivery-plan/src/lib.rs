//! Decides what each end of a delivery does next: announce, ask, send a segment, open a stream, report,
//! try again.
//!
//! Pure: no sockets, no clock, no tasks; the `node` crate drives it. Time is an argument, and chance is
//! a seed. Neither end knows bytes: segments have numbers here.
//!
//! * [`SendPlan`]: the sender. It announces the delivery, asks the hub how it stands and waits for changes,
//!   and sends segments a few at once while a recipient takes them. The hub says where the recipient wants
//!   to go on; whatever was sent beyond that is sent again.
//! * [`SharePlan`]: several senders of the same contents. It says which of them have a segment sent together, and
//!   how long one is waited for.
//! * [`CodePlan`]: the sender of a ticket. It shows one code after the other until one was used rightly.
//! * [`ReceivePlan`]: the recipient. It opens a stream at the first segment it does not have, takes what
//!   comes in order, reports what it has kept, looks who is there when nothing comes, and in the end hands in the receipt and waits until the sender has taken it.
//!
//! A hub that restarts forgets everything; then the sender announces again and the recipient asks for the
//! segment it lacks, as after any other break. Nothing that the hub says can make the recipient count a
//! segment that it has not verified, or make the sender believe in an end without a receipt.
//!
//! Invariants: a segment that was verified is never asked for again; at most [`WINDOW`] segments and one
//! that they wait for are on their way to the hub, one question of each end, one stream and one report are open.
//!
//! Start reading at [`SendPlan::poll_action`], then [`ReceivePlan::poll_action`].

mod code;
mod receive;
mod send;
mod share;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use code::{CodeAction, CodeEvent, CodePhase, CodePlan, EXCHANGE_TIME, TRIES_MAX, TRIES_TIME};
pub use receive::{ReceiptStanding, ReceiveAction, ReceivePhase, ReceivePlan};
pub use send::{HubStatus, SendAction, SendPhase, SendPlan};
pub use share::{CREDIT_MAX, CREDIT_TO_SHARE, MemberId, SHARED_MAX, SharePlan, SharedPut};

/// Segments that are on their way to the hub at once: one travels while the hub passes on the other.
/// A hub holds two of a delivery.
pub const WINDOW: usize = 2;

/// Intervals of both ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliveryConfig {
    /// Shortest and longest delay between two tries of what failed.
    pub retry: (Duration, Duration),
    /// Between two reports of the recipient while it receives.
    pub report_every: Duration,
    /// Shortest and longest time in which nothing comes before the recipient looks who is silent.
    pub look_every: (Duration, Duration),
}

impl Default for DeliveryConfig {
    /// Tries begin within a quarter of a second, for a restarted hub is back soon, and come no rarer
    /// than each half minute, for people sit before it. Twice a second is how often a person sees
    /// progress move. Who is silent is known when a person begins to wonder, after about three seconds, and
    /// anew each ten.
    fn default() -> Self {
        Self {
            retry: (Duration::from_millis(250), Duration::from_secs(30)),
            report_every: Duration::from_millis(500),
            look_every: (Duration::from_secs(2), Duration::from_secs(10)),
        }
    }
}
