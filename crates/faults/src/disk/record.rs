//! Turns calls into changes, by looking at what they did.
//!
//! While a call is judged nothing else changes a file, so what is in a file or a directory right
//! after it is its doing. Bytes are read back rather than taken from the program's memory: the same
//! way serves a write, a copy inside the kernel and a shared block.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, bail};
use nix::libc;

use super::{Body, Change, Log, Object, attributes};
use crate::call::Call;
use crate::tracer::{Verdict, Watch};

/// Records what a program does to directories.
#[derive(Debug, Clone)]
pub(crate) struct Recorder(Arc<Mutex<Record>>);

#[derive(Debug)]
struct Record {
    log: Log,
    /// What a number of an inode means now; numbers are used again.
    inodes: HashMap<u64, Object>,
    calls: u64,
    /// Whether the path of the call under way was there before it.
    existed: bool,
    failed: Option<anyhow::Error>,
}

impl Recorder {
    /// Reads what is beneath the roots in a directory now.
    pub(crate) fn new(world: &Path, roots: &[PathBuf]) -> anyhow::Result<Self> {
        let mut record = Record {
            log: Log::default(),
            inodes: HashMap::new(),
            calls: 0,
            existed: false,
            failed: None,
        };
        let found = world.symlink_metadata()?;
        let entries = roots.iter().filter(|root| root.exists()).cloned().collect();
        let object = record.load_directory(entries, &found)?;
        record.log.world = Some(object);
        Ok(Self(Arc::new(Mutex::new(record))))
    }

    /// Which object an inode is now.
    pub(crate) fn inodes(&self) -> HashMap<u64, Object> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).inodes.clone()
    }

    /// What was recorded, and how many calls it were.
    pub(crate) fn finish(self) -> anyhow::Result<(Log, u64)> {
        let mut record = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match record.failed.take() {
            Some(error) => Err(error),
            None => Ok((std::mem::take(&mut record.log), record.calls)),
        }
    }
}

impl Watch for Recorder {
    fn before(&mut self, number: u64, call: &Call) -> Verdict {
        let mut record = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        record.calls = number;
        record.existed = call.path.symlink_metadata().is_ok();
        Verdict::Go
    }

    fn after(&mut self, call: &Call, result: i64) {
        if result >= 0 {
            let mut record = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if let Err(error) = record.note(call, result as u64) {
                let error = error.context(format!("recording {call}"));
                record.failed.get_or_insert(error);
            }
        }
    }
}

impl Record {
    fn load(&mut self, path: &Path, found: &fs::Metadata) -> anyhow::Result<Object> {
        if let Some(object) = self.inodes.get(&found.ino()) {
            return Ok(*object);
        }
        if found.is_dir() {
            let entries = fs::read_dir(path)?.map(|entry| Ok(entry?.path()));
            return self.load_directory(entries.collect::<anyhow::Result<_>>()?, found);
        }
        let body = if found.is_symlink() {
            Body::Link(fs::read_link(path)?)
        } else {
            Body::File { bytes: Arc::new(fs::read(path)?), length: found.size() }
        };
        Ok(self.add(body, found))
    }

    fn load_directory(
        &mut self,
        entries: Vec<PathBuf>,
        found: &fs::Metadata,
    ) -> anyhow::Result<Object> {
        let directory = self.add(Body::Directory(BTreeMap::new()), found);
        for path in entries {
            let found = path.symlink_metadata()?;
            // Sockets are of a process, not of the disk.
            if found.is_dir() || found.is_file() || found.is_symlink() {
                let object = self.load(&path, &found)?;
                let name = path.file_name().context("a name")?;
                self.log.before.enter(&(directory, PathBuf::from(name), Some(object)));
            }
        }
        Ok(directory)
    }

    fn add(&mut self, body: Body, found: &fs::Metadata) -> Object {
        let object = self.log.before.add(body, found);
        self.inodes.insert(found.ino(), object);
        object
    }

    fn push(&mut self, change: Change) {
        self.log.changes.push((self.calls, change));
    }

    fn known(&self, path: &Path, found: &fs::Metadata) -> anyhow::Result<Object> {
        let known = self.inodes.get(&found.ino()).copied();
        known.with_context(|| format!("{} was never made", path.display()))
    }

    /// What is at a path, links not followed.
    fn at(&self, path: &Path) -> anyhow::Result<Object> {
        self.known(path, &path.symlink_metadata()?)
    }

    /// A directory and a name in it.
    fn entry(&self, path: &Path) -> anyhow::Result<(Object, PathBuf)> {
        let parent = path.parent().context("no parent")?;
        Ok((self.at(parent)?, PathBuf::from(path.file_name().context("no name")?)))
    }

    /// The descriptor that a call works on, for those that have one.
    fn open_file(call: &Call) -> u64 {
        call.arguments[if call.name == "copy_file_range" { 2 } else { 0 }]
    }

    fn note(&mut self, call: &Call, result: u64) -> anyhow::Result<()> {
        let arguments = &call.arguments;
        let descriptor = Self::open_file(call);
        let open = call.tracee.descriptor(descriptor);
        match call.name {
            "write" | "writev" | "sendfile" => {
                let end = call.tracee.position(descriptor)?;
                self.data(&open, end - result, result)?;
            }
            "pwrite64" | "pwritev" => self.data(&open, arguments[3], result)?,
            "pwritev2" if arguments[3] as i64 >= 0 => self.data(&open, arguments[3], result)?,
            "copy_file_range" => {
                let end = match arguments[3] {
                    0 => call.tracee.position(descriptor)?,
                    place => call.tracee.read_u64(place)?,
                };
                self.data(&open, end - result, result)?;
            }
            "ioctl" => self.data(&open, 0, fs::metadata(&open)?.size())?,
            "fallocate" => self.data(&open, arguments[2], arguments[3])?,
            "ftruncate" => self.size(&open)?,
            "truncate" => self.size(&call.path)?,
            // SQLite's index of its log in memory: not read after a crash.
            "mmap" if call.path.as_os_str().as_encoded_bytes().ends_with(b"-shm") => {}
            "fsync" | "fdatasync" => {
                let object = self.known(&call.path, &fs::metadata(&open)?)?;
                self.push(Change::Sync(object));
            }
            "syncfs" => self.push(Change::SyncAll),
            "sync_file_range" => {}
            "open" | "openat" | "openat2" | "creat" => self.opened(call, result)?,
            "mkdir" | "mkdirat" | "symlink" | "symlinkat" => {
                let found = call.path.symlink_metadata()?;
                let body = match fs::read_link(&call.path) {
                    Ok(to) => Body::Link(to),
                    Err(_) => Body::Directory(BTreeMap::new()),
                };
                let object = self.add(body, &found);
                self.named(&call.path, Some(object))?;
            }
            "link" | "linkat" => {
                let name = call.other.as_deref().context("two names")?;
                self.named(name, Some(self.at(name)?))?;
            }
            "unlink" | "unlinkat" | "rmdir" => self.named(&call.path, None)?,
            "rename" | "renameat" | "renameat2" => self.renamed(call)?,
            "chmod" | "fchmodat" | "fchmodat2" | "utimensat" | "fchmod" => {
                let found = call.path.symlink_metadata()?;
                let object = self.known(&call.path, &found)?;
                let (mode, modified) = attributes(&found);
                self.push(Change::Attributes { object, mode, modified });
            }
            name if name.contains("chown") || name.contains("xattr") => {}
            other => bail!("{other} is not in the model"),
        }
        Ok(())
    }

    /// Bytes of an open file that were just written.
    fn data(&mut self, open: &Path, offset: u64, length: u64) -> anyhow::Result<()> {
        let file = File::open(open)?;
        let found = file.metadata()?;
        let object = self.known(open, &found)?;
        let length = length.min(found.size().saturating_sub(offset));
        let mut bytes = vec![0; length as usize];
        file.read_exact_at(&mut bytes, offset)?;
        self.push(Change::Data { file: object, offset, bytes: Arc::new(bytes) });
        self.push(Change::Size { file: object, bytes: found.size(), is_cut: false });
        Ok(())
    }

    fn size(&mut self, path: &Path) -> anyhow::Result<()> {
        let found = fs::metadata(path)?;
        let file = self.known(path, &found)?;
        self.push(Change::Size { file, bytes: found.size(), is_cut: true });
        Ok(())
    }

    fn named(&mut self, path: &Path, object: Option<Object>) -> anyhow::Result<()> {
        let (directory, name) = self.entry(path)?;
        self.push(Change::Entries(vec![(directory, name, object)]));
        Ok(())
    }

    fn opened(&mut self, call: &Call, descriptor: u64) -> anyhow::Result<()> {
        let open = call.tracee.descriptor(descriptor);
        if self.existed && call.open_flags() & libc::O_TRUNC as u64 != 0 {
            return self.size(&open);
        }
        // Without a name there is nothing of it left: a file made with `O_TMPFILE`.
        let found = fs::metadata(&open)?;
        let object = self.add(Body::File { bytes: Arc::default(), length: 0 }, &found);
        if !self.existed {
            self.named(&call.path, Some(object))?;
        }
        Ok(())
    }

    fn renamed(&mut self, call: &Call) -> anyhow::Result<()> {
        let to = call.other.as_deref().context("two names")?;
        let is_exchange =
            call.name == "renameat2" && call.arguments[4] & u64::from(libc::RENAME_EXCHANGE) != 0;
        let left = match call.path.symlink_metadata() {
            Ok(_) if is_exchange => Some(self.at(&call.path)?),
            // Two names of one file: nothing happens.
            Ok(_) => return Ok(()),
            Err(_) => None,
        };
        let (from_directory, from_name) = self.entry(&call.path)?;
        let (to_directory, to_name) = self.entry(to)?;
        let entries =
            vec![(from_directory, from_name, left), (to_directory, to_name, Some(self.at(to)?))];
        self.push(Change::Entries(entries));
        Ok(())
    }
}
