//! The kernel's groups of processes (cgroups) that hold one script and all it starts.
//!
//! A process is in one group of each hierarchy. Where version 2 is used there is one; it ends, measures
//! and limits. Elsewhere version 1 has a hierarchy for each thing that it limits.
//!
//! Groups are made beneath what was handed to us and nowhere else, see `hierarchy`. What cannot be
//! made is done without, unless the script asks for what needs it.

mod clear;

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use rustix::process::Pid;
use serde::{Deserialize, Serialize};

use super::hierarchy;
use super::limits::Bounds;
pub(super) use clear::{clear, kill};

/// Directories of groups: of one script, or those in which such are made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Places {
    /// Of version 2.
    pub(super) unified: Option<PathBuf>,
    /// Of version 1, the hierarchy that limits memory.
    pub(super) memory: Option<PathBuf>,
    /// Of version 1, the hierarchy that limits processes.
    pub(super) processes: Option<PathBuf>,
}

impl Places {
    /// Those of one script, beneath these.
    pub(super) fn of(&self, name: &str) -> Self {
        let beneath = |place: &Option<PathBuf>| place.as_ref().map(|place| place.join(name));
        Self {
            unified: beneath(&self.unified),
            memory: beneath(&self.memory),
            processes: beneath(&self.processes),
        }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Path> {
        [&self.unified, &self.memory, &self.processes].into_iter().flatten().map(PathBuf::as_path)
    }
}

/// What limits memory.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Memory {
    Version1(PathBuf),
    Version2(PathBuf),
}

/// The groups of one script that were made.
#[derive(Debug, Default)]
pub(super) struct Group {
    unified: Option<PathBuf>,
    memory: Option<Memory>,
    processes: Option<PathBuf>,
    /// What could not be done, and why.
    missing: Vec<String>,
}

impl Group {
    /// Makes what can be made of them.
    pub(super) fn make(places: &Places, bounds: &Bounds) -> Self {
        let mut made = Self::default();
        let mut make = |place: &Option<PathBuf>| {
            let place = place.as_ref()?;
            let parent = place.parent().unwrap_or(Path::new("/"));
            match fs::create_dir(place) {
                Ok(()) => Some(place.clone()),
                Err(error) => {
                    made.missing.push(format!("{}: {error}", parent.display()));
                    None
                }
            }
        };
        let (unified, memory, processes) =
            (make(&places.unified), make(&places.memory), make(&places.processes));
        if let Some(base) = unified.as_deref().and_then(Path::parent)
            && let Err(error) = hierarchy::enable(base)
        {
            made.missing.push(format!("{}: {error}", base.display()));
        }
        made.limit(Places { unified, memory, processes }, bounds);
        made
    }

    /// Takes groups that exist, and sets their limits.
    fn limit(&mut self, places: Places, bounds: &Bounds) {
        let Places { unified, memory, processes } = places;
        let has = |controller: &str| {
            let place = unified.as_ref()?;
            let list = fs::read_to_string(place.join("cgroup.controllers")).ok()?;
            list.split_ascii_whitespace().any(|it| it == controller).then(|| place.clone())
        };
        self.memory = has("memory").map(Memory::Version2).or(memory.map(Memory::Version1));
        self.processes = has("pids").or(processes);
        if let (Some(bytes), Some(memory)) = (bounds.memory_bytes, &self.memory)
            && let Err(error) = memory.limit(bytes)
        {
            self.missing.push(format!("memory: {error}"));
            self.memory = None;
        }
        if let Some(place) = &self.processes
            && let Err(error) = put(&place.join("pids.max"), &bounds.processes().to_string())
        {
            self.missing.push(format!("processes: {error}"));
            self.processes = None;
        }
        self.unified = unified;
    }

    /// Moves a process into them. What it starts afterwards is there too.
    pub(super) fn take_in(&mut self, process: Pid) {
        let id = process.as_raw_nonzero().get().to_string();
        let places: BTreeSet<PathBuf> = [
            self.unified.clone(),
            self.memory.as_ref().map(|memory| memory.place().to_owned()),
            self.processes.clone(),
        ]
        .into_iter()
        .flatten()
        .collect();
        for place in places {
            let Err(error) = put(&place.join("cgroup.procs"), &id) else { continue };
            self.missing.push(format!("{}: {error}", place.display()));
            self.unified.take_if(|it| *it == place);
            self.memory.take_if(|it| it.place() == place);
            self.processes.take_if(|it| *it == place);
        }
    }

    pub(super) fn holds_memory(&self) -> bool {
        self.memory.is_some()
    }

    pub(super) fn holds_processes(&self) -> bool {
        self.processes.is_some()
    }

    /// What could not be done, for people.
    pub(super) fn why(&self) -> Option<String> {
        (!self.missing.is_empty()).then(|| self.missing.join("; "))
    }

    /// Processor time of all that were in it, in microseconds.
    pub(super) fn processor_us(&self) -> Option<u64> {
        fact(&self.unified.as_ref()?.join("cpu.stat"), "usage_usec")
    }

    /// The most memory of all together, in bytes.
    pub(super) fn memory_bytes_max(&self) -> Option<u64> {
        let name = match self.memory.as_ref()? {
            Memory::Version1(place) => place.join("memory.max_usage_in_bytes"),
            Memory::Version2(place) => place.join("memory.peak"),
        };
        fs::read_to_string(name).ok()?.trim().parse().ok()
    }

    /// Whether one was killed for want of memory.
    pub(super) fn ran_out_of_memory(&self) -> bool {
        let killed = self.memory.as_ref().and_then(|memory| match memory {
            Memory::Version1(place) => fact(&place.join("memory.oom_control"), "oom_kill"),
            Memory::Version2(place) => fact(&place.join("memory.events"), "oom_kill"),
        });
        killed.is_some_and(|count| count > 0)
    }

    /// Whether a process was refused because there were too many.
    pub(super) fn ran_out_of_processes(&self) -> bool {
        let events = self.processes.as_ref().map(|place| place.join("pids.events"));
        events.and_then(|events| fact(&events, "max")).is_some_and(|count| count > 0)
    }
}

impl Memory {
    fn place(&self) -> &Path {
        match self {
            Self::Version1(place) | Self::Version2(place) => place,
        }
    }

    fn limit(&self, bytes: u64) -> io::Result<()> {
        let bytes = bytes.to_string();
        match self {
            Self::Version1(place) => {
                put(&place.join("memory.limit_in_bytes"), &bytes)?;
                // With what is swapped out; only there if the kernel counts that.
                let _ = put(&place.join("memory.memsw.limit_in_bytes"), &bytes);
            }
            Self::Version2(place) => {
                put(&place.join("memory.max"), &bytes)?;
                let _ = put(&place.join("memory.swap.max"), "0");
                // All of it ends, not the largest of its processes.
                let _ = put(&place.join("memory.oom.group"), "1");
            }
        }
        Ok(())
    }
}

/// Writes to a file of the kernel's, which is there or is not.
pub(super) fn put(path: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new().write(true).truncate(true).open(path)?.write_all(text.as_bytes())
}

/// A number of a file that has a name and a number in each line.
fn fact(path: &Path, name: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let mut lines = text.lines().filter_map(|line| line.split_once(' '));
    lines.find(|(known, _)| *known == name)?.1.trim().parse().ok()
}

#[cfg(test)]
mod tests;
