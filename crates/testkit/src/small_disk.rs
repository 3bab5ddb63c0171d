//! A disk that is soon full.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::parts;

/// A small file system in memory, gone with its handle.
#[derive(Debug)]
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts one of so many MiB at `path`, which it creates; `None`, and said, where that is not
    /// allowed: only root can.
    ///
    /// # Panics
    /// If there is something at `path`.
    #[must_use]
    pub fn mount(path: PathBuf, mebibytes: u32) -> Option<Self> {
        std::fs::create_dir(&path).expect("is fresh");
        let options = format!("size={mebibytes}m,mode=700");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(&path)
            .output()
            .is_ok_and(|output| output.status.success());
        if !mounted {
            parts::skip_on_this_machine("a full disk", "only root can mount a small one");
        }
        mounted.then_some(Self(path))
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Takes all room that is left, as a file that may be removed.
    ///
    /// # Panics
    /// If writing fails for another reason.
    #[must_use]
    pub fn fill(&self) -> PathBuf {
        let path = self.0.join("filler");
        let mut file = File::create(&path).expect("a file without bytes fits");
        // The last pieces are smaller than a page of a database.
        for piece in [1 << 20, 4096, 1] {
            let zeros = vec![0; piece];
            loop {
                match file.write_all(&zeros) {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => panic!("cannot fill {}: {error}", path.display()),
                }
            }
        }
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}
