//! Keeps removing chunks and copying them apart: a backup reads packs while the hub runs, and no
//! pack that the copied database needs may disappear before it is copied.
//!
//! The lock is the file `removing.lock` in the data directory, held by `flock`, so that it also
//! holds between processes and ends with whoever held it.

use std::fs::File;
use std::io;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::files::DataDir;

/// While it lives, chunks may be removed, and no backup copies any.
#[derive(Debug)]
pub(crate) struct Removing(#[expect(dead_code, reason = "holds the lock")] File);

impl Removing {
    /// `None` while a backup is made.
    pub(crate) fn begin(data: &DataDir) -> io::Result<Option<Self>> {
        let file = lock_file(data)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self(file))),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// While it lives, no chunk is removed.
#[derive(Debug)]
pub(crate) struct Copying(#[expect(dead_code, reason = "holds the lock")] File);

impl Copying {
    /// Waits for a removal under way; blocks.
    pub(crate) fn begin(data: &DataDir) -> io::Result<Self> {
        let file = lock_file(data)?;
        loop {
            match flock(&file, FlockOperation::LockShared) {
                Ok(()) => return Ok(Self(file)),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Reading is enough to lock it: another user may have created it.
fn lock_file(data: &DataDir) -> io::Result<File> {
    let path = data.removing_lock();
    match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            File::options().create(true).truncate(false).write(true).open(&path)
        }
        opened => opened,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_removed_while_something_is_copied() {
        let directory = tempfile::tempdir().expect("a directory");
        let data = DataDir::open(directory.path());
        let first = Copying::begin(&data).expect("locks");
        let second = Copying::begin(&data).expect("copies do not exclude each other");
        assert!(Removing::begin(&data).expect("asks").is_none());
        drop(first);
        assert!(Removing::begin(&data).expect("asks").is_none());
        drop(second);
        let removing = Removing::begin(&data).expect("asks").expect("nobody copies");
        drop(removing);
        assert!(Removing::begin(&data).expect("asks").is_some());
    }
}
