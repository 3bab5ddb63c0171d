//! The demonstration's child processes: this very binary.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Where hub and nodes are kept, so that whoever is told to stop can end them.
pub(super) type Shelf = Arc<Mutex<Vec<Child>>>;

/// Ends what runs.
pub(super) fn end(shelf: &Shelf) {
    let children = std::mem::take(&mut *shelf.lock().unwrap_or_else(PoisonError::into_inner));
    children.into_iter().for_each(kill);
}

fn signal_one(shelf: &Shelf, id: u32, signal: Signal) -> anyhow::Result<()> {
    let mut children = shelf.lock().unwrap_or_else(PoisonError::into_inner);
    let child = children.iter_mut().find(|child| child.id() == id);
    let child = child.context("it is not kept any more")?;
    // One that has ended keeps its number until it is waited for, and hears nothing.
    if child.try_wait()?.is_none() {
        kill_process(Pid::from_child(child), signal)?;
    }
    Ok(())
}

/// Ends the process with this id.
fn end_one(shelf: &Shelf, id: u32) {
    let child = {
        let mut children = shelf.lock().unwrap_or_else(PoisonError::into_inner);
        let place = children.iter().position(|child| child.id() == id);
        place.map(|place| children.swap_remove(place))
    };
    child.into_iter().for_each(kill);
}

fn kill(mut child: Child) {
    let _ = child.kill();
    let _ = child.wait();
}

fn keep(shelf: &Shelf, child: Child) {
    shelf.lock().unwrap_or_else(PoisonError::into_inner).push(child);
}

/// A node in its own process, killed when it is dropped.
pub(super) struct NodeProcess {
    shelf: Shelf,
    id: u32,
}

impl NodeProcess {
    /// Its state and its log are in `base`; returns when it serves.
    pub(super) fn start(base: &Path, node: &str, shelf: Shelf) -> anyhow::Result<Self> {
        let log = base.join(format!("{node}.log"));
        let said = File::options().append(true).create(true).open(&log);
        let said = said.with_context(|| format!("cannot create {}", log.display()))?;
        let mut child = Command::new(std::env::current_exe()?)
            .arg("--state")
            .arg(base.join(node))
            .args(["node", "--json"])
            .env_remove("CONSIGN_HUB")
            .env(crate::proxy::VARIABLE, crate::proxy::STRAIGHT)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(said)
            .spawn()
            .with_context(|| format!("cannot start {node}"))?;
        let id = child.id();
        let out = child.stdout.take().context("the node has no output")?;
        keep(&shelf, child);
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        if line.is_empty() {
            bail!("{node} ended at once; its log is {}", log.display());
        }
        Ok(Self { shelf, id })
    }

    /// Tells it to stand still, or to go on.
    pub(super) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        signal_one(&self.shelf, self.id, signal)
    }
}

impl Drop for NodeProcess {
    fn drop(&mut self) {
        end_one(&self.shelf, self.id);
    }
}

/// A hub in its own process; ends with the demonstration.
pub(super) struct HubProcess {
    shelf: Shelf,
    id: u32,
    pub(super) url: String,
    /// Where it writes what it would say on standard error.
    pub(super) log: PathBuf,
}

impl HubProcess {
    /// Its data and its log are in `base`, named after it. It has a log of its own because it may be left running:
    /// who reads the demonstration's output to its end must not wait for the hub.
    pub(super) fn start(base: &Path, name: &str, shelf: Shelf) -> anyhow::Result<Self> {
        Self::start_at(base, name, "127.0.0.1:0", shelf)
    }

    /// Kills it and starts it again where it was.
    pub(super) fn restart(&mut self, base: &Path, name: &str) -> anyhow::Result<()> {
        self.stop();
        let (_, address) = self.url.split_once("://").context("an address without a scheme")?;
        let again = Self::start_at(base, name, address, Arc::clone(&self.shelf))?;
        // What is dropped was ended above.
        *self = again;
        Ok(())
    }

    fn start_at(base: &Path, name: &str, listen: &str, shelf: Shelf) -> anyhow::Result<Self> {
        let (data, log) = (base.join(name), base.join(format!("{name}.log")));
        let said =
            File::create(&log).with_context(|| format!("cannot create {}", log.display()))?;
        let mut child = Command::new(std::env::current_exe()?)
            .arg("hub")
            .arg("--data")
            .arg(data)
            .args(["--listen", listen, "--json"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(said)
            .spawn()
            .context("cannot start the hub")?;
        let mut line = String::new();
        let out = child.stdout.take().context("the hub has no output")?;
        BufReader::new(out).read_line(&mut line)?;
        let hello: Value = serde_json::from_str(&line).with_context(|| {
            let _ = child.kill();
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            format!("the hub said {:?}", format!("{line}{said}").trim())
        })?;
        let url = hello["url"].as_str().context("the hub named no address")?.to_owned();
        let id = child.id();
        keep(&shelf, child);
        Ok(Self { shelf, id, url, log })
    }

    pub(super) fn id(&self) -> u32 {
        self.id
    }

    pub(super) fn leave_running(&mut self) {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(super) fn stop(&mut self) {
        end_one(&self.shelf, self.id);
    }
}

impl Drop for HubProcess {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A command that runs beside the others; killed when it is dropped.
pub(super) struct Background {
    shelf: Shelf,
    id: u32,
    what: String,
    lines: mpsc::Receiver<String>,
}

impl Background {
    /// The next line that tells of this event.
    pub(super) fn line(&mut self, event: &str, patience: Duration) -> anyhow::Result<Value> {
        let mut last = String::new();
        loop {
            let Ok(line) = self.lines.recv_timeout(patience) else {
                bail!("consign {} did not come to {event:?}: {last}", self.what);
            };
            let told: Value = serde_json::from_str(&line)
                .with_context(|| format!("consign {} printed {line:?}", self.what))?;
            if told["event"] == event {
                return Ok(told);
            }
            last = line;
        }
    }

    /// Tells it to stand still, or to go on.
    pub(super) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        signal_one(&self.shelf, self.id, signal)
    }

    /// Whether it came to its end, which has to be a good one.
    pub(super) fn has_ended(&mut self) -> anyhow::Result<bool> {
        let mut children = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        let child = children.iter_mut().find(|child| child.id() == self.id);
        match child.context("it is not kept any more")?.try_wait()? {
            Some(status) if !status.success() => bail!("consign {} failed: {status}", self.what),
            ended => Ok(ended.is_some()),
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        end_one(&self.shelf, self.id);
    }
}

/// How the kill went.
pub(super) enum KillOutcome {
    /// With this many files in place.
    Killed { files: u64 },
    /// The job ended first.
    FinishedFirst,
}

/// A command of this binary, run as one node.
pub(super) struct Program {
    command: Command,
}

impl Program {
    pub(super) fn plain() -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        // Their progress would mix with what the demonstration says.
        command.args(["--json", "--quiet"]).env_remove("CONSIGN_HUB").stdin(Stdio::null());
        // Its hubs are on this machine.
        command.env(crate::proxy::VARIABLE, crate::proxy::STRAIGHT);
        Ok(Self { command })
    }

    pub(super) fn of_node(state: &Path) -> anyhow::Result<Self> {
        let mut program = Self::plain()?;
        program.command.arg("--state").arg(state);
        Ok(program)
    }

    /// Runs to the end; returns the last line it printed.
    pub(super) fn json(&mut self, args: &[&str]) -> anyhow::Result<Value> {
        let shown = args.first().copied().unwrap_or_default();
        let last = self.lines(args)?.pop();
        last.with_context(|| format!("consign {shown} printed nothing"))
    }

    /// Runs to the end; returns all lines it printed.
    pub(super) fn lines(&mut self, args: &[&str]) -> anyhow::Result<Vec<Value>> {
        let output = self.command.args(args).stderr(Stdio::inherit()).output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let last = text.lines().last().unwrap_or_default();
        let shown = args.first().copied().unwrap_or_default();
        // 3 says that something unreadable was left out, which its lines have named.
        if !output.status.success() && output.status.code() != Some(3) {
            bail!("consign {shown} failed: {last}");
        }
        text.lines()
            .map(|line| {
                serde_json::from_str(line)
                    .with_context(|| format!("consign {shown} printed {line:?}"))
            })
            .collect()
    }

    /// Runs to the end with this text to read; returns the last line it printed.
    pub(super) fn json_of_input(&mut self, args: &[&str], input: &str) -> anyhow::Result<Value> {
        let shown = args.first().copied().unwrap_or_default();
        self.command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = self.command.spawn()?;
        let mut reads = child.stdin.take().context("the command reads nothing")?;
        reads.write_all(input.as_bytes())?;
        drop(reads);
        let output = child.wait_with_output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let last = text.lines().last().unwrap_or_default();
        if !output.status.success() {
            bail!("consign {shown} failed: {last}");
        }
        serde_json::from_str(last).with_context(|| format!("consign {shown} printed {last:?}"))
    }

    /// Starts it, and leaves it running until it is dropped.
    pub(super) fn in_background(
        &mut self,
        args: &[&str],
        shelf: &Shelf,
    ) -> anyhow::Result<Background> {
        let mut child = self.command.args(args).stdout(Stdio::piped()).spawn()?;
        let out = child.stdout.take().context("the command has no output")?;
        let id = child.id();
        keep(shelf, child);
        let (told, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if told.send(line).is_err() {
                    return;
                }
            }
        });
        let what = args.join(" ");
        Ok(Background { shelf: Arc::clone(shelf), id, what, lines })
    }

    /// Runs until it is ended with all others, and hands on each line: the value, or what a person is told.
    pub(super) fn passed_on(
        &mut self,
        args: &[&str],
        shelf: &Shelf,
        tell: impl Fn(&Value) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut child = self.command.args(args).stdout(Stdio::piped()).spawn()?;
        let out = child.stdout.take().context("the command has no output")?;
        keep(shelf, child);
        for line in BufReader::new(out).lines() {
            tell(&serde_json::from_str(&line?)?)?;
        }
        Ok(())
    }

    /// Starts, waits until some files are in place, and kills.
    pub(super) fn kill_in_the_middle(
        &mut self,
        args: &[&str],
        to: &Path,
    ) -> anyhow::Result<KillOutcome> {
        let mut child = self.command.args(args).stdout(Stdio::piped()).spawn()?;
        loop {
            if let Some(status) = child.try_wait()? {
                let mut said = String::new();
                if let Some(mut out) = child.stdout.take() {
                    out.read_to_string(&mut said)?;
                }
                if !status.success() {
                    bail!("consign get failed: {said}");
                }
                return Ok(KillOutcome::FinishedFirst);
            }
            if started(to) {
                // Far enough to have something to lose.
                std::thread::sleep(Duration::from_millis(150));
                child.kill()?;
                let status = child.wait()?;
                if status.success() {
                    return Ok(KillOutcome::FinishedFirst);
                }
                return Ok(KillOutcome::Killed { files: count_files(to) });
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Whether anything was written into the directory's working area.
fn started(to: &Path) -> bool {
    std::fs::read_dir(to.join(".consign.tmp")).is_ok_and(|mut entries| entries.next().is_some())
}

fn count_files(path: &Path) -> u64 {
    let mut count = 0;
    let mut stack: Vec<PathBuf> = vec![path.to_owned()];
    while let Some(directory) = stack.pop() {
        let Ok(entries) = std::fs::read_dir(&directory) else { continue };
        for entry in entries.flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && entry.file_name() != ".consign.tmp" => {
                    stack.push(entry.path());
                }
                Ok(kind) if kind.is_file() => count += 1,
                _ => {}
            }
        }
    }
    count
}
