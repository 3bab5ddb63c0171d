//! Small trees with a bit of everything, and their comparison.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// Writes one version of a tree of some 300 kB; two versions share much.
pub(crate) fn write(root: &Path, version: u64) -> anyhow::Result<()> {
    if root.exists() {
        fs::remove_dir_all(root)?;
    }
    fs::create_dir_all(root.join("docs/deep"))?;
    // Two chunks or more, the first of them the same in all versions.
    let mut large = noise(1, 150_000);
    large.extend(noise(version + 100, 60_000));
    fs::write(root.join("large.bin"), large)?;
    fs::write(root.join("same.bin"), noise(2, 40_000))?;
    fs::write(root.join("number"), version.to_string())?;
    fs::write(root.join("empty"), b"")?;
    for page in 0..6 {
        let text = format!("page {page} of version {}\n", if page < 3 { 0 } else { version });
        fs::write(root.join(format!("docs/page-{page}")), text.repeat(200))?;
    }
    fs::write(root.join(format!("docs/deep/only-in-{version}")), noise(version, 3_000))?;
    fs::write(root.join("run"), "#!/bin/sh\nexit 0\n")?;
    fs::set_permissions(root.join("run"), fs::Permissions::from_mode(0o755))?;
    Ok(symlink(format!("docs/page-{version}"), root.join("link"))?)
}

/// Bytes that do not compress, the same for the same seed.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    random::Random::new(seed).bytes(length)
}

/// What was delivered is not what was published.
#[derive(Debug)]
pub(crate) struct Different(String);

impl std::fmt::Display for Different {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Different {}

/// What is at a path.
#[derive(Debug, PartialEq, Eq)]
enum Entry {
    Directory,
    Link(PathBuf),
    File { mode: u32, bytes: Vec<u8> },
}

fn list(root: &Path) -> anyhow::Result<BTreeMap<PathBuf, Entry>> {
    let mut found = BTreeMap::new();
    let mut open = vec![PathBuf::new()];
    while let Some(directory) = open.pop() {
        let entries = fs::read_dir(root.join(&directory));
        for entry in entries.with_context(|| format!("{}", root.display()))? {
            let entry = entry?;
            let (path, kind) = (directory.join(entry.file_name()), entry.file_type()?);
            let entry = if kind.is_dir() {
                open.push(path.clone());
                Entry::Directory
            } else if kind.is_symlink() {
                Entry::Link(fs::read_link(entry.path())?)
            } else {
                let mode = entry.metadata()?.permissions().mode() & 0o777;
                Entry::File { mode, bytes: fs::read(entry.path())? }
            };
            found.insert(path, entry);
        }
    }
    Ok(found)
}

/// Whether two directories hold the same.
pub(crate) fn same(left: &Path, right: &Path) -> anyhow::Result<()> {
    holds(left, right)?;
    holds(right, left)
}

/// Whether all that is in `right` is in `left` too.
pub(crate) fn holds(left: &Path, right: &Path) -> anyhow::Result<()> {
    let (of_left, of_right) = (list(left)?, list(right)?);
    for path in of_right.keys() {
        if of_left.get(path) != of_right.get(path) {
            return Err(Different(format!(
                "{} is not the same in {} and {}: {} and {}",
                path.display(),
                left.display(),
                right.display(),
                short(of_left.get(path)),
                short(of_right.get(path)),
            ))
            .into());
        }
    }
    Ok(())
}

fn short(entry: Option<&Entry>) -> String {
    match entry {
        None => "nothing".to_owned(),
        Some(Entry::File { mode, bytes }) => format!("{} bytes, mode {mode:o}", bytes.len()),
        Some(other) => format!("{other:?}"),
    }
}

/// Whether every file of `directory` under its final name is one of the files in `versions`.
pub(crate) fn only_whole_files(directory: &Path, versions: &[PathBuf]) -> anyhow::Result<()> {
    if !directory.exists() {
        return Ok(());
    }
    let known = versions.iter().map(|version| list(version)).collect::<anyhow::Result<Vec<_>>>()?;
    for (path, entry) in list(directory)? {
        let Entry::File { bytes, .. } = &entry else { continue };
        // What is under way has no final name yet.
        if path.starts_with(".consign.tmp") {
            continue;
        }
        let whole = known.iter().any(|version| {
            matches!(version.get(&path), Some(Entry::File { bytes: known, .. }) if known == bytes)
        });
        if !whole {
            let entry = short(Some(&entry));
            return Err(Different(format!("{} is no version's: {entry}", path.display())).into());
        }
    }
    Ok(())
}
