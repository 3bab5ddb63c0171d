//! Communities that end, and those that a hub has no longer.

use serde_json::Value;

use crate::community::{Community, serve};
use crate::process::{lines, until};
use crate::relay::Relay;

/// What a running node does for its community.
fn state(community: &Community, node: &str) -> Value {
    let status = lines(&community.world.run(node, &["status"]));
    let line = status.into_iter().find(|line| line["event"] == "community");
    line.map(|line| line["state"].clone()).unwrap_or_default()
}

/// The one community at a hub, as its operator sees it.
fn hosted(community: &Community, hub: &str) -> Value {
    let data = community.world.text(hub);
    let args = ["hub", "community", "list", "--data", &data];
    community.world.tells("operator", &args, &["hub-community"])
}

#[test]
fn a_community_that_its_managers_end_ends_for_everybody_and_leaves_what_was_installed() {
    let community = Community::create();
    let world = &community.world;
    community.peer("ci", &["--role", "publisher"]);
    let _relay = Relay::start(&community, "relay", &[]);
    community.peer("press-1", &["--role", "target", "--route", "relay"]);
    community.peer("press-2", &["--role", "target"]);
    let line = format!("echo ran >> {}", community.ran_file().display());
    let package = community.package("1", &line);
    community.send(&package, &[]);
    let (_ci, _press) = (serve(world, "ci"), serve(world, "press-1"));
    until("it came through the relay", || community.ran() == 1);
    assert_eq!(hosted(&community, "hub")["peers"], 4);

    // It is asked for, and nobody but a manager can.
    world.fails("boss", &["community", "delete", "Plant 7"], 2);
    world.fails("ci", &["community", "delete", "Plant 7", "--yes"], 5);
    let delete = ["community", "delete", "Plant 7", "--yes"];
    world.tells("boss", &delete, &["community_ended"]);
    world.fails("boss", &delete, 4);
    // Whoever runs is told, the one behind the relay too, and so is whoever was off.
    for node in ["ci", "press-1", "relay", "boss"] {
        until("the node knows", || state(&community, node) == "ended");
    }
    for node in ["press-1", "press-2", "ci", "relay"] {
        world.tells(node, &["community", "status"], &["community_ended"]);
    }
    for hub in ["hub", "relay-hub"] {
        let left = hosted(&community, hub);
        assert_eq!((&left["ended"], &left["peers"]), (&true.into(), &0.into()), "{hub}: {left}");
    }
    // What waited for the second press is gone, what the first one did is not.
    let refused = world.fails("ci", &["package", "send", &package], 4);
    assert!(refused["message"].to_string().contains("has ended"), "{refused}");
    let join = ["join", &world.text("seed"), "--as", "late", "--approve"];
    let refused = world.fails("late", &join, 4);
    assert!(refused["message"].to_string().contains("has ended"), "{refused}");
    assert_eq!(community.ran(), 1);
    world.join_administrator("root");
    let told = lines(&world.run("root", &["audit"]));
    assert!(told.iter().any(|line| line["action"] == "end-community"), "{told:?}");
}

/// Nobody is left who could sign an end, and a hub that says so is not believed.
#[test]
fn a_community_that_its_hub_removed_has_not_ended() {
    let community = Community::create();
    let world = &community.world;
    community.peer("press-1", &["--role", "target"]);
    let data = world.text("hub");
    let remove = ["hub", "community", "remove", "Plant 7", "--data", &data];
    world.fails("operator", &remove, 2);
    world.tells("operator", &[&remove[..], &["--yes"]].concat(), &["hub-community-removed"]);
    world.fails("operator", &[&remove[..], &["--yes"]].concat(), 4);
    let told = world.run("press-1", &["community", "status"]);
    assert_eq!(told.status.code(), Some(3));
    let told = lines(&told).pop().expect("a line");
    assert_eq!(told["event"], "community_failed");
    assert!(told["reason"].to_string().contains("no longer has Plant 7"), "{told}");
}
