//! Carries a package out on this machine: places its files, runs its scripts, reports.
//!
//! * [`files`]: a file set is put in place, all or nothing, and back.
//! * [`script`]: a script runs with as few rights as can be, and ends with all it started.
//!
//! What is next, and what is written down before, is decided by `deploy-plan`; this crate does it.
//!
//! Start reading at [`script`].

mod durable;
pub mod files;
mod reach;
mod scratch;
pub mod script;
