//! Front-ends: several hubs on one database, and which of them does what.
//!
//! Leases are by the clock of the database, so front-ends need not agree about the time. Whoever holds one counts
//! by its own clock from before it asked, and is sooner done than the database says.

use std::time::Duration;

use async_trait::async_trait;

use crate::{DbError, PersonId};

/// One process `consign hub`, by what it drew when it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FrontEndId(pub [u8; 16]);

/// A front-end as it tells of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrontEnd {
    /// Which.
    pub id: FrontEndId,
    /// Where the others reach it; `None` when it is alone.
    pub address: Option<String>,
    /// Whether it keeps the chunks of the hub.
    pub keeps_chunks: bool,
    /// Its program's version.
    pub version: String,
    /// When it started.
    pub started: u64,
    /// What it says of itself, as JSON.
    pub load: String,
}

/// A front-end, and how long ago it gave a sign of life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrontEndSeen {
    /// As it told of itself last.
    pub front_end: FrontEnd,
    /// How long ago that was.
    pub silent: Duration,
    /// Whether its lease is in force.
    pub is_live: bool,
}

/// What came of entering among the front-ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entered {
    /// It is one of them.
    Now,
    /// Another live one keeps the chunks.
    ChunksKept(Box<FrontEnd>),
}

/// What came of a heart-beat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beaten {
    /// The lease goes on.
    Continued,
    /// It had ended, and begins anew: what was this front-end's may be others' since.
    Lapsed,
}

/// Who is the manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manager {
    /// Which front-end.
    pub holder: FrontEndId,
    /// Grows whenever it is another one.
    pub term: u64,
    /// When the term began, in seconds since 1970.
    pub since: u64,
    /// Whether the lease is in force.
    pub is_held: bool,
}

/// What the hub is down for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Down {
    /// Since when.
    pub since: u64,
    /// When it shall be up again.
    pub until: u64,
    /// Why, for everybody to read.
    pub why: String,
}

/// Which versions of the program the hub wants its clients to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WantedClients {
    /// The newest there is.
    pub newest: Option<String>,
    /// Where it is to be had.
    pub place: Option<String>,
    /// The oldest that is answered.
    pub minimum: Option<String>,
}

/// What a person sent and received, of what went through to its end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Deliveries sent.
    pub sent_deliveries: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Deliveries received.
    pub received_deliveries: u64,
    /// Their bytes.
    pub received_bytes: u64,
}

/// What was told to all front-ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A text of one of them.
    Told(String),
    /// The connection broke: some may be missing.
    Lost,
}

/// Listens for what front-ends tell each other.
#[async_trait]
pub trait Hearing: Send {
    /// The next text; waits until there is one.
    async fn next(&mut self) -> Result<Heard, DbError>;
}

/// The front-ends of a hub.
#[async_trait]
pub trait Cluster: Send + Sync {
    /// Whether several hubs may use this database.
    fn is_shared(&self) -> bool;

    /// Forgets all front-ends and the manager. For a hub that nobody shares the database with, at its start.
    async fn forget_front_ends(&self) -> Result<(), DbError>;

    /// Becomes one of the front-ends, for as long as a lease lasts.
    async fn enter(&self, front_end: &FrontEnd, lease: Duration) -> Result<Entered, DbError>;

    /// Gives a sign of life; the lease counts from now.
    async fn beat(&self, front_end: &FrontEnd, lease: Duration) -> Result<Beaten, DbError>;

    /// Goes, and with it what was its own: others may take that at once.
    async fn leave(&self, id: FrontEndId) -> Result<(), DbError>;

    /// All that are known, those that keep chunks first.
    async fn front_ends(&self) -> Result<Vec<FrontEndSeen>, DbError>;

    /// Forgets those whose lease ended so long ago; how many.
    async fn drop_front_ends(&self, ended: Duration) -> Result<u64, DbError>;

    /// Becomes the manager if nobody is, or stays it for as long as a lease lasts; who is it.
    async fn manage(&self, id: FrontEndId, lease: Duration) -> Result<Manager, DbError>;

    /// Who is or was the manager.
    async fn manager(&self) -> Result<Option<Manager>, DbError>;

    /// Makes room for another manager at once.
    async fn resign(&self, id: FrontEndId) -> Result<(), DbError>;

    /// Which live front-end has a thing in its memory.
    async fn home(&self, thing: &[u8; 16]) -> Result<Option<FrontEnd>, DbError>;

    /// The same of several things; those that are in nobody's memory are left out.
    async fn homes(&self, things: &[[u8; 16]]) -> Result<Vec<([u8; 16], FrontEnd)>, DbError>;

    /// Makes a front-end the home of a thing unless another live one is; who is it.
    async fn take_home(&self, thing: &[u8; 16], id: FrontEndId) -> Result<FrontEndId, DbError>;

    /// A front-end is the home of these alone; how many others were forgotten.
    async fn keep_homes(&self, id: FrontEndId, things: &[[u8; 16]]) -> Result<u64, DbError>;

    /// Addressed deliveries that ran and are in no live front-end's memory wait again; how many.
    async fn stop_homeless(&self, now: u64) -> Result<u64, DbError>;

    /// A person listens at a front-end since then, or no more.
    async fn set_online(
        &self,
        person: PersonId,
        id: FrontEndId,
        since: Option<u64>,
    ) -> Result<(), DbError>;

    /// Those of these people who listen at a live front-end, and since when.
    async fn online(&self, people: &[PersonId]) -> Result<Vec<(PersonId, u64)>, DbError>;

    /// Notes that a challenge was answered; whether it was not before. Forgets those that ended.
    async fn answer_challenge(
        &self,
        challenge: &[u8; 32],
        ends: u64,
        now: u64,
    ) -> Result<bool, DbError>;

    /// Tells all front-ends a text of up to 7,000 bytes.
    async fn tell(&self, text: &str) -> Result<(), DbError>;

    /// Listens from now on; `None` where there is nobody to listen to.
    async fn hear(&self) -> Result<Option<Box<dyn Hearing>>, DbError>;

    /// What the hub is down for.
    async fn down(&self) -> Result<Option<Down>, DbError>;

    /// Takes the hub down, or up with `None`.
    async fn set_down(&self, down: Option<&Down>) -> Result<(), DbError>;

    /// What clients are to be.
    async fn wanted_clients(&self) -> Result<WantedClients, DbError>;

    /// Sets what clients are to be.
    async fn want_clients(&self, wanted: &WantedClients) -> Result<(), DbError>;

    /// What a person sent and received.
    async fn totals(&self, person: PersonId) -> Result<Totals, DbError>;

    /// What people sent and received, by handle, after one.
    async fn all_totals(
        &self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<(String, Totals)>, DbError>;
}
