//! All that is in the groups of a script, killed; and the groups removed.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::{Places, put};

/// How long killing goes on; what the kernel itself does not let go of by then is left to it.
const KILL_WITHIN: Duration = Duration::from_secs(30);
/// How long a group is still busy after its last process was reaped.
const REMOVE_WITHIN: Duration = Duration::from_secs(2);

/// Kills all that is in them, and in groups that were made within them.
pub(in super::super) fn kill(places: &Places) {
    places.all().for_each(kill_in);
}

/// Kills, and removes the groups. Nothing happens to those that are gone already.
pub(in super::super) fn clear(places: &Places) {
    kill(places);
    for place in places.all() {
        let end = Instant::now() + REMOVE_WITHIN;
        while !remove(place) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

fn kill_in(place: &Path) {
    if !place.exists() {
        return;
    }
    // Nothing is started in it any more, where the kernel counts processes.
    let _ = put(&place.join("pids.max"), "0");
    // All at once, from Linux 5.14 on in a group of version 2.
    let _ = put(&place.join("cgroup.kill"), "1");
    let end = Instant::now() + KILL_WITHIN;
    loop {
        let groups = with_inner(place);
        let found: Vec<Pid> = groups.iter().flat_map(|group| members(group)).collect();
        if found.is_empty() || Instant::now() >= end {
            return;
        }
        found.into_iter().for_each(|process| end_process(process, place));
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A group and those that were made within it, inner ones first.
fn with_inner(place: &Path) -> Vec<PathBuf> {
    let mut groups = vec![place.to_owned()];
    let mut next = 0;
    while let Some(group) = groups.get(next) {
        let entries = fs::read_dir(group).into_iter().flatten().flatten();
        let inner: Vec<_> = entries
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .map(|entry| entry.path())
            .collect();
        groups.extend(inner);
        next += 1;
    }
    groups.reverse();
    groups
}

fn members(group: &Path) -> Vec<Pid> {
    let list = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    list.lines().filter_map(|line| Pid::from_raw(line.parse().ok()?)).collect()
}

/// Kills a process that is in the group still, and not another one that has its number by now.
fn end_process(process: Pid, place: &Path) {
    let Ok(held) = pidfd_open(process, PidfdFlags::empty()) else { return };
    let Some(name) = place.file_name().and_then(|name| name.to_str()) else { return };
    let path = format!("/proc/{}/cgroup", process.as_raw_nonzero());
    if fs::read_to_string(path).is_ok_and(|groups| groups.contains(name)) {
        let _ = pidfd_send_signal(held, Signal::KILL);
    }
}

/// Whether it is gone.
fn remove(place: &Path) -> bool {
    with_inner(place).iter().for_each(|group| drop(fs::remove_dir(group)));
    !place.exists()
}
