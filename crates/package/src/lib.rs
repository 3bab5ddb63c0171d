//! What a package is: the instructions that travel to a machine, and the receipt that comes back.
//!
//! This crate is words only: no IO, no clock. A publisher writes a specification in TOML; built, it
//! becomes a tree with [`INSTRUCTIONS`] at its top, the canonical encoding of a [`Package`], beside
//! the contents and scripts that its steps name. A machine opens that tree only after every byte of it was
//! verified, carries the steps out in order, and answers with a [`Receipt`].
//!
//! * [`instructions`]: [`Package`], [`Step`], [`FileSet`], [`Script`].
//! * [`label`]: labels of machines, and the [`label::Expression`] that chooses among them.
//! * [`specification`]: what a publisher writes, and what is wrong with it.
//! * [`receipt`]: [`Receipt`], what became of each step.
//!
//! Invariant: a decoded value keeps every bound that is documented here, so a driver allocates and
//! waits no more than it says; paths on the machine are absolute, without `.`, `..` and empty parts.
//!
//! Start reading at [`Package`].

mod encoding;
pub mod instructions;
pub mod label;
pub mod receipt;
mod rules;
pub mod specification;

pub use encoding::BoundsError;
pub use instructions::{
    Action, Condition, FileSet, INSTRUCTIONS, Limits, OnFailure, OnInterrupt, Owner, Package,
    Placing, Requirement, Script, Step,
};
pub use receipt::{Outcome, Receipt, StepReceipt, Verdict};
pub use specification::Specification;

#[cfg(test)]
mod golden_tests;
