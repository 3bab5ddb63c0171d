//! Turns a tree into its next version, always in the same way.
//!
//! The shares are those of the tree the targets were set with: of 52,073 files and 1.295 GB, 19.7 MB
//! overwritten in 1,142 files in runs of 4 to 64 KiB, 0.37 MB inserted at 588 places, 540 files
//! renamed, 103 deleted, 4.2 MB of new files, and one large directory moved.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use random::Random;
use serde::Serialize;

/// What the shares are shares of.
const FILES: f64 = 52_073.0;
const BYTES: f64 = 1_295_000_000.0;
/// The largest file that gets bytes inserted: the rest of it has to be rewritten.
const INSERT_INTO_MAX: u64 = 64 << 20;

/// What an update did.
#[derive(Debug, Default, Serialize)]
pub(super) struct Change {
    files_changed: u64,
    overwritten_bytes: u64,
    insertions: u64,
    inserted_bytes: u64,
    files_renamed: u64,
    files_deleted: u64,
    new_bytes: u64,
    files_moved: u64,
}

struct Entry {
    path: PathBuf,
    bytes: u64,
}

/// Updates the tree at `root` in place.
pub(super) fn update(root: &Path) -> Result<Change> {
    let mut files = Vec::new();
    list(root, &mut files)?;
    let bytes: u64 = files.iter().map(|file| file.bytes).sum();
    let count_of = |count: f64| (count * files.len() as f64 / FILES).ceil() as u64;
    let bytes_of = |amount: f64| (amount * bytes as f64 / BYTES).ceil() as u64;
    let (changed, insertions) = (count_of(1_142.0), count_of(588.0));
    let (renamed, deleted) = (count_of(540.0), count_of(103.0));
    let (overwritten, inserted) = (bytes_of(19_700_000.0), bytes_of(370_000.0));
    let added = bytes_of(4_200_000.0);

    let mut random = Random::new(0x7265_6c65);
    let mut change = Change::default();
    let mut take = |random: &mut Random| {
        let index = random.below(files.len().max(1) as u64) as usize;
        (index < files.len()).then(|| files.swap_remove(index))
    };
    for _ in 0..deleted {
        let Some(file) = take(&mut random) else { break };
        fs::remove_file(&file.path)?;
        change.files_deleted += 1;
    }
    for index in 0..renamed {
        let Some(file) = take(&mut random) else { break };
        fs::rename(&file.path, file.path.with_file_name(format!("renamed-{index:04}")))?;
        change.files_renamed += 1;
    }
    for index in 0..changed {
        // The bytes go where the bytes are: of a few files the largest.
        let largest = (0..8).filter_map(|_| take(&mut random)).max_by_key(|file| file.bytes);
        let Some(file) = largest.filter(|file| file.bytes > 0) else { continue };
        let due = overwritten * (index + 1) / changed;
        change.overwritten_bytes +=
            overwrite(&file, due.saturating_sub(change.overwritten_bytes), &mut random)?;
        let due = insertions * (index + 1) / changed;
        while change.insertions < due && file.bytes <= INSERT_INTO_MAX {
            let length = inserted / insertions;
            insert(&file.path, length, &mut random)?;
            change.insertions += 1;
            change.inserted_bytes += length;
        }
        change.files_changed += 1;
    }
    let folder = root.join("new-in-this-version");
    fs::create_dir(&folder)?;
    while change.new_bytes < added {
        let length = random.length(2_000, 400_000).min(added - change.new_bytes);
        fs::write(folder.join(format!("{}.bin", change.new_bytes)), random.bytes(length as usize))?;
        change.new_bytes += length;
    }
    change.files_moved = move_largest(root)?;
    Ok(change)
}

/// Regular files with one name, in the order of their names.
fn list(folder: &Path, files: &mut Vec<Entry>) -> Result<()> {
    let mut entries = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let facts = entry.metadata()?;
        if facts.is_dir() {
            list(&entry.path(), files)?;
        } else if facts.is_file() && facts.nlink() == 1 {
            files.push(Entry { path: entry.path(), bytes: facts.len() });
        }
    }
    Ok(())
}

/// Overwrites about `due` bytes of a file in runs, and returns how many.
fn overwrite(file: &Entry, due: u64, random: &mut Random) -> Result<u64> {
    let mut out = File::options()
        .write(true)
        .open(&file.path)
        .with_context(|| file.path.display().to_string())?;
    let mut done = 0;
    while done < due.min(file.bytes) {
        let length = random.length(4 << 10, 64 << 10).min(file.bytes).min(due - done);
        let start = random.below(file.bytes - length + 1);
        out.seek(SeekFrom::Start(start))?;
        out.write_all(&random.bytes(length as usize))?;
        done += length;
    }
    Ok(done)
}

/// Inserts `length` bytes somewhere in a file.
fn insert(path: &Path, length: u64, random: &mut Random) -> Result<()> {
    let mut file = File::options().read(true).write(true).open(path)?;
    let bytes = file.metadata()?.len();
    let start = random.below(bytes + 1);
    let mut rest = Vec::new();
    file.seek(SeekFrom::Start(start))?;
    file.read_to_end(&mut rest)?;
    file.seek(SeekFrom::Start(start))?;
    file.write_all(&random.bytes(length as usize))?;
    file.write_all(&rest).map_err(Into::into)
}

/// Renames the directory that holds most files but not nearly all of them; returns how many.
fn move_largest(root: &Path) -> Result<u64> {
    fn count(folder: &Path, found: &mut Vec<(u64, PathBuf)>) -> Result<u64> {
        let mut files = 0;
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            files += if entry.file_type()?.is_dir() { count(&entry.path(), found)? } else { 1 };
        }
        found.push((files, folder.to_path_buf()));
        Ok(files)
    }
    let mut found = Vec::new();
    let all = count(root, &mut found)?;
    let fits = |files: u64| files * 100 <= all * 85;
    let largest = found.into_iter().filter(|(files, _)| fits(*files)).max();
    let Some((files, folder)) = largest else { return Ok(0) };
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    fs::rename(&folder, folder.with_file_name(format!("{name}-moved")))?;
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn make(root: &Path) {
        let mut random = Random::new(9);
        for folder in ["few", "many", "many/deep"] {
            fs::create_dir(root.join(folder)).unwrap();
            for index in 0..(if folder == "few" { 300 } else { 500 }) {
                let length = random.length(1_000, 100_000);
                fs::write(
                    root.join(folder).join(format!("{index}")),
                    random.bytes(length as usize),
                )
                .unwrap();
            }
        }
    }

    fn paths(root: &Path) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files = Vec::new();
        list(root, &mut files).unwrap();
        let below = |file: &Entry| file.path.strip_prefix(root).unwrap().to_path_buf();
        files.iter().map(|file| (below(file), fs::read(&file.path).unwrap())).collect()
    }

    #[test]
    fn an_update_is_the_same_every_time_and_as_large_as_it_says() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        make(first.path());
        make(second.path());
        let before = paths(first.path()).len() as u64;
        let change = update(first.path()).unwrap();
        update(second.path()).unwrap();
        let after = paths(first.path());
        assert!(after == paths(second.path()));
        let new = after.iter().filter(|(path, _)| path.starts_with("new-in-this-version")).count();
        assert_eq!(after.len() as u64, before - change.files_deleted + new as u64);
        assert_eq!((change.files_renamed, change.files_moved > 500), (14, true));
        assert!(change.overwritten_bytes > 100_000 && change.inserted_bytes > 1_000);
    }
}
