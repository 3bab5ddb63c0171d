//! Which small neighbours share a chunk.
//!
//! A chunk per small file would cost more in references than in contents. So runs of small
//! files in walk order share one; where a run ends is decided by the ids of its members, as in
//! content-defined chunking, so that one changed file changes one shared chunk.

use crate::BlobId;

/// How runs end, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupParameters {
    /// Larger members are cut on their own.
    pub member_bytes_max: usize,
    /// A run does not end inside a directory before it is this long.
    pub group_bytes_min: usize,
    /// Expected bytes between this minimum and the end.
    pub group_bytes_spread: usize,
    /// A run ends with its directory once it is this long.
    pub directory_end_bytes_min: usize,
    /// No shared chunk is longer.
    pub group_bytes_max: usize,
}

/// Small files, parameter set 1: the averages of [`crate::cut::CLASSES`]' first class.
pub const FILES: GroupParameters = GroupParameters {
    member_bytes_max: 32 * 1024,
    group_bytes_min: 16 * 1024,
    group_bytes_spread: 16 * 1024,
    directory_end_bytes_min: 8 * 1024,
    group_bytes_max: 128 * 1024,
};

/// The nodes of the directories in one directory, parameter set 1.
///
/// Smaller than for files: every change of a file changes a node on each level above it.
pub const NODES: GroupParameters = GroupParameters {
    member_bytes_max: 16 * 1024,
    group_bytes_min: 4 * 1024,
    group_bytes_spread: 4 * 1024,
    directory_end_bytes_min: 0,
    group_bytes_max: 32 * 1024,
};

/// What adding a member does to the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    /// The run ended before this member, which begins the next.
    pub closes_before: bool,
    /// Where in its run the member begins.
    pub offset: u32,
    /// The run ends with this member.
    pub closes_after: bool,
}

/// Places members into runs; knows only their ids and lengths.
#[derive(Debug, Clone)]
pub struct Grouper {
    parameters: GroupParameters,
    length: usize,
}

impl Grouper {
    /// Begins with an empty run.
    #[must_use]
    pub fn new(parameters: GroupParameters) -> Self {
        Self { parameters, length: 0 }
    }

    /// Places the next member, of `length` bytes, not more than `member_bytes_max`.
    pub fn place(&mut self, blob: &BlobId, length: usize) -> Placement {
        let closes_before = self.length + length > self.parameters.group_bytes_max;
        if closes_before {
            self.length = 0;
        }
        let offset = u32::try_from(self.length).expect("groups are far below 4 GiB");
        self.length += length;
        let [a, b, c, d] = *blob.as_bytes().first_chunk().expect("an id has 32 bytes");
        // A member ends the run with probability length / spread.
        let draw = u64::from(u32::from_le_bytes([a, b, c, d]));
        let ends = (draw * self.parameters.group_bytes_spread as u64) >> 32 < length as u64;
        let closes_after = self.length >= self.parameters.group_bytes_min && ends;
        if closes_after {
            self.length = 0;
        }
        Placement { closes_before, offset, closes_after }
    }

    /// Says that a directory's own files are all placed; true when the run ends here.
    pub fn end_directory(&mut self) -> bool {
        let ends = self.length > 0 && self.length >= self.parameters.directory_end_bytes_min;
        if ends {
            self.length = 0;
        }
        ends
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_member_moves_only_the_run_ends_around_it() {
        let ends = |ids: &[u32]| -> Vec<u32> {
            let mut grouper = Grouper::new(FILES);
            let mut ends = Vec::new();
            for id in ids {
                let placement = grouper.place(&BlobId::of(&id.to_le_bytes()), 3_000);
                if placement.closes_before || placement.closes_after {
                    ends.push(*id);
                }
            }
            ends
        };
        let before: Vec<u32> = (0..3_000).collect();
        let mut after = before.clone();
        after[1_500] = 999_999;
        let (before, after) = (ends(&before), ends(&after));
        assert!(before.len() > 100, "{} runs of about 30 KiB", before.len());
        let moved = before.iter().filter(|end| !after.contains(end)).count();
        assert!(moved <= 4, "{moved} run ends moved");
    }

    #[test]
    fn no_run_is_longer_than_its_bound() {
        let mut grouper = Grouper::new(NODES);
        let mut length = 0;
        for id in 0u32..2_000 {
            let placement = grouper.place(&BlobId::of(&id.to_le_bytes()), 7_000);
            length = if placement.closes_before { 7_000 } else { length + 7_000 };
            assert_eq!(placement.offset as usize + 7_000, length);
            assert!(length <= NODES.group_bytes_max);
            if placement.closes_after {
                length = 0;
            }
        }
    }
}
