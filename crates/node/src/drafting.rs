//! One at a time: who writes the index of a directory.
//!
//! The draft of an index has one name for all runs. A lock keeps two of them apart, also two of
//! one process, and whoever gets it sweeps what a killed run left.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::inspect::lock_holder;
use crate::state::{StateError, io};
use crate::waits::Waits;

/// How often a lock is tried that somebody else holds.
const STEP: Duration = Duration::from_millis(50);

/// The right to write drafts in one memory directory; given up when the last clone is dropped.
#[derive(Debug, Clone)]
pub(crate) struct Drafting {
    _lock: Arc<File>,
}

impl Drafting {
    /// Waits for its turn, saying that it waits for `what`, and sweeps old drafts.
    pub(crate) async fn begin(
        memory: &Path,
        what: &str,
        waits: &Waits,
    ) -> Result<Self, StateError> {
        let path = memory.join("lock");
        let file = File::create(&path).map_err(io("create", &path))?;
        let mut saying = None;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break,
                Err(Errno::WOULDBLOCK | Errno::INTR) => {
                    saying.get_or_insert_with(|| {
                        waits.say(match lock_holder(&path) {
                            Some(process) => format!("{what} (process {process}) to finish"),
                            None => format!("{what} to finish"),
                        })
                    });
                    tokio::time::sleep(STEP).await;
                }
                Err(errno) => return Err(io("lock", &path)(errno.into())),
            }
        }
        sweep(memory)?;
        Ok(Self { _lock: Arc::new(file) })
    }
}

/// Removes drafts: nobody finishes them any more.
fn sweep(memory: &Path) -> Result<(), StateError> {
    for entry in std::fs::read_dir(memory).map_err(io("list", memory))?.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("index.") && (name.ends_with(".tmp") || name.ends_with(".new")) {
            let path = entry.path();
            std::fs::remove_file(&path).map_err(io("remove", &path))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_second_waits_for_the_first_and_drafts_of_the_dead_go_away() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let memory = directory.path();
        std::fs::write(memory.join("index.new.4711.tmp"), "a killed run's").expect("written");
        std::fs::write(memory.join("index"), "the index").expect("written");
        let waits = Waits::default();
        let first = Drafting::begin(memory, "the first", &waits).await.expect("free");
        assert!(!memory.join("index.new.4711.tmp").exists() && memory.join("index").exists());

        let held_by_a_thread = first.clone();
        drop(first);
        let second = Drafting::begin(memory, "the first", &waits);
        let mut second = std::pin::pin!(second);
        let waited = async {
            while waits.reason().is_none() {
                tokio::task::yield_now().await;
            }
            waits.reason().expect("just seen")
        };
        let reason = tokio::select! {
            _ = &mut second => panic!("two at once"),
            reason = waited => reason,
        };
        assert!(reason.starts_with("the first (process "), "{reason}");
        drop(held_by_a_thread);
        second.await.expect("free now");
        assert_eq!(waits.reason(), None);
    }
}
