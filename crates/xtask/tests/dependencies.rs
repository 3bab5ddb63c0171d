//! Holds the direction of dependencies: programs, then drivers, then adapters and machines, then
//! words.
//!
//! Every crate has a place; a new one fails `every_crate_has_a_place` until it is given one. Only
//! what a crate is built from counts here: development dependencies may point anywhere.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, PackageId};

/// Where a crate stands. Later ones may use earlier ones; `Adapter` and `Machine` stand side by
/// side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Word,
    Machine,
    Adapter,
    Driver,
    Program,
    Support,
}

use Place::{Adapter, Driver, Machine, Program, Support, Word};

const PLACES: &[(&str, Place)] = &[
    ("backoff", Word),
    ("community", Word),
    ("content", Word),
    ("delivery", Word),
    ("documents", Word),
    ("hub-api", Word),
    ("node-api", Word),
    ("package", Word),
    ("pages", Word),
    ("people", Word),
    ("wire", Word),
    ("fetch-plan", Machine),
    ("watch-plan", Machine),
    ("delivery-plan", Machine),
    ("deploy-plan", Machine),
    ("rollout-plan", Machine),
    ("directory", Adapter),
    ("hub-client", Adapter),
    ("hub-db", Adapter),
    ("ledger", Adapter),
    ("store", Adapter),
    ("checkout", Driver),
    ("community-console", Driver),
    ("deliver", Driver),
    ("deploy", Driver),
    ("fetch", Driver),
    ("hub", Driver),
    ("node", Driver),
    ("snapshot", Driver),
    ("cli", Program),
    ("bench", Support),
    ("faults", Support),
    ("fuzz-targets", Support),
    ("golden", Support),
    ("random", Support),
    ("simulation", Support),
    ("testkit", Support),
    ("xtask", Support),
];

/// What each place may use, and why nothing else.
fn may_use(place: Place) -> (&'static [Place], &'static str) {
    match place {
        Word => (&[], "words stand on their own; only the neighbours named below may be used"),
        Machine => (&[], "a machine knows nothing but its own schedule; its driver translates"),
        Adapter => {
            (&[Word], "adapters do not know each other or any schedule; a driver joins them")
        }
        Driver => (&[Word, Machine, Adapter], "drivers stand beside each other unless named below"),
        Program => {
            (&[Word, Adapter, Driver], "a program parses, calls and prints; it schedules nothing")
        }
        Support => (&[Word, Machine, Adapter, Driver], "support stands outside of what is shipped"),
    }
}

/// Neighbours that may know each other all the same: who, whom, why.
const NEIGHBOURS: &[(&str, &str, &str)] = &[
    ("documents", "content", "a manifest names a tree and its closure"),
    ("package", "content", "instructions are canonical CBOR, as trees are"),
    ("community", "content", "envelopes carry the key of a tree's root"),
    ("community", "documents", "what a community signs is in the same envelopes, by the same keys"),
    ("delivery", "content", "headers are canonical CBOR, as trees are"),
    ("delivery", "documents", "a receipt is signed as other documents are, by the same keys"),
    ("delivery-plan", "backoff", "delays between two tries are drawn in one place"),
    ("watch-plan", "backoff", "delays between two tries are drawn in one place"),
    ("people", "content", "lists of devices are canonical CBOR, as trees are"),
    ("people", "delivery", "a letter carries the secret of a delivery"),
    ("people", "documents", "lists are signed, letters and books sealed as other documents are"),
    ("pages", "documents", "moments are shown as dates of the calendar"),
    ("wire", "content", "what travels is frames and chunk ids"),
    (
        "ledger",
        "hub-db",
        "addresses of databases are checked, and what their drivers say is read, in one place",
    ),
    ("checkout", "fetch", "a checkout asks for the chunks that no earlier version left behind"),
    ("community-console", "node", "it shows a community as this machine's node sees it"),
    ("node", "deliver", "the node gives a delivery its key and its memory"),
    ("node", "deploy", "the node carries out the packages that are addressed to it"),
    ("node", "checkout", "the node writes releases into directories"),
    ("node", "fetch", "the node chooses the sources"),
    ("node", "snapshot", "the node publishes directories"),
    ("faults", "random", "a fault is named by a seed"),
    ("simulation", "random", "a run is named by its seed"),
    ("testkit", "random", "content is made from a seed"),
    ("bench", "random", "what is measured is the same on every machine"),
    ("bench", "xtask", "programs are run and peers installed in one way"),
    ("bench", "testkit", "a hub that is measured has a PostgreSQL of its own"),
];

/// Edges that the places would allow or that somebody will want one day: who, whom, why not.
const FORBIDDEN: &[(&str, &str, &str)] = &[
    ("hub", "node", "hub and node meet in hub-api only, so that either can change alone"),
    ("node", "hub", "hub and node meet in hub-api only, so that either can change alone"),
    ("hub", "hub-client", "a hub answers; a relay that asks upstream is a driver of its own"),
    ("hub", "directory", "a hub holds packs and rows; published directories are not its business"),
    ("hub", "fetch", "a hub answers; it has no schedule of requests"),
    ("node", "hub-db", "the database is the hub's; a node asks over hub-api"),
    ("cli", "hub-db", "the command line asks the hub crate, which keeps the database's rules"),
    (
        "snapshot",
        "hub-client",
        "a snapshot offers chunks to a sink and does not know where they go",
    ),
    ("snapshot", "store", "a snapshot offers chunks to a sink and does not know where they go"),
    ("checkout", "hub-client", "a checkout asks the fetcher, whatever the sources are"),
];

/// Crates that words must not reach, not even through others.
const NOT_IN_WORDS: &[(&str, &str)] = &[
    ("tokio", "words compute; whoever waits is an adapter or a driver"),
    ("async-trait", "words have no async functions"),
    ("rustix", "words make no system calls"),
    ("nix", "words make no system calls"),
    ("mio", "words open no sockets"),
    ("hyper", "words know bytes, not HTTP"),
    ("axum", "hub-api describes routes; the hub crate serves them"),
    ("rustls", "words sign and seal; sessions are an adapter's"),
    ("redb", "words keep nothing"),
    ("sqlx", "words keep nothing"),
    ("tempfile", "words touch no disk"),
    ("tracing", "words return what happened; the caller logs it once, where it is handled"),
];

/// The only outside crates a machine may name.
const IN_MACHINES: &[(&str, &str)] = &[
    ("backoff", "delays between two tries, from a seed"),
    ("thiserror", "errors are typed everywhere"),
];

fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .other_options(vec!["--locked".to_owned()])
        .exec()
        .expect("cargo metadata")
}

fn place(name: &str) -> Option<Place> {
    PLACES.iter().find(|(known, _)| *known == name).map(|(_, place)| *place)
}

fn members(metadata: &Metadata) -> Vec<&Package> {
    metadata.workspace_packages()
}

/// Names a package is built from directly.
fn direct(package: &Package) -> BTreeSet<&str> {
    package
        .dependencies
        .iter()
        .filter(|dependency| dependency.kind != DependencyKind::Development)
        .map(|dependency| dependency.name.as_str())
        .collect()
}

/// Names a package is built from, through any number of steps, each with the step before it.
fn reach<'a>(metadata: &'a Metadata, from: &PackageId) -> BTreeMap<&'a str, &'a str> {
    let resolve = metadata.resolve.as_ref().expect("cargo metadata resolves");
    let nodes: BTreeMap<_, _> = resolve.nodes.iter().map(|node| (&node.id, node)).collect();
    let mut reached = BTreeMap::new();
    let mut open = vec![from];
    while let Some(id) = open.pop() {
        for dependency in &nodes[id].deps {
            let built = dependency.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal);
            let name = metadata[&dependency.pkg].name.as_str();
            if built && !reached.contains_key(name) {
                reached.insert(name, metadata[id].name.as_str());
                open.push(&dependency.pkg);
            }
        }
    }
    reached
}

fn check(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn every_crate_has_a_place() {
    let metadata = metadata();
    let present: BTreeSet<&str> = members(&metadata).iter().map(|p| p.name.as_str()).collect();
    let placed: BTreeSet<&str> = PLACES.iter().map(|(name, _)| *name).collect();
    let mut faults: Vec<String> = Vec::new();
    for name in present.difference(&placed) {
        faults.push(format!(
            "{name} has no place: word, machine, adapter, driver, program or support?"
        ));
    }
    for name in placed.difference(&present) {
        faults.push(format!("{name} has a place and does not exist"));
    }
    for package in members(&metadata) {
        let folder = package.manifest_path.parent().and_then(|folder| folder.file_name());
        if folder != Some(package.name.as_str()) {
            faults.push(format!("{} lives in a folder of another name", package.name));
        }
    }
    check(&faults);
}

#[test]
fn dependencies_point_towards_the_words() {
    let metadata = metadata();
    let mut faults = Vec::new();
    for package in members(&metadata) {
        let Some(mine) = place(&package.name) else { continue };
        let (allowed, why) = may_use(mine);
        for other in direct(package) {
            let Some(theirs) = place(other) else { continue };
            let neighbour =
                NEIGHBOURS.iter().any(|(who, whom, _)| *who == *package.name && *whom == other);
            if !allowed.contains(&theirs) && !neighbour {
                faults
                    .push(format!("{} ({mine:?}) uses {other} ({theirs:?}): {why}", package.name));
            }
        }
    }
    check(&faults);
}

#[test]
fn forbidden_edges_are_absent() {
    let metadata = metadata();
    let mut faults = Vec::new();
    for package in members(&metadata) {
        let direct = direct(package);
        for (_, whom, why) in FORBIDDEN.iter().filter(|(who, ..)| *who == *package.name) {
            if direct.contains(whom) {
                faults.push(format!("{} uses {whom}: {why}", package.name));
            }
        }
    }
    check(&faults);
}

#[test]
fn words_reach_nothing_that_waits_or_touches_the_machine() {
    let metadata = metadata();
    let mut faults = Vec::new();
    for package in members(&metadata).into_iter().filter(|p| place(&p.name) == Some(Word)) {
        let reached = reach(&metadata, &package.id);
        for (name, why) in NOT_IN_WORDS {
            if let Some(through) = reached.get(name) {
                faults.push(format!("{} reaches {name} through {through}: {why}", package.name));
            }
        }
    }
    check(&faults);
}

#[test]
fn machines_name_next_to_nothing() {
    let metadata = metadata();
    let mut faults = Vec::new();
    for package in members(&metadata).into_iter().filter(|p| place(&p.name) == Some(Machine)) {
        for name in direct(package) {
            if !IN_MACHINES.iter().any(|(allowed, _)| *allowed == name) {
                faults.push(format!(
                    "{} uses {name}: a machine is arithmetic over its arguments",
                    package.name
                ));
            }
        }
    }
    check(&faults);
}

#[test]
fn errors_are_typed_below_the_drivers() {
    let metadata = metadata();
    let mut faults = Vec::new();
    for package in members(&metadata) {
        let typed = matches!(place(&package.name), Some(Word | Machine | Adapter));
        if typed && direct(package).contains("anyhow") {
            faults.push(format!(
                "{} uses anyhow: its callers branch on what went wrong",
                package.name
            ));
        }
    }
    check(&faults);
}

#[test]
fn nothing_shipped_is_built_from_support() {
    let metadata = metadata();
    let mut faults = Vec::new();
    for package in members(&metadata).into_iter().filter(|p| place(&p.name) != Some(Support)) {
        for name in direct(package).into_iter().filter(|name| place(name) == Some(Support)) {
            faults.push(format!("{} uses {name} outside of its tests", package.name));
        }
    }
    check(&faults);
}

#[test]
fn exceptions_are_in_use() {
    let metadata = metadata();
    let mut faults = Vec::new();
    for (who, whom, _) in NEIGHBOURS {
        let used = members(&metadata).iter().any(|p| *p.name == **who && direct(p).contains(whom));
        if !used {
            faults.push(format!("{who} no longer uses {whom}: take the exception out"));
        }
    }
    check(&faults);
}
