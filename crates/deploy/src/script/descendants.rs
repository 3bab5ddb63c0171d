//! All that descends from this process, found and killed.
//!
//! This process is a subreaper: whatever leaves its session, its group or its parent is its
//! child then, and stays among its descendants until it is reaped here.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, WaitStatus, getpid, pidfd_open, pidfd_send_signal, wait,
};

/// How long killing goes on; what the kernel itself does not let go of by then is left to it.
const KILL_WITHIN: Duration = Duration::from_secs(30);
/// How often what is still forking is stopped before all of it is killed.
const STOPS_MAX: usize = 50;

/// A process, known from others that have its number later by when it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Process {
    id: i32,
    started: u64,
}

/// Parent and start of a process, and the processor time of it and all that it has waited for, in
/// ticks of the clock.
fn look_at(id: i32) -> Option<(i32, Process, u64)> {
    let line = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name of the program stands in brackets and may hold anything, brackets too.
    let (_, facts) = line.rsplit_once(')')?;
    let mut facts = facts.split_ascii_whitespace();
    let parent = facts.nth(1)?.parse().ok()?;
    // Fields 4, 14 to 17 and 22 of proc_pid_stat(5).
    let mut facts = facts.skip(9);
    let times = facts.by_ref().take(4).map(|time| time.parse::<u64>().unwrap_or(0)).sum();
    let started = facts.nth(4)?.parse().ok()?;
    Some((parent, Process { id, started }, times))
}

/// Each with its ticks.
fn descendants() -> Vec<(Process, u64)> {
    let mut children: BTreeMap<i32, Vec<(Process, u64)>> = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let id = entry.file_name().to_str().and_then(|name| name.parse().ok());
        if let Some((parent, process, ticks)) = id.and_then(look_at) {
            children.entry(parent).or_default().push((process, ticks));
        }
    }
    let mut found = Vec::new();
    let mut parents = vec![getpid().as_raw_nonzero().get()];
    while let Some(parent) = parents.pop() {
        for process in children.remove(&parent).into_iter().flatten() {
            parents.push(process.0.id);
            found.push(process);
        }
    }
    found
}

/// Sends a signal to a process, unless its number belongs to another one by now.
fn signal(process: Process, signal: Signal) {
    let Some(pid) = Pid::from_raw(process.id) else { return };
    let Ok(held) = pidfd_open(pid, PidfdFlags::empty()) else { return };
    // Held by now: if it is still the one that was found, it stays that one.
    if look_at(process.id).is_some_and(|(_, found, _)| found == process) {
        let _ = pidfd_send_signal(&held, signal);
    }
}

fn processes() -> Vec<Process> {
    descendants().into_iter().map(|(process, _)| process).collect()
}

/// Processor time of all of them, in microseconds. What ended without anybody waiting for it is not
/// in it, unless it is to be reaped here.
pub(super) fn processor_us() -> u64 {
    let ticks: u64 = descendants().into_iter().map(|(_, ticks)| ticks).sum();
    ticks * 1_000_000 / rustix::param::clock_ticks_per_second().max(1)
}

/// Asks all of them to stop.
pub(super) fn ask_to_stop() {
    for process in processes() {
        signal(process, Signal::TERM);
        // What was stopped has to run to hear of it.
        signal(process, Signal::CONT);
    }
}

/// Kills all of them and reaps them. Whoever is to be remembered is handed to `reaped`.
pub(super) fn kill(mut reaped: impl FnMut(Pid, WaitStatus)) {
    let end = Instant::now() + KILL_WITHIN;
    while !reap(&mut reaped) && Instant::now() < end {
        // A process that forks faster than it is looked for is stopped before it is killed.
        let mut found = processes();
        for _ in 0..STOPS_MAX {
            found.iter().for_each(|process| signal(*process, Signal::STOP));
            let again = processes();
            if again.iter().all(|process| found.contains(process)) {
                break;
            }
            found = again;
        }
        found.iter().for_each(|process| signal(*process, Signal::KILL));
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Reaps what has ended; says whether nothing is left.
pub(super) fn reap(reaped: &mut impl FnMut(Pid, WaitStatus)) -> bool {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) => reaped(pid, status),
            Ok(None) => return false,
            Err(Errno::INTR) => {}
            Err(_) => return true,
        }
    }
}
