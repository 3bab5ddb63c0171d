//! The direct path: segments from sender to recipient without the hub between.
//!
//! The sender listens ([`listen`]) and has the hub tell the recipient where, sealed for it; the recipient tries that
//! ([`reach`]) and else, or when it breaks, takes the segments from the hub. Everything else goes through the hub
//! as it always does: header, progress, receipt, the end. What is said over the connection is in `docs/format.md`,
//! section 15.

mod listen;
mod reach;

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use hub_client::ClientError;

pub(crate) use self::listen::{Listener, Serving, Tags};
pub(crate) use self::reach::{DirectSegments, Reach};

/// What both sides speak (RFC 7301): another version has another name.
const PROTOCOL: &[u8] = b"consign-delivery/1";
/// What a recipient sends: its token, and the first segment it wants, little-endian.
const REQUEST_BYTES: usize = 32 + 8;
/// How long a recipient waits for the sender at each of its addresses: so long nothing comes where packets to it are
/// swallowed, once. One that was lost is sent again after a second.
const CONNECT_PATIENCE: Duration = Duration::from_secs(3);
/// How long a sender waits for a handshake and the request.
const REQUEST_PATIENCE: Duration = Duration::from_secs(5);
/// How long either side waits for the other to send or take something.
const STALL_PATIENCE: Duration = Duration::from_secs(30);

/// Why a delivery does without a direct path, or its stream broke. Nothing is lost: all goes through the hub.
#[derive(Debug, thiserror::Error)]
pub enum DirectError {
    /// This machine reaches the hub through a proxy: nothing else may leave or come in.
    #[error("the hub is reached through a proxy")]
    Proxied,
    /// The hub's operator wants everything to go through the hub, or the hub is older.
    #[error("the hub passes all contents on itself")]
    RelayOnly,
    /// The hub was not asked.
    #[error("the hub does not say whether it allows it")]
    Hub(#[source] ClientError),
    /// This machine does not know by which address it is reached, or cannot listen there.
    #[error("cannot listen for the recipient")]
    Listen(#[source] io::Error),
    /// Nobody answers there, or somebody else than the sender.
    #[error("the sender is not reached at its address")]
    Connect(#[source] io::Error),
    /// It broke while segments came.
    #[error("the connection to the sender broke")]
    Broken(#[source] io::Error),
    /// What came are no segments of the delivery.
    #[error("the sender does not send what was asked for: {0}")]
    Protocol(String),
}

/// Whether a machine with the address `own` may be sent to `other`: nobody else leads it to itself.
fn may_try(own: IpAddr, other: IpAddr) -> bool {
    own.is_loopback() || !other.is_loopback()
}

#[cfg(test)]
mod tests;
