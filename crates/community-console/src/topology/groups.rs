//! Targets put together.

use std::collections::{BTreeMap, BTreeSet};

use community::Role;
use pages::format::shown;

use super::BOXES_MAX;
use crate::picture::{Machine, Picture};

/// By what targets are put together.
#[derive(Debug, Clone, PartialEq, Eq)]
enum By {
    /// Each is a box.
    Name,
    Label(String),
    State,
}

/// One way of putting them together that may be chosen.
#[derive(Debug, Clone)]
pub(crate) struct Choice {
    pub(crate) label: String,
    pub(crate) link: String,
    pub(crate) is_chosen: bool,
}

/// How targets are put together, and which way each goes.
pub(super) struct Grouping {
    by: By,
    pub(super) choices: Vec<Choice>,
    hub: String,
    /// Relays by their addresses.
    relays: BTreeMap<String, String>,
}

/// Targets that are shown as one.
#[derive(Debug, Clone)]
pub(super) struct Group<'a> {
    /// Through which relay; empty: from the hub.
    pub(super) way: String,
    pub(super) name: String,
    pub(super) link: String,
    pub(super) machines: Vec<&'a Machine>,
    /// One target that is meant as such.
    pub(super) is_single: bool,
}

/// An address as it is compared.
fn bare(address: &str) -> String {
    address.trim_end_matches('/').to_owned()
}

impl Grouping {
    /// What was asked for if it can be, else what shows most.
    pub(super) fn choose(picture: &Picture, wanted: &str) -> Self {
        let mut values: BTreeMap<&str, (usize, BTreeSet<&str>)> = BTreeMap::new();
        let mut targets = 0;
        for target in picture.targets() {
            targets += 1;
            for (key, value) in &target.labels {
                let (carriers, values) = values.entry(key).or_default();
                *carriers += 1;
                // More than are shown need not be counted.
                if values.len() <= BOXES_MAX {
                    values.insert(value);
                }
            }
        }
        let useful = values.iter().filter(|(_, (_, values))| values.len() <= BOXES_MAX);
        let best = useful.max_by_key(|(_, (carriers, values))| (*carriers, values.len()));
        let by = match wanted {
            "" if targets <= BOXES_MAX => By::Name,
            "" => best.map_or(By::State, |(key, _)| By::Label((*key).to_owned())),
            "-state" => By::State,
            "-name" if targets <= BOXES_MAX => By::Name,
            key if values.contains_key(key) => By::Label(key.to_owned()),
            _ => By::State,
        };
        let choice = |label: String, value: &str, this: By| Choice {
            label,
            link: format!("/?by={}", escape(value)),
            is_chosen: by == this,
        };
        let mut choices = Vec::new();
        if targets <= BOXES_MAX {
            choices.push(choice("each target".into(), "-name", By::Name));
        }
        for key in values.keys().take(BOXES_MAX) {
            choices.push(choice(shown(key.as_bytes()), key, By::Label((*key).to_owned())));
        }
        choices.push(choice("state".into(), "-state", By::State));
        let relays = picture.machines.iter().filter(|machine| machine.is(Role::Relay));
        let relays = relays.flat_map(|relay| {
            relay.addresses.iter().map(|address| (bare(address), relay.name.clone()))
        });
        let hub = picture.known().map(|known| known.hub.clone()).unwrap_or_default();
        Self { by, choices, hub, relays: relays.collect() }
    }

    /// The relay or address a target gets its packages from first; empty for the hub.
    pub(super) fn way<'a>(&'a self, target: &'a Machine) -> &'a str {
        let Some(route) = target.routes.first() else { return "" };
        if bare(route) == bare(&self.hub) {
            return "";
        }
        self.relays.get(&bare(route)).map_or(&**route, |name| name)
    }

    /// The groups, at most so many and one for the rest; what somebody should look at comes first where
    /// they are named by their state, else by name.
    pub(super) fn groups<'a>(&self, picture: &'a Picture, most: usize) -> Vec<Group<'a>> {
        let mut groups: BTreeMap<(String, String), Group<'a>> = BTreeMap::new();
        for target in picture.targets() {
            let way = self.way(target).to_owned();
            let (order, name, link) = match &self.by {
                By::Name => (target.name.clone(), target.name.clone(), String::new()),
                By::State => {
                    let mark = target.mark();
                    let link = format!("/peers?role=target&state={}", mark.word());
                    (format!("{}", mark as usize), mark.label().to_owned(), link)
                }
                By::Label(key) => match target.labels.get(key) {
                    None => {
                        let link =
                            format!("/peers?role=target&label={}", escape(&format!("!{key}")));
                        // After those that have it.
                        ("\u{10ffff}".into(), format!("without {}", shown(key.as_bytes())), link)
                    }
                    Some(value) => {
                        let label =
                            if value.is_empty() { key.clone() } else { format!("{key}={value}") };
                        let link = format!("/peers?role=target&label={}", escape(&label));
                        (value.clone(), shown(label.as_bytes()), link)
                    }
                },
            };
            let is_single = self.by == By::Name;
            let group = groups.entry((way.clone(), order));
            let new = || Group { way, name, link, machines: Vec::new(), is_single };
            group.or_insert_with(new).machines.push(target);
        }
        let mut groups: Vec<Group<'a>> = groups.into_values().collect();
        if groups.len() > most {
            // The largest are shown; the order among them stays.
            let mut sizes: Vec<usize> = groups.iter().map(|group| group.machines.len()).collect();
            sizes.sort_unstable_by(|one, other| other.cmp(one));
            let least = sizes[most - 1];
            let mut room = most - 1;
            let mut rest: BTreeMap<String, Group<'a>> = BTreeMap::new();
            groups.retain_mut(|group| {
                if group.machines.len() >= least && room > 0 {
                    room -= 1;
                    return true;
                }
                let others = rest.entry(group.way.clone()).or_insert_with(|| Group {
                    way: group.way.clone(),
                    name: "others".into(),
                    link: "/peers?role=target".into(),
                    machines: Vec::new(),
                    is_single: false,
                });
                others.machines.append(&mut group.machines);
                false
            });
            groups.extend(rest.into_values());
        }
        groups
    }
}

/// Text as a part of an address.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                escaped.push(char::from(byte));
            }
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}
