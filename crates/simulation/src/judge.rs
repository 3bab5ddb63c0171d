//! What must hold, whatever happens.

use std::collections::BTreeMap;

use content::ChunkId;
use documents::DocumentHash;

use crate::clock::{Clock, Moment, true_unix};
use crate::network::Party;
use crate::trees::{Tree, trees};

/// Most actions of one machine in one virtual second: more is a loop that does not wait.
const ACTIONS_MAX: u32 = 400;

#[derive(Debug, Default)]
struct Shown {
    accepted: u64,
    current: u64,
}

/// Knows everything, and keeps the first broken promise.
#[derive(Debug, Default)]
pub(crate) struct Judge {
    /// What the hub made durable, by number: the manifest's hash and its tree.
    committed: BTreeMap<u64, (DocumentHash, ChunkId)>,
    acknowledged: BTreeMap<u64, DocumentHash>,
    nodes: BTreeMap<Party, Shown>,
    actions: BTreeMap<Party, (u64, u32)>,
    pub(crate) violation: Option<String>,
    pub(crate) counts: Counts,
}

/// How much was tried.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Releases the hub has.
    pub releases: u64,
    /// Times a node made another release current.
    pub switches: u64,
    /// Chunks that nodes wrote.
    pub chunks: u64,
    /// Releases that nodes refused.
    pub refused: u64,
    /// Fetches that failed as a whole.
    pub failed_fetches: u64,
}

impl Counts {
    /// Adds what another run tried.
    pub fn add(&mut self, other: &Self) {
        self.releases += other.releases;
        self.switches += other.switches;
        self.chunks += other.chunks;
        self.refused += other.refused;
        self.failed_fetches += other.failed_fetches;
    }
}

impl Judge {
    pub(crate) fn violated(&mut self, now: Moment, what: impl FnOnce() -> String) {
        if self.violation.is_none() {
            self.violation = Some(format!("at {:.6}: {}", now.as_secs_f64(), what()));
        }
    }

    fn tree(id: &ChunkId) -> Option<&'static Tree> {
        trees().iter().find(|tree| tree.root.id == *id)
    }

    /// The hub made a release durable.
    pub(crate) fn committed(
        &mut self,
        now: Moment,
        sequence: u64,
        hash: DocumentHash,
        tree: ChunkId,
    ) {
        let known = self.committed.entry(sequence).or_insert((hash, tree));
        if *known != (hash, tree) {
            self.violated(now, || format!("release {sequence} has two contents at the hub"));
        }
        if Self::tree(&tree).is_none() {
            self.violated(now, || format!("release {sequence} holds what nobody published"));
        }
        self.counts.releases = self.committed.len() as u64;
    }

    /// A publisher was told that its release is published.
    pub(crate) fn acknowledged(&mut self, sequence: u64, hash: DocumentHash) {
        self.acknowledged.insert(sequence, hash);
    }

    /// The hub has these releases, after a restart or at the end.
    pub(crate) fn hub_has(&mut self, now: Moment, has: &BTreeMap<u64, DocumentHash>) {
        let lost = self.acknowledged.iter().find(|(number, hash)| has.get(number) != Some(hash));
        if let Some((sequence, _)) = lost {
            let sequence = *sequence;
            self.violated(now, || format!("release {sequence} was acknowledged and is lost"));
        }
    }

    /// A node takes a release for the newest.
    pub(crate) fn accepted(
        &mut self,
        now: Moment,
        (node, clock): (Party, &Clock),
        (sequence, hash): (u64, DocumentHash),
        expires: u64,
    ) {
        match self.committed.get(&sequence) {
            Some((known, _)) if *known == hash => {}
            Some(_) => {
                self.violated(now, || format!("{node:?} accepts another release {sequence}"));
            }
            None => {
                self.violated(now, || {
                    format!("{node:?} accepts release {sequence}, which nobody published")
                });
            }
        }
        let seen = self.nodes.entry(node).or_default();
        let before = std::mem::replace(&mut seen.accepted, sequence);
        if before > sequence {
            self.violated(now, || {
                format!("{node:?} accepts release {sequence} after {before} as the newest")
            });
        }
        // The two clocks round differently.
        if clock.is_right(now) && expires + 2 < true_unix(now) {
            self.violated(now, || format!("{node:?} accepts a head that has expired"));
        }
    }

    /// A node writes a chunk.
    pub(crate) fn written(&mut self, now: Moment, node: Party, id: &ChunkId, bytes: &[u8]) {
        self.counts.chunks += 1;
        if ChunkId::of(bytes) != *id {
            self.violated(now, || format!("{node:?} writes bytes that are not chunk {id}"));
        }
    }

    /// A release is current at a node, which may have been told to stay at one.
    pub(crate) fn shows(
        &mut self,
        now: Moment,
        node: Party,
        (sequence, hold): (u64, Option<u64>),
        has: impl FnOnce(&[ChunkId]) -> Vec<bool>,
    ) {
        let Some((_, tree)) = self.committed.get(&sequence).copied() else {
            return self.violated(now, || {
                format!("{node:?} shows release {sequence}, which nobody published")
            });
        };
        let ids: Vec<ChunkId> =
            Self::tree(&tree).into_iter().flat_map(|tree| tree.chunks.keys().copied()).collect();
        let missing = has(&ids).iter().filter(|has| !**has).count();
        if missing > 0 {
            self.violated(now, || {
                format!("{node:?} shows release {sequence}, of which {missing} chunks are missing")
            });
        }
        let shown = self.nodes.entry(node).or_default();
        let before = std::mem::replace(&mut shown.current, sequence);
        self.counts.switches += u64::from(before != sequence);
        if before > sequence && hold != Some(sequence) {
            self.violated(now, || {
                format!("{node:?} goes back from release {before} to {sequence} by itself")
            });
        }
    }

    /// A machine does something by itself.
    pub(crate) fn acts(&mut self, now: Moment, party: Party) {
        let (second, count) = self.actions.entry(party).or_default();
        if *second == now.as_secs() {
            *count += 1;
        } else {
            (*second, *count) = (now.as_secs(), 1);
        }
        if *count > ACTIONS_MAX {
            self.violated(now, || format!("{party:?} does not wait between what it does"));
        }
    }

    /// The newest release there is.
    pub(crate) fn newest(&self) -> Option<u64> {
        self.committed.keys().next_back().copied()
    }
}
