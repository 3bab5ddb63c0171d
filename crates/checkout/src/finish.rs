//! Gives complete files their names, and in the end everything else its shape.
//!
//! Order matters: contents are durable before a name shows them; links come after the files
//! they link to; removals after all that replaces; directories' modes and times last, when
//! nothing in them changes any more; then the index, and only then is the journal forgotten.

use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use content::{ChunkId, Kind, Mtime};
use directory::facts::now;
use directory::{AccessError, FileFacts, FileKind, Root, TEMP_DIRECTORY};

use crate::journal::TempName;
use crate::order::{shown, split};
use crate::place::{Dirs, Place};
use crate::record::{Action, Covers, Record, RecordReader, RecordWriter};
use crate::reuse::open_plan;
use crate::{CheckoutError, CheckoutProgress, Stop};

/// A temporary file that only needs its name.
#[derive(Debug)]
pub(crate) struct Completed {
    pub(crate) path: Vec<u8>,
    pub(crate) temp: TempName,
    pub(crate) size: u64,
}

/// Files and bytes between two syncs.
const BATCH_FILES: usize = 4096;
const BATCH_BYTES: u64 = 64 << 20;

/// Takes complete files until nobody sends any more.
pub(crate) fn settle(
    place: &Place,
    progress: &CheckoutProgress,
    stop: &Stop,
    completed: &mpsc::Receiver<Completed>,
) -> Result<(), CheckoutError> {
    let mut dirs = Dirs::new(&place.root);
    let (mut batch, mut bytes) = (Vec::new(), 0);
    loop {
        let next = completed.recv().ok();
        let last = next.is_none();
        if let Some(next) = next {
            bytes += next.size;
            batch.push(next);
        }
        if last || batch.len() >= BATCH_FILES || bytes >= BATCH_BYTES {
            stop.check()?;
            if !batch.is_empty() {
                place.sync()?;
            }
            for file in batch.drain(..) {
                place.settle(&mut dirs, file.temp, &file.path)?;
                CheckoutProgress::add(&progress.files_done, 1);
            }
            bytes = 0;
        }
        if last {
            return Ok(());
        }
    }
}

/// Before files get their names: takes away what is in the way and was ours, makes directories,
/// and opens those that exist to us.
pub(crate) fn prepare(place: &Place, plan: &Path) -> Result<(), CheckoutError> {
    let mut dirs = Dirs::new(&place.root);
    let mut first = Vec::new();
    let mut reader = open_plan(plan)?;
    while let Some(raw) = reader.next_raw().map_err(CheckoutError::State)? {
        let (is_directory, path, action) = (raw.is_directory(), raw.path, raw.action);
        match (action, is_directory) {
            (Action::RemoveFirst, false) => {
                remove_file(&mut dirs, path)?;
            }
            (Action::RemoveFirst, true) => first.push(path.to_vec()),
            (Action::Make, true) => {
                let (parent, name) = split(path);
                match dirs.at(parent)?.mkdir(name) {
                    Err(error) if !error.is_already_there() => return Err(error.into()),
                    Ok(()) | Err(_) => {}
                }
            }
            (Action::Keep, true) => {
                let (parent, name) = split(path);
                let parent = dirs.at(parent)?;
                let mode = parent.stat(name)?.mode;
                if mode & 0o700 != 0o700 {
                    parent.set_mode(name, mode | 0o700)?;
                }
            }
            _ => {}
        }
    }
    dirs.forget();
    for path in first.iter().rev() {
        match place.root.rmdir(path) {
            Err(error) if error.is_not_found() => {}
            // Something that is not ours is in it.
            Err(_) => return Err(CheckoutError::in_the_way(path)),
            Ok(()) => {}
        }
    }
    Ok(())
}

fn remove_file(dirs: &mut Dirs<'_>, path: &[u8]) -> Result<bool, CheckoutError> {
    let (parent, name) = split(path);
    match dirs.at(parent).and_then(|dir| dir.unlink(name)) {
        Ok(()) => Ok(true),
        Err(AccessError::Blocked { .. }) => Ok(false),
        Err(error) if error.is_not_found() => Ok(false),
        // A directory stands there now, which is not ours.
        Err(error) if error.kind() == Some(std::io::ErrorKind::IsADirectory) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// What the end of a checkout did.
#[derive(Debug, Default)]
pub(crate) struct Finished {
    pub(crate) removed: u64,
}

/// The end of a checkout.
pub(crate) struct Finish<'a> {
    pub(crate) place: &'a Place,
    pub(crate) progress: &'a CheckoutProgress,
    pub(crate) stop: &'a Stop,
    pub(crate) tree: ChunkId,
}

impl Finish<'_> {
    /// Links, symbolic links, repairs and removals.
    pub(crate) fn shape(&self, plan: &Path) -> Result<Finished, CheckoutError> {
        let mut finished = Finished::default();
        let mut dirs = Dirs::new(&self.place.root);
        let mut gone = Vec::new();
        let mut reader = open_plan(plan)?;
        let shaping = [Action::Make, Action::Repair, Action::Remove, Action::RemoveFirst];
        while let Some(record) = reader.next_of(&shaping).map_err(CheckoutError::State)? {
            self.stop.check()?;
            match (record.action, &record.entry.kind) {
                (Action::Remove, Kind::Directory { .. }) => gone.push(record.path),
                (Action::Remove, _) => {
                    finished.removed += u64::from(remove_file(&mut dirs, &record.path)?);
                }
                (Action::RemoveFirst, _) => finished.removed += 1,
                (Action::Repair, _) => self.repair(&mut dirs, &record)?,
                (Action::Make, Kind::File { link: Some(target), .. }) => {
                    self.link(&mut dirs, &record, target)?;
                    CheckoutProgress::add(&self.progress.files_done, 1);
                }
                (Action::Make, Kind::Symlink { target }) => {
                    self.symlink(&mut dirs, &record, target)?;
                }
                _ => {}
            }
        }
        dirs.forget();
        for path in gone.iter().rev() {
            // Not empty means that something in it is not ours: it stays.
            finished.removed += u64::from(self.place.root.rmdir(path).is_ok());
        }
        Ok(finished)
    }

    fn repair(&self, dirs: &mut Dirs<'_>, record: &Record) -> Result<(), CheckoutError> {
        let (parent, name) = split(&record.path);
        let (dir, entry) = (dirs.at(parent)?, &record.entry);
        if let Some(owner) = self.place.owner(entry.owner) {
            dir.set_owner(name, owner)?;
        }
        if dir.xattrs(name, self.place.scope())? != entry.xattrs {
            dir.set_xattrs(name, &entry.xattrs, self.place.scope())?;
        }
        dir.set_mode(name, entry.mode)?;
        Ok(dir.set_mtime(name, entry.mtime)?)
    }

    fn link(
        &self,
        dirs: &mut Dirs<'_>,
        record: &Record,
        target: &[u8],
    ) -> Result<(), CheckoutError> {
        let source =
            self.place.look(dirs, target)?.ok_or_else(|| CheckoutError::Contradiction {
                path: shown(&record.path),
                reason: "a hard link to an entry the tree does not have",
            })?;
        let there = self.place.look(dirs, &record.path)?;
        if there.is_some_and(|there| same_file(&there, &source)) {
            return Ok(());
        }
        if source.kind != FileKind::File {
            let reason = "a hard link to something that is no file";
            return Err(CheckoutError::Contradiction { path: shown(&record.path), reason });
        }
        self.place.root.link(target, &record.path).map_err(|error| over(&record.path, error))
    }

    fn symlink(
        &self,
        dirs: &mut Dirs<'_>,
        record: &Record,
        target: &[u8],
    ) -> Result<(), CheckoutError> {
        let (parent, name) = split(&record.path);
        let dir = dirs.at(parent)?;
        let there = self.place.look(dirs, &record.path)?;
        let same = there.is_some_and(|there| there.kind == FileKind::Symlink)
            && dir.read_link(name)? == target;
        if !same {
            let made = self.place.root.symlink(target, &record.path);
            made.map_err(|error| over(&record.path, error))?;
        }
        if !same || there.is_some_and(|there| there.mtime != record.entry.mtime) {
            dir.set_mtime(name, record.entry.mtime)?;
        }
        if let Some(owner) = self.place.owner(record.entry.owner)
            && there.is_none_or(|there| !same || there.owner != owner)
        {
            dir.set_owner(name, owner)?;
        }
        Ok(())
    }

    /// Gives directories their modes and times, deepest first.
    pub(crate) fn directories(&self, plan: &Path) -> Result<(), CheckoutError> {
        let mut open: Vec<Record> = Vec::new();
        let mut reader = open_plan(plan)?;
        while let Some(raw) = reader.next_raw().map_err(CheckoutError::State)? {
            if !raw.is_directory() || !matches!(raw.action, Action::Keep | Action::Make) {
                continue;
            }
            let record = raw.open().ok_or_else(unknown_form)?;
            while let Some(above) = open.pop_if(|above| !is_in(&record.path, &above.path)) {
                self.directory(&above)?;
            }
            open.push(record);
        }
        while let Some(above) = open.pop() {
            self.directory(&above)?;
        }
        Ok(())
    }

    fn directory(&self, record: &Record) -> Result<(), CheckoutError> {
        let (dir, name) = self.place.root.parent(&record.path)?;
        let (facts, entry) = (dir.stat(name)?, &record.entry);
        if record.facts.is_some_and(|known| known.unchanged(&facts)) {
            return Ok(());
        }
        let owner = self.place.owner(entry.owner).filter(|owner| *owner != facts.owner);
        if let Some(owner) = owner {
            dir.set_owner(name, owner)?;
        }
        let may_have = record.action == Action::Keep || !entry.xattrs.is_empty();
        if may_have && dir.xattrs(name, self.place.scope())? != entry.xattrs {
            dir.set_xattrs(name, &entry.xattrs, self.place.scope())?;
        }
        if facts.mode != entry.mode || owner.is_some() {
            dir.set_mode(name, entry.mode)?;
        }
        if facts.mtime != entry.mtime {
            dir.set_mtime(name, entry.mtime)?;
        }
        Ok(())
    }

    /// Writes the index: what is there now, with facts that would show any later change.
    pub(crate) fn index(
        &self,
        plan: &Path,
        index: &Path,
        covers: Covers,
    ) -> Result<(), CheckoutError> {
        // What was finished just now has time stamps that a change in the same tick would share.
        std::thread::sleep(TICK);
        let now = now();
        let mut dirs = Dirs::new(&self.place.root);
        let mut writer =
            RecordWriter::create(index, self.tree, covers).map_err(CheckoutError::State)?;
        let mut reader = open_plan(plan)?;
        let mut old = None;
        while let Some(raw) = reader.next_raw().map_err(CheckoutError::State)? {
            let mut record = match raw.action {
                Action::Remove | Action::RemoveFirst => continue,
                Action::Same => {
                    let run = raw.run().ok_or_else(unknown_form)?;
                    let known = match old.take() {
                        Some(known) => known,
                        None => RecordReader::reopen(index).map_err(CheckoutError::State)?,
                    };
                    let known = old.insert(known);
                    writer.copy_run(known, &run).map_err(CheckoutError::State)?;
                    continue;
                }
                Action::Carry => {
                    writer.copy(&raw, Action::Keep).map_err(CheckoutError::State)?;
                    continue;
                }
                Action::Keep | Action::Repair | Action::Make => {
                    raw.open().ok_or_else(unknown_form)?
                }
            };
            let found = self.place.look(&mut dirs, &record.path)?;
            record.facts = found.filter(|found| is_ours(&record, found, now));
            record.action = Action::Keep;
            writer.push(&record).map_err(CheckoutError::State)?;
        }
        writer.finish(self.place.durable).map_err(CheckoutError::State)
    }
}

pub(crate) fn unknown_form() -> CheckoutError {
    CheckoutError::State(std::io::Error::other("the plan or the index has an unknown form"))
}

const TICK: Duration = Duration::from_millis(25);

/// Whether what is on disk is still what we kept or put there.
fn is_ours(record: &Record, found: &FileFacts, now: Mtime) -> bool {
    let expected = match &record.entry.kind {
        Kind::File { size, .. } => found.kind == FileKind::File && found.size == *size,
        Kind::Directory { .. } => found.kind == FileKind::Directory,
        Kind::Symlink { .. } => found.kind == FileKind::Symlink,
    };
    let kept = match (&record.facts, record.action) {
        (Some(facts), Action::Keep) if !record.is_directory() => facts.unchanged(found),
        _ => found.mtime == record.entry.mtime,
    };
    expected && kept && found.settled(now)
}

fn is_in(path: &[u8], directory: &[u8]) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.first() == Some(&b'/'))
}

fn same_file(one: &FileFacts, other: &FileFacts) -> bool {
    (one.inode, one.device) == (other.inode, other.device)
}

fn over(path: &[u8], error: AccessError) -> CheckoutError {
    match error.kind() {
        Some(std::io::ErrorKind::IsADirectory) => CheckoutError::in_the_way(path),
        _ => error.into(),
    }
}

/// Removes what unfinished checkouts left in the temporary directory.
pub(crate) fn sweep(place: &Place) -> Result<(), CheckoutError> {
    for left in place.temp.list()? {
        place.temp.unlink(&left.name)?;
    }
    Ok(())
}

/// Removes the temporary directory, when it is empty.
pub(crate) fn remove_temp(root: &Root) -> Result<(), CheckoutError> {
    match root.rmdir(TEMP_DIRECTORY) {
        Err(error) if !error.is_not_found() => Err(error.into()),
        _ => Ok(()),
    }
}

/// Whether everything the index has is on disk, unchanged: then there is nothing to do. Returns
/// the number of files and their bytes.
pub(crate) fn all_unchanged(
    root: &Root,
    index: &Path,
    tree: ChunkId,
    covers: Covers,
) -> Result<Option<(u64, u64)>, CheckoutError> {
    let reader = RecordReader::open_for(index, tree, covers).map_err(CheckoutError::State)?;
    let Some(mut reader) = reader else { return Ok(None) };
    let (mut files, mut bytes) = (0, 0);
    let mut dirs = Dirs::new(root);
    while let Some(raw) = reader.next_raw().map_err(CheckoutError::State)? {
        let (parent, name) = split(raw.path);
        let Some(facts) = raw.facts else { return Ok(None) };
        let Ok(found) = dirs.at(parent).and_then(|parent| parent.stat(name)) else {
            return Ok(None);
        };
        if !found.unchanged(&facts) {
            return Ok(None);
        }
        if facts.kind == FileKind::File {
            files += 1;
            bytes += facts.size;
        }
    }
    Ok(Some((files, bytes)))
}
