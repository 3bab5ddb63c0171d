//! A hub as a source.

use std::error::Error;
use std::sync::Arc;

use async_trait::async_trait;
use content::{ChunkId, Frame};
use hub_client::{ClientError, HubClient};
use tokio::sync::mpsc;

use crate::{Source, SourceError};

/// Asks a hub.
pub struct HubSource {
    name: String,
    client: Arc<HubClient>,
    promises_all: bool,
}

impl HubSource {
    /// Asks the hub behind `client`, known to people as `name`.
    #[must_use]
    pub fn new(name: impl Into<String>, client: Arc<HubClient>) -> Self {
        Self { name: name.into(), client, promises_all: false }
    }

    /// The hub accepted a release of all that will be fetched, so it should have it.
    #[must_use]
    pub fn with_promise(mut self) -> Self {
        self.promises_all = true;
        self
    }
}

#[async_trait]
impl Source for HubSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn promises_all(&self) -> bool {
        self.promises_all
    }

    async fn fetch(&self, ids: &[ChunkId], frames: mpsc::Sender<Frame>) -> Result<(), SourceError> {
        match self.client.fetch_frames(ids, frames).await {
            // The fetcher knows what came, and so what is lacking.
            Ok(_lacking) => Ok(()),
            Err(error @ ClientError::Protocol { .. }) => Err(SourceError::Malformed(chain(&error))),
            Err(error) if error.is_retryable() => Err(SourceError::Failed(chain(&error))),
            Err(error) => Err(SourceError::Refused(chain(&error))),
        }
    }
}

/// The error and what caused it, in one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
