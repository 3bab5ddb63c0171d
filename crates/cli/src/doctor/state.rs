//! The state directory and the small files in it.

use std::os::unix::fs::MetadataExt as _;

use node::StateError;
use rustix::fs::{Access, access};

use super::{Finding, Fix, Surroundings};

const NO_STATE: &str = "there is no state directory";

pub(super) fn missing(around: &Surroundings) -> Finding {
    let Some(state) = &around.state else {
        return Finding::skipped("it is not known where it should be");
    };
    let path = around.path(state.path());
    if std::fs::symlink_metadata(state.path()).is_ok() {
        return Finding::ok(format!("{path} exists"));
    }
    Finding::warn(
        format!("{path} does not exist: no command was run here yet, or the path is wrong"),
        "consign register INVITATION (or name the directory you mean with --state)",
    )
}

pub(super) fn not_directory(around: &Surroundings) -> Finding {
    let Some(state) = &around.state else { return Finding::skipped(NO_STATE) };
    let path = around.path(state.path());
    match std::fs::metadata(state.path()) {
        Ok(facts) if facts.is_dir() => Finding::ok(format!("{path} is a directory")),
        Ok(_) => {
            Finding::fail(format!("{path} is not a directory"), format!("mv {path} {path}.old"))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Finding::skipped(NO_STATE),
        Err(error) => {
            Finding::fail(format!("{path} cannot be looked at: {error}"), format!("ls -ld {path}"))
        }
    }
}

pub(super) fn owner(around: &Surroundings) -> Finding {
    let Some(state) = around.existing_state() else { return Finding::skipped(NO_STATE) };
    let me = rustix::process::geteuid().as_raw();
    match std::fs::metadata(state.path()) {
        Ok(facts) => judge_owner(&around.path(state.path()), facts.uid(), me),
        Err(error) => Finding::skipped(error.to_string()),
    }
}

fn judge_owner(path: &str, owner: u32, me: u32) -> Finding {
    if owner == me {
        return Finding::ok(format!("{path} is ours"));
    }
    Finding::fail(
        format!("{path} belongs to user {owner}, and this is user {me}"),
        format!("sudo chown -R {me} {path} (or run consign as user {owner})"),
    )
}

pub(super) fn unwritable(around: &Surroundings) -> Finding {
    let Some(state) = around.existing_state() else { return Finding::skipped(NO_STATE) };
    let path = around.path(state.path());
    match access(state.path(), Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => Finding::ok(format!("{path} can be read and written")),
        // Named by a check of its own.
        Err(rustix::io::Errno::ROFS) => Finding::skipped("its file system is read-only"),
        Err(error) => Finding::fail(
            format!("{path} cannot be read and written: {error}"),
            format!("chmod u+rwx {path}"),
        ),
    }
}

pub(super) fn modes(around: &Surroundings) -> Finding {
    let Some(state) = around.existing_state() else { return Finding::skipped(NO_STATE) };
    let path = around.path(state.path());
    match std::fs::metadata(state.path()) {
        Ok(facts) if facts.mode() & 0o077 != 0 => Finding::warn(
            format!("{path} has mode {:o}: others see what is fetched", facts.mode() & 0o7777),
            format!("chmod 700 {path}"),
        )
        .or_fix(Fix::Mode(state.path().to_owned(), 0o700)),
        Ok(facts) => Finding::ok(format!("{path} has mode {:o}", facts.mode() & 0o7777)),
        Err(error) => Finding::skipped(error.to_string()),
    }
}

pub(super) fn hubs_damaged(around: &Surroundings) -> Finding {
    let Some(state) = around.existing_state() else { return Finding::skipped(NO_STATE) };
    let path = around.path(state.hubs_path());
    match state.hubs() {
        Ok(hubs) => Finding::ok(format!("{} hubs are listed", hubs.len())),
        Err(error) => Finding::fail(
            reason(around, &error),
            format!("mv {path} {path}.old, then consign register INVITATION"),
        ),
    }
}

pub(super) fn trust_damaged(around: &Surroundings) -> Finding {
    let Some(state) = around.existing_state() else { return Finding::skipped(NO_STATE) };
    let damaged = state.damaged_trust();
    let Some(first) = damaged.first() else { return Finding::ok("all of it can be read") };
    let next = match first {
        StateError::Damaged { path, .. } | StateError::Io { path, .. } => {
            let path = around.path(path);
            format!("mv {path} {path}.old, then get the name again: its publisher is asked anew")
        }
        StateError::Random => "restore the state from a backup".into(),
    };
    Finding::fail(format!("{} of {} damaged files", reason(around, first), damaged.len()), next)
}

/// An error of the state with its cause, redacted.
pub(super) fn reason(around: &Surroundings, error: &StateError) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
    around.shown.text(&format!("{error}{}", cause.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Status;

    #[test]
    fn a_state_of_another_user_is_refused() {
        assert_eq!(judge_owner("/s", 1000, 1000).status, Status::Ok);
        let finding = judge_owner("/s", 0, 1000);
        assert_eq!(finding.status, Status::Fail);
        assert!(finding.next.is_some_and(|next| next.contains("chown")));
    }
}
