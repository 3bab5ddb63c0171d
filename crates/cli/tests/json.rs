//! `docs/json.md` is what `--json` prints: every line of a journey through the commands is
//! compared with its section there.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// Field, type.
type Fields = Vec<(String, String)>;

/// The documented events, by command and event.
fn documented() -> BTreeMap<(String, String), Fields> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/json.md");
    let text = fs::read_to_string(path).expect("docs/json.md");
    let mut events = BTreeMap::new();
    for section in text.split("\n### ").skip(1) {
        let (title, rest) = section.split_once('\n').expect("a title");
        let (event, commands) = title.split_once(" of ").expect("EVENT of COMMANDS");
        let rows = rest.lines().filter_map(|line| line.strip_prefix("| `"));
        let fields: Fields = rows
            .map(|row| {
                let (name, rest) = row.split_once("` | ").expect("a name");
                let (kind, _) = rest.split_once(" | ").expect("a type");
                (name.to_owned(), kind.to_owned())
            })
            .collect();
        for command in commands.split(", ") {
            let key = (command.trim_matches('`').to_owned(), event.trim_matches('`').to_owned());
            assert!(events.insert(key, fields.clone()).is_none(), "{title} twice");
        }
    }
    events
}

fn fits(value: Option<&Value>, kind: &str) -> bool {
    let (kind, sometimes) =
        kind.strip_suffix(", sometimes").map_or((kind, false), |kind| (kind, true));
    let Some(value) = value else { return sometimes };
    let (kind, nullable) = kind.strip_suffix('?').map_or((kind, false), |kind| (kind, true));
    match kind {
        _ if nullable && value.is_null() => true,
        "text" => value.is_string(),
        "number" => value.is_number(),
        "flag" => value.is_boolean(),
        "list" => value.is_array(),
        "object" => value.is_object(),
        "nothing" => value.is_null(),
        other => panic!("docs/json.md uses an unknown type {other}"),
    }
}

fn check(events: &BTreeMap<(String, String), Fields>, command: &str, line: &Value) -> String {
    let event = line["event"].as_str().unwrap_or_else(|| panic!("no event: {line}")).to_owned();
    let find = |command: &str| events.get(&(command.to_owned(), event.clone()));
    let fields = find(command)
        .or_else(|| find("any command"))
        .unwrap_or_else(|| panic!("{event} of {command} is not in docs/json.md: {line}"));
    for (name, kind) in fields {
        assert!(fits(line.get(name), kind), "{event} of {command}: {name} is no {kind}: {line}");
    }
    for name in line.as_object().expect("an object").keys().filter(|name| *name != "event") {
        let known = fields.iter().any(|(field, _)| field == name);
        assert!(known, "{event} of {command}: {name} is not in docs/json.md");
    }
    event
}

struct World {
    directory: tempfile::TempDir,
    hub: Option<Child>,
    events: BTreeMap<(String, String), Fields>,
}

impl World {
    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().expect("UTF-8").to_owned()
    }

    fn command(&self, node: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_consign"));
        command.env_remove("CONSIGN_HUB").env("CONSIGN_STATE", self.path(node));
        command.env("HOME", self.directory.path()).env_remove("XDG_CONFIG_HOME");
        command.stdin(Stdio::null()).arg("--json").current_dir(self.directory.path());
        command
    }

    /// Runs a command, compares every line, and returns the last one.
    fn run(&self, node: &str, args: &[&str], events: &[&str]) -> Value {
        let output = self.command(node).args(args).output().expect("runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{args:?}: {line}")))
            .collect();
        let seen: Vec<String> =
            lines.iter().map(|line| check(&self.events, args[0], line)).collect();
        for event in events {
            assert!(
                seen.iter().any(|one| one == event),
                "{args:?}: no {event} in {text}{output:?}"
            );
        }
        lines.last().cloned().unwrap_or_default()
    }

    fn start_hub(&mut self) {
        let data = self.text("hub");
        let mut hub = self
            .command("admin")
            .args(["hub", "--listen", "127.0.0.1:0", "--data", &data])
            .stdout(Stdio::piped())
            .spawn()
            .expect("starts");
        let mut line = String::new();
        let out = hub.stdout.take().expect("piped");
        BufReader::new(out).read_line(&mut line).expect("readable");
        self.hub = Some(hub);
        check(&self.events, "hub", &serde_json::from_str(&line).expect("JSON"));
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(hub) = &mut self.hub {
            let _ = hub.kill();
            let _ = hub.wait();
        }
    }
}

#[test]
fn every_line_of_a_journey_is_as_documented() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let mut world = World { directory, hub: None, events: documented() };
    world.start_hub();
    fs::create_dir(world.path("source")).expect("made");
    for (name, text) in [("one.txt", "one"), ("two.txt", "two"), ("three.txt", "three three")] {
        fs::write(world.path("source").join(name), text).expect("written");
    }
    let fifo = world.path("source/fifo");
    assert!(Command::new("mkfifo").arg(fifo).status().expect("mkfifo runs").success());

    let (hub, source, copy) = (world.text("hub"), world.text("source"), world.text("copy"));
    for node in ["anna", "ben"] {
        let invited = world.run("admin", &["invite", "--data", &hub], &["invitation"]);
        let invitation = invited["invitation"].as_str().expect("a text").to_owned();
        world.run(node, &["register", &invitation], &["registered"]);
    }
    let ben = world.run("ben", &["id"], &["id"])["key"].as_str().expect("a key").to_owned();

    world.run("anna", &["publish", &source, "team/site"], &["skipped", "done"]);
    world.run("ben", &["get", "team/site"], &["error"]);
    world.run("anna", &["grant", "team/site", &ben], &["granted"]);
    world.run("ben", &["get", "team/site", "--to", &copy], &["done"]);
    world.run("anna", &["revoke", "team/site", &ben], &["revoked"]);
    fs::rename(world.path("source/one.txt"), world.path("source/moved.txt")).expect("moved");
    fs::write(world.path("source/two.txt"), "changed").expect("written");
    fs::write(world.path("source/four.txt"), "four").expect("written");
    fs::remove_file(world.path("source/three.txt")).expect("removed");
    world.run("anna", &["publish", &source, "team/site"], &["done"]);
    let changes = ["added", "changed", "removed", "moved", "done"];
    world.run("anna", &["diff", "team/site@1", "team/site@2"], &changes);
    world.run("anna", &["log", "team/site"], &["release"]);
    world.run("anna", &["ls"], &["name"]);
    world.run("anna", &["ls", "team/site", "-R"], &["entry"]);
    world.run("anna", &["publish", "--sealed", &source, "team/sealed"], &["done"]);

    world.run("solo", &["put", &source], &["skipped", "done"]);
    world.run("solo", &["verify"], &["done"]);
    world.run("solo", &["gc"], &["done"]);
    world.run("solo", &["stats"], &["done"]);

    let memory = world.path("anna/checkout/aa");
    fs::create_dir_all(&memory).expect("made");
    let asked =
        r#"{"kind":"get","what":"team/site","path":"/x","hub":null,"more":false,"began":1}"#;
    fs::write(memory.join("asked.json"), asked).expect("written");
    world.run("anna", &["status"], &["node", "job", "done"]);
    world.run("anna", &["doctor"], &["check", "done"]);
    world.run("anna", &["man", "--to", &world.text("man")], &["done"]);

    fs::create_dir_all(world.path(".config/consign")).expect("made");
    fs::write(world.path(".config/consign/config.toml"), "[gc]\ngrace = 3\nx = 1")
        .expect("written");
    world.run("anna", &["config", "show"], &["problem", "setting"]);
    world.run("anna", &["config", "check"], &["problem", "done"]);
    world.run("anna", &["id"], &["error"]);
    fs::remove_file(world.path(".config/consign/config.toml")).expect("removed");
    fs::remove_file(world.path("source/fifo")).expect("removed");
    world.run("solo", &["demo", &source], &["done"]);
}

#[test]
fn every_event_in_the_sources_is_documented() {
    let events = documented();
    let mut stack = vec![PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
    let mut found = 0;
    while let Some(path) = stack.pop() {
        if path.is_dir() {
            stack.extend(fs::read_dir(&path).expect("readable").flatten().map(|one| one.path()));
            continue;
        }
        let text = fs::read_to_string(&path).expect("UTF-8");
        for rest in text.split("\"event\": \"").skip(1) {
            let event = rest.split('"').next().unwrap_or_default();
            found += 1;
            assert!(events.keys().any(|(_, known)| known == event), "{event} in {}", shown(&path));
        }
    }
    assert!(found > 30, "the search works");
}

fn shown(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
