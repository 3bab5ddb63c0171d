//! The hidden directory in which items are made, and in which what they replaced is kept.

use directory::{Dir, FileFacts, FileKind, Root};

use super::{Staged, Wanted, told};

/// Makes the stage, which must not exist.
pub(super) fn make(base: &Root, name: &str) -> Result<Dir, String> {
    base.mkdir(name.as_bytes()).map_err(told)?;
    let made = base.open_dir(name.as_bytes()).map_err(told)?;
    // In a directory that others may write to, somebody may have been quick.
    let owner = made.facts().map_err(told)?.owner.user;
    if owner != rustix::process::geteuid().as_raw() {
        return Err(format!("somebody else put a directory at {name}"));
    }
    Ok(made)
}

/// Removes a stage, if it is there, with all in it.
pub(super) fn remove(base: &Root, name: &str) -> Result<(), String> {
    let top = base.top().map_err(told)?;
    remove_in(&top, name.as_bytes())
}

fn remove_in(directory: &Dir, name: &[u8]) -> Result<(), String> {
    let facts = match directory.stat(name) {
        Err(error) if error.is_not_found() => return Ok(()),
        other => other.map_err(told)?,
    };
    super::step()?;
    if facts.kind != FileKind::Directory {
        return directory.unlink(name).map_err(told);
    }
    if facts.mode & 0o700 != 0o700 {
        directory.set_mode(name, 0o700).map_err(told)?;
    }
    let below = directory.open_dir(name).map_err(told)?;
    for listed in below.list().map_err(told)? {
        remove_in(&below, &listed.name)?;
    }
    directory.rmdir(name).map_err(told)
}

/// Makes one item, with the directories that are to be around it.
pub(super) fn copy(
    tree: &Root,
    item: &Staged,
    stage: &Dir,
    slot: &[u8],
    wanted: Wanted,
) -> Result<(), String> {
    let (source, source_name) = tree.parent(&item.source).map_err(told)?;
    let Some((last, between)) = item.around.split_last() else {
        return copy_one(&source, source_name, stage, slot, wanted);
    };
    make_around(stage, slot)?;
    let mut directory = stage.open_dir(slot).map_err(told)?;
    for name in between {
        make_around(&directory, name)?;
        directory = directory.open_dir(name).map_err(told)?;
    }
    copy_one(&source, source_name, &directory, last, wanted)
}

/// A directory that leads to the target and is not the package's.
fn make_around(directory: &Dir, name: &[u8]) -> Result<(), String> {
    directory.mkdir(name).map_err(told)?;
    directory.set_mode(name, 0o755).map_err(told)
}

fn copy_one(
    source: &Dir,
    source_name: &[u8],
    to: &Dir,
    name: &[u8],
    wanted: Wanted,
) -> Result<(), String> {
    let facts = source.stat(source_name).map_err(told)?;
    match facts.kind {
        FileKind::Directory => {
            to.mkdir(name).map_err(told)?;
            let from = source.open_dir(source_name).map_err(told)?;
            let below = to.open_dir(name).map_err(told)?;
            for listed in from.list().map_err(told)? {
                copy_one(&from, &listed.name, &below, &listed.name, wanted)?;
            }
        }
        FileKind::File => {
            let mut from = source.open_file(source_name).map_err(told)?;
            let mut file = to.create_file(name).map_err(told)?;
            // Inside the kernel, which shares the blocks where the file system can.
            std::io::copy(&mut from, &mut file).map_err(|error| {
                format!("cannot write {}: {error}", String::from_utf8_lossy(name))
            })?;
        }
        FileKind::Symlink => {
            let target = source.read_link(source_name).map_err(told)?;
            to.symlink(&target, name).map_err(told)?;
        }
        FileKind::Fifo | FileKind::Socket | FileKind::Device | FileKind::Unknown => {
            return Err("neither file nor directory nor link".to_owned());
        }
    }
    finish(to, name, &facts, wanted)
}

/// Owner, mode and time, in this order: giving a file away takes bits from its mode.
fn finish(to: &Dir, name: &[u8], facts: &FileFacts, wanted: Wanted) -> Result<(), String> {
    if to.stat(name).map_err(told)?.owner != wanted.owner {
        to.set_owner(name, wanted.owner).map_err(told)?;
    }
    if facts.kind != FileKind::Symlink {
        to.set_mode(name, wanted.mode(facts.kind, facts.mode)).map_err(told)?;
    }
    to.set_mtime(name, facts.mtime).map_err(told)
}
