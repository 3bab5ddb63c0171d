//! Managers who have to sign together.

use std::fs;

use serde_json::Value;

use crate::community::Community;
use crate::process::{Process, lines, until};

/// Managers `boss`, whose node runs, `deputy` and `third`, of whom two have to sign, and the peers
/// `ci` and `press-1`.
fn two_of_three() -> Community {
    let community = Community::create();
    community.peer("ci", &["--role", "publisher"]);
    community.peer("press-1", &["--role", "target"]);
    let (world, seed) = (&community.world, community.world.text("seed"));
    for name in ["deputy", "third"] {
        world.register(name, &[]);
        let key = world.ok(name, &["id"])["key"].as_str().expect("a text").to_owned();
        // Who cannot look at the community yet cannot sign for it.
        let early = ["community", "manager", "add", &key, "--threshold", "3"];
        world.fails("boss", &early, 1);
        world.tells("boss", &["community", "manager", "add", &key], &["managers"]);
        world.tells(name, &["community", "open", &seed], &["opened"]);
    }
    let file = world.text("threshold");
    let raise = ["community", "manager", "threshold", "2", "--proposal", &file];
    let raised = world.tells("boss", &raise, &["proposal"]);
    assert_eq!(raised["missing"], 1, "{raised}");
    world.tells("deputy", &["community", "sign", &file], &["proposal", "submitted"]);
    let status = world.tells("third", &["community", "status"], &["community"]);
    assert_eq!((&status["managers"], &status["threshold"]), (&3.into(), &2.into()), "{status}");
    community
}

/// Proposes a label of `press-1`; what was said of it.
fn propose(community: &Community, manager: &str, label: &str) -> (String, Value) {
    let file = community.world.text(&format!("{manager}-{label}.proposal"));
    let args = ["community", "label", "press-1", label, "--proposal", &file];
    let made = community.world.tells(manager, &args, &["proposal"]);
    assert_eq!((&made["missing"], &made["file"]), (&1.into(), &file.as_str().into()), "{made}");
    (file, made)
}

fn labels(community: &Community) -> Value {
    let listed = lines(&community.world.run("third", &["community", "list"]));
    let peer = listed.into_iter().find(|line| line["peer"] == "press-1").expect("listed");
    peer["labels"].clone()
}

#[test]
fn what_one_manager_proposes_another_one_signs() {
    let community = two_of_three();
    let world = &community.world;
    let (file, made) = propose(&community, "boss", "ring=0");
    // One signature is nothing, however often it is given.
    world.fails("boss", &["community", "proposal", "submit", &file], 5);
    let again = world.tells("boss", &["community", "sign", &file], &["proposal"]);
    assert_eq!((&again["missing"], &again["id"]), (&1.into(), &made["id"]));
    assert_eq!(labels(&community), serde_json::json!({}));
    // Nobody but managers looks at it or signs.
    world.fails("ci", &["community", "sign", &file], 5);
    let shown = world.tells("deputy", &["community", "proposal", "show", &file], &["proposal"]);
    assert_eq!((&shown["id"], &shown["changes"]), (&made["id"], &made["changes"]));
    assert!(shown["changes"].to_string().contains("labels ring=0 instead of none"), "{shown}");
    // Another one than was looked at is not signed, and neither is one that was altered.
    let other = ["community", "sign", &file, "--id", "00000000000000000"];
    world.fails("deputy", &other, 6);
    let sound = fs::read_to_string(&file).expect("readable");
    let middle = sound.len() / 2;
    let letter = if &sound[middle..=middle] == "A" { "B" } else { "A" };
    let altered = format!("{}{letter}{}", &sound[..middle], &sound[middle + 1..]);
    fs::write(&file, &altered).expect("written");
    let refused = world.run("deputy", &["community", "sign", &file]);
    assert!(!refused.status.success());
    assert_eq!(fs::read_to_string(&file).expect("readable"), altered, "it was not signed");
    fs::write(&file, &sound).expect("written");
    // The second signature is enough, and the first manager's node knows that it is over.
    let id = made["id"].as_str().expect("a text");
    let sign = ["community", "sign", &file, "--id", &id[..16], "--no-submit"];
    assert_eq!(world.tells("deputy", &sign, &["proposal"])["missing"], 0);
    assert_eq!(labels(&community), serde_json::json!({}), "it was signed, not handed in");
    let submit = ["community", "proposal", "submit", &file];
    world.tells("third", &submit, &["submitted"]);
    assert_eq!(labels(&community), serde_json::json!({"ring": "0"}));
    world.fails("boss", &["community", "proposal", "show"], 4);
    let refused = world.fails("boss", &submit, 8);
    assert!(refused["message"].to_string().contains("in force already"), "{refused}");
    // A publisher believes it.
    world.tells("ci", &["community", "status"], &["community"]);
}

#[test]
fn a_community_is_ended_by_as_many_managers_as_have_to_sign() {
    let community = two_of_three();
    let world = &community.world;
    let file = world.text("end.proposal");
    let delete = ["community", "delete", "Plant 7", "--yes", "--proposal", &file];
    let made = world.tells("boss", &delete, &["proposal"]);
    assert_eq!(made["missing"], 1, "{made}");
    assert!(made["changes"].to_string().contains("ENDS THE COMMUNITY"), "{made}");
    // One signature ends nothing.
    world.fails("boss", &["community", "proposal", "submit", &file], 5);
    world.tells("ci", &["community", "status"], &["community"]);
    world.tells("deputy", &["community", "sign", &file], &["proposal", "community_ended"]);
    for node in ["boss", "third", "ci", "press-1"] {
        world.tells(node, &["community", "status"], &["community_ended"]);
    }
    let refused = world.fails("third", &["community", "label", "ci", "ring=1"], 4);
    assert!(refused["message"].to_string().contains("has ended"), "{refused}");
}

#[test]
fn a_proposal_that_was_overtaken_is_made_again() {
    let community = two_of_three();
    let world = &community.world;
    let (slow, _) = propose(&community, "boss", "ring=0");
    let (fast, _) = propose(&community, "deputy", "lab");
    world.tells("third", &["community", "sign", &fast], &["submitted"]);
    for manager in ["third", "deputy", "boss"] {
        let refused = world.fails(manager, &["community", "sign", &slow], 8);
        assert!(refused["message"].to_string().contains("overtaken"), "{refused}");
    }
    assert_eq!(labels(&community), serde_json::json!({"lab": ""}));
    // On what is in force now. What is added to a proposal takes the signatures of others off.
    let (again, made) = propose(&community, "boss", "ring=0");
    let more = ["community", "revoke", "ci", "--proposal", &again];
    let more = world.tells("boss", &more, &["proposal"]);
    assert_ne!(more["id"], made["id"]);
    let changes = more["changes"].to_string();
    assert!(changes.contains("ring=0") && changes.contains("revokes ci"), "{changes}");
    world.tells("boss", &["community", "proposal", "drop"], &["dropped"]);
    let (again, _) = propose(&community, "boss", "ring=0");
    world.tells("deputy", &["community", "sign", &again], &["submitted"]);
    assert_eq!(labels(&community), serde_json::json!({"lab": "", "ring": "0"}));
}

#[test]
fn managers_are_changed_by_as_many_as_have_to_sign() {
    let community = two_of_three();
    let world = &community.world;
    let key = world.ok("boss", &["id"])["key"].as_str().expect("a text").to_owned();
    let file = world.text("without-boss");
    let remove = ["community", "manager", "remove", &key, "--proposal", &file];
    let made = world.tells("deputy", &remove, &["proposal"]);
    assert!(made["changes"].to_string().contains("takes the manager"), "{made}");
    // Who leaves signs too, for those before; of those after it two have to, and to finish.
    let signed = world.tells("boss", &["community", "sign", &file], &["proposal"]);
    assert_eq!(signed["missing"], 1, "{signed}");
    let signed = world.tells("third", &["community", "sign", &file, "--no-submit"], &["proposal"]);
    assert_eq!(signed["missing"], 0, "{signed}");
    world.fails("boss", &["community", "proposal", "submit", &file], 5);
    world.tells("deputy", &["community", "proposal", "submit", &file], &["submitted"]);
    // Its command learns that it is none any more, or its node has, and then the hub knows it no more.
    let refused = world.run("boss", &["community", "revoke", "press-1"]);
    assert!(matches!(refused.status.code(), Some(4 | 5)), "{refused:?}");
    let status = world.tells("third", &["community", "status"], &["community"]);
    assert_eq!((&status["managers"], &status["threshold"]), (&2.into(), &2.into()), "{status}");
    world.tells("ci", &["community", "status"], &["community"]);
    // Of two who both have to sign none can be taken out before fewer have to.
    let key = world.ok("third", &["id"])["key"].as_str().expect("a text").to_owned();
    let remove = ["community", "manager", "remove", &key, "--proposal", &file];
    world.fails("deputy", &remove, 1);
    let made = world.tells("deputy", &[&remove[..], &["--threshold", "1"]].concat(), &["proposal"]);
    assert_eq!(made["missing"], 1, "{made}");
}

#[test]
fn a_machine_that_joins_waits_until_managers_have_signed() {
    let community = two_of_three();
    let world = &community.world;
    let (seed, secret) = (world.text("seed"), world.text("press-2.secret"));
    let add = ["community", "peer", "add", "press-2", "--role", "target", "--secret-file", &secret];
    world.tells("boss", &add, &["defined"]);
    let join = ["join", &seed, "--as", "press-2", "--secret-file", &secret];
    let mut joining = Process::start(&mut world.command("press-2", &join));
    // The first manager's node challenges it, and proposes it.
    until("it waits for signatures", || {
        let listed = lines(&world.run("boss", &["community", "list"]));
        listed.iter().any(|line| line["event"] == "waits_for_signatures")
    });
    let status = lines(&world.run("boss", &["community", "status"]));
    let waiting = status.iter().find(|line| line["event"] == "proposal").expect("waits");
    assert!(waiting["since"].is_number(), "{waiting}");
    assert!(waiting["changes"].to_string().contains("adds press-2"), "{waiting}");
    let file = world.text("joins");
    let show = ["community", "proposal", "show", "--output", &file];
    world.tells("boss", &show, &["proposal"]);
    world.tells("deputy", &["community", "sign", &file], &["submitted"]);
    until("the machine has joined", || joining.0.try_wait().expect("a child").is_some());
    assert!(joining.0.wait().expect("a child").success());
    let status = world.tells("press-2", &["community", "status"], &["community"]);
    assert_eq!(status["peer"], "press-2");
    // The secret was used up.
    world.fails("eve", &join, 4);
}
