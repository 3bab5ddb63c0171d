//! The hub: an HTTP server for names, releases, chunks, accounts and events.
//!
//! It is not trusted: every chunk and document it hands out is verified by whoever receives it.
//! What it decides is who may store and who may read. It does not sign releases and does not know
//! what is in a sealed tree. It talks to other machines only where its operator names them: other
//! front-ends, a mail server, an authority for certificates.
//!
//! * [`Hub::start`] opens a data directory and serves it; [`RunningHub`] is the handle.
//! * [`invite()`] and [`reset_password()`] work beside a running hub, from another process.
//! * `routes/` holds one file per endpoint, in straight lines; `router` lists them.
//! * `caller` says who asks, `acts` notes what changes rights, `browse` reads in plain trees,
//!   `idempotency`, `conditional` and `pages` are what the interface promises everywhere.
//! * `deliveries` passes segments on from memory to memory, `codes` the messages that hand tickets over; `lockers`
//!   keeps sealed segments on the disk, where operator and sender want it.
//! * `cluster` is what makes several processes one hub, `audit` gives its word on the log of acts, `mail` writes
//!   to people.
//! * `access` is the rule about who may read a chunk, `refusal` the only place where errors
//!   become HTTP, `serve` the accept loop with its limits.
//!
//! Invariants: an id alone opens nothing; whoever asks for a chunk is checked against its
//! holders on every route, and a chunk that may not be read looks like one that is not there.
//! An upload or a release is answered only after it is durable. Memory per request is bounded.
//! No secret reaches a log, a URL or an error message.
//!
//! Start reading at `router`, then `routes/publish`.

mod access;
mod acme;
mod acts;
mod addresses;
mod app;
mod audit;
mod backup;
mod body;
mod browse;
mod bus;
mod caller;
mod certificate_files;
mod challenges;
mod clients;
mod cluster;
mod codes;
mod communities;
mod conditional;
mod config;
mod console;
mod database;
mod deliveries;
mod delivery_page;
mod escape;
mod files;
#[doc(hidden)]
pub mod fuzzing;
mod gc;
mod guest_page;
mod guests;
mod heartbeat;
mod hosted;
mod idempotency;
mod invite;
mod line;
mod linger;
mod lockers;
mod mail;
mod maintenance;
mod member_trees;
mod metrics;
mod observation;
mod open_files;
mod pages;
mod peer;
mod people;
mod person_page;
mod places;
mod readiness;
mod refusal;
mod relay_reports;
mod router;
mod routes;
mod serve;
mod stall;
mod start;
mod switch;
mod tls;
mod transfers;

pub use backup::{BackedUp, BackupError, Restored, backup, restore};
pub use clients::{ClientsError, want_clients, wanted_clients};
pub use cluster::NotEntered;
pub use config::{
    Acme, CertificateTrust, DELIVERY_WINDOW_MAX, DELIVERY_WINDOW_MIN, FrontEndConfig, GuestConfig,
    HubConfig, HubLimits, LETS_ENCRYPT, LockerConfig, Tls,
};
pub use console::{ConsoleLinkError, console_link};
pub use database::{BesideError, Database, DatabaseError, HubData};
pub use gc::{GcError, gc};
pub use hosted::{
    HostedCommunity, HostedError, hosted_communities, hosted_community, remove_community,
};
pub use hub_db::Role;
pub use invite::{InviteError, invite};
pub use mail::{MailConfig, MailConfigError};
pub use people::{ResetPasswordError, reset_password};
pub use start::{Hub, RunningHub, StartError};
pub use switch::{SwitchError, take_down, take_up};
