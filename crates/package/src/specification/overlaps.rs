//! File sets that would undo each other.

use super::steps::Read;
use super::{Code, Problems};
use crate::instructions::{Action, Placing};
use crate::{Condition, FileSet};

/// Refuses two file sets of which one replaces a directory that the other is in.
pub(super) fn check(steps: &[Read], problems: &mut Problems<'_>) {
    let sets: Vec<(&Read, &FileSet)> = steps
        .iter()
        .filter_map(|read| match &read.step.action {
            Action::Files(files) => Some((read, files)),
            Action::Script(_) => None,
        })
        .collect();
    for (index, (read, files)) in sets.iter().enumerate() {
        let clash = sets[..index].iter().find(|(earlier, other)| {
            let replaces = is_within(&files.target, &other.target)
                && other.placing == Placing::Replace
                || is_within(&other.target, &files.target) && files.placing == Placing::Replace;
            replaces && may_meet(&earlier.step.when, &read.step.when)
        });
        let (Some((earlier, other)), Some(span)) = (clash, read.target.clone()) else { continue };
        let message = format!(
            "{} and {} of step {:?} are in each other's way: one of them replaces the directory",
            files.target, other.target, earlier.step.name
        );
        let help = "make one set of them, choose targets beside each other, or write placing = \"merge\" in both";
        problems.add(Code::Conflict, span, message, help);
    }
}

/// Whether a path is another or beneath it.
fn is_within(path: &str, other: &str) -> bool {
    other == "/"
        || path.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether one machine may fit both conditions. Of two different expressions over labels nobody
/// knows: their author is taken to know what they do.
fn may_meet(one: &Condition, other: &Condition) -> bool {
    let share = |one: &[String], other: &[String]| {
        one.is_empty() || other.is_empty() || one.iter().any(|name| other.contains(name))
    };
    let labels = match (&one.labels, &other.labels) {
        (Some(one), Some(other)) => one == other,
        (None, _) | (_, None) => true,
    };
    share(&one.os, &other.os) && share(&one.arch, &other.arch) && labels
}
