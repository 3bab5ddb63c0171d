//! Kills, failing calls, power cuts and bit rot for the real program, from outside.
//!
//! Nothing in the program knows of it: [`Tracing`] runs it under `ptrace` and sees every call that
//! changes a file beneath given directories, in one order over all threads. What happens at the
//! N-th of them is a [`Fault`]; `disk.rs` makes of the recorded calls what a disk may hold after
//! the power failed there; `rot.rs` damages files at rest. A [`Scenario`] is one job of the program:
//! what it starts from, what is run, and what must hold whatever happened. [`Campaign`] tries
//! faults on scenarios, runs the job again as a user would, and judges.
//!
//! What this does not show: what a real disk does with what was synced, other file systems than
//! the one below the temporary directory, and calls that overlap, because here they never do.
//!
//! Start with [`Campaign`], then `tracer.rs`.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod call;
mod campaign;
mod disk;
mod fault;
mod filter;
mod power;
mod rot;
pub mod scenarios;
mod tracee;
mod tracer;
mod world;

pub use call::Call;
pub use campaign::{Campaign, Finding, Tally};
pub use fault::Fault;
pub use power::Recording;
pub use rot::Damage;
pub use scenarios::Scenario;
pub use tracer::{Ended, Program, Tracing, Verdict, Watch};
pub use world::World;
