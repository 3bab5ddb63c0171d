//! What a job waits for before its own counters move.

use std::sync::{Mutex, PoisonError};

/// A reason for standing still, set by a job and shown by whoever watches it.
#[derive(Debug, Default)]
pub struct Waits(Mutex<Option<String>>);

impl Waits {
    /// What is waited for; `None` while nothing is.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says what is waited for until the returned value is dropped.
    pub(crate) fn say(&self, reason: String) -> Saying<'_> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
        Saying(self)
    }
}

/// A reason in force.
pub(crate) struct Saying<'a>(&'a Waits);

impl Drop for Saying<'_> {
    fn drop(&mut self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
