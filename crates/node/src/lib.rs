//! What one machine does with Consign: its key, its state, and the jobs on top of the core.
//!
//! A [`Node`] owns a state directory and introduces the other crates to each other: it reads
//! directories with `snapshot`, sends what a hub lacks, checks signed releases, and hands trees
//! to `checkout`. It prints nothing and decides nothing about presentation; the command line
//! does.
//!
//! Invariant: nothing is trusted because a hub said it. A release counts only after
//! [`documents::accept_head`] took it under the owner pinned in [`trust`].
//!
//! Layout of the state directory:
//!
//! ```text
//! node.key               secret of the node key, mode 0600
//! convergence.key        secret that sealed chunks converge under, mode 0600
//! hubs.json              hubs this node is registered with, the first is the default
//! trust/HUB/TEAM/NAME    pinned owner, newest release and list of publishers seen
//! publish/HASH/          index of a published directory
//! checkout/HASH/         index, plan and journal of a destination; while a job runs, what was asked
//! store/                 chunks: metadata of fetched trees, everything `put` here
//! roots/                 closures of trees that `put` keeps
//! communities/ID/        what is known of a community, see [`communities`]
//! deliveries/            what is sent and received, see [`deliveries`]
//! packages/              what `deploy` remembers of the packages it carried out
//! ```
//!
//! Start reading at [`publish`] and [`get`].

pub mod communities;
pub mod control;
pub mod delegate;
pub mod deliveries;
pub mod get;
pub mod hubs;
pub mod inspect;
pub mod jobs;
pub mod local;
pub mod people;
pub mod publish;
pub mod service;
pub mod state;
pub mod tree;
pub mod trust;
pub mod unfinished;
pub mod watch;

mod cache;
mod causes;
mod drafting;
mod folder;
mod turn;
mod upload;
mod waits;

pub use get::{GetError, GetRequest, Got};
pub use hubs::{HubChoiceError, HubLink};
pub use inspect::StateDir;
pub use publish::{PublishError, PublishRequest, Published};
pub use state::{Node, StateError};
pub use turn::{Turn, TurnError};
pub use waits::Waits;
