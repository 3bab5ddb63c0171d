//! A package as it was named on the command line: a specification, or what was built of one.
//!
//! The same specification and the same files give the same tree, down to times and modes, whenever and by
//! whom it is put together: a hub that forgot a release can be given the very same one again.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::sources::{Unusable, look};
use anyhow::{Context as _, bail};
use deploy::State;
use package::instructions::INSTRUCTIONS_BYTES_MAX;
use package::specification::{Content, FILE_NAME, SPECIFICATION_BYTES_MAX, Source, Specification};
use package::{INSTRUCTIONS, Package};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_OMIT, utimensat};

/// As much of a script as says what it is given to.
const START_BYTES: u64 = 256;

/// Instructions, and where what they name is to be had.
pub(super) struct Opened {
    pub(super) package: Package,
    from: From,
}

enum From {
    /// The directory of a built package.
    Built(PathBuf),
    /// What a specification names, and the folder that its paths begin in.
    Specified { specification: Box<Specification>, folder: PathBuf },
}

impl Opened {
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let instructions = path.join(INSTRUCTIONS);
        if instructions.is_file() {
            let cannot = || format!("cannot read {}", instructions.display());
            let mut bytes = Vec::new();
            fs::File::open(&instructions)
                .and_then(|opened| {
                    // One more, so that it is seen to be too long.
                    opened.take(INSTRUCTIONS_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)
                })
                .with_context(cannot)?;
            let package = Package::decode(&bytes).with_context(cannot)?;
            return Ok(Self { package, from: From::Built(path.to_owned()) });
        }
        let file = specification_at(path);
        let cannot = || format!("cannot read {}", file.display());
        let mut text = String::new();
        fs::File::open(&file)
            .and_then(|opened| {
                // One more, so that it is seen to be too long.
                opened.take(SPECIFICATION_BYTES_MAX as u64 + 1).read_to_string(&mut text)
            })
            .with_context(cannot)?;
        let mut specification = match Specification::parse(&text) {
            Ok(specification) => specification,
            Err(found) => {
                let shown = file.display().to_string();
                let told: Vec<_> = found.iter().map(|one| one.render(&shown, &text)).collect();
                bail!("{} is no specification\n\n{}", shown, told.join("\n"));
            }
        };
        let folder = file.parent().unwrap_or(Path::new(".")).to_owned();
        let undecided: Vec<_> =
            specification.undecided().map(|(step, path)| (step, folder.join(path))).collect();
        for (step, path) in undecided {
            let mut start = Vec::new();
            let cannot = || format!("cannot read {}", path.display());
            if !fs::metadata(&path).with_context(cannot)?.is_file() {
                bail!("{} is no file", path.display());
            }
            fs::File::open(&path)
                .and_then(|file| file.take(START_BYTES).read_to_end(&mut start))
                .with_context(cannot)?;
            specification.decide(step, &start);
        }
        let package = specification.package.clone();
        Ok(Self {
            package,
            from: From::Specified { specification: Box::new(specification), folder },
        })
    }

    /// The directory with the package's tree: what was built, or is built now beneath the state.
    pub(super) fn tree(&self, state: &State) -> anyhow::Result<PathBuf> {
        if let From::Built(path) = &self.from {
            return Ok(path.clone());
        }
        let tree = own_tree(state);
        self.clear(state)?;
        self.put_together(&tree)?;
        Ok(tree)
    }

    /// What it is put together from: files, and directories with all that is in them.
    pub(super) fn sources(&self) -> Vec<PathBuf> {
        match &self.from {
            From::Built(path) => vec![path.clone()],
            From::Specified { specification, folder } => {
                let of = |content: &Content| match &content.from {
                    Source::Text(_) => None,
                    Source::Path(path) => Some(folder.join(path)),
                };
                specification.contents.iter().filter_map(of).collect()
            }
        }
    }

    /// Whether it was built before.
    pub(super) fn is_built(&self) -> bool {
        matches!(self.from, From::Built(_))
    }

    /// How many bytes its files and scripts have.
    pub(super) fn bytes(&self) -> anyhow::Result<u64> {
        let look = |path: &Path| look(path).map(|held| held.bytes).map_err(Unusable::into_error);
        match &self.from {
            From::Built(path) => look(path),
            From::Specified { specification, folder } => {
                let bytes = |content: &Content| match &content.from {
                    Source::Text(text) => Ok(text.len() as u64),
                    Source::Path(path) => look(&folder.join(path)),
                };
                specification.contents.iter().map(bytes).sum()
            }
        }
    }

    /// Puts what a specification names together in the directory `tree`, with the instructions; nothing when it was
    /// built before.
    pub(super) fn put_together(&self, tree: &Path) -> anyhow::Result<()> {
        let From::Specified { specification, folder } = &self.from else { return Ok(()) };
        let mut made = BTreeSet::new();
        for content in &specification.contents {
            let to = tree.join(&content.at);
            let above = Path::new(&content.at).ancestors().skip(1);
            made.extend(above.filter(|it| !it.as_os_str().is_empty()).map(Path::to_owned));
            let cannot = || format!("cannot put {} together", content.at);
            fs::create_dir_all(to.parent().unwrap_or(tree)).with_context(cannot)?;
            match &content.from {
                Source::Text(text) => {
                    fs::write(&to, text).and_then(|()| settle(&to, 0o644)).with_context(cannot)?;
                }
                Source::Path(path) => {
                    // The publisher's own folder: a link that is named stands for what it leads to.
                    let from = folder.join(path);
                    let from = fs::canonicalize(&from)
                        .with_context(|| format!("cannot read {}", from.display()))?;
                    copy(&from, &to)?;
                }
            }
        }
        fs::create_dir_all(tree)?;
        // What it is to whoever has nothing but the tree.
        let instructions = tree.join(INSTRUCTIONS);
        fs::write(&instructions, self.package.encode()?)
            .and_then(|()| settle(&instructions, 0o644))
            .with_context(|| format!("cannot write {}", instructions.display()))?;
        for directory in made {
            let directory = tree.join(directory);
            settle(&directory, 0o755)
                .with_context(|| format!("cannot change {}", directory.display()))?;
        }
        Ok(())
    }

    /// Removes what [`tree`](Self::tree) built.
    pub(super) fn clear(&self, state: &State) -> anyhow::Result<()> {
        let tree = own_tree(state);
        if matches!(self.from, From::Specified { .. }) && tree.exists() {
            make_removable(&tree)
                .and_then(|()| fs::remove_dir_all(&tree))
                .with_context(|| format!("cannot empty {}", tree.display()))?;
        }
        Ok(())
    }
}

/// The file of a specification that was named itself, or by its directory.
pub(super) fn specification_at(path: &Path) -> PathBuf {
    if path.is_dir() { path.join(FILE_NAME) } else { path.to_owned() }
}

fn own_tree(state: &State) -> PathBuf {
    state.path().join("tree")
}

/// Lets its owner change every directory of a tree.
pub(super) fn make_removable(directory: &Path) -> std::io::Result<()> {
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            make_removable(&entry.path())?;
        }
    }
    Ok(())
}

/// Gives what no file of the publisher's stands behind a mode and a time that are always the same. It is
/// never placed anywhere.
fn settle(path: &Path, mode: u32) -> std::io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    set_modified(path, Timespec { tv_sec: 0, tv_nsec: 0 })
}

/// Sets when a file, directory or link was modified.
fn set_modified(path: &Path, last_modification: Timespec) -> std::io::Result<()> {
    let last_access = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
    let times = Timestamps { last_access, last_modification };
    Ok(utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// Copies files, directories and links, with their modes and the times of their last modification.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    let cannot = || format!("cannot copy {}", from.display());
    let facts = fs::symlink_metadata(from).with_context(cannot)?;
    let modified = Timespec { tv_sec: facts.mtime(), tv_nsec: facts.mtime_nsec() };
    if facts.is_symlink() {
        let target = fs::read_link(from).with_context(cannot)?;
        let linked = std::os::unix::fs::symlink(target, to);
        return linked.and_then(|()| set_modified(to, modified)).with_context(cannot);
    }
    if facts.is_file() {
        let copied = fs::copy(from, to);
        return copied.and_then(|_| set_modified(to, modified)).with_context(cannot);
    }
    if !facts.is_dir() {
        bail!("{} is neither file nor directory nor link", from.display());
    }
    fs::create_dir(to).with_context(cannot)?;
    for entry in fs::read_dir(from).with_context(cannot)? {
        let name = entry.with_context(cannot)?.file_name();
        copy(&from.join(&name), &to.join(&name))?;
    }
    // Last: a directory that may not be written to could not be filled.
    let mode = facts.permissions().mode() & 0o777;
    fs::set_permissions(to, fs::Permissions::from_mode(mode))
        .and_then(|()| set_modified(to, modified))
        .with_context(cannot)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Path, mode and time of everything below.
    fn all_below(directory: &Path, into: &mut Vec<(PathBuf, u32, i64, i64)>) {
        for entry in fs::read_dir(directory).expect("readable").flatten() {
            let path = entry.path();
            let facts = fs::symlink_metadata(&path).expect("readable");
            into.push((path.clone(), facts.mode(), facts.mtime(), facts.mtime_nsec()));
            if facts.is_dir() {
                all_below(&path, into);
            }
        }
    }

    #[test]
    fn the_same_sources_give_the_same_tree_whenever_it_is_put_together() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let sources = directory.path().join("sources");
        fs::create_dir_all(sources.join("files/sub")).expect("made");
        fs::write(sources.join("files/sub/page"), "a page").expect("written");
        std::os::unix::fs::symlink("sub/page", sources.join("files/link")).expect("linked");
        let text = "[package]\nname = \"hello\"\nversion = \"1\"\n\n[[step]]\nfiles = \"files\"\n\
                    target = \"/opt/hello\"\n\n[[step]]\nscript = \'\'\'\n#!/bin/sh\necho\n\'\'\'\n";
        fs::write(sources.join(FILE_NAME), text).expect("written");
        let state = State::take(&directory.path().join("state")).expect("free");
        let staged = || {
            let opened = Opened::open(&sources).expect("opens");
            let tree = opened.tree(&state).expect("is put together");
            let mut found = Vec::new();
            all_below(&tree, &mut found);
            found.sort();
            (found, tree)
        };
        let (first, tree) = staged();
        assert_eq!(first.len(), 8, "{first:?}");
        let source = fs::metadata(sources.join("files/sub/page")).expect("there");
        let placed = first.iter().find(|one| one.0.ends_with("sub/page")).expect("is in it");
        assert_eq!((placed.2, placed.3), (source.mtime(), source.mtime_nsec()));
        // What is put together again differs in no time, though the clock went on.
        let written = fs::metadata(tree.join(INSTRUCTIONS)).expect("there").ctime_nsec();
        let (second, _) = staged();
        let again = fs::metadata(tree.join(INSTRUCTIONS)).expect("there").ctime_nsec();
        assert_ne!(written, again, "the second one is another");
        assert_eq!(first, second);
    }
}
