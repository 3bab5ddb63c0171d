//! Sends and receives deliveries: `delivery-plan` joined to a hub, to files, and to what outlives a
//! process.
//!
//! * [`survey`](fn@survey) looks at what is to be sent; [`Source`] reads its segments.
//! * [`Sending`] is a delivery on its way out: [`Sending::run`] drives a `SendPlan` until the recipient's
//!   receipt is there.
//!   [`Sending::together`] has several of the same contents sent together (`company`).
//! * [`Offered`] is a delivery whose header came, and [`Offered::receive`] drives a `ReceivePlan` until
//!   everything is at its place: [`Place`] writes, `tags` remembers. [`discard`] removes what came of one that
//!   ended before that.
//! * [`Sending::offer_direct_path`] lets the recipient take segments from the sender itself (`direct`); header, progress
//!   and receipt go through the hub all the same.
//! * [`CodeOffer`] hands the ticket of a delivery over to whoever has the code; [`redeem`] is the other end.
//!
//! It does not decide what is sent when (`delivery-plan`) nor how a segment is sealed (`delivery`); it
//! prints nothing.
//!
//! Invariants: under a final name there is a whole file or nothing of ours; what the journal of tags says is
//! on the disk, and after a power cut it is read again before that is believed; what is opened by a path that came
//! from outside is opened beneath one directory (`directory`); contents are never on a disk but the sender's
//! and the recipient's.
//!
//! Start reading at [`Sending::run`], then [`Offered::receive`].

mod ahead;
mod code;
mod company;
mod direct;
mod kept;
mod offered;
mod place;
mod progress;
mod receive;
mod send;
mod source;
mod survey;
mod tags;

pub use code::{CodeError, CodeNews, CodeOffer, redeem};
pub use direct::DirectError;
pub use offered::{Offered, discard};
pub use place::{Leftover, Place, PlaceError, Placed};
pub use progress::DeliveryProgress;
pub use receive::{ReceiveError, Received};
pub use send::{Filled, LockerTerms, Outgoing, SendError, Sending, Sent};
pub use source::{Source, SourceError};
pub use survey::{LeftOut, Origin, SurveyError, Surveyed, survey};

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970.
fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Spreads the delays of many: the low bits of the clock differ enough for that.
fn seed() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_nanos() as u64)
}
