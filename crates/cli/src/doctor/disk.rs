//! The file system the state lies on.

use std::path::PathBuf;

use rustix::fs::{StatVfs, StatVfsMountFlags, statvfs};

use super::{Finding, Surroundings};
use crate::output::{bytes, number};

/// What a store leaves free; below it nothing more is stored.
const RESERVE_BYTES: u64 = 256 << 20;
/// Below this a look is due.
const LOW_BYTES: u64 = 1 << 30;
/// A checkout of a large tree makes tens of thousands of files.
const INODES_LOW: u64 = 10_000;
const INODES_NONE: u64 = 100;

/// The nearest place that exists: the state itself, or where it would be made.
fn place(around: &Surroundings) -> Option<PathBuf> {
    let state = around.state.as_ref()?.path();
    state.ancestors().find(|path| path.exists()).map(PathBuf::from)
}

fn facts(around: &Surroundings) -> Result<(String, StatVfs), Finding> {
    let place = place(around).ok_or_else(|| Finding::skipped("there is no state directory"))?;
    let facts = statvfs(&place).map_err(|error| Finding::skipped(error.to_string()))?;
    Ok((around.path(place), facts))
}

pub(super) fn read_only(around: &Surroundings) -> Finding {
    match facts(around) {
        Ok((path, facts)) if facts.f_flag.contains(StatVfsMountFlags::RDONLY) => Finding::fail(
            format!("{path} is on a file system that is mounted read-only"),
            "dmesg | tail (a failing disk is mounted so), or name another place with --state",
        ),
        Ok((path, _)) => Finding::ok(format!("{path} is on a file system that takes writes")),
        Err(skipped) => skipped,
    }
}

pub(super) fn nearly_full(around: &Surroundings) -> Finding {
    match facts(around) {
        Ok((path, facts)) => judge_space(&path, facts.f_bavail.saturating_mul(facts.f_frsize)),
        Err(skipped) => skipped,
    }
}

fn judge_space(path: &str, free: u64) -> Finding {
    let evidence = format!("{} free for {path}", bytes(free));
    let next = format!("consign gc; df -h {path}");
    match free {
        ..RESERVE_BYTES => Finding::fail(
            format!("{evidence}; the store takes nothing below {}", bytes(RESERVE_BYTES)),
            next,
        ),
        RESERVE_BYTES..LOW_BYTES => Finding::warn(evidence, next),
        LOW_BYTES.. => Finding::ok(evidence),
    }
}

pub(super) fn inodes_nearly_exhausted(around: &Surroundings) -> Finding {
    match facts(around) {
        // Some file systems make them as needed and say 0 of 0.
        Ok((path, facts)) if facts.f_files == 0 => {
            Finding::ok(format!("{path} is on a file system that makes inodes as needed"))
        }
        Ok((path, facts)) => judge_inodes(&path, facts.f_favail),
        Err(skipped) => skipped,
    }
}

fn judge_inodes(path: &str, free: u64) -> Finding {
    let evidence = format!("{} inodes free for {path}", number(free));
    let next = format!("df -i {path}; remove small files nobody needs");
    match free {
        ..INODES_NONE => Finding::fail(evidence, next),
        INODES_NONE..INODES_LOW => Finding::warn(evidence, next),
        INODES_LOW.. => Finding::ok(evidence),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Status;

    #[test]
    fn space_and_inodes_run_out_in_steps() {
        let space = |free| judge_space("/s", free).status;
        assert_eq!(
            [1 << 20, 500 << 20, 5 << 30].map(space),
            [Status::Fail, Status::Warn, Status::Ok]
        );
        let inodes = |free| judge_inodes("/s", free).status;
        assert_eq!([5, 5_000, 50_000].map(inodes), [Status::Fail, Status::Warn, Status::Ok]);
    }
}
