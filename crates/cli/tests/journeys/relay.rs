//! Packages on their way through relays.

use std::fs;

use rustix::process::Signal;
use serde_json::Value;

use crate::community::{Community, Large, serve};
use crate::gate::{Counted, Gate};
use crate::needles::{Needle, found};
use crate::process::{Process, address_of, consign, invite, lines, start_hub, start_hub_by, until};

/// What a script says and nobody but the target and the publisher may read.
const SECRET: &str = "seventeen-purple-presses";

/// A relay: the hub beside it, and its node.
pub(crate) struct Relay {
    hub: Process,
    url: String,
    /// Lies before it, where it was asked for.
    gate: Option<Gate>,
    pub(crate) node: Process,
}

impl Relay {
    /// One that joins, and is known by its address.
    pub(crate) fn start(community: &Community, name: &str, options: &[&str]) -> Self {
        Self::found(community, name, options, None)
    }

    /// One that others reach through a gate alone, which is open.
    pub(crate) fn behind(
        community: &Community,
        name: &str,
        options: &[&str],
        counted: Counted,
    ) -> Self {
        Self::found(community, name, options, Some(counted))
    }

    fn found(
        community: &Community,
        name: &str,
        options: &[&str],
        counted: Option<Counted>,
    ) -> Self {
        let world = &community.world;
        let data = world.path(&format!("{name}-hub"));
        let mut command = consign();
        let command = world.logging(&mut command, &format!("{name}-hub"));
        let (hub, hello) = start_hub_by(command, &data, &["--listen", "127.0.0.1:0"]);
        let url = hello["url"].as_str().expect("a text").to_owned();
        world.tells(name, &["register", &invite(&data, &[])], &["registered"]);
        community.peer(name, &[&["--role", "relay"], options].concat());
        // It becomes one while its node runs.
        let node = serve(world, name);
        let told = world.tells(name, &["community", "relay", &url], &["relaying"]);
        let mut address = told["address"].as_str().expect("a text").to_owned();
        let listens = address_of(&hello["url"]).to_string();
        let gate = counted.map(|counted| Gate::to(&listens, counted, u64::MAX));
        if let Some(gate) = &gate {
            address = address.replace(url.trim_end_matches('/'), &gate.url);
            assert!(address.starts_with(&gate.url), "{address}");
        }
        world.tells("boss", &["community", "address", name, &address], &["changed"]);
        Self { hub, url, gate, node }
    }
}

pub(crate) fn last_news(community: &Community, node: &str) -> String {
    let status = community.world.run(node, &["status"]);
    let line = lines(&status).into_iter().find(|line| line["event"] == "community");
    line.and_then(|line| line["last"].as_str().map(str::to_owned)).unwrap_or_default()
}

/// What a publisher is told of a relay.
fn told_of(community: &Community, relay: &str) -> Value {
    let told = lines(&community.world.run("ci", &["community", "relays"]));
    assert_eq!(told[0]["event"], "backlog");
    let found = told.into_iter().find(|line| line["event"] == "relay" && line["peer"] == relay);
    found.expect("each relay has a line")
}

pub(crate) fn counted(community: &Community, sequence: u64, verdict: &str) -> u64 {
    let listed = lines(&community.world.run("ci", &["package", "list"]));
    let line = listed.iter().find(|line: &&Value| line["sequence"] == sequence);
    line.and_then(|line| line[verdict].as_u64()).unwrap_or(0)
}

#[test]
fn a_package_comes_through_a_relay_below_a_relay_while_the_hub_is_away() {
    let community = Community::logged();
    let world = &community.world;
    community.peer("ci", &["--role", "publisher"]);
    let _upper = Relay::start(&community, "upper", &[]);
    let lower = Relay::start(&community, "lower", &["--route", "upper"]);
    community.peer("press-1", &["--role", "target", "--route", "lower"]);
    community.peer("press-2", &["--role", "target"]);
    let refused = world.fails("boss", &["community", "route", "press-2", "press-1"], 1);
    assert!(refused["message"].as_str().is_some_and(|it| it.contains("no relay")), "{refused}");

    let line = format!("echo ran >> {}; echo {SECRET}", community.ran_file().display());
    let package = community.package("1", &line);
    community.send(&package, &[]);
    until("it is at the lower relay", || {
        last_news(&community, "lower").contains("went on to 1 target")
    });
    // The hub is away: it is carried out all the same, and the receipt waits.
    world.hub.signal(Signal::STOP);
    let target = serve(world, "press-1");
    until("it was carried out", || community.ran() == 1);
    until("it was answered", || last_news(&community, "press-1").contains("passed"));
    world.hub.signal(Signal::CONT);
    let _ci = serve(world, "ci");
    until("the receipt came back", || counted(&community, 1, "passed") == 1);
    assert_eq!(counted(&community, 1, "pending"), 1, "the other target was off");
    // A publisher sees what went through both of them, the one below the other, too.
    for relay in ["upper", "lower"] {
        until("what the relay tells has come", || {
            let told = told_of(&community, relay);
            let number = |field: &str| told[field].as_u64().unwrap_or(0);
            number("down_bytes") > 0 && number("up_bytes") > 0
        });
    }
    world.tells("ci", &["community", "relays"], &["backlog", "relay"]);
    world.fails("press-1", &["community", "relays"], 5);
    // Nobody on the way keeps or logs a word of the package, of what it did, or of where it put things.
    let words = [SECRET, "page of 1", &world.text("placed"), "ran >>"].map(Needle::new);
    for place in ["hub", "upper-hub", "upper", "lower-hub", "lower"] {
        assert_eq!(found(&world.path(place), &words), [], "kept at {place}");
        let log = world.path("logs").join(place);
        assert_eq!(found(&log, &words), [], "logged at {place}");
        let all = fs::read_to_string(log.join("log")).expect("UTF-8");
        assert!(all.contains("DEBUG"), "{place} logs all it can");
        let own = if place.ends_with("hub") { "hub::" } else { "node::" };
        assert!(all.contains(own), "{place} logs what it does itself");
    }
    assert!(!found(&world.path("press-1"), &words).is_empty(), "the search finds it");

    // The lower relay's hub is lost with all it had; nothing runs twice, nothing is missed.
    target.end(Signal::TERM);
    lower.hub.end(Signal::KILL);
    let data = world.path("lower-hub");
    // All but its certificate, by which it is known.
    for entry in fs::read_dir(&data).expect("read").flatten() {
        let path = entry.path();
        if path.is_file() {
            fs::remove_file(path).expect("removed");
        } else if entry.file_name() != "tls" {
            fs::remove_dir_all(path).expect("removed");
        }
    }
    let port = lower.url.rsplit(':').next().expect("a port").trim_end_matches('/');
    let listen = format!("127.0.0.1:{port}");
    let (_hub, hello) = start_hub(&data, &["--listen", &listen]);
    assert_eq!(hello["url"].as_str(), Some(&*lower.url));
    world.tells("lower", &["register", &invite(&data, &[])], &["registered"]);
    let package = community.package("2", &line);
    community.send(&package, &[]);
    let _target = serve(world, "press-1");
    until("the second was carried out", || community.ran() == 2);
    until("the second receipt came back", || counted(&community, 2, "passed") == 1);
    assert_eq!(community.ran(), 2);

    // Whoever is taken out of the community is taken out of the relays, too.
    world.tells("boss", &["community", "revoke", "press-1"], &["revoked"]);
    until("the lower relay knows", || last_news(&community, "lower").contains("roster"));
    world.fails("press-1", &["community", "status"], 3);
}

/// Two relays between it and the managers, of which it knows the nearer one alone.
#[test]
fn a_machine_that_reaches_nothing_but_a_relay_joins_and_works_through_it() {
    let community = Community::create();
    let world = &community.world;
    community.peer("ci", &["--role", "publisher"]);
    let _upper = Relay::start(&community, "upper", &[]);
    let lower = Relay::start(&community, "lower", &["--route", "upper"]);
    let (seed, secret) = (world.text("lower.seed"), world.text("press-1.secret"));
    let through = ["community", "seed", "--route", "lower", "--output", &seed];
    world.tells("boss", &through, &[]);
    let add = ["community", "peer", "add", "press-1", "--role", "target", "--route", "lower"];
    world.tells("boss", &[&add[..], &["--secret-file", &secret]].concat(), &["defined"]);
    until("the lower relay is one", || last_news(&community, "lower").contains("roster"));
    let join = ["join", &seed, "--as", "press-1", "--secret-file", &secret];
    let joined = world.tells("press-1", &join, &["joined"]);
    assert_eq!((&joined["peer"], &joined["again"]), (&"press-1".into(), &false.into()));
    // It speaks with the relay alone, and gets what it is sent.
    let (ran, go) = (community.ran_file(), world.path("go"));
    let wait = format!("while [ ! -e {} ]; do sleep 0.1; done", go.display());
    community.send(&community.package("1", &format!("{wait}; echo ran >> {}", ran.display())), &[]);
    let (_press, _ci) = (serve(world, "press-1"), serve(world, "ci"));
    // That it works on it comes up through both relays, before there is an answer.
    until("the publisher sees it running", || counted(&community, 1, "running") == 1);
    assert_eq!(counted(&community, 1, "pending"), 1, "it has not answered");
    fs::write(&go, "").expect("written");
    until("the receipt came back", || counted(&community, 1, "passed") == 1);
    assert_eq!(counted(&community, 1, "running"), 0);
    assert_eq!(community.ran(), 1);
    let of = |url: &str| found(&world.path("press-1"), &[Needle::new(url)]);
    assert_eq!(of(&world.url), [], "the first hub");
    assert!(!of(&lower.url).is_empty(), "the search finds it");

    // A secret is used once, here too, and the machine is told.
    let again = ["join", &seed, "--as", "press-1", "--secret-file", &secret];
    let refused = world.fails("press-2", &again, 5);
    assert!(refused["message"].to_string().contains("join secret"), "{refused}");
    world.tells("boss", &["community", "status"], &["community"]);
}

/// What each relay of two gives before one is cut off, of a file of this length.
const LARGE_BYTES: usize = 48 << 20;
const FIRST_BYTES: u64 = 16 << 20;
const SECOND_BYTES: u64 = 8 << 20;
/// What is asked for twice: what was under way at the one that was cut off.
const AGAIN_BYTES_MAX: u64 = 8 << 20;
/// What else is said, and how chunks are wrapped.
const ASIDE_BYTES: u64 = 1 << 20;

#[test]
fn a_target_goes_on_at_another_relay_when_one_is_cut_off() {
    let community = Community::create();
    let world = &community.world;
    community.peer("ci", &["--role", "publisher"]);
    let [first, second] = ["relay-a", "relay-b"]
        .map(|name| Relay::behind(&community, name, &[], Counted::FromTheHub));
    let gates = [&first, &second].map(|relay| relay.gate.as_ref().expect("behind one"));
    community.peer("press-1", &["--role", "target", "--route", "relay-a", "--route", "relay-b"]);
    let target = serve(world, "press-1");
    let sent = |large: &Large| {
        let sequence = community.send(&large.package, &[])["sequence"].clone();
        let news = format!("release {sequence} of ci went on to 1 target");
        for relay in ["relay-a", "relay-b"] {
            until(&format!("{news} at {relay}"), || last_news(&community, relay).contains(&news));
        }
    };

    // Both are well, and each gives a share.
    let large = community.large_package("1", LARGE_BYTES / 2);
    sent(&large);
    until("it was carried out", || community.ran() == 1);
    let gave = gates.map(Gate::passed_bytes);
    let most = (LARGE_BYTES / 2) as u64 + AGAIN_BYTES_MAX + ASIDE_BYTES;
    assert!(gave.iter().all(|bytes| *bytes > ASIDE_BYTES), "{gave:?}");
    assert!(gave.iter().sum::<u64>() <= most, "{gave:?}");

    // The next release: both have given some of it when the one is cut off.
    target.end(Signal::TERM);
    let large = community.large_package("2", LARGE_BYTES);
    sent(&large);
    gates[0].let_through(FIRST_BYTES);
    gates[1].let_through(SECOND_BYTES);
    let before = gates.map(Gate::passed_bytes);
    let _target = serve(world, "press-1");
    gates.iter().for_each(|gate| gate.wait_until_shut());
    assert_eq!(community.ran(), 1, "it is in the middle");
    gates[0].cut();
    gates[1].open();
    until("it was carried out", || community.ran() == 2);
    large.assert_placed();
    let gave = [0, 1].map(|gate| gates[gate].passed_bytes() - before[gate]);
    assert_eq!(gave[0], FIRST_BYTES, "nothing more came through the first");
    let most = LARGE_BYTES as u64 - FIRST_BYTES + AGAIN_BYTES_MAX + ASIDE_BYTES;
    assert!(gave[1] <= most, "the second gives the rest and no more: {gave:?}");
    let _ci = serve(world, "ci");
    until("the receipts came back", || counted(&community, 2, "passed") == 1);
}
