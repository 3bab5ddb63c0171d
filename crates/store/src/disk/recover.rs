//! Makes index and packs agree when a store is opened.
//!
//! What lies behind a pack's indexed length was written and never committed: whole frames are
//! indexed now, the first torn one is cut off. A pack that is shorter than its indexed length,
//! or gone, loses its entries and is read anew; a lost index means that for every pack. Then
//! damage inside a pack is stepped over, so that frames behind it are found.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::path::Path;

use content::Buffers;

use super::index::{Change, Index, Location, Place};
use super::pack::{self, NoFrame, PACK_HEADER_BYTES, pack_path};
use crate::StoreError;

/// A file whose presence says that the index failed while it was used.
pub(super) const DISTRUST: &str = "index.distrusted";
/// Entries gathered between two commits while packs are scanned.
const BATCH_ENTRIES: usize = 100_000;

/// What a store opens with.
pub(super) struct Opened {
    pub(super) index: Index,
    pub(super) pack_bytes: u64,
    /// The last pack and its length.
    pub(super) last: Option<(u32, u64)>,
}

/// Opens the index, or makes it anew when it is missing, distrusted or damaged, and makes it agree
/// with the packs.
pub(super) fn open(directory: &Path, packs: &Path) -> Result<Opened, StoreError> {
    let (path, distrust) = (directory.join("index.redb"), directory.join(DISTRUST));
    let distrusted = distrust.try_exists().map_err(StoreError::io("look for", &distrust))?;
    let open = || -> Result<Opened, StoreError> {
        let index = Index::open(&path)?;
        let (pack_bytes, last) = recover(packs, &index)?;
        Ok(Opened { index, pack_bytes, last })
    };
    if !distrusted {
        match open() {
            Err(StoreError::Index(error)) if !is_system_failure(&error) => {
                // Which file, what is done about it, and why.
                tracing::warn!(%error, "{} is damaged and made anew from the packs", path.display());
            }
            opened => return opened,
        }
    }
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(StoreError::io("remove", &path)(error));
        }
        _ => {}
    }
    let opened = open()?;
    if distrusted {
        // The mark must not go before the index it speaks of.
        File::open(directory)
            .and_then(|directory| directory.sync_all())
            .map_err(StoreError::io("sync", directory))?;
        std::fs::remove_file(&distrust).map_err(StoreError::io("remove", &distrust))?;
    }
    Ok(opened)
}

/// Whether the index could not be opened for a reason that rebuilding does not remove.
fn is_system_failure(error: &redb::Error) -> bool {
    use std::io::ErrorKind::{InvalidData, UnexpectedEof};
    matches!(error, redb::Error::Io(error) if !matches!(error.kind(), InvalidData | UnexpectedEof))
}

/// Makes `index` agree with the packs; returns their lengths added up and the last pack.
fn recover(packs: &Path, index: &Index) -> Result<(u64, Option<(u32, u64)>), StoreError> {
    let files = pack::list(packs)?;
    let mut indexed = index.packs()?;
    let broken: HashSet<u32> = indexed
        .iter()
        .filter(|(number, length)| files.get(number).is_none_or(|file| file < length))
        .map(|(number, _)| *number)
        .collect();
    if !broken.is_empty() {
        tracing::warn!(packs = ?broken, "packs are cut short or gone; what is left is indexed anew");
        index.forget(&broken)?;
        indexed.retain(|number, _| !broken.contains(number));
    }
    let (mut total, mut last) = (0, None);
    for (number, length) in files {
        if length < PACK_HEADER_BYTES {
            // Its creation was cut off: nothing was in it yet.
            let path = pack_path(packs, number);
            std::fs::remove_file(&path).map_err(StoreError::io("remove", &path))?;
            continue;
        }
        let length = match indexed.get(&number) {
            Some(committed) if *committed == length => length,
            Some(committed) => scan(packs, index, number, *committed, length, Behind::Torn)?,
            None => scan(packs, index, number, PACK_HEADER_BYTES, length, Behind::Unknown)?,
        };
        total += length;
        last = Some((number, length));
    }
    Ok((total, last))
}

/// What may lie behind a frame that is not whole.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Behind {
    /// Nothing that anybody was told of.
    Torn,
    /// Frames that were acknowledged.
    Unknown,
}

/// Indexes the frames from `from` on; returns the pack's length afterwards.
fn scan(
    packs: &Path,
    index: &Index,
    number: u32,
    from: u64,
    length: u64,
    behind: Behind,
) -> Result<u64, StoreError> {
    let path = pack_path(packs, number);
    let file = OpenOptions::new().read(true).write(true).open(&path);
    let file = file.map_err(StoreError::io("open", &path))?;
    let (mut at, mut change) = (from, Change::default());
    let buffers = Buffers::default();
    // The end of the last whole frame.
    let mut end = from.min(length);
    while at < length {
        match pack::read_frame(&file, at, &buffers) {
            Ok(frame) if frame.verify_check().is_ok() => {
                collect(index, &frame, number, at, &mut change)?;
                at += frame.encoded_length() as u64;
                end = at;
            }
            Err(NoFrame::Io(error)) => return Err(StoreError::io("read", &path)(error)),
            Ok(_) | Err(NoFrame::Damaged) if behind == Behind::Torn => break,
            Ok(_) | Err(NoFrame::Damaged) => {
                let next = pack::resync(&file, at + 1, length);
                let Some(next) = next.map_err(StoreError::io("read", &path))? else { break };
                tracing::warn!(pack = number, from = at, to = next, "stepped over damage");
                at = next;
            }
        }
        if change.insert.len() >= BATCH_ENTRIES {
            sync(&file, &path)?;
            if behind == Behind::Torn {
                change.lengths = vec![(number, end)];
            }
            index.commit(std::mem::take(&mut change))?;
        }
    }
    if end < length {
        tracing::warn!(pack = number, cut_bytes = length - end, "a torn write was cut off");
        file.set_len(end).map_err(StoreError::io("truncate", &path))?;
    }
    sync(&file, &path)?;
    change.lengths = vec![(number, end)];
    index.commit(change)?;
    Ok(end)
}

fn sync(file: &File, path: &Path) -> Result<(), StoreError> {
    file.sync_data().map_err(StoreError::io("sync", path))
}

fn collect(
    index: &Index,
    frame: &content::Frame,
    number: u32,
    at: u64,
    change: &mut Change,
) -> Result<(), StoreError> {
    let offset = u32::try_from(at).map_err(|_| StoreError::Poisoned {
        reason: format!("pack {number:08x} is longer than any pack"),
    })?;
    let ids: Vec<_> = frame.entries().iter().map(|entry| entry.id).collect();
    let known = index.lookup(&ids)?;
    let mut plain = 0;
    for (entry, known) in frame.entries().iter().zip(known) {
        if known.is_none() {
            let place = Place { pack: number, offset };
            change.insert.push((entry.id, Location { place, plain, length: entry.length }));
        }
        plain += entry.length;
    }
    Ok(())
}
