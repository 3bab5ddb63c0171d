//! A look at directories before the planner comes to them, on threads of its own.
//!
//! Where nothing changed, planning is one look at every file, and the kernel answers two threads
//! nearly twice as fast as one. The planner takes the looks in its own order and decides alone; one
//! that failed it repeats, so that it meets the error itself.

use std::cmp::Ordering;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use directory::{Dir, FileFacts, FileKind, Listed};

use crate::order::walk_order;
use crate::place::Place;
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
    pub(super) fn at(dir: &Dir) -> Result<Self, directory::AccessError> {
        let listed = dir.list()?;
        let facts = |listed: &Listed| {
            let is_directory = listed.kind == FileKind::Directory;
            if is_directory { None } else { dir.stat(&listed.name).ok() }
        };
        let facts = listed.iter().map(facts).collect();
        Ok(Self { listed, facts })
    }
}

/// A directory, and what is in it unless that could not be seen.
type Look = (Vec<u8>, Option<Looked>);

/// The looks, in the order of the old index.
pub(super) struct Ahead {
    threads: Vec<(Receiver<Look>, JoinHandle<()>)>,
    taken: usize,
    /// Taken, and further on than the planner.
    further: Option<Look>,
}

impl Ahead {
    /// Looks at the directories of `index`, from the next one on; each thread reads it by itself.
    pub(super) fn start(
        place: &Arc<Place>,
        index: impl Fn() -> std::io::Result<RecordReader>,
    ) -> std::io::Result<Self> {
        let mut ahead = Self { threads: Vec::new(), taken: 0, further: None };
        for turn in 0..THREADS {
            let (sender, looks) = sync_channel(AHEAD);
            let (place, index) = (Arc::clone(place), index()?);
            let thread = std::thread::Builder::new().name("look ahead".to_owned());
            let thread = thread.spawn(move || look(&place, index, turn, &sender))?;
            ahead.threads.push((looks, thread));
        }
        Ok(ahead)
    }

    /// The look at `path`, if there is one; those before it are let go.
    pub(super) fn at(&mut self, path: &[u8]) -> Option<Looked> {
        loop {
            let (found, looked) = match self.further.take() {
                Some(further) => further,
                None => {
                    let look = self.threads[self.taken % THREADS].0.recv().ok()?;
                    self.taken += 1;
                    look
                }
            };
            match walk_order((&found, true), (path, true)) {
                Ordering::Less => {}
                Ordering::Equal => return looked,
                Ordering::Greater => {
                    self.further = Some((found, looked));
                    return None;
                }
            }
        }
    }
}

impl Drop for Ahead {
    /// Nobody looks any more when the planner has ended.
    fn drop(&mut self) {
        for (looks, thread) in self.threads.drain(..) {
            drop(looks);
            // One that panicked told nothing, and the planner looked by itself.
            drop(thread.join());
        }
    }
}

/// Looks at every directory whose turn it is, until nobody listens.
fn look(place: &Place, mut index: RecordReader, turn: usize, looks: &SyncSender<Look>) {
    let mut directories = 0;
    // What cannot be read here the planner cannot read either, and says so.
    while let Ok(Some(raw)) = index.next_raw() {
        if !raw.is_directory() {
            continue;
        }
        if directories % THREADS == turn {
            let looked = place.root.open_dir(raw.path).and_then(|dir| Looked::at(&dir));
            if looks.send((raw.path.to_vec(), looked.ok())).is_err() {
                return;
            }
        }
        directories += 1;
    }
}
