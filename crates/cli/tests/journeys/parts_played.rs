//! Machines that are several things: in two communities, and relay and target in one.

use std::fs;

use serde_json::{Value, json};

use crate::community::{Community, serve};
use crate::process::{lines, until};
use crate::relay::{Relay, counted};

#[test]
fn a_machine_is_a_target_in_one_community_and_a_publisher_in_the_other() {
    let community = Community::create();
    let world = &community.world;
    community.peer("ci", &["--role", "publisher"]);
    community.peer("desk", &["--role", "target"]);
    // The other one is somebody else's, at the same hub.
    world.register("chief", &[]);
    let seed = world.text("other.seed");
    world.tells("chief", &["community", "create", "Plant 8", "--seed", &seed], &["created"]);
    let _chief = serve(world, "chief");
    for (peer, role) in [("desk", "publisher"), ("press-8", "target")] {
        let secret = world.text(&format!("{peer}.other"));
        let add = ["community", "peer", "add", peer, "--role", role, "--secret-file", &secret];
        world.tells("chief", &add, &["defined"]);
        let join = ["join", &seed, "--as", peer, "--secret-file", &secret];
        world.tells(peer, &join, &["joined"]);
    }
    let _nodes = ["desk", "press-8", "ci"].map(|node| serve(world, node));

    // What comes in the one is carried out; what goes out in the other reaches the other's targets.
    let line = |what: &str| format!("echo {what} >> {}", community.ran_file().display());
    community.send(&community.package("1", &line("seven")), &[]);
    until("it was carried out as a target", || community.ran() == 1);
    let package = community.package("2", &line("eight"));
    let to_the_other = ["package", "send", &package, "--community", "Plant 8"];
    let sent = world.tells("desk", &to_the_other, &["sent"]);
    assert_eq!(sent["targets"], json!(["press-8"]), "{sent}");
    until("it was carried out by the other's target", || community.ran() == 2);
    let ran = fs::read_to_string(community.ran_file()).expect("read");
    assert_eq!(ran, "seven\neight\n");
    until("its receipt came to the machine that sent it", || {
        let listed = lines(&world.run("desk", &["package", "list"]));
        listed.iter().any(|line| line["version"] == "2" && line["passed"] == 1)
    });
    until("its own receipt came to the first publisher", || counted(&community, 1, "passed") == 1);

    // Neither part is more than it is: no role of the one counts in the other.
    let refused = world.fails("desk", &["package", "send", &package, "--community", "Plant 7"], 5);
    assert!(refused["message"].to_string().contains("publishers and relays"), "{refused}");
    world.fails("ci", &["package", "send", &package, "--community", "Plant 8"], 4);
    // Nobody has to guess which one is meant, and the machine follows both.
    let refused = world.fails("desk", &["package", "send", &package], 4);
    assert!(refused["message"].to_string().contains("knows 2 of them"), "{refused}");
    let status = lines(&world.run("desk", &["status"]));
    let mut names: Vec<&Value> = status
        .iter()
        .filter(|line| line["event"] == "community" && line["state"] == "listening")
        .map(|line| &line["name"])
        .collect();
    names.sort_by_key(|name| name.to_string());
    assert_eq!(names, ["Plant 7", "Plant 8"], "{status:?}");
    assert_eq!(community.ran(), 2);
}

#[test]
fn a_relay_that_is_a_target_carries_a_package_out_before_it_passes_it_on() {
    let community = Community::logged();
    let world = &community.world;
    community.peer("ci", &["--role", "publisher"]);
    let _relay = Relay::start(&community, "relay-a", &["--role", "target"]);
    community.peer("press-1", &["--role", "target", "--route", "relay-a"]);
    let _nodes = [serve(world, "press-1"), serve(world, "ci")];
    // Its script ends when somebody says so: until then the machine behind it gets nothing.
    let (go, ran) = (world.path("go"), community.ran_file());
    let line = format!(
        "echo began >> {ran}; while [ ! -e {go} ]; do sleep 0.1; done; echo over >> {ran}",
        ran = ran.display(),
        go = go.display()
    );
    community.send(&community.package("1", &line), &[]);
    until("the relay is at it", || community.ran() == 1);
    fs::write(&go, "").expect("written");
    until("both carried it out", || community.ran() == 4);
    let ran = fs::read_to_string(ran).expect("read");
    assert_eq!(ran.lines().collect::<Vec<_>>(), ["began", "over", "began", "over"]);
    until("both answered", || counted(&community, 1, "passed") == 2);
    let log = fs::read_to_string(world.path("logs/relay-a/log")).expect("UTF-8");
    let place = |what: &str| log.find(what).unwrap_or_else(|| panic!("no {what:?} in {log}"));
    assert!(place("answered a release") < place("release 1 of ci went on to 1 target"), "{log}");
}

#[test]
fn a_relay_that_cannot_carry_a_package_out_itself_passes_it_on() {
    let community = Community::create();
    let world = &community.world;
    community.peer("ci", &["--role", "publisher"]);
    let _relay = Relay::start(&community, "relay-a", &["--role", "target"]);
    community.peer("press-1", &["--role", "target", "--route", "relay-a"]);
    let _nodes = [serve(world, "press-1"), serve(world, "ci")];
    // Something is in the way of its own packages.
    let files = fs::read_dir(world.path("relay-a/communities")).expect("listed");
    let own = files.flatten().next().expect("it belongs to one").path().join("target");
    fs::create_dir_all(&own).expect("made");
    let trees = own.join("trees");
    assert!(!trees.exists(), "it had none");
    fs::write(&trees, "in the way").expect("written");
    let line = format!("echo ran >> {}", community.ran_file().display());
    community.send(&community.package("1", &line), &[]);
    until("the one behind it carried it out", || community.ran() == 1);
    until("its receipt came", || counted(&community, 1, "passed") == 1);
    let told = || {
        let status = lines(&world.run("relay-a", &["status"]));
        status.into_iter().find(|line| line["event"] == "community").unwrap_or_default()
    };
    until("the relay says what is wrong", || told().to_string().contains("trees"));
    assert_eq!(counted(&community, 1, "pending"), 1, "of the relay itself");
    // It is taken away: nothing is missed, and nothing runs twice.
    fs::remove_file(&trees).expect("removed");
    until("it carried it out, too", || community.ran() == 2);
    until("both answered", || counted(&community, 1, "passed") == 2);
}
