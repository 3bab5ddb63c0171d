//! Runs that must hold, runs that must repeat, and runs that must not hold.

use simulation::{Sabotage, simulate};

/// Seeds of the ordinary tests, in parts that run beside each other.
const SEEDS: u64 = 500;
/// A rule that is broken is noticed within so many seeds.
const SABOTAGED_SEEDS: u64 = 150;

fn hold(seeds: impl Iterator<Item = u64>) {
    let mut failed = Vec::new();
    for seed in seeds {
        let outcome = simulate(seed, None, false);
        if let Some(violation) = outcome.violation {
            failed.push(format!("seed {seed} {violation}"));
        }
    }
    let again = "cargo xtask simulate --trace --seed SEED; add it to tests/kept-seeds.txt";
    assert!(failed.is_empty(), "\n{}\nagain: {again}", failed.join("\n"));
}

#[test]
fn five_hundred_seeds_hold() {
    hold(0..SEEDS / 2);
}

#[test]
fn five_hundred_seeds_hold_the_other_half() {
    hold(SEEDS / 2..SEEDS);
}

/// Seeds that failed once.
#[test]
fn kept_seeds_hold() {
    let kept = include_str!("kept-seeds.txt").lines().filter(|line| !line.starts_with('#'));
    let number = |line: &str| line.split_whitespace().next().and_then(|seed| seed.parse().ok());
    let kept: Vec<u64> = kept.map(|line| number(line).expect("a seed first")).collect();
    assert!(!kept.is_empty());
    hold(kept.into_iter());
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in [1, 6, 15, 77] {
        let (one, other) = (simulate(seed, None, true), simulate(seed, None, true));
        let pairs = one.lines.iter().zip(&other.lines);
        let differ = pairs.enumerate().find(|(_, (one, other))| one != other);
        assert_eq!(differ, None, "seed {seed}");
        assert_eq!(one, other, "seed {seed}");
        // What is printed changes nothing.
        assert_eq!(simulate(seed, None, false).trace, one.trace);
    }
    assert_ne!(simulate(1, None, false).trace, simulate(2, None, false).trace);
}

/// The worlds are not so quiet that nothing could go wrong.
#[test]
fn runs_try_what_they_are_for() {
    let mut total = simulate(1000, None, false).counts;
    (1001..1020).for_each(|seed| total.add(&simulate(seed, None, false).counts));
    assert!(total.releases > 60 && total.switches > 200, "{total:?}");
    assert!(total.chunks > 4000 && total.refused > 100, "{total:?}");
}

fn noticed(sabotage: Sabotage) {
    let mut found = (0..SABOTAGED_SEEDS).map(|seed| simulate(seed, Some(sabotage), false));
    let first = found.find_map(|outcome| outcome.violation.map(|what| (outcome.seed, what)));
    let (seed, what) = first.unwrap_or_else(|| panic!("{sabotage:?} goes unnoticed"));
    let expected = match sabotage {
        Sabotage::IgnoreSeen | Sabotage::ForgetSeen => "as the newest",
        Sabotage::IgnoreExpiry => "has expired",
        Sabotage::BelieveSources => "bytes that are not chunk",
        Sabotage::SwitchBeforeSync => "chunks are missing",
        Sabotage::LoseFailures => "waits for nothing",
        Sabotage::AcknowledgeEarly => "is lost",
        Sabotage::AnyPredecessor => "two contents",
    };
    assert!(what.contains(expected), "{sabotage:?}, seed {seed}: {what}");
}

#[test]
fn a_node_that_ignores_what_it_has_seen_is_noticed() {
    noticed(Sabotage::IgnoreSeen);
}

#[test]
fn a_node_that_forgets_what_it_has_seen_is_noticed() {
    noticed(Sabotage::ForgetSeen);
}

#[test]
fn a_node_that_ignores_dates_is_noticed() {
    noticed(Sabotage::IgnoreExpiry);
}

#[test]
fn a_node_that_believes_sources_is_noticed() {
    noticed(Sabotage::BelieveSources);
}

#[test]
fn a_node_that_switches_before_it_syncs_is_noticed() {
    noticed(Sabotage::SwitchBeforeSync);
}

#[test]
fn a_watch_that_is_not_told_of_failures_is_noticed() {
    noticed(Sabotage::LoseFailures);
}

#[test]
fn a_hub_that_acknowledges_early_is_noticed() {
    noticed(Sabotage::AcknowledgeEarly);
}

#[test]
fn a_hub_that_takes_any_predecessor_is_noticed() {
    noticed(Sabotage::AnyPredecessor);
}
