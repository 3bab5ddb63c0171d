//! Phase A: compares the tree with the old index and with what is on disk.
//!
//! Directories come in walk order, and so do the records of the old index: the two are merged
//! like two sorted lists, and every decision becomes one record of the plan file. What is kept
//! in memory grows with the number of changes, not with the number of entries.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use content::{ChunkId, Contents, Entry, Kind, Name, Node, Piece};
use directory::{AccessError, Dir, FileFacts, FileKind, NameMerging, TEMP_DIRECTORY};

use crate::journal::{Placed, TempName};
use crate::metadata::Listing;
use crate::order::{join, shown, split, walk_order};
use crate::place::{Place, hash_unchanged};
use crate::record::{Action, Record, RecordWriter, Run};
use crate::{CheckoutError, CheckoutProgress};

mod ahead;
mod old_index;
mod same;
mod selection;

use ahead::Ahead;
pub(crate) use old_index::OldIndex;
pub(crate) use selection::Selection;

/// What planning found out.
#[derive(Debug, Default)]
pub(crate) struct Planned {
    pub(crate) files: u64,
    pub(crate) bytes_total: u64,
    /// Bytes of files that stay as they are.
    pub(crate) bytes_kept: u64,
    /// Files that were in the old index as the tree has them, and were not so on disk.
    pub(crate) repaired: u64,
    /// Files to be made.
    pub(crate) to_make: u64,
    pub(crate) unmanaged: u64,
    pub(crate) unmanaged_paths: Vec<Vec<u8>>,
    /// The blobs of files to be made, and their chunks, by the first eight bytes.
    pub(crate) blobs: HashSet<u64>,
    pub(crate) chunks: HashSet<u64>,
    /// Paths whose old file will not be needed any more, hashed.
    pub(crate) vanishing: HashSet<u64>,
}

/// The first eight bytes of an id, for sets that only need to be right nearly always.
pub(crate) fn short(id: &[u8; 32]) -> u64 {
    u64::from_le_bytes(*id.first_chunk().expect("32 bytes"))
}

pub(crate) fn short_path(path: &[u8]) -> u64 {
    short(blake3::hash(path).as_bytes())
}

/// How many unmanaged paths are named; all are counted.
const UNMANAGED_NAMED: usize = 100;

/// Decides about one directory after the other.
pub(crate) struct Planner<'a> {
    pub(crate) place: &'a Arc<Place>,
    pub(crate) progress: &'a CheckoutProgress,
    pub(crate) placed: &'a Placed,
    pub(crate) merging: NameMerging,
    pub(crate) selection: Option<Selection>,
    pub(crate) old: Option<OldIndex>,
    pub(crate) plan: RecordWriter,
    pub(crate) planned: Planned,
    /// There is another checkout to take contents from.
    pub(crate) has_base: bool,
    state: State,
}

#[derive(Default)]
struct State {
    /// A directory that is not on disk: nothing under it is.
    absent: Option<Vec<u8>>,
    /// Old directories where the tree has something else; true once the old index had them.
    conflicts: HashMap<Vec<u8>, bool>,
    /// Old files where the tree has directories.
    replaced: HashSet<Vec<u8>>,
    /// Directories on disk that the tree does not have and the old index did not yet name.
    strangers: HashSet<Vec<u8>>,
    /// Parents of entries that may turn out not to be selected.
    pending: Vec<Record>,
    /// Entries that stay as they are, not yet in the plan.
    run: Option<Run>,
    /// Directories that did not change, so far, and who looks at those to come.
    looked: usize,
    ahead: Option<Ahead>,
}

impl<'a> Planner<'a> {
    pub(crate) fn new(
        place: &'a Arc<Place>,
        progress: &'a CheckoutProgress,
        placed: &'a Placed,
        selection: Option<Selection>,
        old: Option<OldIndex>,
        plan: RecordWriter,
    ) -> Result<Self, CheckoutError> {
        let merging = NameMerging::of(&place.root)?;
        let (planned, state) = (Planned::default(), State::default());
        let has_base = false;
        Ok(Self {
            place,
            progress,
            placed,
            merging,
            selection,
            old,
            plan,
            planned,
            has_base,
            state,
        })
    }

    /// Plans everything that is directly in one directory, and the directory itself.
    pub(crate) fn directory(&mut self, mut listing: Listing) -> Result<(), CheckoutError> {
        let path = std::mem::take(&mut listing.path);
        check_names(self.merging, &path, &listing.node)?;
        let dir = match listing.entry.take() {
            None => Some(self.place.root.top()?),
            Some(entry) => self.this_directory(&path, entry)?,
        };
        let listed = match &dir {
            Some(dir) => dir.list()?,
            None => Vec::new(),
        };
        let mut known_names: HashSet<Vec<u8>> = HashSet::new();
        for entry in listing.node.walk_order() {
            if matches!(entry.kind, Kind::Directory { .. }) {
                break;
            }
            let child = join(&path, entry.name.as_bytes());
            if !self.selection.as_ref().is_none_or(|selection| selection.selects(&child)) {
                continue;
            }
            self.drain(Some((&child, false)), &path, &listing.node, &mut known_names)?;
            let old = self.matching(&child, false)?;
            let name = entry.name.as_bytes();
            let on_disk = match &dir {
                Some(dir) if listed.binary_search_by(|listed| (*listed.name).cmp(name)).is_ok() => {
                    Some((dir, dir.stat(name)?))
                }
                _ => None,
            };
            let pieces = listing.listed.remove(&entry.name).unwrap_or_default();
            self.entry(child, entry, pieces, old, on_disk)?;
        }
        self.drain(None, &path, &listing.node, &mut known_names)?;
        for found in listed {
            let reserved = path.is_empty() && *found.name == *TEMP_DIRECTORY;
            if reserved
                || listing.node.entry(&found.name).is_some()
                || known_names.contains(&*found.name)
            {
                continue;
            }
            let found_path = join(&path, &found.name);
            if found.kind == FileKind::Directory {
                self.state.strangers.insert(found_path);
            } else {
                self.stranger(found_path);
            }
        }
        Ok(())
    }

    /// Plans the directory itself; returns it open when it is on disk.
    fn this_directory(&mut self, path: &[u8], entry: Entry) -> Result<Option<Dir>, CheckoutError> {
        let mut none = HashSet::new();
        self.drain(Some((path, true)), path, &Node::default(), &mut none)?;
        let old = self.matching(path, true)?;
        let dir = if self.state.absent.as_ref().is_some_and(|absent| is_under(path, absent)) {
            None
        } else {
            self.open_dir(path)?
        };
        if dir.is_none() && !self.state.absent.as_ref().is_some_and(|absent| is_under(path, absent))
        {
            self.state.absent = Some(path.to_vec());
        }
        let selected = self.selection.as_ref().is_none_or(|selection| selection.selects(path));
        let action = if dir.is_some() { Action::Keep } else { Action::Make };
        let record = Record {
            action,
            path: path.to_vec(),
            // With these it needs no other look at the end.
            facts: old.as_ref().filter(|old| old.entry == entry).and_then(|old| old.facts),
            entry: match &old {
                Some(old) if !selected => old.entry.clone(),
                _ => entry,
            },
            listed: Vec::new(),
            proven: false,
        };
        if let (Some(dir), Some(old)) = (&dir, &old)
            && old.entry.mode == record.entry.mode
        {
            self.planned.repaired += u64::from(dir.facts()?.mode != old.entry.mode);
        }
        if selected || old.is_some() {
            self.push(record)?;
        } else {
            self.state.pending.retain(|pending| is_under(path, &pending.path));
            self.state.pending.push(record);
        }
        Ok(dir)
    }

    fn open_dir(&mut self, path: &[u8]) -> Result<Option<Dir>, CheckoutError> {
        match self.place.root.open_dir(path) {
            Ok(dir) => Ok(Some(dir)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(AccessError::Blocked { .. }) if self.state.replaced.contains(path) => Ok(None),
            Err(AccessError::Blocked { .. }) => Err(CheckoutError::in_the_way(path)),
            Err(error) if error.kind() == Some(std::io::ErrorKind::PermissionDenied) => {
                // Ours, but not even readable: the tree's mode comes back at the end.
                self.place.root.set_mode(path, 0o700)?;
                Ok(Some(self.place.root.open_dir(path)?))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Takes the old record of exactly this entry.
    fn matching(&mut self, path: &[u8], directory: bool) -> Result<Option<Record>, CheckoutError> {
        match &mut self.old {
            Some(old)
                if old
                    .next()
                    .is_some_and(|next| next.path == path && next.is_directory() == directory) =>
            {
                old.take()
            }
            _ => Ok(None),
        }
    }

    /// Handles old entries the tree does not have: those before `until`, or, without it, the
    /// rest of what was no directory in `path`.
    fn drain(
        &mut self,
        until: Option<(&[u8], bool)>,
        path: &[u8],
        node: &Node,
        names: &mut HashSet<Vec<u8>>,
    ) -> Result<(), CheckoutError> {
        loop {
            let Some(old) = &mut self.old else { return Ok(()) };
            let Some(next) = old.next() else { return Ok(()) };
            let (parent, name) = split(next.path);
            let gone = match until {
                Some(until) => walk_order((next.path, next.is_directory()), until).is_lt(),
                None => !next.is_directory() && parent == path,
            };
            if !gone {
                return Ok(());
            }
            let becomes_directory = !next.is_directory()
                && parent == path
                && node
                    .entry(name)
                    .is_some_and(|entry| matches!(entry.kind, Kind::Directory { .. }));
            if parent == path && !next.is_directory() {
                names.insert(name.to_vec());
            }
            let Some(record) = old.take()? else { return Ok(()) };
            self.gone(record, becomes_directory)?;
        }
    }

    fn gone(&mut self, mut record: Record, becomes_directory: bool) -> Result<(), CheckoutError> {
        if record.is_directory() {
            self.state.strangers.remove(&record.path);
        }
        if self.selection.is_some() {
            record.action = Action::Carry;
            return self.push(record);
        }
        let mut first = becomes_directory;
        if becomes_directory {
            self.state.replaced.insert(record.path.clone());
        }
        for (conflict, seen) in &mut self.state.conflicts {
            if is_under(&record.path, conflict) {
                first = true;
                *seen = *seen || record.path == *conflict;
            }
        }
        record.action = if first { Action::RemoveFirst } else { Action::Remove };
        self.planned.vanishing.insert(short_path(&record.path));
        self.push(record)
    }

    /// Plans a file or a symbolic link.
    fn entry(
        &mut self,
        path: Vec<u8>,
        entry: &Entry,
        listed: Vec<Piece>,
        old: Option<Record>,
        on_disk: Option<(&Dir, FileFacts)>,
    ) -> Result<(), CheckoutError> {
        let mut entry = entry.clone();
        if let Kind::File { link, .. } = &mut entry.kind
            && let (Some(target), Some(selection)) = (&*link, &self.selection)
            && !selection.selects(target)
        {
            // What it would be a link to is left out, so it stands for itself.
            *link = None;
        }
        if on_disk.as_ref().is_some_and(|(_, facts)| facts.kind == FileKind::Directory) {
            if self.selection.is_some() {
                return Err(CheckoutError::in_the_way(&path));
            }
            self.state.conflicts.insert(path.clone(), false);
        }
        let mut record =
            Record { action: Action::Make, path, facts: None, entry, listed, proven: false };
        if let Kind::File { size, link, .. } = &record.entry.kind {
            let size = *size;
            self.planned.files += 1;
            self.planned.bytes_total += size;
            CheckoutProgress::add(&self.progress.files_total, 1);
            CheckoutProgress::add(&self.progress.bytes_total, size);
            if link.is_some() {
                self.planned.bytes_kept += size;
                CheckoutProgress::add(&self.progress.bytes_done, size);
            } else {
                self.file(&mut record, size, old.as_ref(), on_disk)?;
            }
        }
        self.push(record)
    }

    fn file(
        &mut self,
        record: &mut Record,
        size: u64,
        old: Option<&Record>,
        on_disk: Option<(&Dir, FileFacts)>,
    ) -> Result<(), CheckoutError> {
        let same_blob = old.is_some_and(|old| blob_of(&old.entry) == blob_of(&record.entry));
        let was_link = old.is_some_and(|old| link_of(&old.entry).is_some());
        let mut kept = false;
        if let Some((dir, facts)) = on_disk
            && facts.kind == FileKind::File
            && facts.size == size
            && !was_link
        {
            let as_indexed = old.is_some_and(|old| {
                same_blob
                    && old.facts.is_some_and(|known| known.unchanged(&facts))
                    && (old.proven || same_contents(old, record))
            });
            let mut dressed = self.place.is_dressed(&facts, &record.entry);
            kept = as_indexed || self.was_settled(record, &facts);
            if kept {
                record.facts = Some(facts);
                record.proven = old.is_some_and(|old| as_indexed && old.proven);
                dressed &= as_indexed
                    && old.is_some_and(|old| old.entry.xattrs == record.entry.xattrs)
                    || self.has_xattrs(dir, record)?;
            } else if let Some((blob, facts)) = hash_unchanged(dir, record.entry.name.as_bytes())? {
                kept = Some(blob) == blob_of(&record.entry);
                record.facts = Some(facts);
                record.proven = kept;
                dressed &= kept && self.has_xattrs(dir, record)?;
            }
            // Other names of the same file must not change with this one.
            kept &= dressed || facts.links == 1;
            record.action = match (kept, dressed) {
                (true, true) => Action::Keep,
                (true, false) => Action::Repair,
                (false, _) => Action::Make,
            };
        }
        let same_dress = old.is_some_and(|old| {
            let (old, new) = (&old.entry, &record.entry);
            (old.mode, old.mtime, old.owner) == (new.mode, new.mtime, new.owner)
        });
        let edited = same_blob && !was_link && (!kept || same_dress);
        self.planned.repaired += u64::from(edited && record.action != Action::Keep);
        if kept {
            self.planned.bytes_kept += size;
            CheckoutProgress::add(&self.progress.bytes_done, size);
            CheckoutProgress::add(&self.progress.files_done, 1);
        } else {
            record.facts = None;
            self.count_job(record, old.is_some());
        }
        Ok(())
    }

    /// Whether an earlier run for this tree completed the file and gave it its name.
    fn was_settled(&self, record: &Record, facts: &FileFacts) -> bool {
        let Kind::File { blob, .. } = &record.entry.kind else { return false };
        self.placed.same_boot
            && self.placed.complete.contains(&TempName::of(&record.path, blob))
            && facts.mtime == record.entry.mtime
    }

    fn has_xattrs(&self, dir: &Dir, record: &Record) -> Result<bool, CheckoutError> {
        let found = dir.xattrs(record.entry.name.as_bytes(), self.place.scope())?;
        Ok(found == record.entry.xattrs)
    }

    fn count_job(&mut self, record: &Record, replaces: bool) {
        self.planned.to_make += 1;
        if replaces {
            self.planned.vanishing.insert(short_path(&record.path));
        }
        if self.old.is_none() && !self.has_base {
            return;
        }
        if let Kind::File { blob, contents, .. } = &record.entry.kind
            && !matches!(contents, Contents::Inline(_))
        {
            self.planned.blobs.insert(short(blob.as_bytes()));
            let chunks = record.pieces().iter().filter_map(|piece| match piece {
                Piece::Chunk(chunk) => Some(short(ChunkId::as_bytes(&chunk.id))),
                Piece::Hole(_) => None,
            });
            self.planned.chunks.extend(chunks);
        }
    }

    /// Plans that the next record of the old index stays as it is.
    fn stays(&mut self, (start, end): (u64, u64)) -> Result<(), CheckoutError> {
        if !self.state.run.as_mut().is_some_and(|run| run.extend(start, end)) {
            self.close_run()?;
            self.state.run = Some(Run { offset: start, bytes: end - start, records: 1 });
        }
        Ok(())
    }

    fn close_run(&mut self) -> Result<(), CheckoutError> {
        match self.state.run.take() {
            Some(run) => self.plan.push_run(&run).map_err(CheckoutError::State),
            None => Ok(()),
        }
    }

    fn push(&mut self, record: Record) -> Result<(), CheckoutError> {
        self.close_run()?;
        for pending in std::mem::take(&mut self.state.pending) {
            if is_under(&record.path, &pending.path) {
                self.plan.push(&pending).map_err(CheckoutError::State)?;
            }
        }
        self.plan.push(&record).map_err(CheckoutError::State)
    }

    fn stranger(&mut self, path: Vec<u8>) {
        self.planned.unmanaged += 1;
        if self.planned.unmanaged_paths.len() < UNMANAGED_NAMED {
            self.planned.unmanaged_paths.push(path);
        }
    }

    /// Ends the plan after the last directory.
    pub(crate) fn finish(mut self) -> Result<Planned, CheckoutError> {
        // Everything still in the old index comes after the last entry of the tree.
        while let Some(record) = match &mut self.old {
            Some(old) => old.take()?,
            None => None,
        } {
            self.gone(record, false)?;
        }
        if let Some((path, _)) = self.state.conflicts.iter().find(|(_, seen)| !**seen) {
            return Err(CheckoutError::in_the_way(path));
        }
        let mut strangers: Vec<_> = std::mem::take(&mut self.state.strangers).into_iter().collect();
        strangers.sort_unstable();
        for path in strangers {
            self.stranger(path);
        }
        self.close_run()?;
        self.plan.finish(false).map_err(CheckoutError::State)?;
        Ok(self.planned)
    }
}

/// Whether `path` is `above` or beneath it.
fn is_under(path: &[u8], above: &[u8]) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
}

fn blob_of(entry: &Entry) -> Option<content::BlobId> {
    match &entry.kind {
        Kind::File { blob, .. } => Some(*blob),
        Kind::Directory { .. } | Kind::Symlink { .. } => None,
    }
}

fn link_of(entry: &Entry) -> Option<&Vec<u8>> {
    match &entry.kind {
        Kind::File { link, .. } => link.as_ref(),
        Kind::Directory { .. } | Kind::Symlink { .. } => None,
    }
}

/// Whether both say the same chunks, so that the old bytes are the new ones whether or not the
/// publisher's word about the blob is true.
pub(crate) fn same_contents(old: &Record, new: &Record) -> bool {
    let contents = |record: &Record| match &record.entry.kind {
        Kind::File { contents, .. } => Some(contents.clone()),
        Kind::Directory { .. } | Kind::Symlink { .. } => None,
    };
    contents(old) == contents(new)
}

/// Refuses names the destination would take for one, and the name of our own directory.
fn check_names(merging: NameMerging, path: &[u8], node: &Node) -> Result<(), CheckoutError> {
    if path.is_empty() {
        let reserved = merging.key(TEMP_DIRECTORY);
        for entry in &node.entries {
            if merging.key(entry.name.as_bytes()) == reserved {
                return Err(CheckoutError::Reserved { path: shown(entry.name.as_bytes()) });
            }
        }
    }
    if merging == NameMerging::default() {
        return Ok(());
    }
    let mut seen: HashMap<_, &Name> = HashMap::new();
    for entry in &node.entries {
        if let Some(first) = seen.insert(merging.key(entry.name.as_bytes()), &entry.name) {
            let [first, second] =
                [first, &entry.name].map(|name| shown(&join(path, name.as_bytes())));
            return Err(CheckoutError::NamesMerge { first, second });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use content::{Mtime, Node};

    use super::*;

    fn node(names: &[&str]) -> Node {
        let entry = |name: &&str| Entry {
            name: Name::new(name.as_bytes()).expect("valid"),
            mode: 0o777,
            mtime: Mtime { seconds: 0, nanos: 0 },
            owner: None,
            xattrs: Vec::new(),
            kind: Kind::Symlink { target: b"x".to_vec() },
        };
        Node { entries: names.iter().map(entry).collect() }
    }

    /// What a file system merges is probed; the machines that run this have none that does.
    #[test]
    fn names_the_destination_takes_for_one_are_refused_and_both_named() {
        let plain = NameMerging::default();
        let case = NameMerging { case: true, ..plain };
        let unicode = NameMerging { unicode: true, ..plain };
        let accents = node(&["e\u{301}", "\u{e9}"]);
        for (merging, names) in [(case, node(&["README", "Readme"])), (unicode, accents)] {
            check_names(plain, b"docs", &names).expect("two names elsewhere");
            let refused = check_names(merging, b"docs", &names);
            let Err(CheckoutError::NamesMerge { first, second }) = refused else {
                panic!("{refused:?}");
            };
            assert!(first.starts_with("docs/") && second.starts_with("docs/") && first != second);
        }
        assert!(check_names(case, b"", &node(&["README", "other"])).is_ok());
        let ours = check_names(case, b"", &node(&[".Consign.TMP"]));
        assert!(matches!(ours, Err(CheckoutError::Reserved { .. })));
    }
}
