//! The table of pieces: every piece in exactly one state.
//!
//! ```text
//! want ──► not assigned ──assign──► assigned ──retrieve──► retrieved
//!                ▲                     │
//!                └──release, lacks─────┘      (when no request is left that asks for it)
//! ```
//!
//! A piece that is not assigned is either in the queue, by priority and by the sources that
//! lack it, or set aside as hopeless because all sources lack it. The state is kept once, in
//! the table; queue and hopeless are indexes over it and change in the same calls.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::words::{PieceId, Priority, RequestId, SourceId};

/// Where a piece is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PieceState {
    /// Nobody is asked for it.
    NotAssigned,
    /// Asked for by this request and perhaps by a backup.
    Assigned {
        /// The older request.
        request: RequestId,
        /// The backup, when the older one is at risk or slow.
        backup: Option<RequestId>,
    },
    /// It is there.
    Retrieved,
}

#[derive(Debug)]
struct Missing {
    length: u32,
    priority: Priority,
    /// When it was wanted, counted in pieces; a piece that returns keeps its place.
    order: u64,
    /// Sources without it, sorted.
    lacking: Vec<SourceId>,
    /// Never `Retrieved`: such pieces leave this struct.
    state: PieceState,
}

#[derive(Debug)]
enum Entry {
    // Boxed so that the millionth retrieved piece costs little more than its id.
    Missing(Box<Missing>),
    /// With its length.
    Retrieved(u32),
}

type Group = BTreeMap<u64, PieceId>;

/// The table of pieces.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    entries: HashMap<PieceId, Entry>,
    queue: BTreeMap<Priority, BTreeMap<Vec<SourceId>, Group>>,
    hopeless: BTreeSet<PieceId>,
    next_order: u64,
    wanted: Count,
    retrieved: Count,
    queued: Count,
}

/// Pieces and their bytes.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) pieces: u64,
    pub(crate) bytes: u64,
}

impl Count {
    fn add(&mut self, length: u32) {
        self.pieces += 1;
        self.bytes += u64::from(length);
    }

    fn take(&mut self, length: u32) {
        self.pieces -= 1;
        self.bytes -= u64::from(length);
    }
}

impl Pieces {
    /// Wants a piece; wanting it again can only make it more urgent.
    pub(crate) fn want(&mut self, piece: PieceId, length: u32, priority: Priority) {
        match self.entries.get(&piece) {
            Some(Entry::Retrieved(_)) => {}
            Some(Entry::Missing(missing)) if missing.priority <= priority => {}
            Some(Entry::Missing(_)) => {
                let queued = self.unqueue(piece);
                self.missing_mut(piece).priority = priority;
                if queued {
                    self.enqueue(piece);
                }
            }
            None => {
                let order = self.next_order;
                self.next_order += 1;
                let state = PieceState::NotAssigned;
                let lacking = Vec::new();
                let missing = Missing { length, priority, order, lacking, state };
                self.entries.insert(piece, Entry::Missing(Box::new(missing)));
                self.wanted.add(length);
                self.enqueue(piece);
            }
        }
    }

    /// The piece that `source` should be asked for next, with its length.
    ///
    /// In order of priority, then of wanting; among pieces wanted ahead, rarest first.
    pub(crate) fn next_for(&self, source: SourceId) -> Option<(PieceId, u32)> {
        let first = |group: &Group| group.first_key_value().map(|(order, piece)| (*order, *piece));
        let piece = self.queue.iter().find_map(|(priority, groups)| {
            groups
                .iter()
                .filter(|(lacking, _)| lacking.binary_search(&source).is_err())
                .filter_map(|(lacking, group)| Some((lacking.len(), first(group)?)))
                .min_by_key(|(rarity, (order, _))| match priority {
                    Priority::Ahead => (usize::MAX - rarity, *order),
                    Priority::Demanded | Priority::Ordered => (0, *order),
                })
                .map(|(_, (_, piece))| piece)
        })?;
        Some((piece, self.missing(piece)?.length))
    }

    /// Assigns a piece that is not assigned to `request`.
    pub(crate) fn assign(&mut self, piece: PieceId, request: RequestId) {
        let queued = self.unqueue(piece);
        debug_assert!(queued, "only queued pieces are assigned");
        self.missing_mut(piece).state = PieceState::Assigned { request, backup: None };
    }

    /// Assigns a piece that one request asks for to a second one as well.
    pub(crate) fn assign_backup(&mut self, piece: PieceId, second: RequestId) {
        if let PieceState::Assigned { backup, .. } = &mut self.missing_mut(piece).state {
            debug_assert!(backup.is_none(), "a piece has one backup");
            *backup = Some(second);
        }
    }

    /// The piece's length if `source` could be a backup for it.
    pub(crate) fn backup_for(&self, piece: PieceId, source: SourceId) -> Option<u32> {
        let missing = self.missing(piece)?;
        let alone = matches!(missing.state, PieceState::Assigned { backup: None, .. });
        (alone && missing.lacking.binary_search(&source).is_err()).then_some(missing.length)
    }

    /// Takes the piece from `request`, which ended; it returns to the queue when no other
    /// request asks for it.
    pub(crate) fn release(&mut self, piece: PieceId, request: RequestId) {
        let Some(missing) = self.missing_opt(piece) else { return };
        let before = missing.state;
        missing.state = match missing.state {
            PieceState::Assigned { request: first, backup: Some(second) } if first == request => {
                PieceState::Assigned { request: second, backup: None }
            }
            PieceState::Assigned { request: first, backup: Some(second) } if second == request => {
                PieceState::Assigned { request: first, backup: None }
            }
            PieceState::Assigned { request: only, backup: None } if only == request => {
                PieceState::NotAssigned
            }
            kept @ (PieceState::NotAssigned
            | PieceState::Assigned { .. }
            | PieceState::Retrieved) => kept,
        };
        if missing.state == PieceState::NotAssigned && before != PieceState::NotAssigned {
            self.enqueue(piece);
        }
    }

    /// Notes that `source` does not have the piece; true when that was news.
    pub(crate) fn lacks(&mut self, piece: PieceId, source: SourceId) -> bool {
        let Some(missing) = self.missing(piece) else { return false };
        let Err(place) = missing.lacking.binary_search(&source) else { return false };
        let queued = self.unqueue(piece);
        self.missing_mut(piece).lacking.insert(place, source);
        if queued {
            self.enqueue(piece);
        }
        true
    }

    /// Marks the piece retrieved; its length and the state it had, or `None` if it was not
    /// missing.
    pub(crate) fn retrieve(&mut self, piece: PieceId) -> Option<(u32, PieceState)> {
        let (length, state) = self.missing(piece).map(|missing| (missing.length, missing.state))?;
        self.unqueue(piece);
        self.hopeless.remove(&piece);
        self.entries.insert(piece, Entry::Retrieved(length));
        self.retrieved.add(length);
        Some((length, state))
    }

    /// Sets aside the queued pieces that every source in `usable` lacks, and returns them with
    /// the sources that lack them.
    pub(crate) fn set_aside(&mut self, usable: &[SourceId]) -> Vec<(PieceId, Vec<SourceId>)> {
        let mut aside = Vec::new();
        for groups in self.queue.values() {
            for (lacking, group) in groups {
                if usable.iter().all(|source| lacking.binary_search(source).is_ok()) {
                    aside.extend(group.values().map(|piece| (*piece, lacking.clone())));
                }
            }
        }
        for (piece, _) in &aside {
            self.unqueue(*piece);
            self.hopeless.insert(*piece);
        }
        aside
    }

    /// Returns to the queue what was set aside: there is another source.
    pub(crate) fn hope_again(&mut self) {
        for piece in std::mem::take(&mut self.hopeless) {
            self.enqueue(piece);
        }
    }

    /// Where the piece is; `None` if it was never wanted.
    pub(crate) fn state(&self, piece: PieceId) -> Option<PieceState> {
        self.entries.get(&piece).map(|entry| match entry {
            Entry::Missing(missing) => missing.state,
            Entry::Retrieved(_) => PieceState::Retrieved,
        })
    }

    /// Length of a piece that was retrieved; 0 of any other.
    pub(crate) fn retrieved_length(&self, piece: PieceId) -> u32 {
        match self.entries.get(&piece) {
            Some(Entry::Retrieved(length)) => *length,
            Some(Entry::Missing(_)) | None => 0,
        }
    }

    /// All pieces ever wanted.
    pub(crate) fn wanted(&self) -> Count {
        self.wanted
    }

    /// All pieces retrieved.
    pub(crate) fn retrieved(&self) -> Count {
        self.retrieved
    }

    /// Pieces that wait to be assigned, without the hopeless ones.
    pub(crate) fn queued(&self) -> Count {
        self.queued
    }

    /// Pieces wanted and not retrieved.
    pub(crate) fn missing_count(&self) -> Count {
        Count {
            pieces: self.wanted.pieces - self.retrieved.pieces,
            bytes: self.wanted.bytes - self.retrieved.bytes,
        }
    }

    fn missing(&self, piece: PieceId) -> Option<&Missing> {
        match self.entries.get(&piece)? {
            Entry::Missing(missing) => Some(missing),
            Entry::Retrieved(_) => None,
        }
    }

    fn missing_opt(&mut self, piece: PieceId) -> Option<&mut Missing> {
        match self.entries.get_mut(&piece)? {
            Entry::Missing(missing) => Some(missing),
            Entry::Retrieved(_) => None,
        }
    }

    fn missing_mut(&mut self, piece: PieceId) -> &mut Missing {
        self.missing_opt(piece).expect("the caller saw it missing")
    }

    fn enqueue(&mut self, piece: PieceId) {
        let Some(Entry::Missing(missing)) = self.entries.get(&piece) else { return };
        let groups = self.queue.entry(missing.priority).or_default();
        // Most pieces are lacked by nobody: look before cloning.
        match groups.get_mut(&missing.lacking) {
            Some(group) => group.insert(missing.order, piece),
            None => {
                let group = groups.entry(missing.lacking.clone()).or_default();
                group.insert(missing.order, piece)
            }
        };
        self.queued.add(missing.length);
    }

    /// Takes the piece out of the queue; false when it was not in it.
    fn unqueue(&mut self, piece: PieceId) -> bool {
        let Some(Entry::Missing(missing)) = self.entries.get(&piece) else { return false };
        let Some(groups) = self.queue.get_mut(&missing.priority) else { return false };
        let Some(group) = groups.get_mut(&missing.lacking) else { return false };
        if group.remove(&missing.order).is_none() {
            return false;
        }
        if group.is_empty() {
            groups.remove(&missing.lacking);
        }
        self.queued.take(missing.length);
        true
    }
}

#[cfg(test)]
mod tests;
