//! The documents of a community: who manages it, who belongs to it, who may send to whom, and
//! what a machine answers.
//!
//! This crate is words only: it encodes, signs, seals, verifies and decides what may be
//! accepted. It does no IO and knows no clock: the time is an argument, randomness too. Every byte
//! is described in `docs/format.md`, chapter 13.
//!
//! * [`identity`]: [`CommunityId`] and [`PeerName`].
//! * [`charter`]: [`Charter`], the root of trust, and how a new one follows it.
//! * [`roster`]: [`Roster`], who belongs to the community at the moment, and [`Renewal`], which says
//!   that it is the newest; [`tree`], over all members.
//! * [`membership`]: [`Membership`], one peer with its roles, labels and routes.
//! * [`proposal`]: [`Proposal`], a change that several managers have to sign, on its way between them.
//! * [`seed`]: [`Seed`], the ticket to join, and [`JoinSecret`], which admits one peer once.
//! * [`joining`]: the messages between a machine that joins and a manager.
//! * [`ExchangeKey`]: X25519, and what is sealed for it (of `documents`).
//! * [`release`]: [`Envelope`], which addresses a release to one target, and [`accept_release`].
//! * [`beginning`]: [`Beginning`], that a target works on a release.
//! * [`receipt`]: [`SignedReceipt`], what a target answers.
//! * [`report`]: [`RelayReport`], what a relay tells of itself.
//!
//! Invariant: whatever a hub or relay sends, it cannot add a peer, bring an old roster back, address
//! a release to somebody, leave one out or change the order unseen. It can be silent: a target then
//! believes its last roster until that expires, and the publisher sees that no receipt came.
//!
//! Start reading at [`charter`], then [`roster`], then [`accept_release`].

pub mod beginning;
pub mod charter;
pub mod identity;
pub mod joining;
pub mod membership;
pub mod proposal;
pub mod receipt;
pub mod release;
pub mod report;
pub mod roster;
pub mod seed;
pub mod tree;

pub use beginning::{Beginning, BeginningError};
pub use charter::{Charter, CharterError};
pub use documents::{ExchangeKey, ExchangePublic, MessageSeed, OpenError, SealError};
pub use identity::{CommunityId, ParseIdError, ParsePeerError, PeerName};
pub use joining::{JoinAnswer, JoinChallenge, JoinError, JoinRequest};
pub use membership::{Membership, Role, Route, served_by};
pub use proposal::{Proposal, ProposalError};
pub use receipt::{ReceiptError, SignedReceipt};
pub use release::{Address, Addressed, Envelope, ReleaseError, Task, Unusable, accept_release};
pub use report::{Passed, RelayReport, ReportError};
pub use roster::{
    CurrentRoster, MembershipError, Renewal, Roster, RosterError, RosterPublisher, RosterSeen,
    accept_membership,
};
pub use seed::{JoinSecret, ParseSeedError, Seed};
pub use tree::Inclusion;

#[cfg(test)]
mod golden_tests;
#[cfg(test)]
mod scene;
