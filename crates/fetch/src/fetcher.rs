//! The fetcher: sources and settings that outlive one fetch.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use content::ChunkId;
use tokio::sync::mpsc;

use crate::driver::Driver;
use crate::{Destination, DestinationError, FetchError, FetchProgress, FetchReport, Source, Want};

/// The settings of a fetcher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchConfig {
    /// The settings of the plan: time-outs, windows, and how much may be wanted ahead.
    pub plan: fetch_plan::Config,
    /// Most bytes received and not yet written.
    pub unwritten_bytes_max: u32,
    /// Most blocking threads that verify and write at once.
    pub workers: usize,
}

impl Default for FetchConfig {
    fn default() -> Self {
        Self { plan: fetch_plan::Config::default(), unwritten_bytes_max: 16 << 20, workers: 2 }
    }
}

/// Fetches chunks from several sources at once.
///
/// Remembers sources that sent wrong bytes: they are not asked again by later fetches either.
pub struct Fetcher {
    sources: Vec<Arc<dyn Source>>,
    config: FetchConfig,
    dishonest: Mutex<BTreeMap<usize, String>>,
}

impl Fetcher {
    /// Fetches from `sources`, which are told apart by their order and named by their names.
    #[must_use]
    pub fn new(sources: Vec<Arc<dyn Source>>, config: FetchConfig) -> Self {
        Self { sources, config, dishonest: Mutex::default() }
    }

    /// The sources that sent wrong bytes, and what: nothing is asked of them any more.
    #[must_use]
    pub fn dropped(&self) -> Vec<(&str, String)> {
        let dishonest = self.dishonest.lock().unwrap_or_else(PoisonError::into_inner);
        let named =
            |(source, reason): (&usize, &String)| (self.sources[*source].name(), reason.clone());
        dishonest.iter().map(named).collect()
    }

    /// Fetches what `wants` names, until that channel is closed and everything is there.
    ///
    /// Wants are taken only while little enough is wanted and not fetched, so a sender that
    /// waits for the channel keeps memory flat. A chunk wanted twice is fetched and written
    /// once. The destination is finished when this returns, also with an error; dropping the
    /// future stops all requests and finishes nothing.
    ///
    /// # Errors
    /// See [`FetchError`].
    pub async fn fetch(
        &self,
        wants: mpsc::Receiver<Want>,
        destination: Arc<dyn Destination>,
        progress: Arc<FetchProgress>,
    ) -> Result<FetchReport, FetchError> {
        if self.sources.is_empty() {
            return Err(FetchError::NoSources);
        }
        let dropped = self.dishonest.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let target = Arc::clone(&destination);
        let mut driver = Driver::new(&self.sources, &dropped, &self.config, target, &progress);
        let result = driver.run(wants).await;
        self.dishonest
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(driver.dishonest.drain(..));
        let finished = match tokio::task::spawn_blocking(move || destination.finish()).await {
            Ok(finished) => finished,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
        result?;
        finished.map_err(FetchError::Destination)?;
        Ok(driver.report())
    }

    /// Fetches `wants` into memory; the caller bounds how much that is.
    ///
    /// # Errors
    /// See [`FetchError`].
    pub async fn fetch_all(&self, wants: Vec<Want>) -> Result<HashMap<ChunkId, Bytes>, FetchError> {
        if wants.is_empty() {
            return Ok(HashMap::new());
        }
        let (sender, receiver) = mpsc::channel(wants.len());
        for want in wants {
            sender.try_send(want).expect("the channel holds them all");
        }
        drop(sender);
        let memory = Arc::new(Memory::default());
        let destination = Arc::clone(&memory) as Arc<dyn Destination>;
        self.fetch(receiver, destination, Arc::default()).await?;
        Ok(std::mem::take(&mut *memory.0.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// A destination in memory.
#[derive(Default)]
struct Memory(Mutex<HashMap<ChunkId, Bytes>>);

impl Destination for Memory {
    fn write(&self, id: ChunkId, bytes: Bytes) -> Result<(), DestinationError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id, bytes);
        Ok(())
    }
}
