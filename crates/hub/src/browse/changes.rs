//! What changed between two trees.
//!
//! Both are walked side by side; a directory that has the same node in both is not entered, so
//! the work follows what changed and not what there is.

use std::collections::{BTreeMap, HashMap};

use content::{BlobId, Contents, Entry, Kind, ListSegment, Node, Piece};

use super::{BrowseError, PATH_BYTES_MAX, Tree};

/// Entries looked at before a comparison is cut short: with their paths some tens of megabytes.
const ENTRIES_MAX: usize = 200_000;

/// Bytes of paths that are kept at once.
const PATHS_BYTES_MAX: usize = 32 << 20;

/// Bytes of directories that are read. [`ENTRIES_MAX`] entries as publishers make them take a
/// third of it; what takes more is extended attributes without measure.
const NODES_BYTES_MAX: u64 = 64 << 20;

/// Bytes of references that are kept to directories not entered yet.
const OPEN_BYTES_MAX: usize = 32 << 20;

/// What became of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ChangeKind {
    /// It is only in the later tree.
    Added,
    /// It is only in the earlier tree.
    Removed,
    /// It is in both, with other contents, another target, mode or kind.
    Changed,
    /// A file of the same contents went away from `from`.
    Moved {
        /// The path before.
        from: Vec<u8>,
    },
}

/// One path that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// The path, in the later tree if it is there.
    pub(crate) path: Vec<u8>,
    /// What happened to it.
    pub(crate) kind: ChangeKind,
    /// Size of the file in the later tree, in the earlier one for what was removed; 0 for what is
    /// no file.
    pub(crate) bytes: u64,
}

/// All changes, sorted by path, and how many of each kind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Changes {
    pub(crate) list: Vec<Change>,
    pub(crate) added: u64,
    pub(crate) changed: u64,
    pub(crate) removed: u64,
    pub(crate) moved: u64,
    /// Bytes of files that were added or changed.
    pub(crate) fresh_bytes: u64,
    /// False when there was more than is looked at: then all numbers are too small.
    pub(crate) is_complete: bool,
}

/// What is compared: a file that moved keeps all of it.
fn is_same(one: &Entry, other: &Entry) -> bool {
    let same = match (&one.kind, &other.kind) {
        (Kind::File { blob: a, .. }, Kind::File { blob: b, .. }) => a == b,
        (Kind::Symlink { target: a }, Kind::Symlink { target: b }) => a == b,
        // What is in them is compared on its own.
        (Kind::Directory { .. }, Kind::Directory { .. }) => true,
        (Kind::File { .. } | Kind::Directory { .. } | Kind::Symlink { .. }, _) => false,
    };
    // Links have no mode of their own.
    same && (one.mode == other.mode || matches!(one.kind, Kind::Symlink { .. }))
}

/// What the walk collects.
#[derive(Default)]
struct Walk {
    entries: usize,
    path_bytes: usize,
    nodes_bytes: u64,
    /// Of all that is in the list of steps.
    open_bytes: usize,
    added: BTreeMap<Vec<u8>, Option<(BlobId, u64)>>,
    removed: BTreeMap<Vec<u8>, Option<(BlobId, u64)>>,
    changed: BTreeMap<Vec<u8>, u64>,
}

/// A directory to compare: its path, and what it is in each tree.
struct Step {
    path: Vec<u8>,
    before: Option<Directory>,
    after: Option<Directory>,
}

/// What is kept of the entry of a directory.
struct Directory {
    size: u64,
    node: BlobId,
    contents: Contents,
}

impl Directory {
    fn of(entry: Entry) -> Option<Self> {
        match entry.kind {
            Kind::Directory { size, node, contents } => Some(Self { size, node, contents }),
            Kind::File { .. } | Kind::Symlink { .. } => None,
        }
    }

    fn size(it: Option<&Self>) -> u64 {
        it.map_or(0, |it| it.size)
    }

    async fn open(it: Option<&Self>, tree: &Tree) -> Result<Node, BrowseError> {
        match it {
            Some(it) => tree.browser.node(it.size, &it.contents).await,
            None => Ok(Node::default()),
        }
    }
}

impl Step {
    /// Bytes it takes, apart from its path, which is counted among the paths.
    fn bytes(&self) -> usize {
        let references = [&self.before, &self.after].into_iter().flatten();
        let references = references.map(|directory| match &directory.contents {
            Contents::Inline(bytes) => bytes.len(),
            Contents::Slice { .. } => 0,
            Contents::Pieces(pieces) => pieces.len() * size_of::<Piece>(),
            Contents::List(segments) => segments.len() * size_of::<ListSegment>(),
        });
        size_of::<Self>() + references.sum::<usize>()
    }
}

/// Compares two trees; `before` and `after` may be of any two releases.
pub(crate) async fn changes(before: &Tree, after: &Tree) -> Result<Changes, BrowseError> {
    let mut walk = Walk::default();
    let mut is_complete = true;
    if before.root.node != after.root.node {
        let mut open = Vec::new();
        is_complete = walk.enter(before.root.size, after.root.size);
        if is_complete {
            let old = before.root_directory().await?;
            let new = after.root_directory().await?;
            is_complete = walk.compare(&[], old, new, &mut open);
        }
        while is_complete && let Some(step) = open.pop() {
            walk.open_bytes -= step.bytes();
            let (old, new) = (step.before.as_ref(), step.after.as_ref());
            is_complete = walk.enter(Directory::size(old), Directory::size(new));
            if is_complete {
                let old = Directory::open(old, before).await?;
                let new = Directory::open(new, after).await?;
                is_complete = walk.compare(&step.path, old, new, &mut open);
            }
        }
    }
    Ok(Changes { is_complete, ..walk.finish() })
}

impl Walk {
    /// Whether directories of these sizes may still be read.
    fn enter(&mut self, before_bytes: u64, after_bytes: u64) -> bool {
        let bytes = before_bytes.saturating_add(after_bytes);
        self.nodes_bytes = self.nodes_bytes.saturating_add(bytes);
        self.nodes_bytes <= NODES_BYTES_MAX
    }

    /// Compares two directories and notes which of theirs must be entered; returns whether there
    /// is room for more.
    fn compare(&mut self, path: &[u8], old: Node, new: Node, open: &mut Vec<Step>) -> bool {
        let mut old = old.entries.into_iter().peekable();
        let mut new = new.entries.into_iter().peekable();
        loop {
            let (before, after) = match (old.peek(), new.peek()) {
                (None, None) => return true,
                (Some(_), None) => (old.next(), None),
                (None, Some(_)) => (None, new.next()),
                (Some(a), Some(b)) => match a.name.cmp(&b.name) {
                    std::cmp::Ordering::Less => (old.next(), None),
                    std::cmp::Ordering::Greater => (None, new.next()),
                    std::cmp::Ordering::Equal => (old.next(), new.next()),
                },
            };
            if !self.note(path, before, after, open) {
                return false;
            }
        }
    }

    fn note(
        &mut self,
        directory: &[u8],
        before: Option<Entry>,
        after: Option<Entry>,
        open: &mut Vec<Step>,
    ) -> bool {
        let Some(entry) = after.as_ref().or(before.as_ref()) else { return true };
        let mut path = directory.to_vec();
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(entry.name.as_bytes());
        self.entries += 1;
        self.path_bytes += path.len();
        if self.entries > ENTRIES_MAX
            || self.path_bytes > PATHS_BYTES_MAX
            || path.len() > PATH_BYTES_MAX
        {
            return false;
        }
        match (&before, &after) {
            (Some(old), Some(new)) => {
                if !is_same(old, new) {
                    self.changed.insert(path.clone(), file(new).map_or(0, |(_, size)| size));
                }
            }
            (Some(old), None) => drop(self.removed.insert(path.clone(), file(old))),
            (None, Some(new)) => drop(self.added.insert(path.clone(), file(new))),
            (None, None) => {}
        }
        let before = before.and_then(Directory::of);
        let after = after.and_then(Directory::of);
        let differ = match (&before, &after) {
            (None, None) => false,
            (Some(old), Some(new)) => old.node != new.node,
            (Some(_), None) | (None, Some(_)) => true,
        };
        if differ {
            let step = Step { path, before, after };
            self.open_bytes += step.bytes();
            open.push(step);
        }
        self.open_bytes <= OPEN_BYTES_MAX
    }

    /// Finds what moved and counts.
    fn finish(mut self) -> Changes {
        let mut gone: HashMap<BlobId, Vec<Vec<u8>>> = HashMap::new();
        for (path, file) in self.removed.iter().rev() {
            if let Some((blob, _)) = file {
                gone.entry(*blob).or_default().push(path.clone());
            }
        }
        let mut found = Changes::default();
        for (path, file) in self.added {
            let from = file.and_then(|(blob, _)| gone.get_mut(&blob)?.pop());
            let bytes = file.map_or(0, |(_, size)| size);
            let kind = match from {
                Some(from) => {
                    self.removed.remove(&from);
                    found.moved += 1;
                    ChangeKind::Moved { from }
                }
                None => {
                    found.added += 1;
                    found.fresh_bytes = found.fresh_bytes.saturating_add(bytes);
                    ChangeKind::Added
                }
            };
            found.list.push(Change { path, kind, bytes });
        }
        for (path, bytes) in self.changed {
            found.changed += 1;
            found.fresh_bytes = found.fresh_bytes.saturating_add(bytes);
            found.list.push(Change { path, kind: ChangeKind::Changed, bytes });
        }
        for (path, file) in self.removed {
            found.removed += 1;
            let bytes = file.map_or(0, |(_, size)| size);
            found.list.push(Change { path, kind: ChangeKind::Removed, bytes });
        }
        found.list.sort_by(|one, other| one.path.cmp(&other.path));
        found
    }
}

/// Contents and size of a file.
fn file(entry: &Entry) -> Option<(BlobId, u64)> {
    match &entry.kind {
        Kind::File { blob, size, .. } => Some((*blob, *size)),
        Kind::Directory { .. } | Kind::Symlink { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use content::{ChunkId, ChunkRef, Mtime, Name};

    use super::*;

    fn directory(number: u32, contents: Contents) -> Entry {
        Entry {
            name: Name::new(format!("{number:08}").as_bytes()).expect("a name"),
            mode: 0o755,
            mtime: Mtime { seconds: 0, nanos: 0 },
            owner: None,
            xattrs: Vec::new(),
            kind: Kind::Directory { size: 1, node: BlobId::of(&number.to_le_bytes()), contents },
        }
    }

    #[test]
    fn directories_not_entered_yet_take_bounded_memory() {
        let chunk = ChunkRef::plain(ChunkId::of(b"chunk"), 5);
        let large = Contents::Pieces(vec![Piece::Chunk(chunk); 64]);
        let mut walk = Walk::default();
        let mut open = Vec::new();
        let mut steps = 0;
        let is_complete = (0..20u32).all(|part| {
            let numbers = part * 1000..(part + 1) * 1000;
            let entries = numbers.map(|number| directory(number, large.clone())).collect();
            let is_complete = walk.compare(b"", Node::default(), Node { entries }, &mut open);
            steps = open.len();
            is_complete
        });
        assert!(!is_complete, "{steps} steps are kept");
        let kept: usize = open.iter().map(Step::bytes).sum();
        assert_eq!(kept, walk.open_bytes);
        assert!(kept <= OPEN_BYTES_MAX + open[0].bytes(), "{kept}");
        // As many that are small are no burden.
        let small = Contents::Slice { chunk, offset: 0 };
        let entries = (0..20_000).map(|number| directory(number, small.clone())).collect();
        let mut walk = Walk::default();
        assert!(walk.compare(b"", Node::default(), Node { entries }, &mut Vec::new()));
    }

    #[test]
    fn directories_that_were_entered_are_counted() {
        let mut walk = Walk::default();
        assert!(walk.enter(NODES_BYTES_MAX / 2, NODES_BYTES_MAX / 2));
        assert!(!walk.enter(0, 1));
        assert!(!walk.enter(u64::MAX, u64::MAX));
    }
}
