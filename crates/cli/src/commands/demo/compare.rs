//! Proves that two directories are equal, without any code that made them so.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use anyhow::{Context as _, bail};

/// Compares everything below two directories byte by byte; returns the number of entries.
pub(super) fn equal(left: &Path, right: &Path) -> anyhow::Result<u64> {
    let names = |path: &Path| -> anyhow::Result<Vec<_>> {
        let mut names = fs::read_dir(path)
            .with_context(|| format!("cannot read {}", path.display()))?
            .map(|entry| Ok(entry?.file_name()))
            .collect::<anyhow::Result<Vec<_>>>()?;
        names.sort();
        Ok(names)
    };
    let (ours, theirs) = (names(left)?, names(right)?);
    if ours != theirs {
        let odd = ours
            .iter()
            .find(|name| !theirs.contains(name))
            .or_else(|| theirs.iter().find(|name| !ours.contains(name)));
        bail!("{} and {} differ in {odd:?}", left.display(), right.display());
    }
    let mut count = 0;
    for name in ours {
        count += 1 + same(&left.join(&name), &right.join(&name))?;
    }
    Ok(count)
}

fn same(left: &Path, right: &Path) -> anyhow::Result<u64> {
    let (ours, theirs) = (fs::symlink_metadata(left)?, fs::symlink_metadata(right)?);
    let differ = |what: &str| -> anyhow::Result<u64> {
        bail!("{} and {} differ in {what}", left.display(), right.display())
    };
    if ours.file_type() != theirs.file_type() {
        return differ("kind");
    }
    if ours.is_symlink() {
        return if fs::read_link(left)? == fs::read_link(right)? {
            Ok(0)
        } else {
            differ("target")
        };
    }
    if ours.permissions().mode() != theirs.permissions().mode() {
        return differ("mode");
    }
    if (ours.mtime(), ours.mtime_nsec()) != (theirs.mtime(), theirs.mtime_nsec()) {
        return differ("time");
    }
    if ours.is_dir() {
        return equal(left, right);
    }
    if ours.len() != theirs.len() || !same_bytes(left, right)? {
        return differ("contents");
    }
    Ok(0)
}

fn same_bytes(left: &Path, right: &Path) -> anyhow::Result<bool> {
    let (mut left, mut right) = (File::open(left)?, File::open(right)?);
    let (mut ours, mut theirs) = (vec![0; 1 << 18], vec![0; 1 << 18]);
    loop {
        let count = left.read(&mut ours)?;
        if count == 0 {
            return Ok(right.read(&mut theirs)? == 0);
        }
        if right.read_exact(&mut theirs[..count]).is_err() || ours[..count] != theirs[..count] {
            return Ok(false);
        }
    }
}
