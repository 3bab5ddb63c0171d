//! How much of the machine a script may use, and who sees to it.
//!
//! Memory is kept by a group of the kernel's alone. Processes are, too; where there is none, the
//! kernel still counts the processes of a user, unless that is root. Processor time is watched by
//! the supervisor, and each process has a limit of its own behind that. Open files are limited
//! for each process.

use std::fs;
use std::time::Duration;

use package::Limits;
use package::instructions::PROCESSES;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

use super::group::Group;

/// How much later than the supervisor a process stops itself that has used too much time.
const PROCESSOR_SLACK_S: u64 = 5;

/// What one script is kept to.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Bounds {
    pub(super) memory_bytes: Option<u64>,
    processes: Option<u32>,
    processor_ms: Option<u64>,
    open_files: Option<u32>,
}

impl From<&Limits> for Bounds {
    fn from(limits: &Limits) -> Self {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self {
            memory_bytes: limits.memory_bytes,
            processes: limits.processes,
            processor_ms: limits.processor.map(ms),
            open_files: limits.open_files,
        }
    }
}

impl Bounds {
    /// How many processes it may have, whoever says so.
    pub(super) fn processes(&self) -> u32 {
        self.processes.unwrap_or(PROCESSES)
    }

    pub(super) fn processor(&self) -> Option<Duration> {
        self.processor_ms.map(Duration::from_millis)
    }

    /// Why the script must not start: what its step asks for cannot be had. `user` is who it runs as.
    pub(super) fn lacking(&self, group: &Group, user: u32) -> Option<String> {
        let lacks_memory = self.memory_bytes.is_some() && !group.holds_memory();
        // Root may have as many processes as it likes.
        let lacks_processes = self.processes.is_some() && !group.holds_processes() && user == 0;
        let what = match (lacks_memory, lacks_processes) {
            (false, false) => return None,
            (true, false) => "memory",
            (false, true) => "processes",
            (true, true) => "memory and processes",
        };
        let why = group.why().map_or_else(String::new, |why| format!(" ({why})"));
        Some(format!(
            "its {what} cannot be limited here{why}: give the node's unit Delegate=yes, or leave \
             that out of `limits`"
        ))
    }

    /// What its own process has to limit.
    pub(super) fn own(&self, group: &Group, user: u32) -> Own {
        let counts = !group.holds_processes() && user != 0;
        Own {
            processes: counts.then(|| processes_of(user) + u64::from(self.processes())),
            processor_s: self.processor_ms.map(|ms| ms.div_ceil(1000) + PROCESSOR_SLACK_S),
            open_files: self.open_files.map(u64::from),
        }
    }
}

/// Limits that a process sets for itself and all it starts. They can only be made tighter.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Own {
    /// All that the user has, not only those of the script.
    processes: Option<u64>,
    processor_s: Option<u64>,
    open_files: Option<u64>,
}

impl Own {
    pub(super) fn set(&self) -> Result<(), String> {
        for (resource, wanted, what) in [
            (Resource::Nproc, self.processes, "processes"),
            (Resource::Cpu, self.processor_s, "processor time"),
            (Resource::Nofile, self.open_files, "open files"),
        ] {
            let Some(wanted) = wanted else { continue };
            let wanted = getrlimit(resource).maximum.map_or(wanted, |maximum| wanted.min(maximum));
            let limit = Rlimit { current: Some(wanted), maximum: Some(wanted) };
            setrlimit(resource, limit)
                .map_err(|errno| format!("cannot limit its {what}: {errno}"))?;
        }
        Ok(())
    }
}

/// How many processes and threads a user has.
fn processes_of(user: u32) -> u64 {
    let status = |entry: fs::DirEntry| fs::read_to_string(entry.path().join("status")).ok();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(status).filter_map(|status| threads_of(&status, user)).sum()
}

/// The threads of a process, if it belongs to this user.
fn threads_of(status: &str, user: u32) -> Option<u64> {
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.split_ascii_whitespace().next())
    };
    let is_theirs = field("Uid:")?.parse::<u32>().ok()? == user;
    is_theirs.then_some(field("Threads:")?.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_is_asked_for_and_cannot_be_had_is_a_reason_not_to_start() {
        let none = Group::default();
        let asked = |limits| Bounds::from(&limits);
        let memory = Limits { memory_bytes: Some(1 << 30), ..Limits::default() };
        let processes = Limits { processes: Some(64), ..Limits::default() };
        let reason = asked(memory).lacking(&none, 1000).expect("memory is the kernel's alone");
        assert!(
            reason.contains("its memory cannot") && reason.contains("Delegate=yes"),
            "{reason}"
        );
        let reason = asked(processes).lacking(&none, 0).expect("nobody counts root's");
        assert!(reason.contains("its processes cannot"), "{reason}");
        assert_eq!(asked(processes).lacking(&none, 1000), None, "the kernel counts a user's");
        let others = Limits {
            processor: Some(Duration::from_secs(1)),
            open_files: Some(64),
            ..Limits::default()
        };
        assert_eq!(asked(others).lacking(&none, 0), None, "nothing is needed for them");
        assert_eq!(
            asked(Limits::default()).lacking(&none, 0),
            None,
            "defaults are kept if they can be"
        );
    }

    #[test]
    fn the_processes_of_a_user_are_counted_with_their_threads() {
        let status = "Name:\tUid: 7\nUid:\t1000\t1000\t1000\t1000\nThreads:\t12\n";
        assert_eq!((threads_of(status, 1000), threads_of(status, 0)), (Some(12), None));
        assert!(processes_of(rustix::process::getuid().as_raw()) >= 1);
    }
}
