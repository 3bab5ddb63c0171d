//! The trees over the memberships of communities, kept while their rosters are in force: each peer
//! asks for its own path.

use std::sync::{Arc, Mutex};

use community::tree::{self, Inclusion, TreeHash};
use hub_db::{CommunityKey, HubDb, RosterOrder};

use crate::refusal::Refusal;

/// Trees kept. One of a community of 10,000 has some 700 kB.
const TREES_MAX: usize = 32;

/// The tree of one roster.
pub(crate) struct MemberTree {
    community: CommunityKey,
    order: RosterOrder,
    /// In order of their bytes, as the leaves.
    peers: Vec<String>,
    /// The leaves first, then each time the nodes above, the root last.
    levels: Vec<Vec<TreeHash>>,
}

/// The trees that were asked for last.
#[derive(Default)]
pub(crate) struct MemberTrees {
    /// The latest at the end.
    kept: Mutex<Vec<Arc<MemberTree>>>,
    /// Held while all memberships of a community are in memory.
    building: tokio::sync::Mutex<()>,
}

impl MemberTrees {
    /// The tree of the roster that was just read; come again when another one is in force by now.
    pub(crate) async fn of(
        &self,
        db: &dyn HubDb,
        community: &CommunityKey,
        order: RosterOrder,
    ) -> Result<Arc<MemberTree>, Refusal> {
        if let Some(kept) = self.kept(community, order) {
            return Ok(kept);
        }
        let _one_at_a_time = self.building.lock().await;
        if let Some(kept) = self.kept(community, order) {
            return Ok(kept);
        }
        let (found, members) = db.all_members(community).await?;
        if found != Some(order) {
            return Err(Refusal::busy("the roster is changing"));
        }
        let leaves = members.iter().map(|member| tree::leaf(&member.payload)).collect();
        let levels = levels(leaves);
        let peers = members.into_iter().map(|member| member.peer).collect();
        let made = Arc::new(MemberTree { community: *community, order, peers, levels });
        let mut kept = self.kept.lock().expect("nothing panics while it is held");
        kept.retain(|tree| tree.community != *community);
        if kept.len() >= TREES_MAX {
            kept.remove(0);
        }
        kept.push(Arc::clone(&made));
        Ok(made)
    }

    fn kept(&self, community: &CommunityKey, order: RosterOrder) -> Option<Arc<MemberTree>> {
        let mut kept = self.kept.lock().expect("nothing panics while it is held");
        let found = kept.iter().position(|it| it.community == *community && it.order == order)?;
        let found = kept.remove(found);
        kept.push(Arc::clone(&found));
        Some(found)
    }
}

impl MemberTree {
    /// What shows that the roster counts this membership of a peer; nothing when it does not.
    pub(crate) fn inclusion(&self, peer: &str, membership: &[u8]) -> Option<Inclusion> {
        let place = self.peers.binary_search_by(|other| other.as_str().cmp(peer)).ok()?;
        let is_counted = self.levels[0][place] == tree::leaf(membership);
        is_counted.then(|| inclusion(&self.levels, place))
    }
}

/// All nodes, once, so that a path is looked up and not computed: thousands ask after each change.
fn levels(leaves: Vec<TreeHash>) -> Vec<Vec<TreeHash>> {
    let mut levels = vec![leaves];
    while let Some(last) = levels.last().filter(|last| last.len() > 1) {
        // The tree over two nodes is their parent; a node without a neighbour is its own.
        levels.push(last.chunks(2).map(tree::root).collect());
    }
    levels
}

fn inclusion(levels: &[Vec<TreeHash>], place: usize) -> Inclusion {
    let beside = levels.iter().enumerate().filter_map(|(height, level)| {
        let neighbour = (place >> height) ^ 1;
        level.get(neighbour).copied()
    });
    Inclusion { index: place as u64, path: beside.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_tree() {
        for count in 0..=40u8 {
            let leaves: Vec<_> = (0..count).map(|number| tree::leaf(&[number])).collect();
            let levels = levels(leaves.clone());
            for place in 0..leaves.len() {
                let expected = tree::inclusion(&leaves, place).expect("a leaf");
                assert_eq!(inclusion(&levels, place), expected, "{place} of {count}");
            }
        }
    }
}
