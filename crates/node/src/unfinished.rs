//! What jobs that write into directories or publish them were asked to do, kept while they run.
//!
//! A job that is killed leaves its note behind, so that a person can be told what was
//! interrupted and how to go on. Nothing depends on a note: journals and indexes are what a job
//! goes on from.

use std::fs::File;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::state::{StateError, read_json, write_json};

const NOTE: &str = "asked.json";
const RUNNING: &str = "running";

/// What was to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnfinishedKind {
    /// A tree was to be written into a directory.
    Get,
    /// A directory was to be published.
    Publish,
}

/// A job that has begun and not ended well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unfinished {
    /// What was to be done.
    pub kind: UnfinishedKind,
    /// The tree or name, as the user wrote it.
    pub what: String,
    /// The directory written into, or published; absolute.
    pub path: PathBuf,
    /// The hub that was named, if one was.
    pub hub: Option<String>,
    /// Only a part was asked for, or the release is sealed: the command had more options.
    pub more: bool,
    /// When it began, in seconds since 1970.
    pub began: u64,
}

impl Unfinished {
    /// Writes the note into the memory of the job, and holds a lock there as long as it runs.
    pub(crate) fn note(&self, memory: &Path) -> Result<Noted, StateError> {
        write_json(&memory.join(NOTE), self)?;
        let path = memory.join(RUNNING);
        let running = File::create(&path).map_err(crate::state::io("create", &path))?;
        // Only so that others see who runs: jobs that exclude each other have locks of their own.
        if let Err(error) = flock(&running, FlockOperation::NonBlockingLockShared) {
            tracing::debug!(%error, "cannot show others that this job runs");
        }
        Ok(Noted { path: memory.join(NOTE), _running: running })
    }

    /// Reads the note in the memory of a job, if there is one.
    pub(crate) fn read(memory: &Path) -> Result<Option<Self>, StateError> {
        read_json(&memory.join(NOTE))
    }
}

/// A job that runs and has said so.
#[derive(Debug)]
pub(crate) struct Noted {
    path: PathBuf,
    _running: File,
}

impl Noted {
    /// Removes the note: the job ended well.
    pub(crate) fn done(self) {
        // A note that stays tells of a job that is complete; running it again does nothing.
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(%error, "cannot remove the note of a finished job");
        }
    }
}

/// The file in the memory of a job that is locked while the job runs.
pub(crate) fn running(memory: &Path) -> PathBuf {
    memory.join(RUNNING)
}
