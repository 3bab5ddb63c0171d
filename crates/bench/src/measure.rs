//! What a run costs: wall, processor seconds of both ends, peak memory.
//!
//! Processor seconds come from `/proc`, in ticks of 10 ms, and include finished children. Peak
//! memory is the kernel's own high-water mark, read every 20 ms, so growth in the last moments of
//! a process can be missed; for a client it is its largest process, for a server the sum.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

/// Ticks a second in `/proc/PID/stat`: fixed by the kernel's interface on every architecture.
const TICKS_PER_SECOND: f64 = 100.0;
const SAMPLE_EVERY: Duration = Duration::from_millis(20);

/// One run of one contender.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Sample {
    pub(super) wall_s: f64,
    pub(super) client_cpu_s: f64,
    pub(super) server_cpu_s: f64,
    pub(super) client_rss_bytes: u64,
    pub(super) server_rss_bytes: u64,
    /// Payload and overhead that crossed the wire, where the contender tells.
    pub(super) wire_bytes: Option<u64>,
    /// What the row is about when it is none of the above; the row says what it counts.
    #[serde(default)]
    pub(super) figure: Option<f64>,
}

impl Sample {
    pub(super) fn cpu_s(&self) -> f64 {
        self.client_cpu_s + self.server_cpu_s
    }
}

/// A process that serves the run; it ends with this value.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
}

impl Server {
    pub(super) fn start(command: &mut Command) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let child =
            command.stdin(Stdio::null()).spawn().with_context(|| format!("cannot start {name}"))?;
        Ok(Self { child })
    }

    /// Its process.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn stdout(&mut self) -> Option<BufReader<ChildStdout>> {
        self.child.stdout.take().map(BufReader::new)
    }
}

impl Server {
    /// Leaves it no time for anything.
    pub(super) fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Stops it where it is, as if its cable had been pulled.
    pub(super) fn hold(&self) -> Result<()> {
        let stopped =
            Command::new("kill").args(["-STOP", &self.child.id().to_string()]).status()?;
        if !stopped.success() {
            bail!("a server could not be stopped ({stopped})");
        }
        Ok(())
    }

    /// Memory of its own, without that of files.
    pub(super) fn resident_bytes(&self) -> Result<u64> {
        crate::fleet::resident_bytes(self.child.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        // Asked first, so that a server with workers takes them along.
        let pid = self.child.id().to_string();
        let asked = Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .is_ok_and(|status| status.success());
        let patience = Instant::now() + Duration::from_secs(5);
        while asked && Instant::now() < patience {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Runs `command` to its end, with `input` on standard input; returns the cost and what it wrote
/// to standard output. Any exit code but zero is an error with the last line it said.
pub(super) fn run(
    command: &mut Command,
    input: &str,
    servers: &[&Server],
) -> Result<(Sample, String)> {
    let name = command.get_program().to_string_lossy().into_owned();
    let servers: Vec<u32> = servers.iter().map(|server| server.child.id()).collect();
    for process in servers.iter().flat_map(|pid| processes(*pid)) {
        // 5 resets the high-water mark; where it is not allowed, the mark since the start counts.
        drop(fs::write(format!("/proc/{process}/clear_refs"), "5"));
    }
    let server_ticks = || servers.iter().map(|pid| ticks_of_tree(*pid)).sum::<u64>();
    let (children_before, servers_before) = (ticks_of_own_children(), server_ticks());

    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let started = Instant::now();
    let mut child = command.spawn().with_context(|| format!("cannot start {name}"))?;
    let (client, done) = (child.id(), AtomicBool::new(false));
    let (output, wall, peaks) = thread::scope(|scope| -> Result<_> {
        let sampler = scope.spawn(|| watch(client, &servers, &done));
        let ended = {
            // A program that does not read its input has closed it; that is its own affair.
            if let Some(mut stdin) = child.stdin.take() {
                drop(stdin.write_all(input.as_bytes()));
            }
            child.wait_with_output()
        };
        let wall = started.elapsed();
        done.store(true, Ordering::Relaxed);
        let peaks = sampler.join().unwrap_or_default();
        Ok((ended?, wall, peaks))
    })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said =
            if said.trim().is_empty() { String::from_utf8_lossy(&output.stdout) } else { said };
        bail!(
            "{name} failed ({}): {}",
            output.status,
            said.trim().lines().last().unwrap_or("no word")
        );
    }
    let seconds = |ticks: u64| ticks as f64 / TICKS_PER_SECOND;
    let sample = Sample {
        wall_s: wall.as_secs_f64(),
        client_cpu_s: seconds(ticks_of_own_children().saturating_sub(children_before)),
        server_cpu_s: seconds(server_ticks().saturating_sub(servers_before)),
        client_rss_bytes: peaks.client,
        server_rss_bytes: peaks.server,
        wire_bytes: None,
        figure: None,
    };
    Ok((sample, String::from_utf8_lossy(&output.stdout).into_owned()))
}

/// Runs both ends of one job, the second one as soon as the first `is_ready`; returns the cost of
/// both, from the start of the first to the end of the last. The client's memory is that of the
/// larger end. What they say on standard error comes into the error when one fails.
pub(super) fn run_both(
    first: &mut Command,
    is_ready: &dyn Fn() -> bool,
    second: impl FnOnce() -> Result<Command>,
    servers: &[&Server],
) -> Result<Sample> {
    let servers: Vec<u32> = servers.iter().map(|server| server.child.id()).collect();
    for process in servers.iter().flat_map(|pid| processes(*pid)) {
        drop(fs::write(format!("/proc/{process}/clear_refs"), "5"));
    }
    let server_ticks = || servers.iter().map(|pid| ticks_of_tree(*pid)).sum::<u64>();
    let (children_before, servers_before) = (ticks_of_own_children(), server_ticks());
    let started = Instant::now();
    let mut first = End::start(first)?;
    while !is_ready() {
        if let Some(status) = first.0.try_wait()? {
            bail!("it ended before the other end began ({status}): {}", first.said());
        }
        thread::sleep(Duration::from_millis(1));
    }
    let mut second = End::start(&mut second()?)?;
    let (ids, done) = ([first.0.id(), second.0.id()], AtomicBool::new(false));
    let (ended, wall, peaks) = thread::scope(|scope| {
        let watchers = ids.map(|id| {
            let (servers, done) = (&servers, &done);
            scope.spawn(move || watch(id, servers, done))
        });
        let ended = first.wait().and(second.wait());
        let wall = started.elapsed();
        done.store(true, Ordering::Relaxed);
        let peaks = watchers.map(|watcher| watcher.join().unwrap_or_default());
        (ended, wall, peaks)
    });
    ended?;
    let seconds = |ticks: u64| ticks as f64 / TICKS_PER_SECOND;
    Ok(Sample {
        wall_s: wall.as_secs_f64(),
        client_cpu_s: seconds(ticks_of_own_children().saturating_sub(children_before)),
        server_cpu_s: seconds(server_ticks().saturating_sub(servers_before)),
        client_rss_bytes: peaks.iter().map(|peaks| peaks.client).max().unwrap_or(0),
        server_rss_bytes: peaks.iter().map(|peaks| peaks.server).max().unwrap_or(0),
        wire_bytes: None,
        figure: None,
    })
}

/// One end of a job; it ends with this value.
pub(super) struct End(pub(super) Child);

impl End {
    pub(super) fn start(command: &mut Command) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let spawned = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        spawned.map(Self).with_context(|| format!("cannot start {name}"))
    }

    /// The last line it said, once it has ended.
    fn said(&mut self) -> String {
        let mut said = String::new();
        if let Some(err) = self.0.stderr.as_mut() {
            drop(err.read_to_string(&mut said));
        }
        said.trim().lines().last().unwrap_or("no word").to_owned()
    }

    /// Waits for a good end.
    pub(super) fn wait(&mut self) -> Result<()> {
        // Reads first: a full pipe would hold it up.
        let said = self.said();
        let status = self.0.wait()?;
        if !status.success() {
            bail!("one end failed ({status}): {said}");
        }
        Ok(())
    }

    /// Leaves it no time for anything.
    pub(super) fn kill(&mut self) -> Result<()> {
        self.0.kill()?;
        self.0.wait()?;
        Ok(())
    }
}

impl Drop for End {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[derive(Debug, Default)]
struct Peaks {
    client: u64,
    server: u64,
}

fn watch(client: u32, servers: &[u32], done: &AtomicBool) -> Peaks {
    let mut client_marks = BTreeMap::new();
    let mut server_marks = BTreeMap::new();
    loop {
        let last = done.load(Ordering::Relaxed);
        mark(client, &mut client_marks);
        for server in servers {
            mark(*server, &mut server_marks);
        }
        if last {
            let client = client_marks.values().copied().max().unwrap_or(0);
            return Peaks { client, server: server_marks.values().sum() };
        }
        thread::sleep(SAMPLE_EVERY);
    }
}

fn mark(root: u32, marks: &mut BTreeMap<u32, u64>) {
    for process in processes(root) {
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok());
        let known = marks.entry(process).or_insert(0);
        *known = (*known).max(kib.unwrap_or(0) * 1024);
    }
}

/// A process and everything it started that still lives.
fn processes(root: u32) -> Vec<u32> {
    let mut found = vec![root];
    let mut next = 0;
    while let Some(process) = found.get(next) {
        let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children"))
            .unwrap_or_default();
        found.extend(children.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
        next += 1;
    }
    found
}

fn ticks_of_tree(root: u32) -> u64 {
    processes(root).into_iter().map(|pid| ticks(&format!("/proc/{pid}/stat"), 11..15)).sum()
}

fn ticks_of_own_children() -> u64 {
    ticks("/proc/self/stat", 13..15)
}

/// Sum of fields of a stat line, counted after the name: user, system, and both of waited-for
/// children are 11 to 14.
fn ticks(path: &str, fields: std::ops::Range<usize>) -> u64 {
    let line = fs::read_to_string(path).unwrap_or_default();
    let after_name = line.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let values = after_name.split(' ').skip(fields.start).take(fields.len());
    values.filter_map(|value| value.parse::<u64>().ok()).sum()
}

/// Reads one line from a server that announces itself.
pub(super) fn first_line(server: &mut Server) -> Result<String> {
    let mut reader = server.stdout().context("standard output is a pipe")?;
    let mut line = String::new();
    reader.read_line(&mut line)?;
    // Drained for as long as it lives, so that it never blocks on a full pipe.
    thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()));
    Ok(line)
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};

    use super::*;

    /// Held by tests with busy children: in one process each would be charged for the others'.
    static BUSY: Mutex<()> = Mutex::new(());

    #[test]
    fn a_run_is_charged_for_its_time_and_its_processor() {
        let _alone = BUSY.lock().unwrap_or_else(PoisonError::into_inner);
        let busy = "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done; cat; sleep 0.2";
        let (sample, said) = run(Command::new("sh").args(["-c", busy]), "heard", &[]).unwrap();
        assert_eq!(said, "heard");
        assert!(sample.wall_s >= 0.2 && sample.client_cpu_s > 0.0, "{sample:?}");
        assert!(sample.client_rss_bytes > 100_000, "{sample:?}");
        assert_eq!(sample.server_cpu_s, 0.0);
    }

    #[test]
    fn a_server_is_charged_apart_and_ends_with_its_handle() {
        let _alone = BUSY.lock().unwrap_or_else(PoisonError::into_inner);
        let busy = "while :; do :; done";
        let server = Server::start(Command::new("sh").args(["-c", busy])).unwrap();
        let pid = server.child.id();
        let (sample, _) = run(Command::new("sleep").arg("0.3"), "", &[&server]).unwrap();
        assert!(sample.server_cpu_s > 0.05 && sample.client_cpu_s < 0.05, "{sample:?}");
        drop(server);
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    }

    #[test]
    fn both_ends_are_charged_and_one_that_fails_is_told_in_its_own_words() {
        let _alone = BUSY.lock().unwrap_or_else(PoisonError::into_inner);
        let end = |line: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", line]).stdin(Stdio::null());
            command
        };
        let busy = "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done";
        let sample = run_both(&mut end(busy), &|| true, || Ok(end("sleep 0.3")), &[]).unwrap();
        assert!(sample.wall_s >= 0.3 && sample.client_cpu_s > 0.0, "{sample:?}");
        let error = run_both(&mut end("true"), &|| true, || Ok(end("echo lost >&2; exit 1")), &[]);
        assert!(error.unwrap_err().to_string().contains("lost"));
        let error = run_both(&mut end("echo early >&2"), &|| false, || Ok(end("true")), &[]);
        assert!(error.unwrap_err().to_string().contains("early"));
    }

    #[test]
    fn a_failure_is_told_in_its_own_words() {
        let error = run(Command::new("sh").args(["-c", "echo no such hub >&2; exit 7"]), "", &[])
            .unwrap_err();
        assert!(error.to_string().contains("no such hub"), "{error}");
    }
}
