//! Who may do what and what is kept, through the real binary: every command in words for people and
//! with `--json`, whose lines are compared with `docs/json.md`.

use std::fs;

use serde_json::Value;

use crate::documented::Documented;
use crate::process::{count, told, until};
use crate::world::World;

/// Runs a command that must end well; what it prints to people.
fn says(world: &World, node: &str, args: &[&str]) -> String {
    let output = world.node(node).plain(args).output().expect("runs");
    assert!(output.status.success(), "{args:?}: {}", told(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn number(line: &Value, field: &str) -> String {
    count(line, field).to_string()
}

/// A hub, its administrator `root`, the owner `anna` of `team/site`, and `ben`, a publisher.
fn world() -> Documented {
    let world = Documented::new();
    world.join_administrator("root");
    for node in ["anna", "ben"] {
        world.register(node, &[]);
    }
    fs::create_dir(world.path("site")).expect("made");
    publish(&world, "anna", "one");
    world
}

/// Publishes what says so; the number of the release.
fn publish(world: &Documented, node: &str, what: &str) -> Value {
    fs::write(world.path("site/index.html"), what).expect("written");
    world.tells(node, &["publish", &world.text("site"), "team/site"], &[])
}

fn key(world: &Documented, node: &str) -> String {
    world.tells(node, &["id"], &["id"])["key"].as_str().expect("a text").to_owned()
}

#[test]
fn grants_are_given_listed_and_taken_back() {
    let world = world();
    let ben = key(&world, "ben");
    let refused = publish(&world, "ben", "two");
    let message = refused["message"].as_str().unwrap_or_default();
    assert!(refused["event"] == "error" && message.contains("name-taken"), "{refused}");
    assert_eq!(refused["exit_code"], 5, "{refused}");
    let hint = refused["hint"].as_str().unwrap_or_default();
    assert!(hint.contains("choose another name"), "{refused}");
    // Of a private name nobody learns more than that: neither whose it is nor that it has releases.
    let anna = key(&world, "anna");
    assert!(!refused.to_string().contains(&anna), "{refused}");
    assert!(!refused.to_string().contains("belongs"), "{refused}");

    let granted = world.tells("anna", &["grant", "team/site", &ben, "--publisher"], &["granted"]);
    assert_eq!(granted["grant"], "publisher");
    let listed = world.tells("anna", &["grants", "team/site"], &["grant"]);
    assert_eq!((&listed["key"], &listed["grant"]), (&ben.clone().into(), &"publisher".into()));
    let revoked = world.tells("anna", &["revoke", "team/site", &ben], &["revoked"]);
    assert_eq!(revoked["published"], true);
    assert_eq!(publish(&world, "ben", "three")["event"], "error");
    // Who publishes no more may be let to read, and an owner alone says so.
    world.tells("anna", &["grant", "team/site", &ben, "--publisher"], &["granted"]);
    world.tells("anna", &["grant", "team/site", &ben], &["granted"]);
    let listed = world.tells("anna", &["grants", "team/site"], &["grant"]);
    assert_eq!(listed["grant"], "reader");
    let refused = world.tells("ben", &["grant", "team/site", &ben, "--publisher"], &["error"]);
    assert_eq!(refused["exit_code"], 5, "{refused}");
    world.tells("anna", &["revoke", "team/site", &ben], &["revoked"]);

    let said = says(&world, "anna", &["grant", "team/site", &ben, "--publisher"]);
    assert!(said.contains(&ben) && said.contains("team/site"), "{said}");
    let said = says(&world, "anna", &["grants", "team/site"]);
    assert!(said.contains(&format!("publisher  {ben}")), "{said}");
    let said = says(&world, "anna", &["revoke", "team/site", &ben]);
    assert!(said.contains("has no grant for team/site any more"), "{said}");
    assert!(!says(&world, "anna", &["grants", "team/site"]).contains(&ben));
}

/// What a reader gets of `team/site`: the page, and who signed it as `log` shows.
fn read(world: &Documented, reader: &str) -> (String, Value) {
    let to = world.text(&format!("{reader}-site"));
    let got = world.tells(reader, &["get", "team/site", "--to", &to], &[]);
    let page = fs::read_to_string(world.path(&format!("{reader}-site/index.html")));
    (page.unwrap_or_default(), got)
}

/// The whole way of a publisher who is not the owner: named, believed by readers who pinned the
/// owner and by those who come later, and no more believed when the owner says so.
#[test]
fn a_publisher_the_owner_named_is_believed_until_it_is_named_no_more() {
    let world = world();
    let ben = key(&world, "ben");
    for node in ["early", "late"] {
        world.register(node, &["--reader", "--read", "team/site"]);
    }
    assert_eq!(read(&world, "early").0, "one");

    world.tells("anna", &["grant", "team/site", &ben, "--publisher"], &["granted"]);
    assert_eq!(publish(&world, "ben", "two")["sequence"], 2);
    let again = world.tells("ben", &["publish", &world.text("site"), "team/site"], &["done"]);
    assert_eq!(again["new"], false);
    assert_eq!(publish(&world, "anna", "three")["sequence"], 3);
    assert_eq!(publish(&world, "ben", "four")["sequence"], 4);
    // One reader knows the owner from before; the other meets the name by ben's release.
    for reader in ["early", "late"] {
        assert_eq!(read(&world, reader).0, "four");
    }
    let said = says(&world, "early", &["log", "team/site"]);
    assert!(said.contains(&format!("by {ben}")), "{said}");

    world.tells("anna", &["revoke", "team/site", &ben], &["revoked"]);
    assert_eq!(publish(&world, "ben", "five")["event"], "error");
    // What ben signed while it might stays good, so readers go on.
    for reader in ["early", "late"] {
        assert_eq!(read(&world, reader).0, "four");
    }
    assert_eq!(publish(&world, "anna", "five")["sequence"], 5);
    assert_eq!(read(&world, "late").0, "five");
    let back = world.text("back");
    world.tells("late", &["get", "team/site@2", "--to", &back], &["done"]);

    // A key in the wrong hands: nothing it ever signed counts.
    world.tells("anna", &["revoke", "team/site", &ben, "--disown"], &["revoked"]);
    let refused = world.tells("late", &["get", "team/site@2", "--to", &back], &["error"]);
    assert_eq!(refused["exit_code"], 6, "{refused}");
    let said = says(&world, "late", &["log", "team/site"]);
    assert!(said.contains("not accepted"), "{said}");
    assert_eq!(read(&world, "late").0, "five");
}

/// A key that was stolen published last: the owner takes the name back by publishing again, also
/// what the thief left unchanged.
#[test]
fn an_owner_goes_on_after_a_release_it_disowned() {
    let world = world();
    let ben = key(&world, "ben");
    world.tells("anna", &["grant", "team/site", &ben, "--publisher"], &["granted"]);
    assert_eq!(publish(&world, "ben", "two")["sequence"], 2);
    world.tells("anna", &["revoke", "team/site", &ben, "--disown"], &["revoked"]);
    assert_eq!(publish(&world, "anna", "two")["sequence"], 3);
    assert_eq!(read(&world, "anna").0, "two");
}

#[test]
fn a_publisher_of_a_sealed_name_publishes_for_the_owners_capability() {
    let world = world();
    let (ben, site, word) = (key(&world, "ben"), world.text("site"), world.text("capability"));
    let sealed = ["publish", "--sealed", &site, "team/papers"];
    world.tells("anna", &[&sealed[..], &["--capability-file", &word]].concat(), &["done"]);
    world.tells("anna", &["grant", "team/papers", &ben, "--publisher"], &["granted"]);
    fs::write(world.path("site/index.html"), "two").expect("written");
    let refused = world.tells("ben", &sealed, &["error"]);
    assert_eq!(refused["exit_code"], 5, "{refused}");
    let given = [&sealed[..], &["--capability", &word]].concat();
    assert_eq!(world.tells("ben", &given, &["done"])["sequence"], 2);
    let to = world.text("papers");
    world.tells("anna", &["get", "team/papers", "--capability", &word, "--to", &to], &["done"]);
    assert_eq!(fs::read_to_string(world.path("papers/index.html")).expect("is there"), "two");
}

#[test]
fn tokens_are_made_listed_and_ended() {
    let world = world();
    let create = ["token", "create", "--label", "mirror", "--name", "team/site", "--days", "3"];
    let created = world.tells("anna", &create, &["created"]);
    let listed = world.tells("anna", &["token", "list"], &["token"]);
    assert_eq!(listed["token"], created["token"]);
    assert_eq!(listed["label"], "mirror");
    assert_eq!(listed["names"], serde_json::json!(["team/site"]));
    assert_eq!(listed.get("secret"), None);
    world.tells("anna", &["token", "revoke", &number(&created, "token")], &["revoked"]);
    assert_eq!(world.tells("anna", &["token", "list"], &[]), Value::Null);

    let secret = says(&world, "anna", &[&create[..], &["--publish"]].concat());
    assert!(secret.starts_with("consign_pat_"), "the secret alone, so that it can go to a file");
    assert_eq!(secret.lines().count(), 1);
    let said = says(&world, "anna", &["token", "list"]);
    assert!(said.contains("mirror") && said.contains("team/site"), "{said}");
    assert!(!said.contains(secret.trim()), "it is shown once");
    let second = number(&world.tells("anna", &["token", "list"], &["token"]), "token");
    let said = says(&world, "anna", &["token", "revoke", &second]);
    assert_eq!(said.trim(), format!("token {second} is revoked"));
    let said = says(&world, "anna", &["token", "list"]);
    assert!(!said.contains("team/site"), "{said}");
}

#[test]
fn owners_say_which_releases_are_kept() {
    let world = world();
    publish(&world, "anna", "two");
    let kept =
        world.tells("anna", &["keep", "team/site", "--last", "10", "--days", "30"], &["retention"]);
    assert_eq!((&kept["last"], &kept["days"]), (&10.into(), &30.into()));
    let shown = world.tells("anna", &["keep", "team/site"], &["retention"]);
    assert_eq!((&shown["last"], &shown["days"]), (&10.into(), &30.into()));
    let all = world.tells("anna", &["keep", "team/site", "--all"], &["retention"]);
    assert_eq!((&all["last"], &all["days"]), (&Value::Null, &Value::Null));
    let pinned = world.tells("anna", &["pin", "team/site@1"], &["pinned"]);
    assert_eq!(pinned["sequence"], 1);
    world.tells("anna", &["unpin", "team/site@1"], &["unpinned"]);

    for args in [&["keep", "team/site", "--last", "7"][..], &["keep", "team/site"]] {
        let said = says(&world, "anna", args);
        assert!(said.starts_with("team/site: ") && said.contains('7'), "{said}");
    }
    let said = says(&world, "anna", &["pin", "team/site@1"]);
    assert_eq!(said.trim(), "team/site@1 is kept whatever the rules say");
    let said = says(&world, "anna", &["unpin", "team/site@1"]);
    assert_eq!(said.trim(), "team/site@1 is kept as long as the rules say");
    let refused = world.tells("ben", &["keep", "team/site", "--all"], &["error"]);
    assert!(refused["exit_code"] == 4 || refused["exit_code"] == 5, "{refused}");
}

#[test]
fn administrators_list_and_end_invitations_and_accounts() {
    let world = world();
    let (ben, root) = (key(&world, "ben"), key(&world, "root"));
    let refused = world.tells("anna", &["account", "list"], &["error"]);
    assert_eq!(refused["exit_code"], 5);

    let create = ["invitation", "create", "--role", "reader", "--hours", "2"];
    world.tells("root", &create, &["invited"]);
    let open = world.tells("root", &["invitation", "list"], &["invitation"]);
    assert_eq!(open["role"], "reader");
    world.tells("root", &["invitation", "revoke", &number(&open, "invitation")], &["revoked"]);
    assert_eq!(world.tells("root", &["invitation", "list"], &[]), Value::Null);

    let made = says(&world, "root", &create);
    assert_eq!(made.lines().count(), 1, "the invitation alone, so that it can go to a file");
    let said = says(&world, "root", &["invitation", "list"]);
    assert!(said.contains("reader") && said.contains("1 left"), "{said}");
    let open = world.tells("root", &["invitation", "list"], &["invitation"]);
    let said = says(&world, "root", &["invitation", "revoke", &number(&open, "invitation")]);
    assert!(said.contains("is taken back"), "{said}");
    let late = world.tells("late", &["register", made.trim()], &["error"]);
    assert_eq!(late["exit_code"], 5, "{late}");

    world.tells("root", &["account", "list"], &["account"]);
    let said = says(&world, "root", &["account", "list"]);
    assert!(
        said.contains(&ben) && said.contains("administrator") && said.contains(&root),
        "{said}"
    );
    world.tells("root", &["account", "revoke", &ben], &["revoked"]);
    let refused = world.tells("ben", &["get", "team/site"], &["error"]);
    assert!(refused["exit_code"] == 4 || refused["exit_code"] == 5, "{refused}");
    let said = says(&world, "root", &["account", "revoke", &key(&world, "anna")]);
    assert!(said.contains("is revoked"), "{said}");

    let acts = world.tells("root", &["audit", "--last", "500"], &["act"]);
    assert_eq!(acts["event"], "act");
    let said = says(&world, "root", &["audit"]);
    assert!(said.contains(&ben) && said.lines().count() >= 4, "{said}");
}

#[test]
fn clients_are_told_of_newer_versions_and_too_old_ones_are_refused_with_the_way_out() {
    let world = world();
    let data = world.text("hub");
    let clients = |more: &[&str]| {
        let args = [&["hub", "clients", "--data", &data], more].concat();
        world.tells("root", &args, &["hub-clients"])
    };
    assert!(clients(&[])["newest"].is_null());
    let place = "https://example.org/consign";
    let wanted = clients(&["--newest", "99.0.0", "--place", place]);
    assert_eq!((&wanted["newest"], &wanted["minimum"]), (&"99.0.0".into(), &Value::Null));
    let found = || {
        let only = ["doctor", "--json", "--only", "client-outdated"];
        String::from_utf8_lossy(&world.run("anna", &only).stdout).into_owned()
    };
    until("doctor tells of it", || found().contains("99.0.0 is there"));
    assert!(found().contains(place), "{}", found());
    world.ok("anna", &["ls", "team/site"]);

    assert_eq!(clients(&["--minimum", "99.0.0"])["newest"], "99.0.0", "what is not given stays");
    until("it is refused", || !world.run("anna", &["ls", "team/site"]).status.success());
    let refused = world.lines("anna", &["ls", "team/site"], 6);
    let told = refused.last().expect("a line");
    let message = told["message"].as_str().expect("a text");
    assert!(message.contains("99.0.0 and newer") && message.contains(place), "{told}");
    assert!(clients(&["--any"])["minimum"].is_null());
    until("it is answered again", || world.run("anna", &["ls", "team/site"]).status.success());
}
