//! The comparison of what commands print with `docs/json.md`.

use std::collections::BTreeMap;
use std::fs;
use std::ops::{Deref, DerefMut};

use serde_json::Value;

use crate::process::{lines, root, told};
use crate::world::World;

/// Field, type.
pub(crate) type Fields = Vec<(String, String)>;

/// The documented events, by command and event.
pub(crate) fn documented() -> BTreeMap<(String, String), Fields> {
    let text = fs::read_to_string(root().join("docs/json.md")).expect("docs/json.md");
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

/// A hub and its nodes, of which every line is compared with its section.
pub(crate) struct Documented {
    world: World,
    events: BTreeMap<(String, String), Fields>,
}

impl Documented {
    pub(crate) fn new() -> Self {
        Self::of(World::new())
    }

    /// The same, with what runs for long in it logging all it can.
    pub(crate) fn logged() -> Self {
        Self::of(World::logged())
    }

    fn of(world: World) -> Self {
        let events = documented();
        check(&events, "hub", &world.hello);
        Self { world, events }
    }

    /// Runs a command, compares every line, and returns the last one; `events` must be among them.
    pub(crate) fn tells(&self, node: &str, args: &[&str], events: &[&str]) -> Value {
        // With a configuration of the world's own, beneath its home.
        let output = self.command(node, args).env_remove("CONSIGN_CONFIG").output().expect("runs");
        let mut lines = lines(&output);
        let seen: Vec<String> =
            lines.iter().map(|line| check(&self.events, args[0], line)).collect();
        for event in events {
            let told = told(&output);
            assert!(seen.iter().any(|one| one == event), "{args:?}: no {event} in {told}");
        }
        lines.pop().unwrap_or_default()
    }

    /// Registers a node by an invitation with these options.
    pub(crate) fn register(&self, node: &str, more: &[&str]) {
        let hub = self.text("hub");
        let args = [&["invite", "--data", hub.as_str()], more].concat();
        let invited = self.tells("admin", &args, &["invitation"]);
        let invitation = invited["invitation"].as_str().expect("a text");
        self.tells(node, &["register", invitation], &["registered"]);
    }
}

impl Deref for Documented {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

impl DerefMut for Documented {
    fn deref_mut(&mut self) -> &mut World {
        &mut self.world
    }
}
