//! Carries a package out on this machine: places its files, runs its scripts, reports.
//!
//! * [`apply()`] does it; what is next, and what is written down before, is decided by `deploy-plan`.
//! * `journal`: the file that remembers a package until it is over; [`installed()`]: what is left of
//!   it then.
//! * [`files`]: a file set is put in place, all or nothing, and back.
//! * [`script`]: a script runs with as few rights as can be, and ends with all it started.
//! * `reach`: where an absolute path leads is decided by root and us alone.
//!
//! It does not decide which packages a machine gets, nor verify them: the tree it is given was
//! verified, and does not change while it is applied.
//!
//! Invariant: whatever stops the machine, applying the same package again ends as if nothing had,
//! but for a script that was cut off and must not be repeated. Until the verdict is durable, all
//! that was replaced is kept.
//!
//! Start reading at [`apply()`].

mod apply;
mod durable;
mod facts;
pub mod files;
mod installed;
mod journal;
mod reach;
mod scratch;
pub mod script;

pub use apply::{Application, ApplyError, Event, Preview, State, apply, forget, preview, receipt};
pub use facts::MachineFacts;
pub use installed::installed;
pub use journal::JournalError;
