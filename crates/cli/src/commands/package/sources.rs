//! What a specification names on the publisher's disk.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// What a file or directory holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) files: u64,
    pub(super) bytes: u64,
    /// It is a file itself, not a directory.
    pub(super) is_one_file: bool,
}

impl Held {
    /// One file of this length.
    pub(super) fn file(bytes: u64) -> Self {
        Self { files: 1, bytes, is_one_file: true }
    }
}

/// Why something cannot be packed.
#[derive(Debug)]
pub(super) struct Unusable {
    pub(super) path: PathBuf,
    pub(super) why: String,
}

impl Unusable {
    pub(super) fn into_error(self) -> anyhow::Error {
        let cannot = format!("cannot read {}", self.path.display());
        anyhow::Error::msg(self.why).context(cannot)
    }
}

fn unusable(path: &Path, why: impl ToString) -> Unusable {
    Unusable { path: path.to_owned(), why: why.to_string() }
}

/// Looks at a file, or at everything in a directory: whether it is there and can be read. A link
/// is followed where the specification names it, and not beneath.
pub(super) fn look(path: &Path) -> Result<Held, Unusable> {
    let mut held = Held::default();
    let is_link = path.symlink_metadata().is_ok_and(|facts| facts.is_symlink());
    let start = if is_link { path.canonicalize() } else { Ok(path.to_owned()) };
    let start = start.map_err(|error| unusable(path, error))?;
    held.is_one_file = start.is_file();
    let mut rest = vec![start];
    while let Some(path) = rest.pop() {
        let wrong = |error: io::Error| unusable(&path, error);
        let facts = path.symlink_metadata().map_err(wrong)?;
        if facts.is_dir() {
            for entry in fs::read_dir(&path).map_err(wrong)? {
                rest.push(entry.map_err(wrong)?.path());
            }
        } else if facts.is_file() {
            // Opened and closed: whether it can be read is known to nobody else.
            drop(File::open(&path).map_err(wrong)?);
            held.files += 1;
            held.bytes = held.bytes.saturating_add(facts.len());
        } else if facts.is_symlink() {
            held.files += 1;
        } else {
            return Err(unusable(&path, "it is neither a file nor a directory nor a link"));
        }
    }
    Ok(held)
}

/// Looks at a script: it must be a file. Returns how it begins, too.
pub(super) fn look_at_script(path: &Path) -> Result<(Held, Vec<u8>), Unusable> {
    /// As much as Linux reads of the line that names an interpreter.
    const START_BYTES: u64 = 256;
    let wrong = |error: io::Error| unusable(path, error);
    let facts = path.metadata().map_err(wrong)?;
    if !facts.is_file() {
        return Err(unusable(path, "it is no file"));
    }
    let mut start = Vec::new();
    File::open(path)
        .and_then(|file| file.take(START_BYTES).read_to_end(&mut start))
        .map_err(wrong)?;
    Ok((Held::file(facts.len()), start))
}
