//! One checkout from its beginning to its end.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use content::TreeRef;
use directory::Root;
use fetch::{Destination, FetchReport, Fetcher};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use store::ChunkStore;
use tokio::task::{JoinError, spawn_blocking};

use crate::abandoned;
use crate::data::{Feeder, Placer};
use crate::finish::{self, Finish};
use crate::journal::{Journal, JournalPlace, Placed};
use crate::known::KnownDirectories;
use crate::metadata::{Found, Metadata};
use crate::place::Place;
use crate::plan::{OldIndex, Planned, Planner, Selection};
use crate::record::{Covers, RecordReader, RecordWriter};
use crate::reuse::{Capture, Captured};
use crate::{Base, CheckoutError, CheckoutOptions, CheckoutProgress, CheckoutReport, Stop};

/// Stops what goes on in threads when the future is dropped or has failed.
struct Guard {
    stop: Arc<Stop>,
    placer: Option<Arc<Placer>>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.stop.set();
        if let Some(placer) = &self.placer {
            placer.abandon();
        }
    }
}

/// The files in the state directory.
struct StateFiles {
    plan: PathBuf,
    index: PathBuf,
    journal: JournalPlace,
}

/// What a checkout begins with.
struct Begun {
    place: Arc<Place>,
    journal: Journal,
    placed: Placed,
    /// The index of what is there, and the directories it knows.
    old: Option<RecordReader>,
    known: KnownDirectories,
}

/// How often a checkout tries again while another one works in the same directory.
const BUSY_STEP: Duration = Duration::from_millis(10);
/// Directories between reading the tree and planning.
const LISTINGS_AHEAD: usize = 64;
/// Chunks asked of the fetcher and not yet taken by it.
const WANTS_AHEAD: usize = 4096;

pub(crate) async fn run(
    tree: TreeRef,
    fetcher: &Fetcher,
    metadata: &dyn ChunkStore,
    destination: &Path,
    state: &Path,
    options: CheckoutOptions,
    progress: &Arc<CheckoutProgress>,
) -> Result<CheckoutReport, CheckoutError> {
    let covers = match (&options.only, options.owners) {
        (Some(_), _) => Covers::Part,
        (None, false) => Covers::Tree,
        (None, true) => Covers::TreeAndOwners,
    };
    let (boot, base) = (boot(), options.base.clone());
    let files = Arc::new(StateFiles {
        plan: state.join("plan"),
        index: state.join("index"),
        journal: JournalPlace::new(&state.join("journal"), tree.id(), boot)
            .rechecked(options.recheck),
    });
    let stop = Arc::new(Stop::default());
    let mut guard = Guard { stop: Arc::clone(&stop), placer: None };
    progress.enter(Some("a look at the destination"));

    let begun = {
        let (destination, state) = (destination.to_path_buf(), state.to_path_buf());
        let (files, progress) = (Arc::clone(&files), Arc::clone(progress));
        let (options, stop) = (options.clone(), Arc::clone(&stop));
        blocking(move || {
            let lock = lock(&state, &progress, &stop)?;
            begin(&destination, lock, &files, &options, tree, covers, &progress)
        })
        .await?
    };
    let Begun { place, journal, placed, old, known } = match begun {
        Ok(begun) => begun,
        Err(report) => return Ok(report),
    };

    progress.enter(Some("the metadata of the tree"));
    let mut reader = Metadata::new(fetcher, metadata, known);
    let root = reader.complete(tree, options.totals.as_ref()).await?;
    progress.enter(Some("the comparison with the destination"));
    let (sender, mut listings) = tokio::sync::mpsc::channel(LISTINGS_AHEAD);
    let planning = {
        let (place, progress, files) =
            (Arc::clone(&place), Arc::clone(progress), Arc::clone(&files));
        let (stop, only, base) = (Arc::clone(&stop), options.only, options.base.is_some());
        spawn_blocking(move || {
            let old = old.map(OldIndex::new).transpose()?;
            let plan = RecordWriter::create(&files.plan, tree.id(), covers);
            let plan = plan.map_err(CheckoutError::State)?;
            let only = only.map(Selection);
            let mut planner = Planner::new(&place, &progress, &placed, only, old, plan)?;
            planner.has_base = base;
            while let Some(found) = listings.blocking_recv() {
                stop.check()?;
                match found {
                    Found::Listing(listing) => planner.directory(listing)?,
                    Found::Same { path, entry } => planner.same(path, entry)?,
                }
            }
            let planned = planner.finish()?;
            Ok((planned, placed))
        })
    };
    let walked = reader.walk(tree, &root, sender).await;
    let planned: Result<(Planned, Placed), CheckoutError> = joined(planning.await);
    walked?;
    let (planned, placed) = planned?;
    let metadata_bytes = reader.fetched_bytes;

    progress.enter(Some("contents that are here already"));
    let (planned, mut captured, journal) = {
        let (place, progress, files) =
            (Arc::clone(&place), Arc::clone(progress), Arc::clone(&files));
        let stop = Arc::clone(&stop);
        blocking(move || {
            let base = base.as_ref();
            capture(&place, &progress, &files, &stop, base, planned, placed, journal)
        })
        .await?
    };

    progress.enter(Some("contents"));
    let (completed, completions) = mpsc::channel();
    let placer = Arc::new(Placer::new(
        Arc::clone(&place),
        Arc::clone(progress),
        Arc::clone(&stop),
        journal,
        std::mem::take(&mut captured.uses),
        completed,
    )?);
    guard.placer = Some(Arc::clone(&placer));
    let settling = {
        let (place, progress, stop) = (Arc::clone(&place), Arc::clone(progress), Arc::clone(&stop));
        let placer = Arc::clone(&placer);
        spawn_blocking(move || {
            let settled = finish::settle(&place, &progress, &stop, &completions);
            if settled.is_err() {
                stop.set();
                placer.abandon();
            }
            settled
        })
    };
    let (wants, wanted) = tokio::sync::mpsc::channel(WANTS_AHEAD);
    let feeding = {
        let feeder = Feeder::new(Arc::clone(&placer), wants, &mut captured);
        let files = Arc::clone(&files);
        spawn_blocking(move || feeder.run(&files.plan))
    };
    let fetched = if captured.chunks_missing > 0 {
        let destination = Arc::clone(&placer) as Arc<dyn Destination>;
        fetcher.fetch(wanted, destination, Arc::clone(progress.fetch())).await
    } else {
        Ok(FetchReport::default())
    };
    if fetched.is_err() {
        // The feeder may wait for room that nobody will make.
        stop.set();
        placer.abandon();
    }
    let fed = joined(feeding.await);
    let (failure, bytes_written) = placer.close();
    let settled = joined(settling.await);
    // The first cause counts; that others were stopped by it is no news.
    let fetch = match (failure, fetched, fed, settled) {
        (Some(failure), ..) => return Err(failure),
        (None, Err(error), ..) => return Err(error.into()),
        (None, Ok(_), Err(fed), Err(settled)) => {
            return Err(if matches!(fed, CheckoutError::Stopped) { settled } else { fed });
        }
        (None, Ok(_), Err(error), Ok(())) | (None, Ok(_), Ok(()), Err(error)) => return Err(error),
        (None, Ok(fetch), Ok(()), Ok(())) => fetch,
    };
    guard.placer = None;
    drop(placer);

    progress.enter(Some("links, times and the index"));
    let removed = {
        let (place, progress, files) =
            (Arc::clone(&place), Arc::clone(progress), Arc::clone(&files));
        blocking(move || end(&place, &progress, &files, &stop, tree, covers)).await?
    };
    let bytes_reused = planned.bytes_kept + captured.bytes_reused;
    Ok(CheckoutReport {
        files: planned.files,
        bytes_total: planned.bytes_total,
        bytes_reused,
        bytes_written,
        bytes_in_holes: planned.bytes_total.saturating_sub(bytes_reused + bytes_written),
        repaired: planned.repaired,
        removed,
        unmanaged: planned.unmanaged,
        unmanaged_paths: planned.unmanaged_paths,
        metadata_bytes,
        fetch,
    })
}

/// Opens everything; or says in a report that there is nothing to do.
fn begin(
    destination: &Path,
    lock: File,
    files: &StateFiles,
    options: &CheckoutOptions,
    tree: TreeRef,
    covers: Covers,
    progress: &CheckoutProgress,
) -> Result<Result<Begun, CheckoutReport>, CheckoutError> {
    let root = Root::create(destination)
        .map_err(|source| CheckoutError::Destination { path: destination.into(), source })?;
    if !files.journal.exists()
        && let Some((count, bytes)) = finish::all_unchanged(&root, &files.index, tree.id(), covers)?
    {
        for counter in [&progress.files_total, &progress.files_done] {
            counter.store(count, Relaxed);
        }
        for counter in [&progress.bytes_total, &progress.bytes_done] {
            counter.store(bytes, Relaxed);
        }
        return Ok(Err(CheckoutReport {
            files: count,
            bytes_total: bytes,
            bytes_reused: bytes,
            ..CheckoutReport::default()
        }));
    }
    let temp = root.temp_dir()?;
    let (owners, durable) = (options.owners, options.durable);
    let place = Arc::new(Place { root, temp, owners, durable, _lock: lock });
    if let Some((other, left)) = files.journal.abandoned().map_err(CheckoutError::State)? {
        abandoned::adopt(&place.root, &files.plan, &files.index, other, &left, durable)?;
    }
    let (journal, placed) = files.journal.open().map_err(CheckoutError::State)?;
    if placed.is_empty() {
        // Unfinished files of another tree, or of nobody.
        finish::sweep(&place)?;
    }
    let mut old = RecordReader::open(&files.index).map_err(CheckoutError::State)?;
    // Of what was placed by an interrupted run, and of parts, the index says too little.
    let known = match &mut old {
        Some(old) if placed.is_empty() && covers != Covers::Part && old.covers(covers) => {
            KnownDirectories::read(old).map_err(CheckoutError::State)?
        }
        _ => KnownDirectories::default(),
    };
    Ok(Ok(Begun { place, journal, placed, old, known }))
}

/// One checkout at a time may use a state directory; the next one waits for it.
fn lock(state: &Path, progress: &CheckoutProgress, stop: &Stop) -> Result<File, CheckoutError> {
    std::fs::create_dir_all(state).map_err(CheckoutError::State)?;
    let file = File::create(state.join("lock")).map_err(CheckoutError::State)?;
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(Errno::WOULDBLOCK | Errno::INTR) => {
                stop.check()?;
                progress.wait_for("another checkout into the same directory to finish");
                std::thread::sleep(BUSY_STEP);
            }
            Err(errno) => return Err(CheckoutError::State(errno.into())),
        }
    }
}

#[expect(clippy::too_many_arguments, reason = "one step of `run`, cut out to be read")]
fn capture(
    place: &Place,
    progress: &CheckoutProgress,
    files: &StateFiles,
    stop: &Stop,
    base: Option<&Base>,
    planned: Planned,
    placed: Placed,
    mut journal: Journal,
) -> Result<(Planned, Captured, Journal), CheckoutError> {
    let rebooted = !placed.is_empty() && !placed.same_boot;
    let capture =
        Capture { place, progress, journal: &mut journal, placed, planned: &planned, stop };
    let captured = capture.run(&files.plan, &files.index, base)?;
    if rebooted {
        files.journal.adopt().map_err(CheckoutError::State)?;
    }
    finish::prepare(place, &files.plan)?;
    Ok((planned, captured, journal))
}

fn end(
    place: &Place,
    progress: &CheckoutProgress,
    files: &StateFiles,
    stop: &Stop,
    tree: TreeRef,
    covers: Covers,
) -> Result<u64, CheckoutError> {
    let finish = Finish { place, progress, stop, tree: tree.id() };
    let finished = finish.shape(&files.plan)?;
    finish.directories(&files.plan)?;
    finish::sweep(place)?;
    finish::remove_temp(&place.root)?;
    place.sync()?;
    finish.index(&files.plan, &files.index, covers)?;
    files.journal.remove().map_err(CheckoutError::State)?;
    std::fs::remove_file(&files.plan).map_err(CheckoutError::State)?;
    Ok(finished.removed)
}

/// The boot as 16 bytes; where the system has no word for it, no boot is the same as another.
fn boot() -> [u8; 16] {
    let id = directory::boot_id().unwrap_or_else(|| format!("{:?}", directory::facts::now()));
    *blake3::hash(id.as_bytes()).as_bytes().first_chunk().expect("a hash has 32 bytes")
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, CheckoutError> + Send + 'static,
) -> Result<T, CheckoutError> {
    joined(spawn_blocking(work).await)
}

fn joined<T>(result: Result<Result<T, CheckoutError>, JoinError>) -> Result<T, CheckoutError> {
    match result {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(CheckoutError::Stopped),
        },
    }
}
