//! Packages of which somebody is killed in the middle of a hop: only the rest goes over it again.

use std::process::Stdio;

use rustix::process::Signal;

use crate::community::{Community, serve};
use crate::gate::{Counted, Gate};
use crate::process::{Process, start_hub, until};
use crate::relay::{Relay, last_news};

const LARGE_BYTES: usize = 64 << 20;
/// What comes over a hop before somebody is killed.
const FIRST_BYTES: u64 = 48 << 20;
/// Three batches of 8 MiB are under way at once: of these nobody has said yet that they are there.
const UNDER_WAY_BYTES_MAX: u64 = 24 << 20;
/// What else is said, and how chunks are wrapped.
const ASIDE_BYTES: u64 = 2 << 20;

/// A gate before the community's hub, and what a peer takes for the way to it.
fn before_the_hub(community: &Community, counted: Counted) -> (Gate, String) {
    let gate = Gate::to(community.world.address(), counted, u64::MAX);
    let fingerprint = community.world.hello["fingerprint"].as_str().expect("a text");
    let route = format!("{}#{fingerprint}", gate.url);
    (gate, route)
}

/// After the first part came what lacked, and what was under way a second time.
fn assert_only_the_rest(gate: &Gate, before: u64) {
    let second = gate.passed_bytes() - before - FIRST_BYTES;
    let rest = LARGE_BYTES as u64 - FIRST_BYTES;
    let most = rest + UNDER_WAY_BYTES_MAX + ASIDE_BYTES;
    assert!((rest..=most).contains(&second), "{second} bytes came, {rest} lacked");
}

/// Begins to send a package, of which the first part comes through.
fn send_the_first_part(community: &Community, gate: &Gate, package: &str) -> Process {
    gate.let_through(FIRST_BYTES);
    let mut send = community.world.command("ci", &["package", "send", package]);
    let send = send.env_remove("CONSIGN_CONFIG").stdout(Stdio::null()).stderr(Stdio::null());
    let sending = Process::start(send);
    gate.wait_until_shut();
    sending
}

#[test]
fn a_send_goes_on_with_the_rest_when_publisher_or_hub_was_killed_in_it() {
    let mut community = Community::create();
    let (gate, route) = before_the_hub(&community, Counted::ToTheHub);
    community.peer("ci", &["--role", "publisher", "--route", &route]);
    community.peer("press-1", &["--role", "target"]);

    // The publisher is killed.
    let large = community.large_package("1", LARGE_BYTES);
    let before = gate.passed_bytes();
    send_the_first_part(&community, &gate, &large.package).kill();
    gate.open();
    let sent = community.send(&large.package, &[]);
    assert_eq!(sent["sequence"], 1, "nothing counts as sent before all of it is there");
    assert_only_the_rest(&gate, before);
    let target = serve(&community.world, "press-1");
    until("it was carried out", || community.ran() == 1);
    large.assert_placed();
    target.end(Signal::KILL);

    // The hub is killed, and comes back under the same address with what it acknowledged.
    let large = community.large_package("2", LARGE_BYTES);
    let before = gate.passed_bytes();
    let mut sending = send_the_first_part(&community, &gate, &large.package);
    community.world.hub.kill();
    gate.open();
    let ended = sending.0.wait().expect("it ends");
    assert_eq!(ended.code(), Some(7), "the hub cannot be reached");
    let (data, listen) = (community.world.path("hub"), community.world.address().to_owned());
    community.world.hub = start_hub(&data, &["--listen", &listen]).0;
    let sent = community.send(&large.package, &[]);
    assert_eq!(sent["sequence"], 2, "{sent}");
    assert_only_the_rest(&gate, before);
    let _target = serve(&community.world, "press-1");
    until("it was carried out", || community.ran() == 2);
    large.assert_placed();
}

#[test]
fn a_relay_that_was_killed_in_the_middle_of_a_release_fetches_the_rest() {
    let community = Community::create();
    let world = &community.world;
    let (gate, route) = before_the_hub(&community, Counted::FromTheHub);
    community.peer("ci", &["--role", "publisher"]);
    let relay = Relay::start(&community, "relay-a", &["--route", &route]);
    community.peer("press-1", &["--role", "target", "--route", "relay-a"]);
    until("the relay is one", || last_news(&community, "relay-a").contains("roster"));

    let large = community.large_package("1", LARGE_BYTES);
    let before = gate.passed_bytes();
    gate.let_through(FIRST_BYTES);
    community.send(&large.package, &[]);
    gate.wait_until_shut();
    relay.node.end(Signal::KILL);
    gate.open();
    let _node = serve(world, "relay-a");
    until("it went on", || last_news(&community, "relay-a").contains("went on to 1 target"));
    assert_only_the_rest(&gate, before);
    let _target = serve(world, "press-1");
    until("it was carried out", || community.ran() == 1);
    large.assert_placed();
}
