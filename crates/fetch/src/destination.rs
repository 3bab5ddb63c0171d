//! Where verified chunks go.

use std::error::Error;

use bytes::Bytes;
use content::ChunkId;

/// Takes verified chunks.
///
/// Its methods may block: they are called on threads meant for that, inside the runtime of the
/// fetch, and several may be called at once.
pub trait Destination: Send + Sync {
    /// Takes the bytes of a chunk. Called once per wanted id, after the bytes were verified.
    ///
    /// # Errors
    /// Anything that makes going on useless; the fetch ends with it.
    fn write(&self, id: ChunkId, bytes: Bytes) -> Result<(), DestinationError>;

    /// Makes durable what was written. Called once, after the last write, also when the fetch
    /// fails; not when it is dropped.
    ///
    /// # Errors
    /// As for [`Destination::write`].
    fn finish(&self) -> Result<(), DestinationError> {
        Ok(())
    }
}

/// A destination could not take what was fetched: the disk is full, the file is gone. What it
/// made durable before stays; repair the destination and fetch the rest.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct DestinationError {
    what: String,
    #[source]
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl DestinationError {
    /// Says `what` failed and what caused it.
    pub fn new(what: impl Into<String>, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { what: what.into(), source: Some(source.into()) }
    }

    /// Says `what` failed when nothing below is to blame.
    pub fn refused(what: impl Into<String>) -> Self {
        Self { what: what.into(), source: None }
    }
}
