//! What an unfinished checkout of another tree left under final names.
//!
//! Its files are ours, but no index names them yet: without this they would be taken for
//! somebody else's and stay for ever. The abandoned plan says what it was to make, the disk says
//! what it made, and both become part of the index before the next plan is begun.

use std::path::Path;

use content::{ChunkId, Kind};
use directory::{AccessError, FileKind, Root};

use crate::CheckoutError;
use crate::journal::{Placed, TempName};
use crate::order::{split, walk_order};
use crate::place::{Dirs, hash_unchanged};
use crate::record::{Action, Covers, Record, RecordReader, RecordWriter};

/// Merges what `plan` made into `index` and removes `plan`. Doing it twice does no harm.
pub(crate) fn adopt(
    root: &Root,
    plan: &Path,
    index: &Path,
    tree: ChunkId,
    placed: &Placed,
    durable: bool,
) -> Result<(), CheckoutError> {
    let made = RecordReader::open(plan).map_err(CheckoutError::State)?;
    let Some(mut made) = made.filter(|plan| plan.is_of(tree)) else { return Ok(()) };
    let mut known = RecordReader::open(index).map_err(CheckoutError::State)?;
    let mut dirs = Dirs::new(root);
    let mut writer =
        RecordWriter::create(index, tree, Covers::Part).map_err(CheckoutError::State)?;
    let mut next_known = next(known.as_mut())?;
    loop {
        let next_made = next_made(&mut made, &mut dirs, placed)?;
        let place = next_made.as_ref().map(|record| (&record.path[..], record.is_directory()));
        while let Some(record) = next_known.take_if(|record| {
            place.is_none_or(|place| {
                walk_order((&record.path, record.is_directory()), place).is_lt()
            })
        }) {
            writer.push(&record).map_err(CheckoutError::State)?;
            next_known = next(known.as_mut())?;
        }
        let Some(record) = next_made else { break };
        let is_known = next_known.as_ref().is_some_and(|known| {
            known.path == record.path && known.is_directory() == record.is_directory()
        });
        if !is_known {
            writer.push(&record).map_err(CheckoutError::State)?;
        }
    }
    writer.finish(durable).map_err(CheckoutError::State)?;
    std::fs::remove_file(plan).map_err(CheckoutError::State)
}

fn next(reader: Option<&mut RecordReader>) -> Result<Option<Record>, CheckoutError> {
    reader.map_or(Ok(None), RecordReader::next).map_err(CheckoutError::State)
}

/// The next record of the plan that was carried out.
fn next_made(
    plan: &mut RecordReader,
    dirs: &mut Dirs<'_>,
    placed: &Placed,
) -> Result<Option<Record>, CheckoutError> {
    while let Some(mut record) = plan.next_of(&[Action::Make]).map_err(CheckoutError::State)? {
        if is_there(dirs, &record, placed)? {
            (record.action, record.facts, record.proven) = (Action::Keep, None, false);
            return Ok(Some(record));
        }
    }
    Ok(None)
}

/// Whether the disk has what the plan was to make.
fn is_there(dirs: &mut Dirs<'_>, record: &Record, placed: &Placed) -> Result<bool, CheckoutError> {
    let (parent, name) = split(&record.path);
    let dir = match dirs.at(parent) {
        Ok(dir) => dir,
        Err(error) if is_absent(&error) => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    let facts = match dir.stat(name) {
        Ok(facts) => facts,
        Err(error) if is_absent(&error) => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    match &record.entry.kind {
        // Only ever removed when nothing is in it.
        Kind::Directory { .. } => Ok(facts.kind == FileKind::Directory),
        Kind::Symlink { target } => {
            Ok(facts.kind == FileKind::Symlink && dir.read_link(name)? == *target)
        }
        Kind::File { size, blob, .. } => {
            if facts.kind != FileKind::File || facts.size != *size {
                return Ok(false);
            }
            let journaled = placed.same_boot
                && placed.complete.contains(&TempName::of(&record.path, blob))
                && facts.mtime == record.entry.mtime;
            Ok(journaled || hash_unchanged(&dir, name)?.is_some_and(|(found, _)| found == *blob))
        }
    }
}

fn is_absent(error: &AccessError) -> bool {
    error.is_not_found() || matches!(error, AccessError::Blocked { .. })
}
