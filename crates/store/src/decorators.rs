//! Stores around stores: check, slow down, count, fail.

mod counting;
mod faulty;
mod rate;
mod verifying;

pub use counting::{Counting, Counts};
pub use faulty::{Faulty, Operation};
pub use rate::RateLimited;
pub use verifying::Verifying;
