//! Packages on their way through relays.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use serde_json::Value;

use crate::community::{Community, serve};
use crate::process::{Process, invite, lines, start_hub, until};

/// What a script says and nobody but the target and the publisher may read.
const SECRET: &str = "seventeen-purple-presses";

/// A relay: the hub beside it, and its node.
pub(crate) struct Relay {
    hub: Process,
    url: String,
    _node: Process,
}

impl Relay {
    /// One that joins, and is known by its address.
    pub(crate) fn start(community: &Community, name: &str, options: &[&str]) -> Self {
        let world = &community.world;
        let data = world.path(&format!("{name}-hub"));
        let (hub, hello) = start_hub(&data, &["--listen", "127.0.0.1:0"]);
        let url = hello["url"].as_str().expect("a text").to_owned();
        world.tells(name, &["register", &invite(&data, &[])], &["registered"]);
        community.peer(name, &[&["--role", "relay"], options].concat());
        // It becomes one while its node runs.
        let node = serve(world, name);
        let told = world.tells(name, &["community", "relay", &url], &["relaying"]);
        let address = told["address"].as_str().expect("a text");
        world.tells("boss", &["community", "address", name, address], &["changed"]);
        Self { hub, url, _node: node }
    }
}

fn last_news(community: &Community, node: &str) -> String {
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

fn counted(community: &Community, sequence: u64, verdict: &str) -> u64 {
    let listed = lines(&community.world.run("ci", &["package", "list"]));
    let line = listed.iter().find(|line: &&Value| line["sequence"] == sequence);
    line.and_then(|line| line[verdict].as_u64()).unwrap_or(0)
}

#[test]
fn a_package_comes_through_a_relay_below_a_relay_while_the_hub_is_away() {
    let community = Community::create();
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
    // Nobody on the way keeps a word of the package, of what it did, or of where it put things.
    for place in ["hub", "upper-hub", "upper", "lower-hub", "lower"] {
        for word in [SECRET, "page of 1", "placed", "ran >>"] {
            assert_eq!(holds(&world.path(place), word.as_bytes()), None, "{word}");
        }
    }
    assert!(holds(&world.path("press-1"), SECRET.as_bytes()).is_some(), "the search finds it");

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
    let line = format!("echo ran >> {}", community.ran_file().display());
    community.send(&community.package("1", &line), &[]);
    let (_press, _ci) = (serve(world, "press-1"), serve(world, "ci"));
    until("the receipt came back", || counted(&community, 1, "passed") == 1);
    assert_eq!(community.ran(), 1);
    assert_eq!(holds(&world.path("press-1"), world.url.as_bytes()), None, "the first hub");
    assert!(holds(&world.path("press-1"), lower.url.as_bytes()).is_some(), "the search finds it");

    // A secret is used once, here too, and the machine is told.
    let again = ["join", &seed, "--as", "press-1", "--secret-file", &secret];
    let refused = world.fails("press-2", &again, 5);
    assert!(refused["message"].to_string().contains("join secret"), "{refused}");
    world.tells("boss", &["community", "status"], &["community"]);
}

#[test]
fn a_target_goes_on_at_another_relay_when_one_is_cut_off() {
    let community = Community::create();
    let world = &community.world;
    community.peer("ci", &["--role", "publisher"]);
    let first = Relay::start(&community, "relay-a", &[]);
    let _second = Relay::start(&community, "relay-b", &[]);
    community.peer("press-1", &["--role", "target", "--route", "relay-a", "--route", "relay-b"]);
    let line = format!("echo ran >> {}", community.ran_file().display());
    let package = community.package("1", &line);
    let large = world.path("hello/large");
    let noise: Vec<u8> = {
        let mut state = 1u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as u8
        };
        (0..24 << 20).map(|_| next()).collect()
    };
    fs::write(&large, &noise).expect("written");
    let placed = world.path("placed-large");
    let text = fs::read_to_string(world.path("hello/consign-package.toml")).expect("read");
    let step = format!("\n[[step]]\nfiles = \"large\"\ntarget = \"{}\"\n", placed.display());
    fs::write(world.path("hello/consign-package.toml"), text + &step).expect("written");
    community.send(&package, &[]);
    for relay in ["relay-a", "relay-b"] {
        until("it is at both relays", || last_news(&community, relay).contains("went on"));
    }
    let _target = serve(world, "press-1");
    let trees = world.path("press-1/communities");
    until("it fetches", || has(&trees, "tree"));
    first.hub.end(Signal::KILL);
    until("it was carried out", || community.ran() == 1);
    let _ci = serve(world, "ci");
    until("the receipt came back", || counted(&community, 1, "passed") == 1);
    assert!(fs::read(&placed).expect("read") == noise, "byte by byte");
}

/// A file beneath a folder that holds these bytes.
fn holds(folder: &Path, bytes: &[u8]) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).expect("readable");
    entries.flatten().map(|entry| entry.path()).find_map(|path| {
        if path.is_dir() {
            return holds(&path, bytes);
        }
        // Sockets and what goes away meanwhile have no bytes.
        let found = fs::read(&path)
            .is_ok_and(|content| content.windows(bytes.len()).any(|window| window == bytes));
        found.then_some(path)
    })
}

/// Whether there is a folder of this name beneath.
fn has(directory: &Path, name: &str) -> bool {
    let Ok(entries) = fs::read_dir(directory) else { return false };
    entries.flatten().any(|entry| {
        let path = entry.path();
        path.is_dir() && (entry.file_name() == name || has(&path, name))
    })
}
