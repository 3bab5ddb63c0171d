//! How large a tree may be, and whether one is.
//!
//! A tree is a graph: a directory that is named a thousand times is stored once. A few kilobytes
//! can therefore stand for more entries than there are atoms, so whoever walks a tree counts:
//!
//! * [`Survey`] measures a whole tree from its distinct directories, each read once, before
//!   anything is done with it;
//! * [`Tally`] counts along while a tree is walked, in constant memory.
//!
//! Both refuse what exceeds the totals the tree's root states, and what exceeds the limits here
//! whatever is stated.

use std::collections::HashMap;

use crate::{ChunkId, Contents, Kind, Node, Totals, TreeRoot};

/// Most entries of a tree. Several times what the largest mirrors and data sets that people
/// publish have; planning that many takes some ten gigabytes on disk.
pub const ENTRIES_MAX: u64 = 1 << 26;

/// Most directories of a tree: one in eight entries. What is kept in memory grows with the
/// distinct ones, some two hundred bytes each.
pub const DIRECTORIES_MAX: u64 = 1 << 23;

/// Most directories one inside the other. The longest path of one-letter names that Linux takes
/// in one call has as many.
pub const DEPTH_MAX: u64 = 2048;

/// Longest path from the root of a tree, in bytes: four times what Linux takes in one call.
pub const PATH_BYTES_MAX: u64 = 16 << 10;

/// Most bytes of all paths and of all directories' nodes, counted as often as they are named:
/// 512 for each of [`ENTRIES_MAX`] entries. Plans and indexes take about as much on disk.
pub const LISTING_BYTES_MAX: u64 = ENTRIES_MAX * 512;

/// Most bytes of all files together: the largest file there can be.
pub const CONTENT_BYTES_MAX: u64 = i64::MAX as u64;

/// Bytes of a path that an error shows.
const SHOWN_BYTES_MAX: usize = 160;

/// Why a tree is not walked on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TreeBoundsError {
    /// The tree holds more than its own root states: its publisher made it so. Ask them for
    /// another release.
    #[error(
        "tree {tree} is refused at {path:?}: it holds more than the {stated} {what} its publisher stated"
    )]
    MoreThanStated {
        /// Which tree.
        tree: ChunkId,
        /// Where it was noticed.
        path: String,
        /// What there is more of.
        what: &'static str,
        /// How much was stated.
        stated: u64,
    },
    /// The tree is larger than any may be. Ask its publisher to publish parts of it under names
    /// of their own.
    #[error("tree {tree} is refused at {path:?}: it has more than {max} {what}, the most any may")]
    TooLarge {
        /// Which tree.
        tree: ChunkId,
        /// Where it was noticed.
        path: String,
        /// What there is more of.
        what: &'static str,
        /// The limit.
        max: u64,
    },
}

impl TreeBoundsError {
    /// Of a tree that has more of something than any may.
    #[must_use]
    pub fn too_large(tree: ChunkId, path: &[u8], what: &'static str, max: u64) -> Self {
        Self::TooLarge { tree, path: shown(path), what, max }
    }
}

/// What hangs under a directory, counted as often as it is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extent {
    /// Entries by kind, and bytes of files.
    pub totals: Totals,
    /// Directories one inside the other.
    pub depth: u64,
    /// Bytes of the longest path.
    pub path_bytes: u64,
    /// Bytes of all paths and nodes.
    pub listing_bytes: u64,
}

impl Extent {
    /// Of a node of `size` bytes whose directories are empty.
    fn of(node: &Node, size: u64) -> Self {
        let mut extent = Self { listing_bytes: size, ..Self::default() };
        let Totals { files, directories, symlinks, bytes } = &mut extent.totals;
        for entry in &node.entries {
            match &entry.kind {
                Kind::File { size, .. } => {
                    *files += 1;
                    *bytes = bytes.saturating_add(*size);
                }
                Kind::Directory { .. } => *directories += 1,
                Kind::Symlink { .. } => *symlinks += 1,
            }
            let name_bytes = entry.name.as_bytes().len() as u64;
            extent.path_bytes = extent.path_bytes.max(name_bytes);
            extent.listing_bytes = extent.listing_bytes.saturating_add(name_bytes);
        }
        extent.depth = u64::from(extent.totals.directories > 0);
        extent
    }

    /// Files, directories and symbolic links together.
    #[must_use]
    pub fn entries(&self) -> u64 {
        let Totals { files, directories, symlinks, bytes: _ } = self.totals;
        files.saturating_add(directories).saturating_add(symlinks)
    }

    /// Adds what is under a directory whose path from here has `path_bytes` bytes and whose
    /// depth from here is `depth`.
    fn add(&mut self, below: &Self, path_bytes: u64, depth: u64) {
        let step = if path_bytes > 0 { path_bytes + 1 } else { 0 };
        let paths = below.entries().saturating_mul(step);
        let listed = below.listing_bytes.saturating_add(paths);
        self.listing_bytes = self.listing_bytes.saturating_add(listed);
        self.depth = self.depth.max(below.depth.saturating_add(depth));
        if below.entries() > 0 {
            self.path_bytes = self.path_bytes.max(below.path_bytes.saturating_add(step));
        }
        let (to, from) = (&mut self.totals, &below.totals);
        to.files = to.files.saturating_add(from.files);
        to.directories = to.directories.saturating_add(from.directories);
        to.symlinks = to.symlinks.saturating_add(from.symlinks);
        to.bytes = to.bytes.saturating_add(from.bytes);
    }

    /// What it has too much of: a word, and the limit.
    fn too_large(&self) -> Option<(&'static str, u64)> {
        let limits = [
            (self.entries(), "entries", ENTRIES_MAX),
            (self.totals.directories, "directories", DIRECTORIES_MAX),
            (self.depth, "directories one inside the other", DEPTH_MAX),
            (self.path_bytes, "bytes in one path", PATH_BYTES_MAX),
            (self.listing_bytes, "bytes of paths and directories", LISTING_BYTES_MAX),
            (self.totals.bytes, "bytes in its files", CONTENT_BYTES_MAX),
        ];
        let over = limits.into_iter().find(|(found, _, max)| found > max);
        over.map(|(_, what, max)| (what, max))
    }

    /// What it has more of than stated: a word, and how much was stated.
    fn more_than(&self, stated: &Totals) -> Option<(&'static str, u64)> {
        let pairs = [
            (self.totals.files, "files", stated.files),
            (self.totals.directories, "directories", stated.directories),
            (self.totals.symlinks, "symbolic links", stated.symlinks),
            (self.totals.bytes, "bytes", stated.bytes),
        ];
        let over = pairs.into_iter().find(|(found, _, stated)| found > stated);
        over.map(|(_, what, stated)| (what, stated))
    }
}

/// What a tree is held against.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    tree: ChunkId,
    stated: Totals,
}

impl Bounds {
    fn exceeds(&self, extent: &Extent) -> bool {
        extent.too_large().is_some() || extent.more_than(&self.stated).is_some()
    }

    fn check(
        &self,
        extent: &Extent,
        path: impl FnOnce() -> Vec<u8>,
    ) -> Result<(), TreeBoundsError> {
        let tree = self.tree;
        if let Some((what, max)) = extent.too_large() {
            return Err(TreeBoundsError::too_large(tree, &path(), what, max));
        }
        if let Some((what, stated)) = extent.more_than(&self.stated) {
            let path = shown(&path());
            return Err(TreeBoundsError::MoreThanStated { tree, path, what, stated });
        }
        Ok(())
    }
}

/// The beginning of a path, for people.
fn shown(path: &[u8]) -> String {
    match path.get(..SHOWN_BYTES_MAX) {
        Some(front) if path.len() > front.len() => {
            format!("{}… ({} bytes)", String::from_utf8_lossy(front), path.len())
        }
        _ => String::from_utf8_lossy(path).into_owned(),
    }
}

/// Counts what a walk comes by.
#[derive(Debug)]
pub struct Tally {
    bounds: Bounds,
    found: Extent,
}

impl Tally {
    /// Begins to count the tree of this id.
    ///
    /// # Errors
    /// When what the root states is more than any tree may have.
    pub fn new(tree: ChunkId, root: &TreeRoot) -> Result<Self, TreeBoundsError> {
        let bounds = Bounds { tree, stated: root.totals };
        let stated = Extent { totals: root.totals, ..Extent::default() };
        bounds.check(&stated, Vec::new)?;
        Ok(Self { bounds, found: Extent::default() })
    }

    /// Counts the directory at `path`, whose node has `size` bytes.
    ///
    /// # Errors
    /// When that is more than stated, or than any tree may have.
    pub fn count(&mut self, path: &[u8], size: u64, node: &Node) -> Result<(), TreeBoundsError> {
        let slashes = path.iter().filter(|byte| **byte == b'/').count() as u64;
        let depth = if path.is_empty() { 0 } else { slashes + 1 };
        self.found.add(&Extent::of(node, size), path.len() as u64, depth);
        self.bounds.check(&self.found, || path.to_vec())
    }
}

/// Number of a distinct directory of a survey, in the order of finding them; 0 is the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DirectoryIndex(u32);

/// What a directory that was found is to a [`Survey`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sighting {
    /// It was not found before and has to be read.
    New(DirectoryIndex),
    /// It is the same as one found before.
    Again(DirectoryIndex),
}

/// A distinct directory.
#[derive(Debug, Default)]
struct Directory {
    /// Before the end: what is directly in it. Then: everything under it.
    extent: Extent,
    below: Vec<(Box<[u8]>, u32)>,
    is_read: bool,
}

/// Measures a tree from its distinct directories.
///
/// Feed it the root with [`Survey::read`], every directory in that with [`Survey::found`], each
/// new one again with `read`, and so on; then [`Survey::finish`] counts each as often as it is
/// named.
#[derive(Debug)]
pub struct Survey {
    bounds: Bounds,
    /// What is directly in all directories read so far, each once.
    distinct: Extent,
    directories: Vec<Directory>,
    seen: HashMap<[u8; 16], u32>,
}

impl Survey {
    /// Begins to measure the tree of this id.
    ///
    /// # Errors
    /// When what the root states is more than any tree may have.
    pub fn new(tree: ChunkId, root: &TreeRoot) -> Result<Self, TreeBoundsError> {
        let Tally { bounds, .. } = Tally::new(tree, root)?;
        let seen = HashMap::from([(key(root.size, &root.contents), 0)]);
        let directories = vec![Directory::default()];
        Ok(Self { bounds, distinct: Extent::default(), directories, seen })
    }

    /// The root directory.
    #[must_use]
    pub fn root(&self) -> DirectoryIndex {
        DirectoryIndex(0)
    }

    /// Notes what is directly in a directory; returns whether this is the first time.
    ///
    /// # Errors
    /// When the distinct directories alone are more than stated, or than any tree may have.
    pub fn read(
        &mut self,
        directory: DirectoryIndex,
        size: u64,
        node: &Node,
    ) -> Result<bool, TreeBoundsError> {
        let noted = &mut self.directories[directory.0 as usize];
        if noted.is_read {
            return Ok(false);
        }
        noted.is_read = true;
        noted.extent = Extent::of(node, size);
        self.distinct.add(&noted.extent, 0, 0);
        self.bounds.check(&self.distinct, Vec::new)?;
        Ok(true)
    }

    /// Notes a directory called `name` in `parent`; it counts when the parent was read for the
    /// first time.
    pub fn found(
        &mut self,
        parent: DirectoryIndex,
        counts: bool,
        name: &[u8],
        size: u64,
        contents: &Contents,
    ) -> Sighting {
        // Fewer than DIRECTORIES_MAX: every one is an entry that `read` counted.
        let next = u32::try_from(self.directories.len()).unwrap_or(u32::MAX);
        let index = *self.seen.entry(key(size, contents)).or_insert(next);
        if index == next {
            self.directories.push(Directory::default());
        }
        if counts {
            self.directories[parent.0 as usize].below.push((name.into(), index));
        }
        let found = DirectoryIndex(index);
        if index == next { Sighting::New(found) } else { Sighting::Again(found) }
    }

    /// Counts every directory as often as it is named.
    ///
    /// # Errors
    /// When that is more than stated, or than any tree may have.
    pub fn finish(mut self) -> Result<Extent, TreeBoundsError> {
        // Ids are hashes, so no directory is in itself: children are complete before parents.
        let mut done = vec![false; self.directories.len()];
        let mut open = vec![(0usize, 0usize)];
        while let Some((index, next)) = open.pop() {
            match self.directories[index].below.get(next) {
                Some((_, child)) => {
                    let child = *child as usize;
                    open.push((index, next + 1));
                    if !done[child] {
                        open.push((child, 0));
                    }
                }
                None => {
                    let mut extent = self.directories[index].extent;
                    for (name, child) in &self.directories[index].below {
                        let below = &self.directories[*child as usize].extent;
                        extent.add(below, name.len() as u64, 1);
                    }
                    self.directories[index].extent = extent;
                    done[index] = true;
                }
            }
        }
        let extent = self.directories[0].extent;
        self.bounds.check(&extent, || self.path_to_most())?;
        Ok(extent)
    }

    /// The way down to the first directory that alone is too much.
    fn path_to_most(&self) -> Vec<u8> {
        let (mut path, mut at) = (Vec::new(), 0);
        loop {
            let below = &self.directories[at as usize].below;
            let too_much = below
                .iter()
                .find(|(_, child)| self.bounds.exceeds(&self.directories[*child as usize].extent));
            let Some((name, child)) = too_much else { return path };
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(name);
            at = *child;
        }
    }
}

/// What is equal for equal directories.
///
/// Half a hash: whoever wanted another directory to pass for a known one would need 2^64 tries,
/// and [`Tally`] would still count it.
fn key(size: u64, contents: &Contents) -> [u8; 16] {
    let bytes = crate::cbor::encode(|writer| {
        writer.u64(size)?;
        contents.write(&mut None, writer)
    });
    *blake3::hash(&bytes).as_bytes().first_chunk().expect("a hash has 32 bytes")
}

#[cfg(test)]
mod tests;
