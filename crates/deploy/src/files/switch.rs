//! Exchanges items with what is at their names, and back. Each function may be stopped anywhere
//! and done again.

use directory::Dir;

use super::notes::{Base, Item, Notes, Progress, slot_name};
use super::{step, told};

/// Exchanges all items, in order, and makes that durable.
pub(super) fn all(base: &Base, notes: &Notes) -> Result<(), String> {
    let stage = base.root.open_dir(notes.stage.as_bytes()).map_err(told)?;
    for (slot, item) in notes.items.iter().enumerate() {
        step()?;
        there(base, &stage, &slot_name(slot), item)?;
    }
    base.root.sync_file_system().map_err(told)
}

/// Exchanges all items back, the last one first, and makes that durable. One that cannot go back does
/// not keep the others; the first reason is told.
pub(super) fn all_back(base: &Base, notes: &Notes) -> Result<(), String> {
    let stage = match base.root.open_dir(notes.stage.as_bytes()) {
        Ok(stage) => stage,
        // It was never made, or everything is back and it was removed before we were stopped.
        Err(error) if error.is_not_found() && notes.progress != Progress::Placed => return Ok(()),
        Err(error) if error.is_not_found() => {
            return if is_back(base, notes)? { Ok(()) } else { Err(told(error)) };
        }
        Err(error) => return Err(told(error)),
    };
    let mut first = None;
    for (slot, item) in notes.items.iter().enumerate().rev() {
        step()?;
        if let Err(reason) = back(base, &stage, &slot_name(slot), item, notes.progress) {
            first.get_or_insert(format!("{reason}; what was there is kept in {}", notes.stage));
        }
    }
    base.root.sync_file_system().map_err(told)?;
    first.map_or(Ok(()), Err)
}

/// Whether every name stands for what it did before.
fn is_back(base: &Base, notes: &Notes) -> Result<bool, String> {
    for item in &notes.items {
        let here = match base.root.parent(&item.path) {
            Err(error) if error.is_not_found() => None,
            found => {
                let (parent, name) = found.map_err(told)?;
                base.at(&parent, name)?
            }
        };
        if here != item.old {
            return Ok(false);
        }
    }
    Ok(true)
}

fn there(base: &Base, stage: &Dir, slot: &[u8], item: &Item) -> Result<(), String> {
    let (parent, name) = base.root.parent(&item.path).map_err(told)?;
    let (here, kept) = (base.at(&parent, name)?, base.at(stage, slot)?);
    if here == Some(item.new) {
        return Ok(());
    }
    if here != item.old || kept != Some(item.new) {
        let shown = String::from_utf8_lossy(&item.path);
        return Err(format!("somebody changed {shown} while it was put in place"));
    }
    let moved = match item.old {
        Some(_) => stage.exchange(slot, &parent, name),
        None => stage.rename_new(slot, &parent, name),
    };
    moved.map_err(told)
}

fn back(
    base: &Base,
    stage: &Dir,
    slot: &[u8],
    item: &Item,
    progress: Progress,
) -> Result<(), String> {
    let kept = base.at(stage, slot)?;
    // It was never exchanged, or is back already.
    if kept == Some(item.new) {
        return Ok(());
    }
    let (parent, name) = match base.root.parent(&item.path) {
        // A later script removed what was around something that was not there before.
        Err(error) if error.is_not_found() && item.old.is_none() => return Ok(()),
        other => other.map_err(told)?,
    };
    let here = base.at(&parent, name)?;
    let moved = match item.old {
        Some(old) if kept == Some(old) => match here {
            Some(_) => stage.exchange(slot, &parent, name),
            None => stage.rename_new(slot, &parent, name),
        },
        Some(old) if here == Some(old) => return Ok(()),
        Some(_) => return Err(format!("{} is gone", String::from_utf8_lossy(&item.path))),
        // What a script made of a file of ours goes with it; what somebody put there before it
        // was ours stays.
        None if here == Some(item.new) || (here.is_some() && progress == Progress::Placed) => {
            parent.rename_new(name, stage, slot)
        }
        None => return Ok(()),
    };
    moved.map_err(told)
}
