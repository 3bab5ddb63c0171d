//! A hub, nodes, and the comparison of what commands print with `docs/json.md`.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// Field, type.
pub(crate) type Fields = Vec<(String, String)>;

/// The documented events, by command and event.
pub(crate) fn documented() -> BTreeMap<(String, String), Fields> {
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

fn consign(directory: &Path, node: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_consign"));
    for name in ["CONSIGN_HUB", "CONSIGN_DATABASE", "CONSIGN_CONFIG", "XDG_CONFIG_HOME"] {
        command.env_remove(name);
    }
    command.env("CONSIGN_STATE", directory.join(node)).env("HOME", directory);
    command.stdin(Stdio::null()).current_dir(directory);
    command
}

/// A hub and a place for nodes; both end with the test.
pub(crate) struct World {
    directory: tempfile::TempDir,
    hub: Child,
    events: BTreeMap<(String, String), Fields>,
}

impl World {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().expect("temporary directory");
        let events = documented();
        let mut hub = consign(directory.path(), "admin")
            .args(["--json", "hub", "--listen", "127.0.0.1:0", "--data"])
            .arg(directory.path().join("hub"))
            .stdout(Stdio::piped())
            .spawn()
            .expect("starts");
        let mut line = String::new();
        let out = hub.stdout.take().expect("piped");
        BufReader::new(out).read_line(&mut line).expect("readable");
        check(&events, "hub", &serde_json::from_str(&line).expect("JSON"));
        Self { directory, hub, events }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).to_str().expect("UTF-8").to_owned()
    }

    /// The program as one node of this world.
    pub(crate) fn command(&self, node: &str) -> Command {
        consign(self.directory.path(), node)
    }

    /// Runs a command with `--json`, compares every line, and returns the last one.
    pub(crate) fn run(&self, node: &str, args: &[&str], events: &[&str]) -> Value {
        let output = self.command(node).arg("--json").args(args).output().expect("runs");
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
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.hub.kill();
        let _ = self.hub.wait();
    }
}
