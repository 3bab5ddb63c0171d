//! What a set changes, found out before anything is touched.

use std::io::Read as _;

use directory::{Dir, FileFacts, FileKind, Root};
use package::FileSet;
use package::receipt::Placed;

use super::{Staged, Wanted, join, told};

/// What is to be made, and what that changes.
#[derive(Default)]
pub(super) struct Found {
    pub(super) items: Vec<Staged>,
    pub(super) counts: Placed,
}

/// A set that takes the place of what is at its target.
pub(super) fn replaced(
    tree: &Root,
    set: &FileSet,
    base: &Root,
    names: &[Vec<u8>],
    wanted: Wanted,
) -> Result<Found, String> {
    let mut found = Found::default();
    let contents = set.contents.as_bytes();
    let (first, around) = names.split_first().ok_or("a target has a name")?;
    let is_same = if around.is_empty() {
        let (source, name) = tree.parent(contents).map_err(told)?;
        let (target, _) = base.parent(first).map_err(told)?;
        let old = there(&target, first)?;
        let new = source.stat(name).map_err(told)?;
        one(&source, name, new, &target, first, old, wanted, &mut found.counts)?
    } else {
        count_all(tree, contents, &mut found.counts)?;
        false
    };
    if !is_same {
        let (path, source) = (first.clone(), contents.to_vec());
        found.items.push(Staged { path, source, around: around.to_vec() });
    }
    Ok(found)
}

/// A set whose files are put among others.
pub(super) fn merged(
    tree: &Root,
    set: &FileSet,
    base: &Root,
    wanted: Wanted,
) -> Result<Found, String> {
    let mut found = Found::default();
    let source = tree.open_dir(set.contents.as_bytes()).map_err(told)?;
    let target = base.top().map_err(told)?;
    merge(&source, set.contents.as_bytes(), &target, b"", wanted, &mut found)?;
    Ok(found)
}

fn merge(
    source: &Dir,
    source_path: &[u8],
    target: &Dir,
    path: &[u8],
    wanted: Wanted,
    found: &mut Found,
) -> Result<(), String> {
    for listed in source.list().map_err(told)? {
        let name = &*listed.name;
        let here = join(path, name);
        let new = placeable(source.stat(name).map_err(told)?, &here)?;
        let old = there(target, name)?;
        if let (FileKind::Directory, Some(FileKind::Directory)) = (new.kind, old.map(|it| it.kind))
        {
            let below =
                (source.open_dir(name).map_err(told)?, target.open_dir(name).map_err(told)?);
            merge(&below.0, &join(source_path, name), &below.1, &here, wanted, found)?;
            continue;
        }
        if old
            .is_some_and(|old| (old.kind == FileKind::Directory) || new.kind == FileKind::Directory)
        {
            let shown = String::from_utf8_lossy(&here);
            return Err(format!(
                "{shown}: a directory is where there is to be none, or the other way"
            ));
        }
        if !one(source, name, new, target, name, old, wanted, &mut found.counts)? {
            let source = join(source_path, name);
            found.items.push(Staged { path: here, source, around: Vec::new() });
        }
    }
    Ok(())
}

/// Compares what is to be with what is, counts, and says whether nothing differs.
#[expect(clippy::too_many_arguments, reason = "both sides of a comparison")]
fn one(
    source: &Dir,
    source_name: &[u8],
    new: FileFacts,
    target: &Dir,
    name: &[u8],
    old: Option<FileFacts>,
    wanted: Wanted,
    counts: &mut Placed,
) -> Result<bool, String> {
    let new = placeable(new, source_name)?;
    if new.kind == FileKind::Directory {
        let below = source.open_dir(source_name).map_err(told)?;
        return match old.filter(|old| old.kind == FileKind::Directory) {
            Some(old) => {
                let facts =
                    old.owner == wanted.owner && old.mode == wanted.mode(new.kind, new.mode);
                let target = target.open_dir(name).map_err(told)?;
                Ok(directories(&below, &target, wanted, counts)? && facts)
            }
            None => {
                if old.is_some() {
                    counts.removed += 1;
                }
                count_new(&below, counts)?;
                Ok(false)
            }
        };
    }
    let is_same = match old {
        Some(old) if old.kind == new.kind && old.owner == wanted.owner => {
            if new.kind == FileKind::Symlink {
                let says = |dir: &Dir, name| dir.read_link(name).map_err(told);
                says(source, source_name)? == says(target, name)?
            } else {
                old.size == new.size
                    && old.mode == wanted.mode(new.kind, new.mode)
                    && same_bytes(source, source_name, target, name)?
            }
        }
        Some(_) | None => false,
    };
    match old {
        Some(_) if is_same => counts.kept += 1,
        Some(old) if old.kind == FileKind::Directory => {
            count_removed(&target.open_dir(name).map_err(told)?, counts)?;
            counts.added += 1;
        }
        Some(_) => counts.changed += 1,
        None => counts.added += 1,
    }
    if !is_same {
        counts.bytes += new.size;
    }
    Ok(is_same)
}

/// The same of two whole directories.
fn directories(
    source: &Dir,
    target: &Dir,
    wanted: Wanted,
    counts: &mut Placed,
) -> Result<bool, String> {
    let mut is_same = true;
    let names = source.list().map_err(told)?;
    for listed in &names {
        let name = &*listed.name;
        let new = source.stat(name).map_err(told)?;
        let old = there(target, name)?;
        is_same &= one(source, name, new, target, name, old, wanted, counts)?;
    }
    for listed in target.list().map_err(told)? {
        if names.binary_search_by(|it| it.name.cmp(&listed.name)).is_err() {
            is_same = false;
            match there(target, &listed.name)?.map(|facts| facts.kind) {
                Some(FileKind::Directory) => {
                    count_removed(&target.open_dir(&listed.name).map_err(told)?, counts)?;
                }
                Some(_) => counts.removed += 1,
                None => {}
            }
        }
    }
    Ok(is_same)
}

fn count_removed(directory: &Dir, counts: &mut Placed) -> Result<(), String> {
    for listed in directory.list().map_err(told)? {
        match there(directory, &listed.name)?.map(|facts| facts.kind) {
            Some(FileKind::Directory) => {
                count_removed(&directory.open_dir(&listed.name).map_err(told)?, counts)?;
            }
            Some(_) => counts.removed += 1,
            None => {}
        }
    }
    Ok(())
}

fn count_all(tree: &Root, path: &[u8], counts: &mut Placed) -> Result<(), String> {
    let facts = placeable(tree.stat(path).map_err(told)?, path)?;
    if facts.kind == FileKind::Directory {
        return count_new(&tree.open_dir(path).map_err(told)?, counts);
    }
    counts.added += 1;
    counts.bytes += facts.size;
    Ok(())
}

fn count_new(directory: &Dir, counts: &mut Placed) -> Result<(), String> {
    for listed in directory.list().map_err(told)? {
        let facts = directory.stat(&listed.name).map_err(told)?;
        let facts = placeable(facts, &listed.name)?;
        if facts.kind == FileKind::Directory {
            count_new(&directory.open_dir(&listed.name).map_err(told)?, counts)?;
        } else {
            counts.added += 1;
            counts.bytes += facts.size;
        }
    }
    Ok(())
}

fn there(directory: &Dir, name: &[u8]) -> Result<Option<FileFacts>, String> {
    match directory.stat(name) {
        Ok(facts) => Ok(Some(facts)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(told(error)),
    }
}

/// Facts of something that may be in a package.
fn placeable(facts: FileFacts, path: &[u8]) -> Result<FileFacts, String> {
    match facts.kind {
        FileKind::File | FileKind::Directory | FileKind::Symlink => Ok(facts),
        FileKind::Fifo | FileKind::Socket | FileKind::Device | FileKind::Unknown => {
            let shown = String::from_utf8_lossy(path);
            Err(format!("{shown} of the package is neither file nor directory nor link"))
        }
    }
}

fn same_bytes(source: &Dir, from: &[u8], target: &Dir, to: &[u8]) -> Result<bool, String> {
    let open = |dir: &Dir, name| dir.open_file(name).map_err(told);
    let (mut one, mut other) = (open(source, from)?, open(target, to)?);
    let mut buffers = (vec![0; 64 << 10], vec![0; 64 << 10]);
    loop {
        let count = one.read(&mut buffers.0).map_err(|error| error.to_string())?;
        if count == 0 {
            // Somebody may be writing to it.
            return Ok(other.read(&mut buffers.1).map_err(|error| error.to_string())? == 0);
        }
        match other.read_exact(&mut buffers.1[..count]) {
            Ok(()) if buffers.0[..count] == buffers.1[..count] => {}
            Ok(()) => return Ok(false),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(error.to_string()),
        }
    }
}
