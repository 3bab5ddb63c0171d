use documents::PublicKey;

use super::*;
use crate::app::Looked;

fn machine(number: usize, labels: &[(&str, &str)], routes: &[&str]) -> Machine {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&(number as u64).to_le_bytes());
    Machine {
        name: format!("press-{number:05}"),
        key: PublicKey::from_bytes(key),
        roles: vec![Role::Target],
        labels: labels.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
        routes: routes.iter().map(|route| (*route).to_owned()).collect(),
        addresses: Vec::new(),
        host: None,
        description: None,
        latest: None,
    }
}

fn picture(machines: Vec<Machine>) -> Picture {
    Picture { looked: Looked::default(), machines, answers: 0, has_ledger: true }
}

fn drawn(machines: Vec<Machine>, by: &str) -> Drawing {
    draw(&picture(machines), None, by, 1_000)
}

fn targets(drawing: &Drawing) -> Vec<&str> {
    let is_target = |node: &&Node| node.kind.starts_with("target");
    drawing.nodes.iter().filter(is_target).map(|node| &*node.name).collect()
}

#[test]
fn a_few_targets_are_a_box_each_and_thousands_are_groups() {
    let few = drawn((0..3).map(|number| machine(number, &[], &[])).collect(), "");
    assert_eq!(targets(&few), ["press-00000", "press-00001", "press-00002"]);
    assert_eq!(few.edges.len(), 3, "each is joined to the hub");

    let site = |number: usize| ["berlin", "lyon", "oslo"][number % 3];
    let many =
        (0..10_000).map(|it| machine(it, &[("site", site(it)), ("serial", &it.to_string())], &[]));
    let drawing = drawn(many.collect(), "");
    assert_eq!(
        targets(&drawing),
        ["site=berlin (3,334)", "site=lyon (3,333)", "site=oslo (3,333)"]
    );
    assert!(drawing.height < 400, "{}", drawing.height);
    assert_eq!(drawing.nodes[1].link.as_deref(), Some("/peers?role=target&label=site%3Dberlin"));
}

#[test]
fn however_many_values_a_label_has_the_boxes_stay_few_and_nobody_is_left_out() {
    let many = || (0..500).map(|it| machine(it, &[("serial", &it.to_string())], &[])).collect();
    for by in ["", "serial", "-state", "-name", "nothing-like-it"] {
        let drawing = drawn(many(), by);
        assert!(targets(&drawing).len() <= BOXES_MAX, "{by}");
        let tallies = drawing.nodes.iter().filter_map(|node| node.tally);
        assert_eq!(tallies.map(|tally| tally.total()).sum::<u64>(), 500, "{by}");
    }
    assert!(targets(&drawn(many(), "serial")).contains(&"others (489)"));
}

#[test]
fn targets_hang_on_the_relay_that_their_route_leads_to() {
    let mut relay = machine(99, &[], &[]);
    relay.roles = vec![Role::Relay];
    relay.addresses = vec!["https://relay.berlin.example:7400/".into()];
    let through = machine(1, &[], &["https://relay.berlin.example:7400"]);
    let elsewhere = machine(2, &[], &["https://other.example"]);
    let drawing = drawn(vec![machine(0, &[], &[]), through, elsewhere, relay], "");
    let kinds: Vec<&str> = drawing.nodes.iter().map(|node| node.kind).collect();
    assert_eq!(kinds, ["hub", "relay", "route", "target", "target", "target"]);
    let from: Vec<_> = drawing.nodes[3..].iter().map(|node| node.from.clone()).collect();
    // The hub's own comes first.
    assert_eq!(from, [vec![0], vec![2], vec![1]]);
    assert_eq!(drawing.heads.len(), 4);
}

#[test]
fn long_names_are_cut_and_columns_do_not_overlap() {
    let mut long = machine(0, &[], &[]);
    long.name = "a".repeat(64);
    let drawing = drawn(vec![long], "");
    let node = drawing.nodes.last().expect("a target");
    assert_eq!(node.short_name().chars().count(), NAME_FITS);
    assert_eq!(node.name.len(), 64);
    assert!(drawing.heads.windows(2).all(|pair| pair[0].x + WIDTH < pair[1].x));
}

#[test]
fn lines_that_lead_around_a_relay_do_not_touch_its_box() {
    let mut relay = machine(99, &[], &[]);
    relay.roles = vec![Role::Relay];
    relay.addresses = vec!["https://relay.berlin.example:7400/".into()];
    let through = machine(3, &[], &["https://relay.berlin.example:7400"]);
    let direct = [0, 1, 2].map(|number| machine(number, &[], &[]));
    let drawing = drawn(direct.into_iter().chain([through, relay.clone()]).collect(), "");
    let relay_box = drawing.nodes.iter().find(|node| node.kind == "relay").expect("a relay");
    let around: Vec<&str> =
        drawing.edges.iter().map(|edge| &*edge.path).filter(|path| path.contains('H')).collect();
    assert_eq!(around.len(), 3, "{:?}", drawing.edges);
    for path in around {
        let (before, after) = path.split_once('H').expect("a level part");
        let level: u32 = before.rsplit(' ').next().and_then(|y| y.parse().ok()).expect("a number");
        let until: u32 = after.split('C').next().and_then(|x| x.parse().ok()).expect("a number");
        assert!(level < relay_box.y, "{path} above {}", relay_box.y);
        assert_eq!(until, relay_box.x + WIDTH, "{path}");
        assert!(before.ends_with(&format!(" {} {level}", relay_box.x)), "{path}");
    }
    // Where everything goes through relays, nothing is kept free.
    let through = machine(3, &[], &["https://relay.berlin.example:7400"]);
    let drawing = drawn(vec![through, relay], "");
    assert!(drawing.edges.iter().all(|edge| !edge.path.contains('H')));
}
