//! Directories: reading one into chunks, and writing one from chunks that are in memory.

use std::fs;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, ensure};
use bytes::Bytes;
use checkout::{CheckoutOptions, CheckoutProgress, checkout};
use content::ChunkRef;
use fetch::Fetcher;
use snapshot::{ChunkKind, ChunkSink, SinkError, SnapshotOptions, SnapshotProgress, snapshot};
use store::MemoryStore;
use testkit::{Honest, Library};

use crate::cost::{Cost, Meter};
use crate::link::config;
use crate::options::Options;

struct Nowhere;

impl ChunkSink for Nowhere {
    fn offer(&self, _: &ChunkRef, _: Bytes, _: ChunkKind) -> Result<(), SinkError> {
        Ok(())
    }
}

#[derive(Default)]
struct Shelf(Mutex<Library>);

impl ChunkSink for Shelf {
    fn offer(&self, _: &ChunkRef, stored: Bytes, _: ChunkKind) -> Result<(), SinkError> {
        // A copy, for what is offered may be a part of a large buffer.
        let mut library = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        library.push(Bytes::copy_from_slice(&stored));
        Ok(())
    }
}

/// Reads and hashes every file.
pub(crate) fn read(options: &mut Options) -> Result<Cost> {
    let (from, beside) = (options.path("from")?, tempfile::tempdir()?);
    let usual = SnapshotOptions::default();
    let threads = options.or("threads", usual.threads)?;
    options.judge(threads == usual.threads)?;
    let (settings, progress) = (SnapshotOptions { threads, ..usual }, SnapshotProgress::default());
    let index = beside.path().join("index");
    let meter = Meter::start()?;
    let shot = snapshot(&from, &settings, None, &index, &Nowhere, &progress)?;
    let cost = meter.stop()?;
    ensure!(shot.totals.files > 0, "nothing was read");
    Ok(cost)
}

/// Writes what is in one directory into a new one, which is removed again.
pub(crate) fn write(options: &mut Options) -> Result<Cost> {
    let (from, to) = (options.path("from")?, options.path("to")?);
    let (config, beside) = (config(options)?, tempfile::tempdir()?);
    let shelf = Shelf::default();
    let (settings, progress) = (SnapshotOptions::default(), SnapshotProgress::default());
    let index = beside.path().join("index");
    let shot = snapshot(&from, &settings, None, &index, &shelf, &progress)?;
    let library = Arc::new(shelf.0.into_inner().unwrap_or_else(PoisonError::into_inner));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    fs::create_dir(&to)?;
    let (metadata, state) = (MemoryStore::new(), beside.path().join("state"));
    let (progress, how) = (Arc::new(CheckoutProgress::default()), CheckoutOptions::default());
    let fetcher = Fetcher::new(vec![Arc::new(Honest::new("memory", &library))], config);
    let meter = Meter::start()?;
    let done = checkout(shot.tree, &fetcher, &metadata, &to, &state, how, &progress);
    let report = runtime.block_on(done)?;
    let cost = meter.stop()?;
    ensure!(report.bytes_total == shot.totals.bytes, "something was not written");
    fs::remove_dir_all(&to)?;
    Ok(cost)
}
