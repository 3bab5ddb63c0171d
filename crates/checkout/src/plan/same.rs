//! Directories whose entries are those of the old index, with everything beneath them.

use content::Entry;
use directory::{Dir, FileFacts, FileKind};

use super::ahead::{Ahead, Looked};
use super::old_index::malformed;
use super::{Planner, is_under};
use crate::order::{join, split};
use crate::record::Raw;
use crate::{CheckoutError, CheckoutProgress};

/// Directories the planner looks at by itself before it has others look ahead.
const ALONE: usize = 8;

/// The directory that is gone through.
struct Here {
    path: Vec<u8>,
    dir: Option<Dir>,
    looked: Looked,
    seen: Vec<bool>,
}

impl Here {
    fn open(
        path: Vec<u8>,
        dir: Option<Dir>,
        looked: Option<Looked>,
    ) -> Result<Self, CheckoutError> {
        let looked = match (&dir, looked) {
            (Some(_), Some(looked)) => looked,
            (Some(dir), None) => Looked::at(dir)?,
            (None, _) => Looked { listed: Vec::new(), facts: Vec::new() },
        };
        let seen = vec![false; looked.listed.len()];
        Ok(Self { path, dir, looked, seen })
    }

    /// What is on disk under a name.
    fn facts(&mut self, name: &[u8]) -> Result<Option<FileFacts>, CheckoutError> {
        let Some(dir) = &self.dir else { return Ok(None) };
        match self.looked.listed.binary_search_by(|listed| (*listed.name).cmp(name)) {
            Ok(at) => {
                self.seen[at] = true;
                match self.looked.facts[at] {
                    Some(facts) => Ok(Some(facts)),
                    None => Ok(Some(dir.stat(name)?)),
                }
            }
            Err(_) => Ok(None),
        }
    }
}

impl Planner<'_> {
    /// Plans a directory that has the contents it had when the old index was written.
    ///
    /// What is on disk as the index says stays without another look at the tree; what somebody
    /// edited is planned from its old record, whose entry is also that of the tree.
    pub(crate) fn same(&mut self, path: Vec<u8>, entry: Entry) -> Result<(), CheckoutError> {
        let dir = self.this_directory(&path, entry)?;
        let looked = self.looked(&path);
        let mut here = Here::open(path.clone(), dir, looked)?;
        while let Some(old) = &mut self.old {
            let Some(body) = old.ahead() else { break };
            let raw = Raw::decode(body).ok_or_else(malformed)?;
            if !is_under(raw.path, &path) {
                break;
            }
            if raw.is_directory() {
                let record = raw.open().ok_or_else(malformed)?;
                let looked = self.looked(&record.path);
                self.leave(here);
                self.state.strangers.remove(&record.path);
                let dir = self.this_directory(&record.path, record.entry)?;
                here = Here::open(record.path, dir, looked)?;
                continue;
            }
            let (parent, name) = split(raw.path);
            if parent != here.path {
                return Err(malformed());
            }
            let found = here.facts(name)?;
            let kept = match (&raw.facts, &found) {
                // With several names it matters which of them are links to which.
                (Some(known), Some(found)) => known.unchanged(found) && found.links == 1,
                _ => false,
            };
            if kept {
                let stretch = old.stretch();
                old.step()?;
                self.stays(stretch)?;
                if let Some(found) = found.filter(|found| found.kind == FileKind::File) {
                    self.keep(found.size);
                }
                continue;
            }
            let Some(record) = old.take()? else { break };
            let listed = record.listed.clone();
            let on_disk = here.dir.as_ref().zip(found);
            self.entry(record.path.clone(), &record.entry.clone(), listed, Some(record), on_disk)?;
        }
        self.leave(here);
        Ok(())
    }

    /// What others saw in the directory; they begin when there are enough of them.
    fn looked(&mut self, path: &[u8]) -> Option<Looked> {
        self.state.looked += 1;
        if self.state.looked == ALONE
            && let Some(old) = &self.old
        {
            self.state.ahead = Ahead::start(self.place, || old.again()).ok();
        }
        self.state.ahead.as_mut()?.at(path)
    }

    /// A file that is there.
    fn keep(&mut self, size: u64) {
        self.planned.files += 1;
        self.planned.bytes_total += size;
        self.planned.bytes_kept += size;
        for counter in [&self.progress.files_total, &self.progress.files_done] {
            CheckoutProgress::add(counter, 1);
        }
        for counter in [&self.progress.bytes_total, &self.progress.bytes_done] {
            CheckoutProgress::add(counter, size);
        }
    }

    /// Notes what is in a directory and in no record. Directories may still get theirs.
    fn leave(&mut self, here: Here) {
        for (listed, _) in here.looked.listed.iter().zip(&here.seen).filter(|(_, seen)| !**seen) {
            let path = join(&here.path, &listed.name);
            if listed.kind == FileKind::Directory {
                self.state.strangers.insert(path);
            } else {
                self.stranger(path);
            }
        }
    }
}
