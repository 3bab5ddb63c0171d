//! What this node does for commands, so that it can be told.
//!
//! `consign status` shows a [`Status`]; the words are those of `node-api`, and
//! [`control::status`](crate::control::status) asks a running node for it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use node_api::Look;
pub use node_api::status::{JobStatus, Status, Waiting, WatchState, WatchStatus};

use crate::publish::unix_now;

/// The jobs that run.
#[derive(Debug, Default)]
pub struct Jobs(Arc<Mutex<Running>>);

#[derive(Debug, Default)]
struct Running {
    last: u64,
    jobs: BTreeMap<u64, Weak<Job>>,
}

/// A job that runs until this is dropped.
#[derive(Debug)]
pub struct Job {
    id: u64,
    what: String,
    started: u64,
    /// The last look, and when it last differed from the one before.
    seen: Mutex<(Look, u64)>,
    running: Weak<Mutex<Running>>,
}

impl Jobs {
    /// A job that begins now.
    pub(crate) fn begin(&self, what: String) -> Arc<Job> {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        running.last += 1;
        let job = Arc::new(Job {
            id: running.last,
            what,
            started: unix_now(),
            seen: Mutex::new((Look::default(), unix_now())),
            running: Arc::downgrade(&self.0),
        });
        running.jobs.insert(job.id, Arc::downgrade(&job));
        job
    }

    /// The jobs that run, the oldest first.
    pub(crate) fn status(&self) -> Vec<JobStatus> {
        let running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let jobs: Vec<Arc<Job>> = running.jobs.values().filter_map(Weak::upgrade).collect();
        // Released first: a job that ends while it is looked at is dropped below.
        drop(running);
        jobs.iter().map(|job| job.status()).collect()
    }
}

impl Job {
    /// Notes how far the job is.
    pub(crate) fn look(&self, look: &Look) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.0 != *look {
            *seen = (look.clone(), unix_now());
        }
    }

    fn status(&self) -> JobStatus {
        let (look, since) = self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        JobStatus {
            id: self.id,
            what: self.what.clone(),
            started: self.started,
            phase: match look.files_done {
                Some(files) => format!("{}, {files} files", look.phase),
                None => look.phase,
            },
            bytes_done: look.done,
            bytes_total: look.total,
            waits_for: look.waits_for.map(|what| Waiting {
                what,
                since,
                next: "the job goes on by itself; Ctrl-C in its command stops it".into(),
            }),
        }
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if let Some(running) = self.running.upgrade() {
            running.lock().unwrap_or_else(PoisonError::into_inner).jobs.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_listed_while_it_runs_with_what_it_waits_for() {
        let jobs = Jobs::default();
        let (first, second) = (jobs.begin("get team/site".into()), jobs.begin("put x".into()));
        let waits_for = Some("the hub".into());
        let files_done = Some(3);
        let phase = "reading".into();
        let (done, total) = (7, Some(9));
        second.look(&Look { phase, files_done, done, total, waits_for, ..Look::default() });
        let listed = jobs.status();
        assert_eq!(listed[1].phase, "reading, 3 files");
        assert_eq!(listed.iter().map(|job| job.id).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(listed[1].waits_for.as_ref().map(|waits| &*waits.what), Some("the hub"));
        drop(first);
        assert_eq!(jobs.status()[0].what, "put x");
        drop(second);
        assert!(jobs.status().is_empty());
    }
}
