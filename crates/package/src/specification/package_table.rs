//! The table `[package]`, and conditions, which steps have too.

use std::ops::Range;

use super::keys::{Keys, Text, listed, near};
use super::{Code, Problems};
use crate::instructions::{DESCRIPTION_BYTES_MAX, PACKAGES_MAX, SYSTEMS_MAX};
use crate::label::Expression;
use crate::rules::{self, Rule};
use crate::{Condition, Package, Requirement};

/// Keys of the table.
pub(super) const KEYS: [&str; 8] =
    ["name", "version", "description", "requires", "conflicts", "os", "arch", "labels"];

/// What `std::env::consts::OS` can be, and what people call it.
const SYSTEMS: [&str; 12] = [
    "linux",
    "macos",
    "windows",
    "freebsd",
    "netbsd",
    "openbsd",
    "dragonfly",
    "solaris",
    "illumos",
    "android",
    "ios",
    "aix",
];
const SYSTEM_ALIASES: [(&str, &str); 5] = [
    ("darwin", "macos"),
    ("osx", "macos"),
    ("win", "windows"),
    ("win32", "windows"),
    ("gnu/linux", "linux"),
];
/// What `std::env::consts::ARCH` can be, and what people call it.
const ARCHITECTURES: [&str; 13] = [
    "x86_64",
    "aarch64",
    "x86",
    "arm",
    "riscv64",
    "riscv32",
    "powerpc64",
    "powerpc",
    "s390x",
    "loongarch64",
    "mips",
    "mips64",
    "sparc64",
];
const ARCHITECTURE_ALIASES: [(&str, &str); 8] = [
    ("amd64", "x86_64"),
    ("x64", "x86_64"),
    ("arm64", "aarch64"),
    ("armhf", "arm"),
    ("i386", "x86"),
    ("i686", "x86"),
    ("ppc64le", "powerpc64"),
    ("ppc64el", "powerpc64"),
];

/// Reads the table; the package has no steps yet.
pub(super) fn read(top: &Keys<'_, '_>, problems: &mut Problems<'_>) -> Option<Package> {
    if top.get("package").is_none() {
        let help = "begin with [package], name = \"…\" and version = \"…\"";
        top.missing("package", help, problems);
        return None;
    }
    let table = top.table("package", "[package]", problems)?;
    table.only(&KEYS, problems);
    let name = required(&table, "name", "tools", rules::package_name, problems);
    let version = required(&table, "version", "1.0.0", rules::version, problems);
    let description = table.text("description", "What it is for", problems);
    if let Some(text) = &description
        && text.text.len() > DESCRIPTION_BYTES_MAX
    {
        let message = format!("a description has at most {DESCRIPTION_BYTES_MAX} bytes");
        problems.add(Code::TooLong, text.span.clone(), message, "");
    }
    let requires = table.texts("requires", "[\"base\", \"runtime 3.1\"]", problems);
    let conflicts = table.texts("conflicts", "[\"old-tools\"]", problems);
    let (requires, conflicts) = (requires.unwrap_or_default(), conflicts.unwrap_or_default());
    check_others(name.as_deref(), &requires, &conflicts, problems);
    let when = condition(&table, problems);
    let is_empty = top
        .get("step")
        .is_none_or(|(_, steps)| steps.get_ref().as_array().is_some_and(|steps| steps.is_empty()));
    if is_empty && requires.is_empty() {
        let help = "add a [[step]], or what it `requires`";
        problems.add(Code::MissingKey, table.span.clone(), "the package does nothing", help);
    }
    Some(Package {
        name: name?,
        version: version?,
        description: description.map(|text| text.text).unwrap_or_default(),
        requires: requires.iter().map(|text| requirement(&text.text)).collect(),
        conflicts: conflicts.into_iter().map(|text| text.text).collect(),
        when,
        steps: Vec::new(),
    })
}

fn required(
    table: &Keys<'_, '_>,
    key: &str,
    example: &str,
    rule: fn(&str) -> Rule,
    problems: &mut Problems<'_>,
) -> Option<String> {
    if table.get(key).is_none() {
        table.missing(key, &format!("add {key} = {example:?}"), problems);
        return None;
    }
    let text = table.text(key, example, problems)?;
    follow(&text, rule, problems).then_some(text.text)
}

/// Whether a text keeps a rule; says so if not.
pub(super) fn follow(text: &Text, rule: fn(&str) -> Rule, problems: &mut Problems<'_>) -> bool {
    let kept = rule(&text.text);
    if let Err(rule) = kept {
        let message = format!("this cannot be {:?}", text.text);
        problems.add(Code::WrongValue, text.span.clone(), message, rule);
    }
    kept.is_ok()
}

fn requirement(text: &str) -> Requirement {
    match text.split_once(' ') {
        Some((name, version)) => {
            Requirement { name: name.to_owned(), version: Some(version.trim().to_owned()) }
        }
        None => Requirement { name: text.to_owned(), version: None },
    }
}

fn check_others(
    name: Option<&str>,
    requires: &[Text],
    conflicts: &[Text],
    problems: &mut Problems<'_>,
) {
    for (what, texts) in [("requires", requires), ("conflicts", conflicts)] {
        if let Some(text) = texts.get(PACKAGES_MAX) {
            let message = format!("`{what}` has more than {PACKAGES_MAX} packages");
            problems.add(Code::TooLong, text.span.clone(), message, "");
            return;
        }
    }
    let mut seen: Vec<(String, &str)> = Vec::new();
    let all = requires.iter().map(|text| (text, "requires"));
    for (text, what) in all.chain(conflicts.iter().map(|text| (text, "conflicts"))) {
        let Requirement { name: other, version } = requirement(&text.text);
        let rule = rules::package_name(&other);
        let rule = rule.and_then(|()| match version.as_deref() {
            Some(_) if what == "conflicts" => {
                Err("name the package alone: all its versions are meant")
            }
            Some(version) => rules::version(version),
            None => Ok(()),
        });
        if let Err(rule) = rule {
            let message = format!("{:?} is no package", text.text);
            problems.add(Code::WrongValue, text.span.clone(), message, rule);
        }
        if name == Some(&other) {
            let message = format!("`{what}` names the package itself");
            problems.add(Code::Conflict, text.span.clone(), message, "leave it out");
        }
        match seen.iter().find(|(known, _)| *known == other) {
            Some((_, before)) => {
                let message = format!("`{other}` stands under `{before}` already");
                problems.add(Code::Conflict, text.span.clone(), message, "name it once");
            }
            None => seen.push((other, what)),
        }
    }
}

/// Which machines a package or step is for.
pub(super) fn condition(table: &Keys<'_, '_>, problems: &mut Problems<'_>) -> Condition {
    let os = systems(table, "os", &SYSTEMS, &SYSTEM_ALIASES, problems);
    let arch = systems(table, "arch", &ARCHITECTURES, &ARCHITECTURE_ALIASES, problems);
    let labels = table.text("labels", "site=berlin & !lab", problems);
    Condition { os, arch, labels: labels.and_then(|text| expression(&text, problems)) }
}

fn systems(
    table: &Keys<'_, '_>,
    key: &str,
    known: &[&str],
    aliases: &[(&str, &str)],
    problems: &mut Problems<'_>,
) -> Vec<String> {
    let texts = table.texts(key, &format!("[{:?}]", known[0]), problems).unwrap_or_default();
    if let Some(text) = texts.get(SYSTEMS_MAX) {
        let message = format!("`{key}` has more than {SYSTEMS_MAX} names");
        problems.add(Code::TooLong, text.span.clone(), message, "");
    }
    for Text { text, span } in &texts {
        if known.contains(&text.as_str()) {
            continue;
        }
        let lower = text.to_lowercase();
        let meant = aliases.iter().find(|(alias, _)| *alias == lower).map(|(_, name)| *name);
        let help = meant.or_else(|| near(&lower, known.iter().copied())).map_or_else(
            || format!("there are {}", listed(known)),
            |meant| format!("did you mean {meant:?}?"),
        );
        problems.add(Code::WrongValue, span.clone(), format!("`{key}` is not {text:?}"), help);
    }
    texts.into_iter().map(|text| text.text).collect()
}

fn expression(text: &Text, problems: &mut Problems<'_>) -> Option<Expression> {
    match text.text.parse::<Expression>() {
        Ok(expression) => Some(expression),
        Err(error) => {
            let offset = error.offset();
            let next = text.text[offset..].chars().next().map_or(0, char::len_utf8);
            let within: Range<usize> = offset..offset + next;
            let span = text.part(within, problems);
            let help = "labels are chosen as in `site=berlin & !(lab | ring=0)`";
            problems.add(Code::WrongValue, span, format!("`labels`: {error}"), help);
            None
        }
    }
}
