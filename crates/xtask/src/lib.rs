//! What repository tasks share with the programs that they start: other programs, run and installed.
//!
//! The tasks are in the program of the same name. It depends on next to nothing, so that the first
//! task of a fresh clone begins within seconds.

pub mod packages;
pub mod shell;
