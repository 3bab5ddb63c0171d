//! Packages that this machine sent, put together again for a hub that forgot them.

use std::io;
use std::path::{Path, PathBuf};

use deploy::State;
use node::communities::publisher::{Sources, StageError, Staged};

use super::opened::Opened;

/// Puts packages together in a directory of its own, apart from the one that is being sent.
pub(crate) struct Restaging {
    directory: PathBuf,
}

impl Restaging {
    /// With room in a state directory.
    pub(crate) fn new(state: &Path) -> Self {
        Self { directory: state.join("sending-again") }
    }
}

impl Sources for Restaging {
    fn stage(&self, from: &Path) -> Result<Staged, StageError> {
        let state = State::take(&self.directory);
        let state = state.map_err(|error| StageError::Later(error.to_string()))?;
        let opened = Opened::open(from).map_err(|error| gone(&error))?;
        let tree = opened.tree(&state).map_err(|error| {
            if is_out_of_room(&error) {
                StageError::Later(format!("{error:#}"))
            } else {
                gone(&error)
            }
        })?;
        Ok(Staged { tree, hold: Box::new(Hold { opened, state }) })
    }
}

/// A tree that is removed when it is not needed any more.
struct Hold {
    opened: Opened,
    state: State,
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Err(error) = self.opened.clear(&self.state) {
            tracing::debug!(error = format!("{error:#}"), "the next one clears it");
        }
    }
}

fn gone(error: &anyhow::Error) -> StageError {
    // Mistakes in a specification are shown over several lines.
    let text = format!("{error:#}");
    StageError::Gone(text.lines().next().unwrap_or_default().to_owned())
}

fn is_out_of_room(error: &anyhow::Error) -> bool {
    let kinds = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>());
    kinds
        .map(io::Error::kind)
        .any(|kind| matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
}
