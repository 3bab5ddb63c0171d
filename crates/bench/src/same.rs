//! Whether two trees are equal, entry by entry and byte by byte.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::Read;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use anyhow::{Result, bail};

/// How much has to be equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// Names, kinds, contents and link targets: all that a web server can carry.
    Contents,
    /// And permission bits, and the time of every file to the nanosecond.
    Attributes,
}

/// Refuses the first difference between `expected` and `actual`, which it names.
pub(super) fn check(expected: &Path, actual: &Path, depth: Depth) -> Result<()> {
    let (left, right) = (list(expected)?, list(actual)?);
    if let Some(name) = left.keys().find(|name| !right.contains_key(*name)) {
        bail!("{} is missing", actual.join(name).display());
    }
    if let Some(name) = right.keys().find(|name| !left.contains_key(*name)) {
        bail!("{} should not be there", actual.join(name).display());
    }
    for (name, before) in &left {
        let (one, other) = (expected.join(name), actual.join(name));
        let Some(after) = right.get(name) else { continue };
        if before.file_type() != after.file_type() {
            bail!("{} is of another kind", other.display());
        }
        if depth == Depth::Attributes && !before.is_symlink() && before.mode() != after.mode() {
            bail!("{} has mode {:o} instead of {:o}", other.display(), after.mode(), before.mode());
        }
        let times = |facts: &Metadata| (facts.mtime(), facts.mtime_nsec());
        if depth == Depth::Attributes && before.is_file() && times(before) != times(after) {
            bail!("{} has another time", other.display());
        }
        if before.is_dir() {
            check(&one, &other, depth)?;
        } else if before.is_symlink() && fs::read_link(&one)? != fs::read_link(&other)? {
            bail!("{} leads elsewhere", other.display());
        } else if before.is_file() && !equal(&one, &other, before.len(), after.len())? {
            bail!("{} has other contents", other.display());
        }
    }
    Ok(())
}

fn list(folder: &Path) -> Result<BTreeMap<OsString, Metadata>> {
    let mut entries = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        entries.insert(entry.file_name(), fs::symlink_metadata(entry.path())?);
    }
    Ok(entries)
}

fn equal(one: &Path, other: &Path, before: u64, after: u64) -> Result<bool> {
    if before != after {
        return Ok(false);
    }
    let (mut one, mut other) = (File::open(one)?, File::open(other)?);
    let part = before.clamp(1, 1 << 20) as usize;
    let (mut left, mut right) = (vec![0; part], vec![0; part]);
    loop {
        let count = one.read(&mut left)?;
        if count == 0 {
            return Ok(other.read(&mut right)? == 0);
        }
        if other.read_exact(&mut right[..count]).is_err() || left[..count] != right[..count] {
            return Ok(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_difference_is_named() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let both = |name: &str, left: &[u8], right: &[u8]| {
            fs::write(one.path().join(name), left).unwrap();
            fs::write(other.path().join(name), right).unwrap();
        };
        let told = |depth| check(one.path(), other.path(), depth).unwrap_err().to_string();
        both("file", b"same", b"same");
        check(one.path(), other.path(), Depth::Contents).unwrap();
        let later = fs::metadata(one.path().join("file")).unwrap().modified().unwrap()
            + std::time::Duration::from_nanos(5);
        File::open(other.path().join("file")).unwrap().set_modified(later).unwrap();
        assert!(told(Depth::Attributes).contains("another time"));
        both("file", b"same", b"sane");
        assert!(told(Depth::Contents).contains("other contents"));
        both("file", b"same", b"same");
        fs::write(other.path().join("more"), b"").unwrap();
        assert!(told(Depth::Contents).contains("should not be there"));
        fs::create_dir(one.path().join("more")).unwrap();
        assert!(told(Depth::Contents).contains("another kind"));
        fs::write(one.path().join("less"), b"").unwrap();
        assert!(told(Depth::Contents).contains("missing"));
    }
}
