//! Puts together, in walk order, what the readers found.

mod links;
mod records;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use content::bounds::Tally;
use content::reference::INLINE_BYTES_MAX;
use content::{
    BlobId, ChunkRef, Contents, Entry, Kind, Mtime, Name, Owner, Piece, Totals, TreeRef, TreeRoot,
};
use crossbeam_channel::{Receiver, Sender};
use directory::{FileFacts, IndexEntry, IndexKind, IndexWriter, Root, Xattrs};

use crate::levels::{LevelId, Levels, Listing};
use crate::read::{Body, FileReader, Job, Outcome, ReadFile, reason};
use crate::runs::{Groups, Member, Placed, Run, RunItem, known_group};
use crate::walk::{Entered, Found, LinkKey, LinkRole, Step, What, join};
use crate::{SkipReason, Skipped, Snapshot, SnapshotError, SnapshotOptions};
use links::{Link, LinkState};
use records::Records;

/// A file that waits for its contents: its directory, its place there, its index record.
#[derive(Clone, Copy)]
pub(crate) struct Slot {
    level: LevelId,
    place: usize,
    record: u64,
    link: LinkRole,
}

/// Where the bytes of a file are, before they are placed.
enum Source {
    Bytes(Vec<u8>),
    Group(ChunkRef, u32),
    Pieces(Vec<Piece>),
}

/// All that is known of a file.
struct FoundFile {
    facts: FileFacts,
    recorded_at: Mtime,
    xattrs: Xattrs,
    blob: BlobId,
    source: Source,
}

impl From<ReadFile> for FoundFile {
    fn from(file: ReadFile) -> Self {
        let ReadFile { facts, recorded_at, xattrs, blob, body } = file;
        let source = match body {
            Body::Small(bytes) => Source::Bytes(bytes),
            Body::Pieces(pieces) => Source::Pieces(pieces),
        };
        Self { facts, recorded_at, xattrs, blob, source }
    }
}

pub(crate) struct Assembler<'a> {
    root: &'a Root,
    options: &'a SnapshotOptions,
    reader: &'a FileReader<'a>,
    listing: Listing<'a>,
    levels: Levels,
    records: Records,
    run: Run,
    groups: Groups,
    links: HashMap<LinkKey, Link>,
    /// Directories the walk is in.
    stack: Vec<(LevelId, Arc<[u8]>)>,
    totals: Totals,
    skipped: Vec<Skipped>,
}

impl<'a> Assembler<'a> {
    pub(crate) fn new(
        root: &'a Root,
        options: &'a SnapshotOptions,
        reader: &'a FileReader<'a>,
        jobs: Sender<Job>,
        index: IndexWriter,
    ) -> Self {
        Self {
            root,
            options,
            reader,
            listing: Listing::new(reader.output),
            levels: Levels::new(),
            records: Records::new(index),
            run: Run::new(),
            groups: Groups::new(jobs),
            links: HashMap::new(),
            stack: Vec::new(),
            totals: Totals::default(),
            skipped: Vec::new(),
        }
    }

    /// Takes all steps and finishes the tree.
    pub(crate) fn assemble(
        mut self,
        steps: Receiver<Vec<Step>>,
    ) -> Result<Snapshot, SnapshotError> {
        for step in steps.into_iter().flatten() {
            match step {
                Step::Enter(entered) => self.enter(*entered),
                Step::Files { found, reply } => self.take_files(found, reply)?,
                Step::FilesEnd => {
                    if self.run.end_directory() {
                        self.close_run()?;
                    }
                }
                Step::Leave => {
                    let (level, _) = self.stack.pop().expect("each leave follows an enter");
                    self.levels.leave(level, &mut self.listing)?;
                }
                Step::Skip { path, reason } => self.skipped.push(Skipped { path, reason }),
            }
        }
        self.close_run()?;
        while let Some(group) = self.groups.oldest() {
            self.settle(&group)?;
        }
        self.finish()
    }

    fn finish(mut self) -> Result<Snapshot, SnapshotError> {
        let Some(root) = self.levels.into_root() else {
            let reason = self.skipped.pop().map_or(SkipReason::Changing, |last| last.reason);
            return Err(SnapshotError::Unreadable(reason));
        };
        let root = TreeRoot {
            parameters: content::cut::PARAMETERS,
            size: root.size,
            node: root.node,
            contents: root.contents,
            totals: self.totals,
        };
        let tree = TreeRef(self.listing.put(&root.encode())?);
        Tally::new(tree.id(), &root)?;
        let (closure, closure_head) = self.listing.finish(tree.id())?;
        self.records.finish()?;
        Ok(Snapshot {
            tree,
            totals: self.totals,
            closure,
            closure_head,
            skipped: self.skipped,
            files_read: self.reader.files_read(),
            bytes_read: self.reader.bytes_read(),
        })
    }

    fn enter(&mut self, entered: Entered) {
        let Entered { name, path, facts, xattrs } = entered;
        let within = match (name, self.stack.last()) {
            (Some(name), Some((parent, _))) => {
                self.totals.directories += 1;
                Some((*parent, self.entry(name, &facts, xattrs)))
            }
            _ => None,
        };
        self.stack.push((self.levels.enter(within), path));
    }

    /// An entry whose kind is set later.
    fn entry(&self, name: Name, facts: &FileFacts, xattrs: Xattrs) -> Entry {
        Entry {
            name,
            mode: facts.mode,
            mtime: facts.mtime,
            owner: self.owner(facts),
            xattrs,
            kind: Kind::Symlink { target: Vec::new() },
        }
    }

    fn owner(&self, facts: &FileFacts) -> Option<Owner> {
        self.options.owners.then_some(facts.owner)
    }

    fn take_files(
        &mut self,
        found: Vec<Found>,
        reply: Option<Receiver<Vec<Outcome>>>,
    ) -> Result<(), SnapshotError> {
        let outcomes = match reply {
            // A reader that is gone was told to stop, or panicked, which the scope reports.
            Some(reply) => reply.recv().map_err(|_| crate::SinkError::Closed)?,
            None => Vec::new(),
        };
        let mut outcomes = outcomes.into_iter();
        let (level, parent) = self.stack.last().expect("files are in a directory").clone();
        for Found { name, facts, what, link } in found {
            let path = join(&parent, name.as_bytes());
            match what {
                What::Symlink(target) => {
                    self.totals.symlinks += 1;
                    let kind = Kind::Symlink { target };
                    let entry = self.entry(name, &facts, Xattrs::new());
                    self.levels.add(level, Entry { kind, ..entry });
                }
                What::Skip(reason) => self.skipped.push(Skipped { path, reason }),
                What::Known(known) => {
                    let IndexEntry { facts, recorded_at, xattrs, kind, .. } = *known;
                    let file = match kind {
                        IndexKind::File { blob, contents, listed } => {
                            let source = match contents {
                                Contents::Inline(bytes) => Source::Bytes(bytes),
                                Contents::Slice { chunk, offset } => Source::Group(chunk, offset),
                                Contents::Pieces(pieces) => Source::Pieces(pieces),
                                Contents::List(_) => Source::Pieces(listed),
                            };
                            FoundFile { facts, recorded_at, xattrs, blob, source }
                        }
                        IndexKind::Symlink { .. } | IndexKind::Directory => {
                            unreachable!("the walk trusts entries of files alone")
                        }
                    };
                    self.take_file(level, name, path, link, file)?;
                }
                What::Read => match outcomes.next().expect("a reader answers for each file") {
                    Outcome::Read(file) => {
                        self.reader.handed_over(&file);
                        self.take_file(level, name, path, link, (*file).into())?;
                    }
                    Outcome::Skipped(reason) => self.skip(path, link, reason)?,
                    Outcome::Failed(error) => return Err(error.into()),
                },
                What::Again { first, last } => {
                    self.take_again(level, name, path, link, first, last)?;
                }
            }
        }
        Ok(())
    }

    fn skip(
        &mut self,
        path: Vec<u8>,
        link: LinkRole,
        reason: SkipReason,
    ) -> Result<(), SnapshotError> {
        if let LinkRole::First(key) = link {
            self.skip_link(key, &reason)?;
        }
        self.skipped.push(Skipped { path, reason });
        Ok(())
    }

    /// Removes a file that was waited for.
    fn leave_out(&mut self, slot: Slot) -> Result<(), SnapshotError> {
        *self.levels.entry(slot.level, slot.place) = None;
        *self.records.entry(slot.record) = None;
        self.records.settle(slot.record)?;
        Ok(self.levels.settle(slot.level, &mut self.listing)?)
    }

    fn take_file(
        &mut self,
        level: LevelId,
        name: Name,
        path: Vec<u8>,
        link: LinkRole,
        file: FoundFile,
    ) -> Result<(), SnapshotError> {
        if let LinkRole::First(key) = link {
            let state = LinkState::Waiting(Vec::new());
            self.links.insert(key, Link { state, over: false });
        }
        let FoundFile { facts, recorded_at, xattrs, blob, source } = file;
        let entry = self.entry(name, &facts, xattrs.clone());
        let place = self.levels.add_waiting(level, entry);
        let record = self.records.open(Some(IndexEntry {
            path: path.clone(),
            facts,
            recorded_at,
            xattrs,
            // Until the contents are known.
            kind: IndexKind::Directory,
        }));
        let slot = Slot { level, place, record, link };
        self.take_source(slot, path, facts.size, blob, source)
    }

    fn take_source(
        &mut self,
        slot: Slot,
        path: Vec<u8>,
        size: u64,
        blob: BlobId,
        source: Source,
    ) -> Result<(), SnapshotError> {
        let (bytes, known) = match source {
            Source::Bytes(bytes) if bytes.len() <= INLINE_BYTES_MAX => {
                return self.resolve(slot, size, blob, Contents::Inline(bytes), Vec::new());
            }
            Source::Pieces(pieces) => {
                let (contents, listed) = self.listing.contents_of(pieces)?;
                return self.resolve(slot, size, blob, contents, listed);
            }
            Source::Bytes(bytes) => (Some(bytes), None),
            Source::Group(chunk, offset) => (None, Some((chunk, offset))),
        };
        let length = usize::try_from(size).expect("members are small");
        self.place(Box::new(Member { slot, path, blob, length, bytes, known }))
    }

    fn place(&mut self, mut member: Box<Member>) -> Result<(), SnapshotError> {
        loop {
            match self.run.place(member) {
                Placed::Open => return Ok(()),
                Placed::ClosesAfter => return self.close_run(),
                Placed::ClosesBefore(again) => {
                    self.close_run()?;
                    member = again;
                }
            }
        }
    }

    /// Settles groups by count alone: the order of the closure must not depend on how files
    /// were batched, which differs between a first reading and one with an index.
    fn push_group(
        &mut self,
        items: Vec<RunItem>,
        known: Option<ChunkRef>,
    ) -> Result<(), SnapshotError> {
        self.groups.push(items, known);
        while let Some(group) = self.groups.overdue() {
            self.settle(&group)?;
        }
        Ok(())
    }

    /// Ends the open run; members the index alone knows are read unless it was a group before.
    fn close_run(&mut self) -> Result<(), SnapshotError> {
        let mut items = self.run.take();
        if items.is_empty() {
            return Ok(());
        }
        let known = known_group(&items);
        if known.is_some() {
            return self.push_group(items, known);
        }
        let mut changed = HashMap::new();
        for (at, item) in items.iter_mut().enumerate() {
            let RunItem::Member(member) = item else { continue };
            if member.bytes.is_some() {
                continue;
            }
            match self.read_again(&member.path)? {
                Ok(ReadFile { blob, body: Body::Small(bytes), .. }) if blob == member.blob => {
                    member.bytes = Some(bytes);
                }
                other => drop(changed.insert(at, other)),
            }
        }
        if changed.is_empty() {
            return self.push_group(items, None);
        }
        // Places all again, the changed ones as what they are now.
        for (at, item) in items.into_iter().enumerate() {
            match (item, changed.remove(&at)) {
                (RunItem::DirectoryEnd, _) => {
                    if self.run.end_directory() {
                        self.close_run()?;
                    }
                }
                (RunItem::Member(member), None) => self.place(member)?,
                (RunItem::Member(member), Some(now)) => self.replace(*member, now)?,
            }
        }
        Ok(())
    }

    fn read_again(&self, path: &[u8]) -> Result<Result<ReadFile, SkipReason>, SnapshotError> {
        let outcome = match self.root.parent(path) {
            Ok((dir, name)) => self.reader.read(&dir, name),
            Err(error) => Outcome::Skipped(reason(&error)),
        };
        match outcome {
            Outcome::Read(file) => {
                self.reader.handed_over(&file);
                Ok(Ok(*file))
            }
            Outcome::Skipped(reason) => Ok(Err(reason)),
            Outcome::Failed(error) => Err(error.into()),
        }
    }

    /// Puts what a file is now in place of what the index said.
    fn replace(
        &mut self,
        member: Member,
        now: Result<ReadFile, SkipReason>,
    ) -> Result<(), SnapshotError> {
        let slot = member.slot;
        let file = match now {
            Ok(file) => FoundFile::from(file),
            Err(reason) => {
                if let LinkRole::First(key) = slot.link {
                    self.skip_link(key, &reason)?;
                }
                self.skipped.push(Skipped { path: member.path, reason });
                return self.leave_out(slot);
            }
        };
        let owner = self.owner(&file.facts);
        let entry = self.levels.entry(slot.level, slot.place).as_mut().expect("not removed");
        entry.mode = file.facts.mode;
        entry.mtime = file.facts.mtime;
        entry.owner = owner;
        entry.xattrs.clone_from(&file.xattrs);
        let record = self.records.entry(slot.record).as_mut().expect("opened with an entry");
        record.facts = file.facts;
        record.recorded_at = file.recorded_at;
        record.xattrs = file.xattrs;
        self.take_source(slot, member.path, file.facts.size, file.blob, file.source)
    }

    fn settle(&mut self, group: &crate::runs::Group) -> Result<(), SnapshotError> {
        let chunk = group.chunk()?;
        self.listing.list(&chunk)?;
        let mut offset = 0;
        for (slot, blob, length) in &group.members {
            let contents = Contents::Slice { chunk, offset };
            self.resolve(*slot, (*length).into(), *blob, contents, Vec::new())?;
            offset += length;
        }
        Ok(())
    }

    /// Completes a file, and its other names that came meanwhile.
    fn resolve(
        &mut self,
        slot: Slot,
        size: u64,
        blob: BlobId,
        contents: Contents,
        listed: Vec<Piece>,
    ) -> Result<(), SnapshotError> {
        let entry = self.levels.entry(slot.level, slot.place).as_mut().expect("not removed");
        entry.kind = Kind::File { size, blob, contents: contents.clone(), link: None };
        let record = self.records.entry(slot.record).as_mut().expect("opened with an entry");
        record.kind = IndexKind::File { blob, contents, listed };
        if let LinkRole::First(key) = slot.link {
            let done = Box::new((entry.clone(), record.clone()));
            self.resolve_link(key, *done)?;
        }
        self.count(size);
        self.records.settle(slot.record)?;
        Ok(self.levels.settle(slot.level, &mut self.listing)?)
    }

    fn count(&mut self, size: u64) {
        self.totals.files += 1;
        self.totals.bytes = self.totals.bytes.saturating_add(size);
        self.reader.progress.files_done.fetch_add(1, Relaxed);
        self.reader.progress.bytes_done.fetch_add(size, Relaxed);
    }
}
