//! A look at directories before the planner comes to them, on threads of its own.
//!
//! Where nothing changed, planning is one look at every file, and the kernel answers two threads
//! nearly twice as fast as one. The planner takes the looks in its own order and decides alone; one
//! that failed it repeats, so that it meets the error itself.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Scope;

use directory::{AccessError, Dir, FileFacts, FileKind, Listed, Root};

use super::is_under;
use crate::record::RecordReader;

/// Threads that look: the planner has little left to do.
const THREADS: usize = 2;
/// Directories each of them may be ahead.
const AHEAD: usize = 32;

/// What is in a directory, by name, with the facts of what is no directory and could be looked at.
pub(super) struct Looked {
    pub(super) listed: Vec<Listed>,
    pub(super) facts: Vec<Option<FileFacts>>,
}

impl Looked {
    pub(super) fn at(dir: &Dir) -> Result<Self, AccessError> {
        let listed = dir.list()?;
        let facts = |listed: &Listed| {
            let is_directory = listed.kind == FileKind::Directory;
            if is_directory { None } else { dir.stat(&listed.name).ok() }
        };
        let facts = listed.iter().map(facts).collect();
        Ok(Self { listed, facts })
    }
}

type Look = (Vec<u8>, Option<Looked>);

/// The looks, in the order of the old index.
pub(super) struct Ahead {
    looks: Vec<Receiver<Look>>,
    taken: usize,
}

impl Ahead {
    /// Looks at the directories of `index` beneath `under`, from the next one on; each thread reads
    /// the index by itself.
    pub(super) fn start<'scope>(
        scope: &'scope Scope<'scope, '_>,
        root: &'scope Root,
        index: impl Fn() -> std::io::Result<RecordReader>,
        under: &[u8],
    ) -> std::io::Result<Self> {
        let mut looks = Vec::with_capacity(THREADS);
        for turn in 0..THREADS {
            let (sender, receiver) = sync_channel(AHEAD);
            let (index, under) = (index()?, under.to_vec());
            std::thread::Builder::new()
                .name("look ahead".to_owned())
                .spawn_scoped(scope, move || look(root, index, &under, turn, &sender))?;
            looks.push(receiver);
        }
        Ok(Self { looks, taken: 0 })
    }

    /// The look at the next directory, which the planner knows as `path`.
    pub(super) fn next(&mut self, path: &[u8]) -> Option<Looked> {
        let (found, looked) = self.looks[self.taken % THREADS].recv().ok()?;
        self.taken += 1;
        looked.filter(|_| found == path)
    }
}

/// Looks at every directory whose turn it is, until nobody listens or `under` is left.
fn look(root: &Root, mut index: RecordReader, under: &[u8], turn: usize, looks: &SyncSender<Look>) {
    let mut directories = 0;
    // What cannot be read here the planner cannot read either, and says so.
    while let Ok(Some(raw)) = index.next_raw() {
        if !is_under(raw.path, under) {
            return;
        }
        if !raw.is_directory() {
            continue;
        }
        if directories % THREADS == turn {
            let looked = root.open_dir(raw.path).and_then(|dir| Looked::at(&dir));
            if looks.send((raw.path.to_vec(), looked.ok())).is_err() {
                return;
            }
        }
        directories += 1;
    }
}
