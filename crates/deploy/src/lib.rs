//! Carries a package out on this machine: places its files, runs its scripts, reports.
//!
//! * [`script`]: a script runs with as few rights as can be, and ends with all it started.
//!
//! What is next, and what is written down before, is decided by `deploy-plan`; this crate does it.
//!
//! Start reading at [`script`].

mod reach;
mod scratch;
pub mod script;
