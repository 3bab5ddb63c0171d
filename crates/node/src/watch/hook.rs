//! What runs after a switch, with as few rights as can be.
//!
//! The hook is run by this program's own `hook` helper (see [`Launch`]), which before it becomes
//! the hook gives up the way to new privileges and starts a session of its own: it has no
//! terminal, and a signal to its process group reaches all of it. Its environment is empty but
//! for the documented variables, its input is empty, and what it says goes into a log of bounded
//! length.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use super::lock;

/// Most bytes of what a hook says that are kept; the rest is read and thrown away.
pub const OUTPUT_BYTES_MAX: usize = 64 << 10;
/// Between asking a hook to stop and making it.
const KILL_AFTER: Duration = Duration::from_secs(5);
/// How long the pipes of a hook that ended are read for what is still in them.
const SAID_WITHIN: Duration = Duration::from_secs(1);
/// Where a hook finds programs.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A command to run after a switch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hook {
    /// A line for `/bin/sh -c`.
    pub command: String,
    /// How long it may take, in seconds.
    pub timeout_seconds: u64,
    /// When it fails, make the release before current again.
    pub rollback: bool,
}

/// What a hook is told, in its environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookFacts {
    /// `CONSIGN_NAME`
    pub name: String,
    /// `CONSIGN_RELEASE`: the number of the release that is current now.
    pub release: u64,
    /// `CONSIGN_PREVIOUS`: the number of the one before, or empty.
    pub previous: Option<u64>,
    /// `CONSIGN_CURRENT`: where it is.
    pub current: PathBuf,
    /// `CONSIGN_ROLLBACK`: `1` when the release was made current because the hook of a later one
    /// failed, else `0`.
    pub rollback: bool,
}

/// Why a hook counts as failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HookError {
    /// It ended with another status than 0. Its log says why.
    #[error("the hook ended with {status}: {last}")]
    Status {
        /// How it ended.
        status: String,
        /// The last line it said.
        last: String,
    },
    /// It took longer than it may and was killed.
    #[error("the hook took longer than {0} s and was killed")]
    TimedOut(u64),
    /// It could not be started.
    #[error("the hook cannot be started: {0}")]
    Start(String),
}

/// How a hook is started: a program that calls [`become_hook`] with its last argument.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The program.
    pub program: PathBuf,
    /// What makes it the helper.
    pub arguments: Vec<String>,
}

impl Default for Launch {
    /// This very program, even if the file was replaced since it was started.
    fn default() -> Self {
        Self { program: "/proc/self/exe".into(), arguments: vec!["run-hook".into()] }
    }
}

impl Hook {
    /// Runs the hook to its end in the directory of the watch, and writes its log.
    ///
    /// # Errors
    /// See [`HookError`].
    pub async fn run(
        &self,
        facts: &HookFacts,
        directory: &Path,
        log: &Path,
        launch: &Launch,
    ) -> Result<(), HookError> {
        let start = |error: io::Error| HookError::Start(error.to_string());
        let mut child = Command::new(&launch.program)
            .args(&launch.arguments)
            .arg(&self.command)
            .env_clear()
            .env("PATH", PATH)
            .env("CONSIGN_NAME", &facts.name)
            .env("CONSIGN_RELEASE", facts.release.to_string())
            .env("CONSIGN_PREVIOUS", facts.previous.map_or_else(String::new, |it| it.to_string()))
            .env("CONSIGN_CURRENT", &facts.current)
            .env("CONSIGN_ROLLBACK", if facts.rollback { "1" } else { "0" })
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(start)?;
        let group = Group::of(&child);
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let timeout = Duration::from_secs(self.timeout_seconds);
        let (out, err) = (Said::listen(out), Said::listen(err));
        match tokio::time::timeout(timeout, child.wait()).await {
            Ok(status) => {
                // What it leaves running may keep the pipes open: its own end counts.
                let (out, err) = tokio::join!(out.end(), err.end());
                drop(group);
                let text = [out, err].concat();
                note(log, &text);
                let status = status.map_err(start)?;
                if status.success() {
                    return Ok(());
                }
                let text = String::from_utf8_lossy(&text);
                let last = text.lines().rfind(|line| !line.trim().is_empty());
                let last = last.unwrap_or("it said nothing").to_owned();
                Err(HookError::Status { status: status.to_string(), last })
            }
            Err(_) => {
                group.ask_to_stop();
                let ended = tokio::time::timeout(KILL_AFTER, child.wait()).await;
                drop(group);
                if ended.is_err() {
                    drop(child.wait().await);
                }
                let (out, err) = tokio::join!(out.end(), err.end());
                let mut text = [out, err].concat();
                if text.last().is_some_and(|last| *last != b'\n') {
                    text.push(b'\n');
                }
                text.extend_from_slice(b"killed: it took too long\n");
                note(log, &text);
                Err(HookError::TimedOut(self.timeout_seconds))
            }
        }
    }
}

/// The session of a hook; what is left of it is killed when this is dropped.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw))
    }

    fn ask_to_stop(&self) {
        if let Some(group) = self.0 {
            let _ = kill_process_group(group, Signal::TERM);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // Nobody is left in most cases, which is an error to the system and not to us.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// What a hook says through one pipe: the first bytes of it, read while it runs.
struct Said {
    kept: Arc<Mutex<Vec<u8>>>,
    reading: AbortOnDrop,
}

struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Said {
    fn listen(pipe: Option<impl AsyncRead + Unpin + Send + 'static>) -> Self {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let reading = tokio::spawn(keep(pipe, OUTPUT_BYTES_MAX, Arc::clone(&kept)));
        Self { kept, reading: AbortOnDrop(reading) }
    }

    /// What was said until the pipe was closed, or until a while from now.
    async fn end(mut self) -> Vec<u8> {
        drop(tokio::time::timeout(SAID_WITHIN, &mut self.reading.0).await);
        std::mem::take(&mut *lock(&self.kept))
    }
}

/// Reads to the end, keeping the first bytes.
async fn keep(pipe: Option<impl AsyncRead + Unpin>, most: usize, kept: Arc<Mutex<Vec<u8>>>) {
    let mut buffer = [0; 4096];
    let Some(mut pipe) = pipe else { return };
    while let Ok(count) = pipe.read(&mut buffer).await
        && count > 0
    {
        let mut kept = lock(&kept);
        let room = most.saturating_sub(kept.len()).min(count);
        kept.extend_from_slice(&buffer[..room]);
    }
}

fn note(log: &Path, text: &[u8]) {
    if let Err(error) = std::fs::write(log, text) {
        tracing::warn!(%error, path = %log.display(), "cannot keep what the hook said");
    }
}

/// Becomes the hook: gives up new privileges, starts a session, runs the line. Returns only
/// when that fails.
#[must_use]
pub fn become_hook(line: &std::ffi::OsStr) -> io::Error {
    use std::os::unix::process::CommandExt as _;
    if let Err(errno) = rustix::thread::set_no_new_privs(true) {
        return errno.into();
    }
    if let Err(errno) = rustix::process::setsid() {
        return errno.into();
    }
    std::process::Command::new("/bin/sh").arg("-c").arg(line).exec()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a line with a helper that only starts a session.
    async fn run(line: &str, directory: &Path) -> (Result<(), HookError>, String) {
        let hook = Hook { command: line.into(), timeout_seconds: 1, rollback: false };
        let facts = HookFacts {
            name: "team/site".into(),
            release: 2,
            previous: Some(1),
            current: directory.join("current"),
            rollback: false,
        };
        let launch = Launch {
            program: "/usr/bin/setsid".into(),
            arguments: ["/bin/sh", "-c"].map(Into::into).into(),
        };
        let log = directory.join("hook.log");
        let ran = hook.run(&facts, directory, &log, &launch).await;
        (ran, std::fs::read_to_string(log).expect("there is a log"))
    }

    #[tokio::test]
    async fn what_a_hook_said_before_it_took_too_long_is_kept() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let line = "echo out; printf 'half a line' >&2; exec sleep 1000";
        let (ran, said) = run(line, directory.path()).await;
        assert_eq!(ran, Err(HookError::TimedOut(1)));
        assert_eq!(said, "out\nhalf a line\nkilled: it took too long\n");
    }

    #[tokio::test]
    async fn the_last_line_of_a_failed_hook_is_told_and_all_of_them_are_kept() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let (ran, said) = run("echo one; echo two >&2; exit 3", directory.path()).await;
        let Err(HookError::Status { last, .. }) = ran else { panic!("{ran:?}") };
        assert_eq!((&*last, &*said), ("two", "one\ntwo\n"));
    }
}
