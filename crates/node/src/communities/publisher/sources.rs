//! How packages are put together again that were sent from this machine.

use std::any::Any;
use std::path::{Path, PathBuf};

/// Puts packages together from where they were sent from. How is known to whoever put them together
/// first.
pub trait Sources: Send + Sync {
    /// The tree of the package at a path that was in [`SendRequest::sources`](super::SendRequest::sources),
    /// the same as then if nothing has changed there.
    ///
    /// # Errors
    /// See [`StageError`].
    fn stage(&self, from: &Path) -> Result<Staged, StageError>;
}

/// A package that was put together.
pub struct Staged {
    /// The directory with its tree.
    pub tree: PathBuf,
    /// What keeps it as it is until it is dropped.
    pub hold: Box<dyn Any + Send>,
}

impl std::fmt::Debug for Staged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Staged").field("tree", &self.tree).finish_non_exhaustive()
    }
}

/// Why a package was not put together again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StageError {
    /// What it was made of is not there any more, or is no package: trying again changes nothing.
    #[error("{0}")]
    Gone(String),
    /// This machine cannot do it now, for example for want of room: it is tried again.
    #[error("{0}")]
    Later(String),
}
