//! Machines that ask to join a community.

use std::time::Duration;

use async_trait::async_trait;

use crate::{CommunityKey, DbError};

/// How long a joining is kept after its last step.
pub const JOINING_LIFETIME: Duration = Duration::from_hours(24);

/// A request to join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJoin {
    /// Hash of the request.
    pub id: [u8; 32],
    /// The community.
    pub community: CommunityKey,
    /// The admission it names.
    pub admission: Option<[u8; 16]>,
    /// The signed request.
    pub request: Vec<u8>,
    /// The time.
    pub now: u64,
}

/// For how many joinings there is room in a community.
///
/// Those that a manager has ended take none: whoever breaks off for himself cannot begin without
/// end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JoinRoom {
    /// For all together.
    pub all: u32,
    /// Of these, for those that are not the only one with their admission.
    pub unannounced: u32,
}

/// What came of a request to join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Knocked {
    /// It is kept until then.
    Kept(u64),
    /// There is no such community.
    NoCommunity,
    /// There is no such admission, or no more.
    NoAdmission,
    /// There is no room; managers have to end some, or a day has to go by.
    Full,
}

/// How a joining ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JoinOutcome {
    /// The machine is a peer now.
    Admitted,
    /// A manager refused it, for this reason.
    Refused(String),
    /// The machine broke off, for this reason.
    Aborted(String),
}

/// A joining.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinRecord {
    /// Hash of the request.
    pub id: [u8; 32],
    /// The signed request.
    pub request: Vec<u8>,
    /// A manager's signed challenge.
    pub challenge: Option<Vec<u8>>,
    /// The machine's signed answer to it.
    pub answer: Option<Vec<u8>>,
    /// How it ended.
    pub end: Option<JoinOutcome>,
    /// When it came.
    pub came: u64,
    /// When its last step was.
    pub changed: u64,
}

/// What came of a step of a joining.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinStep {
    /// It was taken.
    Now,
    /// It had been taken before, just so.
    Before,
    /// It is over, or another step stands in its place, or one before it is missing.
    OutOfTurn,
    /// There is no such joining.
    NoJoining,
}

/// Joinings, and the places that are kept for them.
#[async_trait]
pub trait Joins: Send + Sync {
    /// Keeps a place for whoever names this admission. A later end replaces an earlier one.
    async fn admit(
        &self,
        community: &CommunityKey,
        admission: &[u8; 16],
        expires: u64,
    ) -> Result<(), DbError>;

    /// Gives the place away; returns whether there was one.
    async fn withdraw_admission(
        &self,
        community: &CommunityKey,
        admission: &[u8; 16],
    ) -> Result<bool, DbError>;

    /// Keeps a request. Repeating it changes nothing.
    async fn knock(&self, new: &NewJoin, room: JoinRoom) -> Result<Knocked, DbError>;

    /// Up to `limit` joinings: those that are not over, the oldest first, and then those that were aborted, of which
    /// the managers are to hear.
    async fn joins(&self, community: &CommunityKey, limit: u32)
    -> Result<Vec<JoinRecord>, DbError>;

    /// One joining, over or not.
    async fn join(
        &self,
        community: &CommunityKey,
        id: &[u8; 32],
    ) -> Result<Option<JoinRecord>, DbError>;

    /// Keeps the challenge. The first one stands.
    async fn challenge_join(
        &self,
        community: &CommunityKey,
        id: &[u8; 32],
        challenge: &[u8],
        now: u64,
    ) -> Result<JoinStep, DbError>;

    /// Keeps the answer to the challenge. The first one stands.
    async fn answer_join(
        &self,
        community: &CommunityKey,
        id: &[u8; 32],
        answer: &[u8],
        now: u64,
    ) -> Result<JoinStep, DbError>;

    /// Ends a joining; its admission is used up when the machine was admitted.
    async fn end_join(
        &self,
        community: &CommunityKey,
        id: &[u8; 32],
        outcome: &JoinOutcome,
        now: u64,
    ) -> Result<JoinStep, DbError>;
}
