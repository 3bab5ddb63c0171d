//! The configuration files.

use std::os::unix::fs::MetadataExt as _;

use super::{Finding, Fix, Surroundings};
use crate::config::Kind;

pub(super) fn unreadable(around: &Surroundings) -> Finding {
    named(around, Kind::Unreadable, "consign config check; give yourself the right to read it")
}

pub(super) fn malformed(around: &Surroundings) -> Finding {
    named(around, Kind::Malformed, "correct the line; consign config check says when it is well")
}

pub(super) fn unknown_key(around: &Surroundings) -> Finding {
    named(around, Kind::UnknownKey, "correct the key; consign COMMAND --help lists what there is")
}

pub(super) fn value(around: &Surroundings) -> Finding {
    named(around, Kind::Value, "correct the value; consign COMMAND --help says what it takes")
}

fn named(around: &Surroundings, kind: Kind, next: &str) -> Finding {
    if around.config.files.is_empty() {
        return Finding::ok("there is no configuration file, and none is needed");
    }
    match around.config.problems.iter().find(|problem| problem.kind == kind) {
        None => Finding::ok(format!("{} files", around.config.files.len())),
        Some(problem) => Finding::fail(around.shown.text(&problem.to_string()), next),
    }
}

pub(super) fn modes(around: &Surroundings) -> Finding {
    let me = rustix::process::geteuid().as_raw();
    let open = around.config.files.iter().find_map(|path| {
        let facts = std::fs::metadata(path).ok()?;
        let foreign = facts.uid() != me && facts.uid() != 0;
        (facts.mode() & 0o022 != 0 || foreign).then_some((path, facts))
    });
    let Some((path, facts)) = open else {
        return Finding::ok("nobody else may change them");
    };
    let shown = around.path(path);
    if facts.mode() & 0o022 == 0 {
        return Finding::warn(
            format!("{shown} belongs to user {}, who can point consign elsewhere", facts.uid()),
            format!("sudo chown {me} {shown}"),
        );
    }
    Finding::warn(
        format!("others may write to {shown}, which can point consign at another hub"),
        format!("chmod go-w {shown}"),
    )
    .or_fix(Fix::Mode(path.clone(), facts.mode() & 0o7755))
}
