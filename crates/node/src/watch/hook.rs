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
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};

/// Most bytes of what a hook says that are kept; the rest is read and thrown away.
pub const OUTPUT_BYTES_MAX: usize = 64 << 10;
/// Between asking a hook to stop and making it.
const KILL_AFTER: Duration = Duration::from_secs(5);
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
        let running = async {
            // What it leaves running may keep the pipes open: its own end counts.
            let mut said = tokio::spawn(async move {
                tokio::join!(keep(out, OUTPUT_BYTES_MAX), keep(err, OUTPUT_BYTES_MAX))
            });
            let status = child.wait().await;
            let said = tokio::time::timeout(Duration::from_secs(1), &mut said).await;
            (status, said.ok().and_then(Result::ok).unwrap_or_default())
        };
        match tokio::time::timeout(timeout, running).await {
            Ok((status, (out, err))) => {
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
                if tokio::time::timeout(KILL_AFTER, child.wait()).await.is_err() {
                    drop(group);
                    drop(child.wait().await);
                }
                note(log, b"killed: it took too long\n");
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

/// Reads to the end, keeping the first bytes.
async fn keep(pipe: Option<impl AsyncRead + Unpin>, most: usize) -> Vec<u8> {
    let (mut kept, mut buffer) = (Vec::new(), [0; 4096]);
    let Some(mut pipe) = pipe else { return kept };
    while let Ok(count) = pipe.read(&mut buffer).await
        && count > 0
    {
        let room = most.saturating_sub(kept.len()).min(count);
        kept.extend_from_slice(&buffer[..room]);
    }
    kept
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
