//! The Merkle tree over the memberships of a community (RFC 9162, section 2.1, with BLAKE3).
//!
//! So a roster, which all peers read, has 32 bytes for any number of members, and each of them learns
//! its own membership and nothing of the others.

/// A hash of the tree.
pub type TreeHash = [u8; 32];

/// The longest path there can be: for 2^32 leaves.
pub const PATH_MAX: usize = 32;

/// Shows that one leaf is in the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inclusion {
    /// Place of the leaf, from 0.
    pub index: u64,
    /// The hashes beside its way to the root, the lowest first.
    pub path: Vec<TreeHash>,
}

/// The hash of one leaf.
#[must_use]
pub fn leaf(bytes: &[u8]) -> TreeHash {
    *blake3::Hasher::new().update(&[0]).update(bytes).finalize().as_bytes()
}

fn node(left: &TreeHash, right: &TreeHash) -> TreeHash {
    *blake3::Hasher::new().update(&[1]).update(left).update(right).finalize().as_bytes()
}

/// The root over leaves in their order.
#[must_use]
pub fn root(leaves: &[TreeHash]) -> TreeHash {
    match leaves {
        [] => *blake3::hash(b"").as_bytes(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            node(&root(left), &root(right))
        }
    }
}

/// What shows that the leaf at `index` is in the tree; `None` when there is no such leaf.
#[must_use]
pub fn inclusion(leaves: &[TreeHash], index: usize) -> Option<Inclusion> {
    leaves.get(index)?;
    let (mut leaves, mut at, mut path) = (leaves, index, Vec::new());
    while leaves.len() > 1 {
        let (left, right) = leaves.split_at(split(leaves.len()));
        if at < left.len() {
            path.push(root(right));
            leaves = left;
        } else {
            path.push(root(left));
            at -= left.len();
            leaves = right;
        }
    }
    path.reverse();
    Some(Inclusion { index: index as u64, path })
}

/// Where a tree of more than one leaf is split: at the largest power of two below its size.
const fn split(leaves: usize) -> usize {
    leaves.next_power_of_two() / 2
}

impl Inclusion {
    /// Whether a leaf is in the tree of `count` leaves with this root (RFC 9162, section 2.1.3.2).
    #[must_use]
    pub fn shows(&self, leaf: TreeHash, count: u64, root: &TreeHash) -> bool {
        let Some(mut last) = count.checked_sub(1).filter(|last| self.index <= *last) else {
            return false;
        };
        let (mut at, mut hash) = (self.index, leaf);
        for beside in &self.path {
            if last == 0 {
                return false;
            }
            if at & 1 == 1 || at == last {
                hash = node(beside, &hash);
                while at & 1 == 0 && at != 0 {
                    (at, last) = (at >> 1, last >> 1);
                }
            } else {
                hash = node(&hash, beside);
            }
            (at, last) = (at >> 1, last >> 1);
        }
        last == 0 && hash == *root
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(count: u8) -> Vec<TreeHash> {
        (0..count).map(|number| leaf(&[number])).collect()
    }

    #[test]
    fn every_leaf_is_shown_at_its_place_and_nowhere_else() {
        for count in 1..=20 {
            let leaves = leaves(count);
            let root = root(&leaves);
            for index in 0..leaves.len() {
                let inclusion = inclusion(&leaves, index).expect("a leaf");
                assert!(inclusion.path.len() <= PATH_MAX);
                let shows = |leaf, index, count| {
                    Inclusion { index, ..inclusion.clone() }.shows(leaf, count, &root)
                };
                for (other, leaf) in leaves.iter().enumerate() {
                    let place = index as u64;
                    assert_eq!(shows(*leaf, place, count.into()), other == index);
                    let elsewhere = other as u64;
                    assert_eq!(shows(leaves[index], elsewhere, count.into()), other == index);
                }
                assert!(!shows(leaves[index], index as u64, 0));
                let mut longer = inclusion.clone();
                longer.path.push([0; 32]);
                assert!(!longer.shows(leaves[index], count.into(), &root));
                let mut shorter = inclusion.clone();
                if shorter.path.pop().is_some() {
                    assert!(!shorter.shows(leaves[index], count.into(), &root));
                }
            }
            assert_eq!(inclusion(&leaves, leaves.len()), None);
        }
    }

    #[test]
    fn a_node_passes_for_no_leaf_and_other_leaves_give_another_root() {
        let two = leaves(2);
        let mut joined = two.concat();
        assert_ne!(leaf(&joined), root(&two));
        joined.insert(0, 1);
        assert_ne!(leaf(&joined), root(&two));
        let swapped = [two[1], two[0]];
        assert_ne!(root(&swapped), root(&two));
        assert_ne!(root(&leaves(3)), root(&[leaves(3), leaves(3)[2..].to_vec()].concat()));
        assert_ne!(root(&[]), root(&leaves(1)));
    }
}
