//! Puts file sets in place, and back.
//!
//! A set becomes a list of *items*: names that are to stand for something else from now on. An
//! item is one file among others (`merge`), or a whole directory (`replace`, or one that was not
//! there). What an item is to be is first made whole, under a hidden name in the directory that
//! all items of the set are beneath (`.consign-…`, the *stage*), on the same file system
//! therefore. Then each is exchanged with what is at its name, in one step; what was there is in
//! the stage from then on, and is exchanged again if the set is put back. The stage is removed
//! when the package is over.
//!
//! * Files that are as they should be (contents, mode and owner) are not touched by `merge`, and
//!   a directory of which that holds altogether is not touched by `replace`.
//! * Everything that can be refused is refused before the first exchange: a disk that is full, a
//!   directory where a file is to be, a name on another file system. A later failure exchanges back what was exchanged.
//! * Where the target leads is decided by nobody but root and us, see `reach`; beneath a
//!   directory that files are merged into no link is followed at all. A link *at* the target of
//!   a file or of `replace` is itself what is replaced.
//! * Set-user-id, set-group-id and sticky bits of the package's files are not taken over: who owns
//!   a file here need not be who owned it there. A mode that the step names is set as it is.
//! * Nothing but files, directories and symbolic links is placed; links are placed as they are,
//!   and never followed. Extended attributes are not placed.
//!
//! What was done is in a note of the state directory ([`notes`]): it is *preparing* while the
//! stage is made, *ready* while items are exchanged, and *placed* when all are. Files are known
//! by their inodes, so that it can be seen at every name which of both is there. So placing and
//! putting back can be stopped anywhere, and done again.
//!
//! Start reading at [`FilesAt::place`].

mod compare;
mod notes;
mod stage;
mod switch;

use std::path::{Path, PathBuf};

use content::Owner;
use directory::{AccessError, FileKind, Root};
use package::receipt::Placed;
use package::{FileSet, Placing};

use crate::reach;
use notes::{Base, Item, Notes, Progress};

/// Why files were not put in place, or back.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// They cannot be put there; everything is as it was. The reason, for people.
    #[error("{0}")]
    NotPlaced(String),
    /// They are in place in part, and could be put neither there nor back: the disk fails, or
    /// somebody changes the same places. Nothing is lost; see to that, and do it again.
    #[error("files of {target} are in place in part: {reason}")]
    Stuck {
        /// Where they are to be.
        target: String,
        /// Why.
        reason: String,
    },
}

/// Where notes of file sets are kept, and how far work on them may come in a test.
#[derive(Debug, Clone)]
pub struct FilesAt {
    state: PathBuf,
}

/// How files of one set are to be.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    owner: Owner,
    mode: Option<u32>,
}

impl Wanted {
    /// The mode of something that has this one in the package.
    fn mode(&self, kind: FileKind, mode: u32) -> u32 {
        match (kind, self.mode) {
            (FileKind::File, Some(mode)) => mode & 0o7777,
            _ => mode & 0o777,
        }
    }
}

impl FilesAt {
    /// Keeps notes in this directory, which is ours alone.
    #[must_use]
    pub fn new(state: &Path) -> Self {
        Self { state: state.to_owned() }
    }

    /// Puts a set in place; done again after it was stopped, it goes on. `number` tells sets of one
    /// package apart.
    ///
    /// # Errors
    /// See [`FilesError`].
    pub fn place(&self, number: usize, set: &FileSet, tree: &Root) -> Result<Placed, FilesError> {
        match self.try_place(number, set, tree) {
            Ok(placed) => Ok(placed),
            Err(reason) => match self.try_put_back(number) {
                Ok(()) => Err(FilesError::NotPlaced(reason)),
                Err(why) => {
                    let reason = format!("{reason}; and then: {why}");
                    Err(FilesError::Stuck { target: set.target.clone(), reason })
                }
            },
        }
    }

    /// Puts everything back as it was before the set was placed. Nothing to do is done at once.
    ///
    /// # Errors
    /// The reason, for people; what could not be put back stays in the stage, as the text says.
    pub fn put_back(&self, number: usize) -> Result<(), String> {
        self.try_put_back(number)
    }

    /// Removes what a set replaced, once it is not wanted back any more.
    ///
    /// # Errors
    /// The reason, for people.
    pub fn forget(&self, number: usize) -> Result<(), String> {
        let Some(notes) = Notes::load(&self.state, number)? else { return Ok(()) };
        // Somebody may have removed all of it, the stage too.
        if let Some(Base { root, .. }) = notes.find_base()? {
            remove_stage(&root, &notes.stage)?;
            root.top().and_then(|top| top.sync()).map_err(told)?;
        }
        Notes::remove(&self.state, number)
    }

    /// Keeps what a set replaced for somebody to look at, and forgets that it is of this package.
    ///
    /// # Errors
    /// When the state directory cannot be used.
    pub fn leave(&self, number: usize) -> std::io::Result<()> {
        Notes::leave(&self.state, number)
    }

    fn try_place(&self, number: usize, set: &FileSet, tree: &Root) -> Result<Placed, String> {
        let mut notes = match Notes::load(&self.state, number)? {
            Some(notes) if notes.progress != Progress::Preparing => notes,
            begun => {
                if begun.is_some() {
                    self.try_put_back(number)?;
                }
                match self.prepare(number, set, tree)? {
                    Prepared::Nothing(counts) => return Ok(counts),
                    Prepared::Stage(notes) => notes,
                }
            }
        };
        if notes.progress == Progress::Ready {
            let base = notes.open_base()?;
            switch::all(&base, &notes)?;
            notes.progress = Progress::Placed;
            notes.save(&self.state, number)?;
        }
        Ok(notes.counts())
    }

    fn try_put_back(&self, number: usize) -> Result<(), String> {
        let Some(notes) = Notes::load(&self.state, number)? else { return Ok(()) };
        let base = notes.open_base()?;
        switch::all_back(&base, &notes)?;
        if remove_stage(&base.root, &notes.stage).is_err() {
            step()?;
            // Everything is back; what is left of the stage is room on the disk.
            return self.leave(number).map_err(|error| format!("cannot leave {number}: {error}"));
        }
        base.root.sync_file_system().map_err(told)?;
        Notes::remove(&self.state, number)
    }

    /// Makes what is to be placed.
    fn prepare(&self, number: usize, set: &FileSet, tree: &Root) -> Result<Prepared, String> {
        let wanted = wanted(set)?;
        let source = tree.stat(set.contents.as_bytes()).map_err(told)?;
        let merges = set.placing == Placing::Merge && source.kind == FileKind::Directory;
        let place = Place::find(&set.target, merges)?;
        let found = match &place {
            Place::Within { base, .. } => compare::merged(tree, set, base, wanted)?,
            Place::At { base, names, .. } => compare::replaced(tree, set, base, names, wanted)?,
        };
        if found.items.is_empty() {
            return Ok(Prepared::Nothing(found.counts));
        }
        let (base, path) = match place {
            Place::Within { base, path } | Place::At { base, path, .. } => (base, path),
        };
        let mut notes = Notes::new(path, &base, found.counts)?;
        notes.save(&self.state, number)?;
        step()?;
        let slots = stage::make(&base, &notes.stage)?;
        let base = Base::of(base)?;
        for (slot, item) in found.items.into_iter().enumerate() {
            step()?;
            let name = notes::slot_name(slot);
            stage::copy(tree, &item, &slots, &name, wanted)?;
            let old = match base.root.parent(&item.path) {
                Ok((parent, name)) => base.at(&parent, name)?,
                Err(error) if error.is_not_found() => None,
                Err(error) => return Err(told(error)),
            };
            let new = slots.stat(&name).map_err(told)?.inode;
            notes.items.push(Item { path: item.path, new, old });
        }
        base.root.sync_file_system().map_err(told)?;
        notes.progress = Progress::Ready;
        step()?;
        notes.save(&self.state, number)?;
        Ok(Prepared::Stage(notes))
    }
}

/// Removes a stage, and tries once more what could not be removed: a stage that stays is hidden and in
/// nobody's way, so nobody would see to it.
fn remove_stage(base: &Root, name: &str) -> Result<(), String> {
    stage::remove(base, name).or_else(|_| stage::remove(base, name))
}

enum Prepared {
    /// Everything is as it should be.
    Nothing(Placed),
    Stage(Notes),
}

/// Where a set goes.
enum Place {
    /// Into this directory, among others.
    Within { base: Root, path: PathBuf },
    /// To a name beneath this directory; of several names all but the last are of directories
    /// that are not there yet.
    At { base: Root, path: PathBuf, names: Vec<Vec<u8>> },
}

impl Place {
    fn find(target: &str, merges: bool) -> Result<Self, String> {
        let target = Path::new(target);
        if merges {
            match reach::open(target) {
                Ok(found) => {
                    let base = directory(found, target)?;
                    return Ok(Self::Within { base, path: target.to_owned() });
                }
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        let mut names = Vec::new();
        let mut path = target.to_owned();
        loop {
            let name = path.file_name().ok_or("the root directory itself is no target")?;
            names.insert(0, name.as_encoded_bytes().to_vec());
            path.pop();
            match reach::open(&path) {
                Ok(found) => {
                    let base = directory(found, &path)?;
                    return Ok(Self::At { base, path, names });
                }
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error.to_string()),
            }
        }
    }
}

/// What was opened, if it is a directory.
fn directory(found: std::os::fd::OwnedFd, path: &Path) -> Result<Root, String> {
    let facts = directory::FileFacts::of(&found).map_err(|error| error.to_string())?;
    if facts.kind == FileKind::Directory {
        Ok(found.into())
    } else {
        Err(format!("{} is no directory", path.display()))
    }
}

/// Something to be made in the stage.
struct Staged {
    /// Its name, beneath the base.
    path: Vec<u8>,
    /// What it is to be, beneath the package's tree.
    source: Vec<u8>,
    /// Directories to be made around it.
    around: Vec<Vec<u8>>,
}

fn wanted(set: &FileSet) -> Result<Wanted, String> {
    let owner = match &set.owner {
        Some(owner) => {
            let (user, group) = crate::script::owner(owner).map_err(|it| it.to_string())?;
            Owner { user, group }
        }
        None => Owner {
            user: rustix::process::geteuid().as_raw(),
            group: rustix::process::getegid().as_raw(),
        },
    };
    Ok(Wanted { owner, mode: set.mode })
}

/// An error and what caused it, for people.
fn told(error: AccessError) -> String {
    match std::error::Error::source(&error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    if directory.is_empty() { name.to_vec() } else { [directory, b"/", name].concat() }
}

/// A point at which a test may stop the work as a kill would.
#[cfg_attr(not(test), expect(clippy::unnecessary_wraps, reason = "it fails in tests"))]
fn step() -> Result<(), String> {
    #[cfg(test)]
    tests::stop_here()?;
    Ok(())
}

#[cfg(test)]
mod tests;
