//! Jobs that were interrupted, with the command that goes on.

use node::unfinished::{Unfinished, UnfinishedKind};

use super::{Finding, Shown, Surroundings};

pub(super) fn get_interrupted(around: &Surroundings) -> Finding {
    interrupted(around, UnfinishedKind::Get, "no fetch was interrupted")
}

pub(super) fn publish_interrupted(around: &Surroundings) -> Finding {
    interrupted(around, UnfinishedKind::Publish, "no publication was interrupted")
}

fn interrupted(around: &Surroundings, kind: UnfinishedKind, none: &str) -> Finding {
    let Some(state) = around.existing_state() else { return Finding::ok(none) };
    let mut jobs = state.jobs();
    jobs.retain(|job| job.asked.kind == kind && job.process.is_none());
    let Some(first) = jobs.first() else { return Finding::ok(none) };
    let more = match jobs.len() {
        1 => String::new(),
        count => format!(" (and {} more, see consign status)", count - 1),
    };
    Finding::warn(
        format!("{}{more}", describe(&first.asked, &around.shown)),
        command(&first.asked, &around.shown),
    )
}

/// What was interrupted, a sentence without its full stop.
pub(crate) fn describe(asked: &Unfinished, shown: &Shown) -> String {
    let path = shown.path(&asked.path);
    match asked.kind {
        UnfinishedKind::Get => format!("writing {} into {path} was interrupted", asked.what),
        UnfinishedKind::Publish => format!("publishing {path} as {} was interrupted", asked.what),
    }
}

/// The command that goes on.
pub(crate) fn command(asked: &Unfinished, shown: &Shown) -> String {
    let path = shown.path(&asked.path);
    let mut command = match asked.kind {
        UnfinishedKind::Get => format!("consign get {} --to {path}", asked.what),
        UnfinishedKind::Publish => format!("consign publish {path} {}", asked.what),
    };
    if let Some(hub) = &asked.hub {
        command.push_str(&format!(" --hub {}", super::shown::without_passwords(hub)));
    }
    if asked.more {
        command.push_str(" … (with the same further options)");
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_that_goes_on_can_be_typed() {
        let asked = Unfinished {
            kind: UnfinishedKind::Get,
            what: "team/site@3".into(),
            path: "/home/anna/my site".into(),
            hub: Some("https://hub.example".into()),
            more: false,
            began: 0,
        };
        let shown = Shown::new(Some("/home/anna".as_ref()));
        assert_eq!(
            command(&asked, &shown),
            "consign get team/site@3 --to ~/'my site' --hub https://hub.example"
        );
    }
}
