//! Fetching over a line with a delay and a rate: how much is asked for at once, and how far ahead.
//!
//! The line is a timer, so that the figures are of the schedule and not of the machine's network.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use anyhow::{Result, ensure};
use bytes::Bytes;
use content::ChunkId;
use fetch::{Destination, DestinationError, FetchConfig, Fetcher};
use testkit::{Honest, Library};
use tokio::sync::mpsc;

use crate::cost::{Cost, Meter};
use crate::options::Options;

/// Around the usual length of a chunk.
const CHUNK_BYTES: usize = 64 << 10;

/// Counts and forgets.
#[derive(Default)]
struct Nowhere(AtomicU64);

impl Destination for Nowhere {
    fn write(&self, _: ChunkId, bytes: Bytes) -> Result<(), DestinationError> {
        self.0.fetch_add(bytes.len() as u64, Relaxed);
        Ok(())
    }
}

/// The settings of a fetch, some of them changed.
pub(crate) fn config(options: &mut Options) -> Result<FetchConfig> {
    let usual = FetchConfig::default();
    let mut config = usual;
    let plan = &mut config.plan;
    plan.request_bytes_max = options.or("request-kib", plan.request_bytes_max >> 10)? << 10;
    plan.source_requests_max = options.or("requests", plan.source_requests_max)?;
    let window_ms = u64::try_from(plan.window.as_millis())?;
    plan.window = Duration::from_millis(options.or("window-ms", window_ms)?);
    plan.wanted_bytes_max = options.or("wanted-mib", plan.wanted_bytes_max >> 20)? << 20;
    config.unwritten_bytes_max =
        options.or("unwritten-mib", config.unwritten_bytes_max >> 20)? << 20;
    config.workers = options.or("workers", config.workers)?;
    options.judge(config == usual)?;
    Ok(config)
}

pub(crate) fn fetch(options: &mut Options) -> Result<Cost> {
    let config = config(options)?;
    let delay = Duration::from_millis(options.or("delay-ms", 0)?);
    let rate: u64 = options.or("rate-kib", 0)? << 10;
    let mib: usize = options.or("mib", 256)?;
    let library = Arc::new(Library::new(1, (mib << 20) / CHUNK_BYTES, CHUNK_BYTES));
    let source = Honest::new("line", &library).with_delay(delay);
    let source = if rate > 0 { source.with_rate(rate) } else { source };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let meter = Meter::start()?;
    let nowhere = Arc::new(Nowhere::default());
    runtime.block_on(async {
        let (sender, receiver) = mpsc::channel(64);
        let wants = library.wants();
        let sending = tokio::spawn(async move {
            for want in wants {
                if sender.send(want).await.is_err() {
                    return;
                }
            }
        });
        let fetcher = Fetcher::new(vec![Arc::new(source)], config);
        fetcher.fetch(receiver, Arc::clone(&nowhere) as _, Arc::default()).await?;
        anyhow::Ok(sending.await?)
    })?;
    let cost = meter.stop()?;
    ensure!(nowhere.0.load(Relaxed) == library.bytes(), "something did not come");
    Ok(cost)
}
