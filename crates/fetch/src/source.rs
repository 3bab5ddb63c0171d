//! What chunks can be asked of.

use async_trait::async_trait;
use content::{ChunkId, Frame};
use tokio::sync::mpsc;

/// Anything a batch of chunks can be asked of.
///
/// A source need not be honest: the fetcher verifies every byte, bounds every wait, and stops a
/// request by dropping its future. A source need not retry or time out by itself either.
#[async_trait]
pub trait Source: Send + Sync {
    /// How people know this source: a host name, a path.
    fn name(&self) -> &str;

    /// Whether the source promised to have everything it is asked for.
    ///
    /// One that promised and lacks a chunk is reported among the culprits; one that did not is
    /// merely not asked for that chunk again.
    fn promises_all(&self) -> bool {
        false
    }

    /// Sends the chunks `ids` into `frames`, in any order and any grouping.
    ///
    /// Returning `Ok` says that this was all: what was not sent, the source does not have.
    ///
    /// # Errors
    /// [`SourceError`] when it could not say all it has. Chunks sent before the error count.
    async fn fetch(&self, ids: &[ChunkId], frames: mpsc::Sender<Frame>) -> Result<(), SourceError>;
}

/// Why a source did not finish an answer.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// It could not be reached, broke off, or is overloaded. It is asked again after a pause,
    /// and given up when that goes on.
    #[error("{0}")]
    Failed(String),
    /// It refuses us: no access, unknown release, wrong certificate. Asking again would not
    /// help, so it is dropped; whoever set it up must act.
    #[error("refuses: {0}")]
    Refused(String),
    /// It sent bytes that are no answer. It is dropped, as for wrong bytes.
    #[error("sent no valid answer: {0}")]
    Malformed(String),
}
