//! Runs of small files that share a chunk.
//!
//! Members whose bytes are known from the index alone are read only when the run they end up
//! in is not the group they were in before. Such a member may turn out to have changed since
//! it was looked at; then the run is placed again with what it is now.

use std::collections::VecDeque;

use content::group::{FILES, Grouper};
use content::{BlobId, ChunkRef};
use crossbeam_channel::{Receiver, Sender, bounded};

use crate::SinkError;
use crate::assemble::Slot;
use crate::read::Job;

/// Groups that are being sealed while the walk goes on. Fixed, so that the order of the closure
/// is; enough for dozens of readers.
const GROUPS_MAX: usize = 64;

/// A small file.
pub(crate) struct Member {
    pub(crate) slot: Slot,
    pub(crate) path: Vec<u8>,
    pub(crate) blob: BlobId,
    pub(crate) length: usize,
    /// None as long as only the index knows it.
    pub(crate) bytes: Option<Vec<u8>>,
    /// The group it was in, and where.
    pub(crate) known: Option<(ChunkRef, u32)>,
}

pub(crate) enum RunItem {
    Member(Box<Member>),
    DirectoryEnd,
}

/// The run that is open.
pub(crate) struct Run {
    grouper: Grouper,
    items: Vec<RunItem>,
}

/// What became of a member that was to be placed.
pub(crate) enum Placed {
    /// It is in; the run goes on.
    Open,
    /// It is in, and the run ends with it.
    ClosesAfter,
    /// The run ends before it: close it and place the member again.
    ClosesBefore(Box<Member>),
}

impl Run {
    pub(crate) fn new() -> Self {
        Self { grouper: Grouper::new(FILES), items: Vec::new() }
    }

    pub(crate) fn place(&mut self, member: Box<Member>) -> Placed {
        let mut grouper = self.grouper.clone();
        let placement = grouper.place(&member.blob, member.length);
        if placement.closes_before && !self.items.is_empty() {
            return Placed::ClosesBefore(member);
        }
        self.grouper = grouper;
        self.items.push(RunItem::Member(member));
        if placement.closes_after { Placed::ClosesAfter } else { Placed::Open }
    }

    /// Says that a directory's files are all placed; true when the run ends here.
    pub(crate) fn end_directory(&mut self) -> bool {
        let ends = self.grouper.end_directory();
        if !ends && !self.items.is_empty() {
            self.items.push(RunItem::DirectoryEnd);
        }
        ends
    }

    /// Takes the items; the next run begins empty.
    pub(crate) fn take(&mut self) -> Vec<RunItem> {
        self.grouper = Grouper::new(FILES);
        std::mem::take(&mut self.items)
    }
}

/// The chunk that holds exactly these members at these places already, if there is one.
pub(crate) fn known_group(items: &[RunItem]) -> Option<ChunkRef> {
    let (mut offset, mut group) = (0, None);
    for item in items {
        let RunItem::Member(member) = item else { continue };
        let (chunk, at) = member.known?;
        if at != offset || *group.get_or_insert(chunk) != chunk {
            return None;
        }
        offset += u32::try_from(member.length).ok()?;
    }
    group.filter(|chunk| chunk.length == offset)
}

/// A closed run whose chunk is known or being made.
pub(crate) struct Group {
    pub(crate) members: Vec<(Slot, BlobId, u32)>,
    chunk: GroupChunk,
}

enum GroupChunk {
    Known(ChunkRef),
    Sealing(Receiver<Result<ChunkRef, SinkError>>),
}

impl Group {
    /// Waits for the chunk.
    pub(crate) fn chunk(&self) -> Result<ChunkRef, SinkError> {
        match &self.chunk {
            GroupChunk::Known(chunk) => Ok(*chunk),
            // A reader that is gone was told to stop.
            GroupChunk::Sealing(answer) => answer.recv().unwrap_or(Err(SinkError::Closed)),
        }
    }
}

/// Closed runs, settled strictly in order.
pub(crate) struct Groups {
    jobs: Sender<Job>,
    queue: VecDeque<Group>,
}

impl Groups {
    pub(crate) fn new(jobs: Sender<Job>) -> Self {
        Self { jobs, queue: VecDeque::new() }
    }

    /// Takes a closed run; without `known` all members must have their bytes.
    pub(crate) fn push(&mut self, items: Vec<RunItem>, known: Option<ChunkRef>) {
        let (mut members, mut bytes) = (Vec::new(), Vec::new());
        for item in items {
            let RunItem::Member(member) = item else { continue };
            let length = u32::try_from(member.length).expect("members are small");
            members.push((member.slot, member.blob, length));
            bytes.extend(member.bytes);
        }
        let chunk = match known {
            Some(chunk) => GroupChunk::Known(chunk),
            None => {
                let (reply, answer) = bounded(1);
                // When the readers are gone so is the reply, which the wait for it notices.
                drop(self.jobs.send(Job::Group { members: bytes, reply }));
                GroupChunk::Sealing(answer)
            }
        };
        self.queue.push_back(Group { members, chunk });
    }

    /// The oldest group, when more wait than may.
    pub(crate) fn overdue(&mut self) -> Option<Group> {
        if self.queue.len() > GROUPS_MAX { self.queue.pop_front() } else { None }
    }

    /// The oldest group.
    pub(crate) fn oldest(&mut self) -> Option<Group> {
        self.queue.pop_front()
    }
}
