//! What a login or a service manager sets up.

use rustix::process::{Resource, getrlimit};

use super::surroundings::absolute;
use super::{Finding, Surroundings};

/// A get with 8 requests open, its directories and temporary files, and the store's packs.
const OPEN_FILES_MIN: u64 = 256;
/// What a hub wants: a thousand connections and as many files.
const OPEN_FILES_WANTED: u64 = 1024;

pub(super) fn home_unset(around: &Surroundings) -> Finding {
    match (&around.state, Surroundings::variable("HOME")) {
        (None, _) => Finding::fail(
            "neither HOME nor XDG_STATE_HOME is set, so there is no place for this node's state",
            "export HOME, or name a directory: consign --state /var/lib/consign …",
        ),
        (Some(state), None) => {
            Finding::ok(format!("HOME is not set; the state is in {}", around.path(state.path())))
        }
        (Some(state), Some(_)) => {
            Finding::ok(format!("the state is in {}", around.path(state.path())))
        }
    }
}

pub(super) fn xdg_relative(_: &Surroundings) -> Finding {
    let relative: Vec<&str> = ["XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"]
        .into_iter()
        .filter(|name| Surroundings::variable(name).is_some_and(|at| absolute(&at).is_none()))
        .collect();
    match relative.first() {
        None => Finding::ok("none of them is relative"),
        Some(first) => Finding::warn(
            format!("{} must be absolute and is ignored", relative.join(", ")),
            format!("unset {first}, or set it to an absolute path"),
        ),
    }
}

pub(super) fn locale_not_utf8(_: &Surroundings) -> Finding {
    // The first that is set decides, as in `setlocale`.
    let set = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(|name| Some((name, Surroundings::variable(name)?)));
    let Some((name, value)) = set else {
        return Finding::warn(
            "no locale is set: names that are not ASCII may not show as they are",
            "export LANG=C.UTF-8",
        );
    };
    let text = value.to_string_lossy();
    let lower = text.to_ascii_lowercase();
    if lower.contains("utf-8") || lower.contains("utf8") {
        Finding::ok(format!("{name} is {text}"))
    } else {
        Finding::warn(
            format!("{name} is {text}: names that are not ASCII may not show as they are"),
            format!("export {name}=C.UTF-8"),
        )
    }
}

pub(super) fn temp_unwritable(around: &Surroundings) -> Finding {
    let temp = std::env::temp_dir();
    match tempfile_in(&temp) {
        Ok(()) => Finding::ok(format!("{} takes files", around.path(&temp))),
        Err(error) => Finding::warn(
            format!("cannot make a file in {}: {error}", around.path(&temp)),
            "export TMPDIR with a directory that can be written to (`consign demo` needs it)",
        ),
    }
}

/// Makes a file and removes it.
pub(super) fn tempfile_in(directory: &std::path::Path) -> std::io::Result<()> {
    let path = directory.join(format!(".consign-doctor-{}", std::process::id()));
    let made = std::fs::OpenOptions::new().write(true).create_new(true).open(&path);
    made?;
    std::fs::remove_file(&path)
}

pub(super) fn open_files_low(_: &Surroundings) -> Finding {
    judge_open_files(getrlimit(Resource::Nofile).current)
}

fn judge_open_files(limit: Option<u64>) -> Finding {
    match limit {
        Some(limit) if limit < OPEN_FILES_MIN => Finding::fail(
            format!("at most {limit} files may be open; {OPEN_FILES_MIN} are needed"),
            format!("ulimit -n {OPEN_FILES_WANTED}"),
        ),
        Some(limit) if limit < OPEN_FILES_WANTED => Finding::warn(
            format!("at most {limit} files may be open; a hub wants {OPEN_FILES_WANTED}"),
            format!("ulimit -n {OPEN_FILES_WANTED}"),
        ),
        Some(limit) => Finding::ok(format!("{limit} files may be open")),
        None => Finding::ok("any number of files may be open"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Status;

    #[test]
    fn few_open_files_are_too_few_for_a_hub_first() {
        let status = |limit| judge_open_files(limit).status;
        assert_eq!(status(Some(64)), Status::Fail);
        assert_eq!(status(Some(512)), Status::Warn);
        assert_eq!(status(Some(4096)), Status::Ok);
        assert_eq!(status(None), Status::Ok);
    }
}
