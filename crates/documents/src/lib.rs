//! What Consign signs, and the short secrets people hand to each other.
//!
//! This crate is words only: it encodes, signs, verifies and decides whether a release may be
//! accepted. It does no IO and knows no clock: the time is an argument, randomness too. Every
//! byte is described in `docs/format.md`.
//!
//! * [`key`]: [`NodeKey`] and [`PublicKey`], Ed25519.
//! * [`name`]: [`ReleaseName`], such as `team/tools`.
//! * [`envelope`]: COSE_Sign1 with a context string per kind ([`Context`]), and why a document
//!   was refused ([`DocumentError`]).
//! * [`jointly`]: COSE_Sign, for what several keys sign together ([`Quorum`]).
//! * [`release`]: [`Manifest`] and [`Head`], what a publisher signs.
//! * [`delegation`]: [`Delegation`], the owner's list of further publishers, and [`Authority`].
//! * [`accept`]: [`accept_head`], the one way a release becomes trusted.
//! * [`capability`]: [`Capability`], the right to read a sealed release.
//! * [`exchange`]: [`ExchangeKey`], X25519, and what is sealed for it.
//! * [`session`]: proofs of a key and the tokens given for them.
//! * [`invitation`]: [`Invitation`], all a newcomer needs to register with a hub.
//! * [`date`]: the calendar ([`UtcTime`]); with it, when a certificate is valid ([`Validity`]).
//!
//! Invariant: a document is decoded as a whole or refused as a whole. Every decoder here takes
//! untrusted bytes, checks their length first, never panics, and accepts exactly one encoding
//! of a value. A signature made for one kind of document never verifies as another.
//!
//! Start reading at [`release`], then [`accept`].

pub mod accept;
pub mod audit;
pub mod capability;
pub mod date;
pub mod delegation;
pub mod envelope;
pub mod exchange;
pub mod invitation;
pub mod jointly;
pub mod key;
pub mod name;
mod origin;
pub mod release;
pub mod session;
mod validity;

use content::cbor;

pub use accept::{AcceptError, Accepted, Seen, accept_head, accept_numbered, verify_chain};
pub use capability::{Capability, OpenRootError, ParseCapabilityError};
pub use content::DecodeError;
pub use date::UtcTime;
pub use delegation::{Authority, Delegation, Tenure};
pub use envelope::{Attributed, Context, DOCUMENT_BYTES_MAX, DocumentError, DocumentHash, Payload};
pub use exchange::{ExchangeKey, ExchangePublic, MessageSeed, OpenError, Purpose, SealError};
pub use invitation::{Invitation, ParseInvitationError, certificate_fingerprint};
pub use jointly::{Quorum, QuorumError};
pub use key::{NodeKey, ParseKeyError, PublicKey};
pub use name::{ParseNameError, ReleaseName};
pub use origin::origin_identity;
pub use release::{Head, Manifest};
pub use session::{Registration, SessionProof, SessionToken, TokenError};
pub use validity::Validity;

#[cfg(test)]
mod golden_tests;
