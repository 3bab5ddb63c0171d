//! Machines join a community, and what stands between them and its managers.

use std::fs::{self, File};
use std::process::Stdio;

use community::{JoinChallenge, Seed};
use documents::{DocumentHash, NodeKey};
use hub_api::Joining;
use serde_json::Value;
use testkit::{Meddler, Meddling};

use crate::attacks::{log_file, logged};
use crate::community::Community;
use crate::documented::Documented;
use crate::process::{Process, consign, lines, start_hub_by, until};

#[test]
fn an_impostor_at_joining_is_found_out_and_both_sides_log_it() {
    let world = Documented::new();
    world.register("boss", &[]);
    let (seed, secret) = (world.text("seed"), world.text("press-1.secret"));
    world.tells("boss", &["community", "create", "Plant 7", "--seed", &seed], &["created"]);
    let _boss = logged(&world, "boss");
    let add = ["community", "peer", "add", "press-1", "--role", "target", "--secret-file", &secret];
    world.tells("boss", &add, &["defined"]);

    // Somebody in between answers in the manager's place, with a key of their own.
    let hub = Meddler::before(world.address().parse().expect("an address"), &world.path("hub/tls"));
    let text = fs::read_to_string(&seed).expect("written");
    let mut through: Seed = text.trim().parse().expect("a seed");
    through.routes[0].url = hub.url().to_owned();
    fs::write(&seed, through.to_string()).expect("written");
    let community = through.open().expect("a charter").community;
    let impostor = NodeKey::from_secret_bytes([66; 32]);
    hub.set(move |_| {
        let key = NodeKey::from_secret_bytes(impostor.secret_bytes());
        Meddling::Alter(Box::new(move |body| {
            let Ok(mut joining) = serde_json::from_slice::<Joining>(&body) else { return body };
            let challenge = joining.challenge.as_ref().map(|_| JoinChallenge {
                community,
                request: DocumentHash::of(&joining.request.0),
                manager: key.public(),
                nonce: [1; 32],
            });
            joining.challenge = challenge.map(|it| it.sign(&key).into());
            serde_json::to_vec(&joining).expect("JSON")
        }))
    });
    let join = ["join", &seed, "--as", "press-1", "--secret-file", &secret];
    let refused = world.run("press-1", &join);
    assert_eq!(refused.status.code(), Some(6), "{refused:?}");
    let told = String::from_utf8_lossy(&refused.stderr);
    let own = NodeKey::from_secret_bytes([66; 32]).public();
    let why = format!("{own} answered, who is no manager of this community");
    assert!(told.contains("joining broken off") && told.contains(&why), "{told}");

    let logged = || fs::read_to_string(log_file(&world, "boss")).expect("there");
    until("the manager's log has it", || logged().contains("a machine broke its joining off"));
    let log = logged();
    let line = log.lines().find(|line| line.contains("broke its joining off")).expect("is there");
    assert!(line.contains("press-1") && line.contains(&why), "{line}");
    let listed = lines(&world.run("boss", &["community", "list"]));
    let shown = listed.iter().find(|line| line["event"] == "broken_off").expect("is shown");
    assert_eq!((&shown["peer"], &shown["reason"]), (&"press-1".into(), &why.as_str().into()));
    // The secret was shown to nobody who could use it.
    hub.relent();
    world.tells("press-1", &join, &["joined"]);
    assert_eq!(logged().matches("broke its joining off").count(), 1, "it is told once");
}

#[test]
fn a_machine_without_a_secret_joins_when_a_manager_approves_its_key_and_no_other_does() {
    let community = Community::create();
    let world = &community.world;
    let add = ["community", "peer", "add", "kiosk", "--role", "target", "--approve"];
    world.tells("boss", &add, &["defined"]);
    let seed = world.text("seed");
    let ask = |node: &str| {
        let mut join = world.command(node, &["join", &seed, "--as", "kiosk", "--approve"]);
        let said = File::create(world.path(&format!("{node}.said"))).expect("made");
        Process::start(join.stdout(Stdio::null()).stderr(said))
    };
    let key = |node: &str| world.ok(node, &["id"])["key"].clone();
    let waiting = || {
        let listed = lines(&world.run("boss", &["community", "list"])).into_iter();
        let waits = listed.filter(|line| line["event"] == "waits_for_approval");
        waits.map(|line| line["key"].clone()).collect::<Vec<Value>>()
    };
    let mut kiosk = ask("kiosk");
    until("the manager sees who asks", || waiting() == [key("kiosk")]);
    let said = || fs::read_to_string(world.path("kiosk.said")).expect("there");
    until("it says what it waits for", || said().contains("a manager of Plant 7 to approve kiosk"));
    let mut eve = ask("eve");
    until("there are two", || waiting().len() == 2);

    let own = key("kiosk");
    let approve = ["community", "approve", "kiosk", own.as_str().expect("a text")];
    world.tells("boss", &approve, &["approved"]);
    assert!(kiosk.0.wait().expect("it ends").success(), "{}", said());
    assert_eq!(eve.0.wait().expect("it ends").code(), Some(5), "another key is refused");
    let listed = lines(&world.run("boss", &["community", "list"]));
    let peers: Vec<_> = listed.iter().filter(|line| line["event"] == "peer").collect();
    assert_eq!(peers.len(), 1, "{listed:?}");
    assert_eq!((&peers[0]["peer"], &peers[0]["key"]), (&"kiosk".into(), &own));
    world.tells("kiosk", &["community", "status"], &["community"]);
    let status = lines(&world.run("eve", &["community", "status"]));
    assert!(status.iter().all(|line| line["event"] != "community"), "{status:?}");
}

#[test]
fn a_hub_with_another_certificate_is_not_asked_and_both_fingerprints_are_named() {
    let community = Community::create();
    let world = &community.world;
    let secret = world.text("press-1.secret");
    let add = ["community", "peer", "add", "press-1", "--role", "target", "--secret-file", &secret];
    world.tells("boss", &add, &["defined"]);
    // Another hub is where the seed says that the community's is.
    let data = world.path("other-hub");
    let mut command = consign();
    let said = File::create(world.path("other-hub.log")).expect("made");
    let command = command.env("CONSIGN_LOG", "hub=debug").stderr(said);
    let (_other, hello) = start_hub_by(command, &data, &["--listen", "127.0.0.1:0"]);
    let seed = world.path("seed");
    let honest = fs::read_to_string(&seed).expect("written");
    let mut led_astray: Seed = honest.trim().parse().expect("a seed");
    led_astray.routes[0].url =
        hello["url"].as_str().expect("a text").trim_end_matches('/').to_owned();
    fs::write(&seed, led_astray.to_string()).expect("written");

    let seed = world.text("seed");
    let join = ["join", &seed, "--as", "press-1", "--secret-file", &secret];
    let refused = world.fails("press-1", &join, 6);
    let message = refused["message"].as_str().expect("a text");
    for named in [&led_astray.routes[0].url, fingerprint(&world.hello), fingerprint(&hello)] {
        assert!(message.contains(named), "no {named} in {message}");
    }
    let log = || fs::read_to_string(world.path("other-hub.log")).expect("there");
    until("the other side logs it", || log().contains("a TLS handshake failed"));
    // Nothing is left here of what was tried.
    let status = lines(&world.run("press-1", &["community", "status"]));
    assert!(status.iter().all(|line| line["event"] != "community"), "{status:?}");
    fs::write(&seed, honest).expect("written");
    world.tells("press-1", &join, &["joined"]);
}

fn fingerprint(hello: &Value) -> &str {
    hello["fingerprint"].as_str().expect("a text")
}

#[test]
fn who_claims_to_be_another_peer_is_refused_and_both_sides_say_why() {
    let world = Documented::new();
    world.register("boss", &[]);
    let (seed, secret) = (world.text("seed"), world.text("press-1.secret"));
    world.tells("boss", &["community", "create", "Plant 7", "--seed", &seed], &["created"]);
    let _boss = logged(&world, "boss");
    let add = ["community", "peer", "add", "press-1", "--role", "target", "--secret-file", &secret];
    world.tells("boss", &add, &["defined"]);
    let refused = |claimed: &str, why: &str| {
        let told = world.fails("eve", &["join", &seed, "--as", claimed, "--approve"], 5);
        let message = told["message"].as_str().expect("a text");
        assert!(message.contains("a manager refused") && message.contains(why), "{told}");
        let log = fs::read_to_string(log_file(&world, "boss")).expect("there");
        let line = log.lines().rfind(|line| line.contains("a machine was refused"));
        let line = line.unwrap_or_else(|| panic!("the manager says nothing of {claimed}: {log}"));
        assert!(line.contains(claimed) && line.contains(why), "{line}");
    };
    // One that is expected with a secret, one that nobody expects, and one that is there already.
    refused("press-1", "it came without the peer's join secret");
    refused("press-2", "no peer press-2 is expected");
    let join = ["join", &seed, "--as", "press-1", "--secret-file", &secret];
    world.tells("press-1", &join, &["joined"]);
    let key = world.ok("press-1", &["id"])["key"].clone();
    refused("press-1", "no peer press-1 is expected");
    let listed = lines(&world.run("boss", &["community", "list"]));
    let peers: Vec<_> = listed.iter().filter(|line| line["event"] == "peer").collect();
    assert_eq!(peers.len(), 1, "{listed:?}");
    assert_eq!((&peers[0]["peer"], &peers[0]["key"]), (&"press-1".into(), &key));
}
