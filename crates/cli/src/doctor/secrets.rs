//! The node's key. Its bytes are read and never shown.

use std::os::unix::fs::MetadataExt as _;

use super::state::reason;
use super::{Finding, Fix, Surroundings};

pub(super) fn missing(around: &Surroundings) -> Finding {
    let Some(state) = around.existing_state() else {
        return Finding::skipped("there is no state directory");
    };
    let path = around.path(state.key_path());
    let hubs = state.hubs().unwrap_or_default();
    match (state.key_path().exists(), hubs.first()) {
        (true, _) => Finding::ok(format!("{path} exists")),
        (false, None) => Finding::skipped("the first command that needs it makes it"),
        (false, Some(hub)) => Finding::fail(
            format!(
                "{path} is gone, and {} knows this node by it; the next command would make another",
                around.shown.text(&hub.url)
            ),
            format!("restore {path} from a backup, or register anew: consign register INVITATION"),
        ),
    }
}

pub(super) fn damaged(around: &Surroundings) -> Finding {
    let Some(state) = around.existing_state() else {
        return Finding::skipped("there is no state directory");
    };
    match state.key() {
        Ok(Some(key)) => Finding::ok(format!("this node is {key}")),
        Ok(None) => Finding::skipped("there is no key yet"),
        Err(error) => {
            let path = around.path(state.key_path());
            Finding::fail(
                reason(around, &error),
                format!("restore {path} from a backup; or mv {path} {path}.old and register anew"),
            )
        }
    }
}

pub(super) fn modes(around: &Surroundings) -> Finding {
    let Some(state) = around.existing_state() else {
        return Finding::skipped("there is no state directory");
    };
    let open = state.secret_paths().into_iter().find_map(|path| {
        let mode = std::fs::metadata(&path).ok()?.mode() & 0o7777;
        (mode & 0o077 != 0).then_some((path, mode))
    });
    match open {
        None => Finding::ok("only this user may read it"),
        Some((path, mode)) => {
            let shown = around.path(&path);
            Finding::fail(
                format!("{shown} has mode {mode:o}: others can pass for this node"),
                format!("chmod 600 {shown}"),
            )
            .or_fix(Fix::Mode(path, 0o600))
        }
    }
}
