//! Where groups of processes may be made.
//!
//! A hierarchy of groups belongs to whoever manages it: the service manager, or what runs containers.
//! We make groups only beneath one that was handed to us: the manager has marked it, or it is ours
//! and the one above it is not, or we see nothing above it and are root.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::process::geteuid;

use super::group::{Places, put};
use crate::scratch::is_name_of_ours;

/// What systemd marks a group with that is another's to manage; the first can be read by everybody.
const MARKS: [&str; 2] = ["user.delegate", "trusted.delegate"];
/// What is limited.
const CONTROLLERS: [&str; 2] = ["memory", "pids"];
/// Where we and others go that are in a group in which others are to be made: in version 2 only groups
/// without groups in them hold processes, if they limit anything.
const REST: &str = "consign-rest";
/// How often what starts meanwhile is moved, too.
const MOVES_MAX: usize = 20;

/// Where this process may make groups.
pub(super) fn places() -> Places {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    places_in(hierarchies(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup")))
}

fn places_in(hierarchies: Vec<Hierarchy>) -> Places {
    let mut places = Places::default();
    for Hierarchy { kind, group, is_top } in hierarchies {
        let is_ours = |group: &Path| is_writable(group) && (is_top || is_handed_over(group));
        match kind {
            Kind::Version2 => {
                // We are where we moved to before, or where the manager has put us within ours;
                // but not in a script's group, which is to hold all that is done in it.
                let is_outside = !is_top && !is_name_of_ours(&group);
                let above = group.parent().map(Path::to_owned).filter(|_| is_outside);
                places.unified =
                    Some(group).filter(|it| is_ours(it)).or(above.filter(|it| is_ours(it)));
            }
            Kind::Memory => places.memory = Some(group).filter(|it| is_ours(it)),
            Kind::Processes => places.processes = Some(group).filter(|it| is_ours(it)),
        }
    }
    places
}

/// What a process like this one can hold scripts to, see [`can_limit`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CanLimit {
    /// Whether it can make groups at all: then nothing escapes from its scripts that has fewer
    /// rights than it.
    pub groups: bool,
    /// Whether it can limit their memory.
    pub memory: bool,
    /// Whether it can limit their processes, root's too.
    pub processes: bool,
}

/// What this process can hold scripts to. Looks, and changes nothing.
#[must_use]
pub fn can_limit() -> CanLimit {
    can_limit_in(&places())
}

/// Why a process cannot hold scripts to everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hindrance {
    /// No hierarchy of groups is mounted where it runs: a container without one, or an old kernel.
    NoHierarchy,
    /// The group it is in was not handed over to it: its unit does not say `Delegate=yes`.
    NotHandedOver {
        /// The group.
        group: PathBuf,
    },
    /// The group was handed over without these controllers: the manager above does not pass them on.
    Without {
        /// `memory`, `pids`.
        controllers: Vec<&'static str>,
    },
}

/// What another process of the same user can hold scripts to, and what hinders it. Looks, and changes
/// nothing.
///
/// # Errors
/// There is no such process, or it may not be looked at.
pub fn can_limit_of(process: u32) -> io::Result<(CanLimit, Option<Hindrance>)> {
    let read = |name: &str| fs::read_to_string(format!("/proc/{process}/{name}"));
    let hierarchies = hierarchies(&read("mountinfo")?, &read("cgroup")?);
    let Some(first) = hierarchies.first().map(|it| it.group.clone()) else {
        let none = CanLimit { groups: false, memory: false, processes: false };
        return Ok((none, Some(Hindrance::NoHierarchy)));
    };
    let can = can_limit_in(&places_in(hierarchies));
    if !can.groups {
        return Ok((can, Some(Hindrance::NotHandedOver { group: first })));
    }
    let lacks = [(can.memory, CONTROLLERS[0]), (can.processes, CONTROLLERS[1])];
    let lacks = lacks.into_iter().filter(|(has, _)| !has).map(|(_, controller)| controller);
    let controllers: Vec<&str> = lacks.collect();
    let hindrance = (!controllers.is_empty()).then_some(Hindrance::Without { controllers });
    Ok((can, hindrance))
}

fn can_limit_in(places: &Places) -> CanLimit {
    let list =
        places.unified.as_ref().map(|base| fs::read_to_string(base.join("cgroup.controllers")));
    let list = list.and_then(Result::ok).unwrap_or_default();
    let has = |controller: &str| list.split_ascii_whitespace().any(|it| it == controller);
    CanLimit {
        groups: places.all().next().is_some(),
        memory: has("memory") || places.memory.is_some(),
        processes: has("pids") || places.processes.is_some(),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Version2,
    /// Of version 1.
    Memory,
    /// Of version 1.
    Processes,
}

/// One hierarchy, and the group in it that this process is in.
#[derive(Debug, PartialEq, Eq)]
struct Hierarchy {
    kind: Kind,
    group: PathBuf,
    /// Whether nothing is above it that we can see.
    is_top: bool,
}

/// Joins where hierarchies are mounted (proc_pid_mountinfo(5)) with where we are in them (cgroups(7)).
fn hierarchies(mounts: &str, groups: &str) -> Vec<Hierarchy> {
    let mut found: Vec<Hierarchy> = Vec::new();
    for line in mounts.lines() {
        let Some((left, right)) = line.split_once(" - ") else { continue };
        let (left, right): (Vec<_>, Vec<_>) =
            (left.split(' ').collect(), right.split(' ').collect());
        let (&[_, _, _, root, mounted, ..], &[kind, _, options]) = (&left[..], &right[..]) else {
            continue;
        };
        let has = |controller: &str| options.split(',').any(|it| it == controller);
        let (kind, controller) = match kind {
            "cgroup2" => (Kind::Version2, ""),
            "cgroup" if has("memory") => (Kind::Memory, "memory"),
            "cgroup" if has("pids") => (Kind::Processes, "pids"),
            _ => continue,
        };
        // A mount may show a part of the hierarchy only.
        let own = own_group(groups, controller).and_then(|own| own.strip_prefix(root));
        let Some(own) = own.map(|own| own.trim_matches('/')) else { continue };
        // Above what we see: then it is somebody else's in any case.
        if own.split('/').any(|part| part == "..") || found.iter().any(|it| it.kind == kind) {
            continue;
        }
        let group = Path::new(mounted).join(own);
        found.push(Hierarchy { kind, group, is_top: own.is_empty() });
    }
    found
}

/// The path of our group in the hierarchy with this controller; version 2 names none.
fn own_group<'a>(groups: &'a str, controller: &str) -> Option<&'a str> {
    groups.lines().find_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        controllers.split(',').any(|it| it == controller).then_some(path)
    })
}

fn is_writable(group: &Path) -> bool {
    rustix::fs::access(group, rustix::fs::Access::WRITE_OK).is_ok()
}

fn is_handed_over(group: &Path) -> bool {
    let is_marked = |mark: &str| {
        let mut value = [0; 8];
        let length = rustix::fs::getxattr(group, mark, &mut value).unwrap_or(0);
        value[..length] == *b"1"
    };
    let owner = |group: &Path| fs::metadata(group).map(|facts| facts.uid()).ok();
    let above = group.parent().and_then(owner);
    let us = Some(geteuid().as_raw());
    MARKS.into_iter().any(is_marked) || (owner(group) == us && above.is_some() && above != us)
}

/// Lets groups within this one limit what they can, of version 2.
pub(super) fn enable(base: &Path) -> io::Result<()> {
    let words = |name: &str| -> io::Result<Vec<String>> {
        let text = fs::read_to_string(base.join(name))?;
        Ok(text.split_ascii_whitespace().map(str::to_owned).collect())
    };
    let (there, enabled) = (words("cgroup.controllers")?, words("cgroup.subtree_control")?);
    let wanted =
        |it: &&str| there.iter().any(|one| one == it) && !enabled.iter().any(|one| one == it);
    let wanted: Vec<_> =
        CONTROLLERS.iter().copied().filter(wanted).map(|it| format!("+{it}")).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let control = base.join("cgroup.subtree_control");
    let mut tried = put(&control, &wanted.join(" "));
    let is_busy = |tried: &io::Result<()>| {
        tried.as_ref().is_err_and(|error| error.raw_os_error() == Some(Errno::BUSY.raw_os_error()))
    };
    // What is not marked as ours may hold processes that others look for there.
    for _ in 0..MOVES_MAX {
        if !is_busy(&tried) || !is_handed_over(base) {
            break;
        }
        make_way(base)?;
        tried = put(&control, &wanted.join(" "));
    }
    tried
}

/// Moves all processes of a group into one within it.
fn make_way(base: &Path) -> io::Result<()> {
    let rest = base.join(REST);
    match fs::create_dir(&rest) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    for process in fs::read_to_string(base.join("cgroup.procs"))?.lines() {
        // Those that have ended meanwhile are in nobody's way.
        let _ = put(&rest.join("cgroup.procs"), process);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
