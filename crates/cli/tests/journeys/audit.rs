//! The audit log, and an administrator who changes it.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::documented::Documented;
use crate::process::{consign, ok, start_hub, told};
use crate::users::set_mode;
use crate::world::Node;

/// What a hub keeps its database in.
const DATABASE: [&str; 3] = ["hub.sqlite", "hub.sqlite-wal", "hub.sqlite-shm"];

/// A hub whose administrator `root` made invitations, one of them for this name.
fn hub() -> Documented {
    let world = Documented::new();
    world.join_administrator("root");
    for name in ["team/one", "team/secret", "team/three"] {
        invite(&world, name);
    }
    world
}

fn invite(world: &Documented, name: &str) {
    let create = ["invitation", "create", "--role", "reader", "--read", name];
    world.ok("root", &create);
}

/// Exports the log; the file.
fn export(world: &Documented, name: &str) -> String {
    let file = world.text(name);
    let told = world.tells("root", &["audit", "export", &file], &["exported"]);
    assert!(told["entries"].as_u64() >= Some(4), "{told}");
    file
}

/// What is said of a file that is not as the hub wrote it.
fn refused(world: &Documented, args: &[&str]) -> String {
    let told = world.fails("anybody", &[&["audit", "verify"], args].concat(), 6);
    told["message"].as_str().expect("a text").to_owned()
}

/// The number of the entry with this text in it.
fn number_of(file: &str, text: &str) -> u64 {
    let lines = fs::read_to_string(file).expect("read");
    let line = lines.lines().find(|line| line.contains(text)).expect("it is there");
    let line: Value = serde_json::from_str(line).expect("JSON");
    line["number"].as_u64().expect("a number")
}

/// Does something to the hub's data while it is stopped, and starts it where it was.
fn while_stopped(world: &mut Documented, work: impl FnOnce(&Path)) {
    let (data, listen) = (world.path("hub"), world.address().to_owned());
    assert!(world.hub.stop());
    work(&data);
    world.hub = start_hub(&data, &["--listen", &listen]).0;
}

fn replace(file: &Path, from: &str, to: &str) -> usize {
    assert_eq!(from.len(), to.len());
    let mut bytes = fs::read(file).expect("read");
    let places: Vec<usize> = bytes
        .windows(from.len())
        .enumerate()
        .filter(|(_, window)| *window == from.as_bytes())
        .map(|(place, _)| place)
        .collect();
    for place in &places {
        bytes[*place..place + from.len()].copy_from_slice(to.as_bytes());
    }
    fs::write(file, bytes).expect("written");
    places.len()
}

#[test]
fn an_exported_log_is_checked_by_anybody_and_what_was_done_to_it_is_named() {
    let world = hub();
    let file = export(&world, "log");
    let whole = world.tells("anybody", &["audit", "verify", &file], &["whole"]);
    let key = whole["keys"][0].as_str().expect("a key").to_owned();
    assert_eq!(whole["keys"].as_array().map(Vec::len), Some(1), "{whole}");
    world.ok("anybody", &["audit", "verify", &file, "--key", &key]);
    let other = world.ok("root", &["id"])["key"].as_str().expect("a text").to_owned();
    world.fails("anybody", &["audit", "verify", &file, "--key", &other], 1);
    // Nothing is written over an earlier export.
    world.fails("root", &["audit", "export", &file], 1);
    // A publisher does not get it.
    world.register("ben", &[]);
    world.fails("ben", &["audit", "export", &world.text("bens")], 5);

    let text = fs::read_to_string(&file).expect("read");
    let lines: Vec<&str> = text.lines().collect();
    let number = number_of(&file, "team/secret");
    let copy = world.text("copy");
    let checked = |lines: &[&str], options: &[&str]| {
        fs::write(&copy, format!("{}\n", lines.join("\n"))).expect("written");
        refused(&world, &[&[copy.as_str()], options].concat())
    };
    let changed = text.replace("team/secret", "team/public");
    let changed: Vec<&str> = changed.lines().collect();
    let said = checked(&changed, &[]);
    assert!(said.contains(&format!("entry {number} was changed")), "{said}");
    let without: Vec<&str> =
        lines.iter().copied().filter(|line| !line.contains("team/secret")).collect();
    let said = checked(&without, &[]);
    assert!(said.contains(&format!("entry {number} is missing")), "{said}");
    // The end is cut off, with the head that tells of it; then without it.
    let entries: Vec<&str> =
        lines.iter().copied().filter(|line| line.contains("\"entry\"")).collect();
    let heads: Vec<&str> = lines.iter().copied().filter(|line| line.contains("\"head\"")).collect();
    let cut = &entries[..entries.len() - 1];
    let said = checked(&[cut, &heads[heads.len() - 1..]].concat(), &[]);
    assert!(said.contains("but the hub signed one with"), "{said}");
    let said = checked(cut, &[]);
    assert!(said.contains("is signed"), "{said}");
    let said = checked(cut, &["--earlier", &file]);
    assert!(said.contains("but the hub signed one with"), "{said}");
}

#[test]
fn who_changes_the_database_is_found_out() {
    let mut world = hub();
    let first = export(&world, "first");
    let number = number_of(&first, "team/secret");
    // A copy is one whole file, so that what an entry says can be changed in it.
    let [data, backup] = ["hub", "backup"].map(|name| world.text(name));
    world.ok("root", &["hub", "backup", "--data", &data, "--to", &backup]);
    while_stopped(&mut world, |path| {
        fs::remove_dir_all(path).expect("removed");
        let args = ["--json", "hub", "restore", "--from", &backup, "--data", &data];
        ok(consign().args(args));
        assert!(replace(&path.join("hub.sqlite"), "team/secret", "team/public") > 0);
    });
    let second = export(&world, "second");
    let said = refused(&world, &[&second]);
    assert!(said.contains(&format!("entry {number} was changed")), "{said}");
}

#[test]
fn who_changes_a_database_on_postgresql_is_found_out() {
    let Some(server) = testkit::Postgres::start() else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let [data, state, file, export] =
        ["hub", "root", "address", "log"].map(|name| directory.path().join(name));
    let address = server.create_database();
    fs::write(&file, &address).expect("written");
    set_mode(&file, 0o600);
    let options = ["--listen", "127.0.0.1:0", "--database-file", file.to_str().expect("UTF-8")];
    let (_hub, _) = start_hub(&data, &options);
    let root = Node::new(state);
    root.join_administrator(&data);
    for name in ["team/one", "team/secret", "team/three"] {
        root.ok(&["invitation", "create", "--role", "reader", "--read", name]);
    }
    let export = |number: u8| {
        let file = format!("{}-{number}", export.display());
        root.ok(&["audit", "export", &file]);
        let checked = root.run(&["audit", "verify", &file]);
        (file, checked.status.code(), told(&checked))
    };
    let (file, code, said) = export(1);
    assert_eq!(code, Some(0), "{said}");
    let number = number_of(&file, "team/secret");
    let change = |set: &str| {
        let row = format!("FROM audit WHERE number = {number}");
        let statement = match set {
            "" => format!("DELETE {row}"),
            set => format!("UPDATE audit SET {set} WHERE number = {number}"),
        };
        server.sql(&address, &statement);
    };
    change("action = 'grant'");
    let (_, code, said) = export(2);
    assert!(code == Some(6) && said.contains(&format!("entry {number} was changed")), "{said}");
    change("");
    let (_, code, said) = export(3);
    assert!(code == Some(6) && said.contains(&format!("entry {number} is missing")), "{said}");
    // With the end gone, and what was signed of it in the database.
    let end = format!("WHERE number >= {number}");
    server.sql(&address, &format!("DELETE FROM audit {end}; DELETE FROM audit_heads {end}"));
    let (_, code, said) = export(4);
    assert!(code == Some(6) && said.contains("but the hub signed one with"), "{said}");
}

#[test]
fn a_log_whose_beginning_the_hub_removed_says_so_and_more_is_found_out() {
    let Some(server) = testkit::Postgres::start() else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let [data, state, file] = ["hub", "root", "address"].map(|name| directory.path().join(name));
    let address = server.create_database();
    fs::write(&file, &address).expect("written");
    set_mode(&file, 0o600);
    let options = ["--listen", "127.0.0.1:0", "--database-file", file.to_str().expect("UTF-8")];
    assert!(start_hub(&data, &options).0.stop());
    // Three acts of 2001, which are chained at the next start, and too old then.
    let columns = "(time, actor, action, subject, detail)";
    for name in ["team/one", "team/two", "team/three"] {
        let values = format!("(1000000000, 0, 'grant', '{name}', '{{}}')");
        server.sql(&address, &format!("INSERT INTO audit {columns} VALUES {values}"));
    }
    let options = [&options[..], &["--audit-retention", "30"]].concat();
    let (_hub, _) = start_hub(&data, &options);
    let root = Node::new(state);
    root.join_administrator(&data);
    let export = |name: &str| {
        let path = directory.path().join(name);
        root.ok(&["audit", "export", path.to_str().expect("UTF-8")]);
        path
    };
    let first = export("first");
    let text = fs::read_to_string(&first).expect("read");
    assert!(text.contains("prune-audit") && !text.contains("team/two"), "{text}");
    let whole = root.ok(&["audit", "verify", first.to_str().expect("UTF-8")]);
    assert_eq!(whole["removed"], 3, "{whole}");
    assert!(whole["removed_time"].as_u64() > Some(1_700_000_000), "{whole}");

    // Somebody else removes the entry that tells of it, too.
    server.sql(&address, "DELETE FROM audit WHERE number = 4");
    let second = export("second");
    let checked = root.run(&["audit", "verify", second.to_str().expect("UTF-8")]);
    let said = told(&checked);
    assert_eq!(checked.status.code(), Some(6), "{said}");
    assert!(said.contains("entry 4 is missing"), "{said}");
    // And makes what is left begin where it was signed.
    let lines: Vec<&str> = text.lines().filter(|line| !line.contains("\"entry\"")).collect();
    let newest = lines.last().expect("a head");
    fs::write(&second, format!("{newest}\n")).expect("written");
    let checked = root.run(&["audit", "verify", second.to_str().expect("UTF-8")]);
    let said = told(&checked);
    assert_eq!(checked.status.code(), Some(6), "{said}");
    assert!(said.contains("no entry tells that the hub removed them"), "{said}");
}

#[test]
fn a_database_from_before_is_found_out() {
    let mut world = hub();
    let before = world.path("before");
    while_stopped(&mut world, |data| {
        fs::create_dir(&before).expect("made");
        for name in DATABASE.iter().filter(|name| data.join(name).exists()) {
            fs::copy(data.join(name), before.join(name)).expect("copied");
        }
    });
    invite(&world, "team/gone");
    let first = export(&world, "first");
    world.ok("anybody", &["audit", "verify", &first]);
    let put_back = |data: &Path| {
        for name in DATABASE {
            let _ = fs::remove_file(data.join(name));
            if before.join(name).exists() {
                fs::copy(before.join(name), data.join(name)).expect("copied");
            }
        }
    };
    while_stopped(&mut world, put_back);
    let second = export(&world, "second");
    let said = refused(&world, &[&second]);
    assert!(said.contains("but the hub signed one with"), "{said}");
    // An operator who says that it is meant begins anew, which an earlier export still tells.
    while_stopped(&mut world, |data| fs::remove_file(data.join("audit.head")).expect("removed"));
    invite(&world, "team/anew");
    let third = export(&world, "third");
    world.ok("anybody", &["audit", "verify", &third]);
    let said = refused(&world, &[&third, "--earlier", &first]);
    assert!(said.contains("entries were replaced"), "{said}");
}
