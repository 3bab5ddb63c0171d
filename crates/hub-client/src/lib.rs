//! Speaks HTTP/1.1 to one hub: every route of `hub-api` as a typed method.
//!
//! It is not the place where anything is believed: signed documents and frames come out as the
//! hub sent them, and `documents` and `fetch` verify them. It decides neither what to fetch nor
//! when to ask again after an answer has begun; it repeats a request only while the connection
//! fails before the first byte of an answer, or when the hub says that it is busy and for how
//! long, and only where arriving twice does no harm.
//!
//! * [`client`]: [`HubClient`] and names; [`grants`], [`retention`], [`tokens`] and
//!   [`administration`]: who may do what, and for how long; [`releases`]; [`chunks`]: what moves frames;
//!   [`events`]: the stream that announces releases; [`communities`]: who belongs, who joins, what is
//!   queued, what was answered; [`deliveries`]: segments handed to a recipient;
//!   [`codes`]: tickets handed over.
//! * `session`: proves the node's key, keeps a token, renews it.
//! * `exchange`: one request with its retries and timeouts; `busy`: pauses a hub asks for;
//!   `outgoing` and `incoming`: bodies; `failure`: what went wrong, in our words.
//! * [`activity`]: what calls wait for; [`mod@probe`]: a look at an address, step by step, for
//!   whoever explains why there is no hub.
//! * [`pin`]: trust in a certificate by its fingerprint; `connect` and `counting`: connections;
//!   [`proxy`] and `tunnel`: the way through proxies.
//!
//! Invariants: whatever the other side sends, every wait and every amount of memory is bounded;
//! every [`ClientError`] names the URL and what was being done; nothing secret is in one.
//! Redirects are not followed, for what they would follow to is not pinned.
//!
//! Start reading at [`client`], then `exchange`.

pub mod activity;
pub mod administration;
mod busy;
pub mod chunks;
pub mod client;
pub mod codes;
pub mod communities;
mod connect;
mod counting;
mod date;
pub mod deliveries;
pub mod error;
mod event_stream;
pub mod events;
mod exchange;
mod failure;
#[doc(hidden)]
pub mod fuzzing;
pub mod grants;
mod incoming;
mod outgoing;
pub mod people;
pub mod pin;
pub mod probe;
pub mod proxy;
pub mod releases;
pub mod retention;
mod session;
pub mod tokens;
mod tunnel;
pub mod versions;

pub use activity::{Activity, UnderWay};
pub use client::HubClient;
pub use communities::CommunityEvents;
pub use counting::BytesOnWire;
pub use deliveries::DeliverySegments;
pub use error::{ClientError, WaitingFor};
pub use events::{Events, ReleaseEvents};
pub use exchange::Timeouts;
pub use people::PersonEvents;
pub use pin::Pin;
pub use probe::{Answer, Probe, ProbedProxy, SeenCertificate, probe};
pub use proxy::{Proxies, ProxyCredentials, ProxyError};
pub use releases::SignedHead;
pub use versions::ToldVersions;

#[cfg(test)]
mod tests;
