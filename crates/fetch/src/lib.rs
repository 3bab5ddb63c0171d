//! Drives a fetch plan over sources into a destination.
//!
//! The `fetch-plan` crate decides; this one asks, verifies, writes and keeps time. What is
//! wanted comes in through a channel, verified chunks go to a [`Destination`], and any number
//! of [`Source`]s are asked at once, none of them trusted.
//!
//! ```text
//! wants ─► plan ─► one task per request ─► room (16 MiB) ─► workers: open, verify ─► plan
//!                                              ▲                                      │
//!                                              └──────── workers: write ◄──── first copy only
//! ```
//!
//! Invariants:
//! * Bytes reach a destination only after their hash was compared with the id, once per id.
//! * Memory is flat: what is wanted and not there, and what is there and not written, are
//!   bounded however many chunks pass through (an id and a word are kept per chunk). While the
//!   second bound is reached, nobody's time runs out.
//! * A request ends by dropping its task; no source can keep a fetch from ending.
//! * A source that lied is dropped, named in [`FetchReport::culprits`], and not asked again by
//!   the same [`Fetcher`].
//!
//! Not here: which chunks a tree needs, where their bytes lie in files, retries of a whole
//! fetch.
//!
//! Start at [`Fetcher::fetch`], then `driver.rs`.

mod destination;
mod driver;
mod fetcher;
mod hub;
mod progress;
mod report;
mod request;
mod source;
mod store_destination;
mod store_source;
mod work;

pub use destination::{Destination, DestinationError};
pub use fetch_plan::{Fault, Priority};
pub use fetcher::{FetchConfig, Fetcher};
pub use hub::HubSource;
pub use progress::{FetchProgress, WaitsFor};
pub use report::{Culprit, FetchError, FetchReport, SourceReason, SourceShare, Want};
pub use source::{Source, SourceError};
pub use store_destination::StoreDestination;
pub use store_source::StoreSource;
