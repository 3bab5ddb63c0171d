//! Copying a file so that the copy is whole, durable and known by its hash.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use hub_api::Hex;

use super::BackupError;
use crate::files::new_names;

/// Bytes read at once.
const BUFFER_BYTES: usize = 1 << 20;

/// Copies `from` to the temporary name beside what will be its place; returns the hash of what
/// was copied, and how much that was. The file is for its owner alone.
pub(super) fn copy(from: &Path, to: &Path) -> Result<(Hex<32>, u64), BackupError> {
    let mut source = File::open(from).map_err(BackupError::io("read", from))?;
    let mut target = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(to)
        .map_err(BackupError::io("create", to))?;
    let (mut hasher, mut bytes) = (blake3::Hasher::new(), 0);
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let read = match source.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(BackupError::io("read", from)(error)),
        };
        hasher.update(&buffer[..read]);
        target.write_all(&buffer[..read]).map_err(BackupError::io("write", to))?;
        bytes += read as u64;
    }
    target.sync_all().map_err(BackupError::io("write", to))?;
    Ok((Hex(*hasher.finalize().as_bytes()), bytes))
}

/// Makes the names in a directory last.
pub(super) fn sync_directory(path: &Path) -> Result<(), BackupError> {
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(BackupError::io("sync", path))
}

/// Creates a directory for its owner alone, if it does not exist, with those above it; their names
/// last.
pub(super) fn create_directory(path: &Path) -> Result<(), BackupError> {
    use std::os::unix::fs::DirBuilderExt as _;
    let names = new_names(path);
    let created = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    created.map_err(BackupError::io("create", path))?;
    names.iter().try_for_each(|directory| sync_directory(directory))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn every_directory_with_a_new_name_is_known() {
        let directory = tempfile::tempdir().expect("a directory");
        let [a, b, c] = ["a", "a/b", "a/b/c"].map(|path| directory.path().join(path));
        assert_eq!(new_names(&c), [b.clone(), a.clone(), directory.path().to_owned()]);
        create_directory(&c).expect("creates");
        assert!(new_names(&c).is_empty() && c.is_dir());
        fs::remove_dir(&c).expect("removes");
        assert_eq!(new_names(&c), [b]);
        let here = format!("no-directory-{}", std::process::id());
        assert_eq!(new_names(Path::new(&here)), [PathBuf::from(".")]);
    }
}
