//! Who is in which wave.

use std::collections::BTreeSet;

use community::{CommunityId, ExchangeKey};
use documents::NodeKey;

use super::*;

fn target(number: u8) -> Membership {
    let key = NodeKey::from_secret_bytes([number; 32]);
    let ring = if number < 3 { "0" } else { "1" };
    Membership {
        community: CommunityId::from_bytes([6; 16]),
        peer: format!("press-{number}").parse().expect("a name"),
        key: key.public(),
        exchange: ExchangeKey::derive(&key).public(),
        roles: BTreeSet::from([Role::Target]),
        labels: [("ring".to_owned(), ring.to_owned())].into(),
        routes: Vec::new(),
        issued: 1,
        description: None,
        host: None,
        addresses: Vec::new(),
    }
}

fn tree() -> TreeRef {
    let sealing = Some(Sealing { key: [7; 32], stored_length: 70_000 });
    TreeRef(ChunkRef { id: ChunkId::of(b"tree"), length: 65_536, sealing })
}

/// The names of each wave of a release to twenty targets.
fn waves(rules: &str, canaries: Option<&str>, release: u8) -> Result<Vec<Vec<String>>, SendError> {
    let staging = Staging {
        rules: rules.parse().expect("rules"),
        canaries: canaries.map(|labels| labels.parse().expect("an expression")),
    };
    let targets: Vec<_> = (0..20).map(target).collect();
    let planned = staging.plan(DocumentHash::from_bytes([release; 32]), &tree(), &targets)?;
    assert_eq!(planned.rules, rules);
    let mut waves: Vec<Vec<String>> = Vec::new();
    for (wave, target) in planned.targets {
        waves.resize(waves.len().max(wave as usize + 1), Vec::new());
        waves[wave as usize].push(target.peer.to_string());
    }
    Ok(waves)
}

#[test]
fn not_always_the_same_are_first() {
    let rules = "stop-at 1; canary 2; wave 25%";
    let first = waves(rules, None, 1).expect("plans");
    assert_eq!(first, waves(rules, None, 1).expect("plans"), "the same again");
    assert_eq!(first.iter().map(Vec::len).collect::<Vec<_>>(), [2, 5, 5, 5, 3]);
    let all: BTreeSet<_> = first.iter().flatten().collect();
    assert_eq!(all.len(), 20, "each is in one wave");
    let canaries: BTreeSet<Vec<String>> =
        (1..=8).map(|release| waves(rules, None, release).expect("plans").remove(0)).collect();
    assert!(canaries.len() > 4, "{canaries:?}");
}

#[test]
fn labels_choose_who_is_first() {
    let labels = Some("ring=0");
    for release in 1..=8 {
        let planned = waves("stop-at 1; canary 2", labels, release).expect("plans");
        assert_eq!(planned.iter().map(Vec::len).collect::<Vec<_>>(), [2, 18]);
        for canary in &planned[0] {
            assert!(["press-0", "press-1", "press-2"].contains(&&canary[..]), "{planned:?}");
        }
    }
    let all = waves("stop-at 1", labels, 1).expect("plans");
    assert_eq!(all.iter().map(Vec::len).collect::<Vec<_>>(), [3, 17]);
    let refused = waves("stop-at 1", Some("ring=7"), 1).expect_err("nobody is that");
    assert!(matches!(refused, SendError::NoCanary(_)), "{refused}");
}

#[test]
fn what_is_kept_opens_the_tree_for_later_waves() {
    let tree = tree();
    let kept = root_secret(&tree);
    assert_eq!(tree_of(tree.id(), &kept), Some(tree));
    assert_eq!(tree_of(tree.id(), &kept[1..]), None);
}
