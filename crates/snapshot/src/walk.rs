//! Lists what there is, in walk order.

use std::collections::HashMap;
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use content::bounds::{DEPTH_MAX, PATH_BYTES_MAX};
use content::{Contents, Name, Piece};
use crossbeam_channel::{Receiver, Sender, bounded};
use directory::{
    Dir, FileFacts, FileKind, IndexEntry, IndexKind, Root, TEMP_DIRECTORY, Xattrs, xattr,
};

use crate::index::{Cursor, is_well_formed};
use crate::read::{Job, Outcome, check_xattrs, reason};
use crate::{SkipReason, SnapshotError, SnapshotOptions, SnapshotProgress};

/// Sets of steps the walk may be ahead of the assembler. With [`BATCH_BYTES`] it bounds the small
/// files in memory to 16 MiB, for a set has at most one job for the readers.
pub(crate) const STEPS_MAX: usize = 64;
/// Steps, and files in them, that are handed over at once: a tree where nothing changed is four
/// steps for each directory, and waking the assembler for each cost more than making it.
const SET_WEIGHT: usize = 128;
/// Files handed to a reader at once: enough to hide the cost of waking it.
const BATCH_FILES: usize = 64;
/// Bytes of files handed to a reader at once, the last file not counted.
const BATCH_BYTES: u64 = 256 * 1024;
/// Directories kept open on the way down; those above are opened again by path.
const OPEN_DIRECTORIES: usize = 64;
/// Longest path a node can name as the first name of a hard link.
const LINK_PATH_BYTES_MAX: usize = 4096;

/// A file with several names, by device and inode.
pub(crate) type LinkKey = (u64, u64);

/// What the assembler is told, in this order: a directory, its files, their end, its
/// directories each the same way, its end.
pub(crate) enum Step {
    Enter(Box<Entered>),
    Files { found: Vec<Found>, reply: Option<Receiver<Vec<Outcome>>> },
    FilesEnd,
    Leave,
    Skip { path: Vec<u8>, reason: SkipReason },
}

/// A directory.
pub(crate) struct Entered {
    /// None for the root.
    pub(crate) name: Option<Name>,
    pub(crate) path: Arc<[u8]>,
    pub(crate) facts: FileFacts,
    pub(crate) xattrs: Xattrs,
}

/// Something that is no directory.
pub(crate) struct Found {
    pub(crate) name: Name,
    pub(crate) facts: FileFacts,
    pub(crate) what: What,
    pub(crate) link: LinkRole,
}

pub(crate) enum What {
    /// A regular file; the next outcome of the step's reply is its.
    Read,
    /// A regular file the index vouches for.
    Known(Box<IndexEntry>),
    /// Another name of a file that came before.
    Again {
        first: Arc<[u8]>,
        last: bool,
    },
    Symlink(Vec<u8>),
    Skip(SkipReason),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkRole {
    Single,
    First(LinkKey),
    Again(LinkKey),
}

/// Where a walk begins.
pub(crate) struct Start {
    pub(crate) root: Root,
    /// The only file to look at, under the name it gets, when the path is no directory.
    pub(crate) only: Option<Only>,
}

pub(crate) struct Only {
    on_disk: Name,
    shown: Name,
}

impl Start {
    pub(crate) fn at(path: &Path) -> Result<Self, SnapshotError> {
        let failed = |source| SnapshotError::Open { path: path.to_owned(), source };
        let resolved = std::fs::canonicalize(path).map_err(failed)?;
        let kind = std::fs::metadata(&resolved).map_err(failed)?.file_type();
        if kind.is_dir() {
            return Ok(Self { root: Root::open(&resolved).map_err(failed)?, only: None });
        }
        let unfit = || SnapshotError::NotContent { path: path.to_owned() };
        if !kind.is_file() {
            return Err(unfit());
        }
        let named = |path: &Path| path.file_name().and_then(|name| Name::new(name.as_bytes()));
        let on_disk = named(&resolved).ok_or_else(unfit)?;
        let shown = named(path).unwrap_or_else(|| on_disk.clone());
        let parent = resolved.parent().ok_or_else(unfit)?;
        let root = Root::open(parent).map_err(failed)?;
        Ok(Self { root, only: Some(Only { on_disk, shown }) })
    }
}

/// The assembler is gone: it has the reason.
struct Stopped;

pub(crate) struct Walker<'a> {
    pub(crate) root: &'a Root,
    pub(crate) options: &'a SnapshotOptions,
    pub(crate) index: Cursor,
    pub(crate) steps: Sender<Vec<Step>>,
    pub(crate) jobs: Sender<Job>,
    pub(crate) progress: &'a SnapshotProgress,
    /// Steps that are not handed over yet, and how many they are with the files in them.
    pub(crate) set: Vec<Step>,
    pub(crate) weight: usize,
    /// First names of files that have more names, and how many are still to come.
    pub(crate) links: HashMap<LinkKey, (Arc<[u8]>, u32)>,
}

/// A directory on the way down.
struct Level {
    /// None when it was closed to keep few open.
    dir: Option<Arc<Dir>>,
    path: Arc<[u8]>,
    directories: std::vec::IntoIter<Box<[u8]>>,
}

impl Walker<'_> {
    pub(crate) fn walk(mut self, only: Option<Only>) {
        // A walk that is stopped has nobody to tell.
        let (Ok(()) | Err(Stopped)) = match only {
            Some(only) => self.walk_file(only),
            None => self.walk_directories(),
        }
        .and_then(|()| self.hand_over());
        self.progress.listed.store(true, Relaxed);
    }

    fn send(&mut self, step: Step) -> Result<(), Stopped> {
        let files = if let Step::Files { found, .. } = &step { found.len() } else { 0 };
        self.weight += 1 + files;
        self.set.push(step);
        if self.weight >= SET_WEIGHT { self.hand_over() } else { Ok(()) }
    }

    fn hand_over(&mut self) -> Result<(), Stopped> {
        self.weight = 0;
        if self.set.is_empty() {
            return Ok(());
        }
        self.steps.send(std::mem::take(&mut self.set)).map_err(|_| Stopped)
    }

    fn walk_file(&mut self, only: Only) -> Result<(), Stopped> {
        let path: Arc<[u8]> = Arc::from(&b""[..]);
        let dir = match self.root.parent(only.on_disk.as_bytes()) {
            Ok((dir, _)) => Arc::new(dir),
            Err(error) => return self.unenterable(&path, reason(&error)),
        };
        let facts = match dir.facts() {
            Ok(facts) => facts,
            Err(error) => return self.unenterable(&path, reason(&error)),
        };
        let entered = Entered { name: None, path: path.clone(), facts, xattrs: Xattrs::new() };
        self.send(Step::Enter(Box::new(entered)))?;
        let mut batch = Batch::default();
        match self.look_at(&dir, &path, only.on_disk.as_bytes()) {
            Ok(mut found) => {
                batch.add(&found, only.on_disk.as_bytes());
                found.name = only.shown;
                batch.found.push(found);
            }
            Err(reason) => {
                let path = only.shown.as_bytes().to_vec();
                self.send(Step::Skip { path, reason })?;
            }
        }
        self.flush(&dir, &mut batch)?;
        self.send(Step::FilesEnd)?;
        self.send(Step::Leave)
    }

    /// Leaves out a directory; when it is the root, there will be no snapshot.
    fn unenterable(&mut self, path: &[u8], reason: SkipReason) -> Result<(), Stopped> {
        self.send(Step::Skip { path: path.to_vec(), reason })
    }

    fn walk_directories(&mut self) -> Result<(), Stopped> {
        let top = self.root.top();
        let mut levels = Vec::new();
        levels.extend(self.enter(top, None, Arc::from(&b""[..]))?);
        loop {
            let depth = levels.len() as u64;
            let Some(level) = levels.last_mut() else { break };
            let Some(name) = level.directories.next() else {
                levels.pop();
                self.send(Step::Leave)?;
                continue;
            };
            let path = join(&level.path, &name);
            let Some(shown) = Name::new(&name) else {
                self.send(Step::Skip { path, reason: SkipReason::Unrecordable("name") })?;
                continue;
            };
            if depth > DEPTH_MAX || path.len() as u64 > PATH_BYTES_MAX {
                // Nobody would take a tree that is deeper.
                self.send(Step::Skip { path, reason: SkipReason::Unrecordable("path") })?;
                continue;
            }
            if level.dir.is_none() {
                let again = if level.path.is_empty() {
                    self.root.top()
                } else {
                    self.root.open_dir(&level.path)
                };
                match again {
                    Ok(dir) => level.dir = Some(Arc::new(dir)),
                    Err(error) => {
                        self.send(Step::Skip { path, reason: reason(&error) })?;
                        continue;
                    }
                }
            }
            let parent = level.dir.as_ref().expect("opened above");
            let opened = parent.open_dir(&name);
            if let Some(entered) = self.enter(opened, Some(shown), path.into())? {
                levels.push(entered);
                if let Some(far) = levels.len().checked_sub(OPEN_DIRECTORIES + 1) {
                    levels[far].dir = None;
                }
            }
        }
        Ok(())
    }

    /// Lists one directory and hands out its files.
    fn enter(
        &mut self,
        opened: Result<Dir, directory::AccessError>,
        name: Option<Name>,
        path: Arc<[u8]>,
    ) -> Result<Option<Level>, Stopped> {
        let scope = self.options.xattr_scope();
        let look = |dir: Dir| -> Result<_, SkipReason> {
            let facts = dir.facts().map_err(|error| reason(&error))?;
            let xattrs = xattr::read(dir.as_fd(), scope)
                .map_err(|error| SkipReason::Unreadable(error.to_string()))?;
            check_xattrs(&xattrs)?;
            let listed = dir.list().map_err(|error| reason(&error))?;
            Ok((dir, facts, xattrs, listed))
        };
        let looked = opened.map_err(|error| reason(&error)).and_then(look);
        let (dir, facts, xattrs, listed) = match looked {
            Ok(looked) => looked,
            Err(reason) => {
                self.unenterable(&path, reason)?;
                return Ok(None);
            }
        };
        let dir = Arc::new(dir);
        self.send(Step::Enter(Box::new(Entered { name, path: path.clone(), facts, xattrs })))?;
        let mut directories = Vec::new();
        let mut batch = Batch::default();
        for entry in listed {
            if path.is_empty() && *entry.name == *TEMP_DIRECTORY {
                continue;
            }
            if entry.kind == FileKind::Directory {
                directories.push(entry.name);
                continue;
            }
            match self.look_at(&dir, &path, &entry.name) {
                Ok(found) if found.facts.kind == FileKind::Directory => {
                    directories.push(entry.name);
                }
                Ok(found) => {
                    batch.add(&found, &entry.name);
                    batch.found.push(found);
                    if batch.is_full() {
                        self.flush(&dir, &mut batch)?;
                    }
                }
                Err(reason) => {
                    self.flush(&dir, &mut batch)?;
                    self.send(Step::Skip { path: join(&path, &entry.name), reason })?;
                }
            }
        }
        self.flush(&dir, &mut batch)?;
        self.send(Step::FilesEnd)?;
        Ok(Some(Level { dir: Some(dir), path, directories: directories.into_iter() }))
    }

    fn look_at(&mut self, dir: &Dir, parent: &[u8], name: &[u8]) -> Result<Found, SkipReason> {
        let shown = Name::new(name).ok_or(SkipReason::Unrecordable("name"))?;
        if (parent.len() + 1 + name.len()) as u64 > PATH_BYTES_MAX {
            return Err(SkipReason::Unrecordable("path"));
        }
        let facts = dir.stat(name).map_err(|error| reason(&error))?;
        let mut link = LinkRole::Single;
        let what = match facts.kind {
            FileKind::File => {
                self.progress.files_found.fetch_add(1, Relaxed);
                self.progress.bytes_found.fetch_add(facts.size, Relaxed);
                let path = join(parent, name);
                let known = self.index.find(&path).filter(|known| self.may_trust(known, &facts));
                let (role, again) = self.link_role(&facts, &path);
                link = role;
                match (again, known) {
                    (Some(again), _) => again,
                    (None, Some(known)) => What::Known(Box::new(known)),
                    (None, None) => What::Read,
                }
            }
            FileKind::Symlink => {
                let target = dir.read_link(name).map_err(|error| reason(&error))?;
                if target.is_empty() || target.len() > 4095 {
                    return Err(SkipReason::Unrecordable("target"));
                }
                What::Symlink(target)
            }
            FileKind::Directory => What::Skip(SkipReason::Changing),
            kind @ (FileKind::Fifo | FileKind::Socket | FileKind::Device | FileKind::Unknown) => {
                What::Skip(SkipReason::Special(kind))
            }
        };
        Ok(Found { name: shown, facts, what, link })
    }

    fn may_trust(&self, known: &IndexEntry, facts: &FileFacts) -> bool {
        let asked_for = |chunk: &content::ChunkRef| self.options.resend.contains(&chunk.id);
        let IndexKind::File { contents, .. } = &known.kind else { return false };
        let resend = !self.options.resend.is_empty()
            && (known.pieces().iter().any(|piece| match piece {
                Piece::Chunk(chunk) => asked_for(chunk),
                Piece::Hole(_) => false,
            }) || matches!(contents, Contents::Slice { chunk, .. } if asked_for(chunk)));
        known.holds_for(facts) && !resend && is_well_formed(known)
    }

    /// Whether other names of the file came before, or may come.
    fn link_role(&mut self, facts: &FileFacts, path: &[u8]) -> (LinkRole, Option<What>) {
        if facts.links < 2 || path.len() > LINK_PATH_BYTES_MAX {
            return (LinkRole::Single, None);
        }
        let key = (facts.device, facts.inode);
        let Some((first, left)) = self.links.get_mut(&key) else {
            self.links.insert(key, (path.into(), facts.links - 1));
            return (LinkRole::First(key), None);
        };
        *left -= 1;
        let (first, last) = (first.clone(), *left == 0);
        if last {
            self.links.remove(&key);
        }
        (LinkRole::Again(key), Some(What::Again { first, last }))
    }

    fn flush(&mut self, dir: &Arc<Dir>, batch: &mut Batch) -> Result<(), Stopped> {
        let Batch { found, names, .. } = std::mem::take(batch);
        if found.is_empty() {
            return Ok(());
        }
        if names.is_empty() {
            return self.send(Step::Files { found, reply: None });
        }
        let (reply, answer) = bounded(1);
        // The step first: only its place in the bounded channel allows the job.
        self.send(Step::Files { found, reply: Some(answer) })?;
        self.hand_over()?;
        let job = Job::Files { dir: Arc::clone(dir), names, reply };
        self.jobs.send(job).map_err(|_| Stopped)
    }
}

#[derive(Default)]
struct Batch {
    found: Vec<Found>,
    names: Vec<Box<[u8]>>,
    bytes: u64,
}

impl Batch {
    /// Counts what is about to be added.
    fn add(&mut self, found: &Found, name: &[u8]) {
        if matches!(found.what, What::Read) {
            self.names.push(name.into());
            self.bytes = self.bytes.saturating_add(found.facts.size);
        }
    }

    fn is_full(&self) -> bool {
        self.bytes >= BATCH_BYTES || self.found.len() >= BATCH_FILES
    }
}

/// A path below another; the root's is empty.
pub(crate) fn join(parent: &[u8], name: &[u8]) -> Vec<u8> {
    if parent.is_empty() {
        return name.to_vec();
    }
    [parent, b"/", name].concat()
}
