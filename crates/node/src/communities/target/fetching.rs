//! What comes in at the moment, for whoever asks how a community stands.

use std::sync::{Arc, Mutex, PoisonError};

use checkout::CheckoutProgress;
use node_api::status::Waiting;

use crate::publish::unix_now;

/// The release that is being fetched, if one is.
#[derive(Debug, Default)]
pub(crate) struct Fetching(Mutex<Option<Under>>);

#[derive(Debug)]
struct Under {
    /// Which release, and from where.
    what: String,
    since: u64,
    progress: Arc<CheckoutProgress>,
}

/// Ends with the fetch.
pub(super) struct Guard<'a>(&'a Fetching);

impl Fetching {
    /// A fetch begins; it is over when the returned value is dropped.
    pub(super) fn begin(&self, what: String, progress: &Arc<CheckoutProgress>) -> Guard<'_> {
        let under = Under { what, since: unix_now(), progress: Arc::clone(progress) };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(under);
        Guard(self)
    }

    /// What is waited for, as long as something is fetched: how much of it is here, and who is slow.
    pub(crate) fn waits_for(&self) -> Option<Waiting> {
        let under = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Under { what, since, progress } = under.as_ref()?;
        let (done, total) = (progress.bytes_done(), progress.bytes_total());
        let mut what = match total {
            0 => format!("{what}: nothing of it is placed yet"),
            _ => format!("{what}: {done} of {total} bytes are here"),
        };
        if let Some(reason) = progress.waits_for() {
            what = format!("{what}; waiting for {}", reason.what);
        }
        let next = "it is carried out when all of it is here and verified".to_owned();
        Some(Waiting { what, since: *since, next })
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
