//! Runs a script to its end, with all it started.
//!
//! Two processes stand between us and a script, both this very program as its hidden
//! sub-command (see [`Launch`] and [`help`]), because what they do cannot be done in a process
//! that has threads:
//!
//! * The *supervisor* has a session of its own and is the parent of every orphan beneath it (a
//!   subreaper). It keeps the time, kills, reaps and measures. It holds one end of a socket; when the
//!   other end closes, because we were killed, it kills the script and all it started. It
//!   keeps the rights we have, so a script of another user cannot stop it.
//! * The *script's own process* is put into groups of the kernel's (cgroups) that limit what all of
//!   the script uses together, where this machine lets us make some. It starts a session, gives up
//!   the way to new privileges, becomes the script's user, confines its writing, and becomes the
//!   script.
//!
//! When the script ends, its time is over or its limits are reached, everything that descends from
//! it is ended too, also what left its session or process group. What is to stay is started by the
//! machine's service manager, not by the script.
//!
//! A script that has our own rights can do to the supervisor what it can do to us. What is in its groups
//! is ended all the same, by us when the supervisor is gone, or by [`settle`] when we are. Only a
//! script that leaves its groups, which takes our own rights as well, or one on a machine where none can
//! be made, may leave something running then.
//!
//! Start reading at [`Runner::run`].

mod confine;
mod descendants;
mod group;
mod hierarchy;
mod identity;
mod left;
mod limits;
mod messages;
mod said;
mod supervise;
mod talk;

use std::collections::BTreeMap;
use std::io::{self, BufReader};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use package::receipt::Ran;
use package::{Owner, Script};

use crate::scratch::Scratch;
pub use confine::can_confine;
use group::Places;
pub use hierarchy::{CanLimit, Hindrance, can_limit, can_limit_of};
use identity::Identity;
use left::Left;
use limits::Bounds;
use messages::{Answer, Message, Setup, Writes, hear, say};

/// Between asking a script to stop and making it.
pub const KILL_AFTER: Duration = Duration::from_secs(5);
/// Where a script finds programs.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Why a script did not start. Nothing of it ran.
#[derive(Debug, thiserror::Error)]
pub enum NotStarted {
    /// Its user, its directory, its program or what it may write to is not as it should be on
    /// this machine, or the machine cannot keep it to its limits: the reason, for people.
    #[error("{0}")]
    Refused(String),
    /// The system refused what every script needs. Look at the machine: no memory, no processes, a
    /// full directory for temporary files.
    #[error("cannot {action} for the script: {source}")]
    System {
        /// What was tried, an infinitive.
        action: &'static str,
        /// The system's reason.
        source: io::Error,
    },
}

/// How the helper is started: a program that calls [`help`].
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
        Self { program: "/proc/self/exe".into(), arguments: vec!["run-script".into()] }
    }
}

/// What a script is told of the package it belongs to, in its environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptFacts {
    /// `CONSIGN_PACKAGE`: the name of the package.
    pub package: String,
    /// `CONSIGN_VERSION`: its version.
    pub version: String,
    /// `CONSIGN_STEP`: the name of the step.
    pub step: String,
    /// Where its package puts files.
    pub targets: Vec<String>,
}

/// Runs scripts.
#[derive(Debug, Clone, Default)]
pub struct Runner {
    /// How the helper is started.
    pub launch: Launch,
    /// A directory with what has to outlast us: which script runs, and where its private
    /// directory and its groups are.
    pub state: Option<PathBuf>,
}

impl Runner {
    /// Runs a script to its end. `tree` is the directory its file is in.
    ///
    /// # Errors
    /// See [`NotStarted`].
    pub fn run(
        &self,
        script: &Script,
        facts: &ScriptFacts,
        tree: &Path,
    ) -> Result<Ran, NotStarted> {
        let identity = Identity::of(script.user.as_ref())?;
        let note = self.state.as_deref().map(scratch_note);
        let scratch = Scratch::create((identity.user, identity.group), note.as_deref())
            .map_err(failed("make a private directory"))?;
        let groups = hierarchy::places().of(scratch.name());
        let setup = self.setup(script, facts, tree, identity, groups, &scratch)?;
        let _left = Left::note(&setup.groups, self.state.as_deref())
            .map_err(failed("note where its processes are"))?;
        let (ours, theirs) = UnixStream::pair().map_err(failed("make a socket"))?;
        let mut supervisor = Command::new(&self.launch.program)
            .args(&self.launch.arguments)
            .env_clear()
            .current_dir("/")
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed("start a process"))?;
        let talked = self.talk(&mut supervisor, ours, &setup, script);
        // It ends by itself once it has answered; one that did not answer is of no use.
        if talked.is_err() {
            let _ = supervisor.kill();
        }
        let waited = supervisor.wait();
        let ran = talked?;
        waited.map_err(failed("wait"))?;
        ran
    }

    fn setup(
        &self,
        script: &Script,
        facts: &ScriptFacts,
        tree: &Path,
        identity: Identity,
        groups: Places,
        scratch: &Scratch,
    ) -> Result<Setup, NotStarted> {
        let mut words = script.interpreter.clone();
        if let Some(file) = &script.file {
            let opened = directory::Root::open(tree)
                .map_err(|error| error.to_string())
                .and_then(|tree| tree.open_file(file.as_bytes()).map_err(|it| it.to_string()))
                .map_err(NotStarted::Refused)?;
            words.push(text(&scratch.keep(opened).map_err(failed("copy a file"))?)?);
        }
        words.extend(script.arguments.iter().cloned());
        let own = text(&scratch.own())?;
        let mut environment: BTreeMap<_, _> = [("PATH", PATH), ("LANG", "C.UTF-8")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        environment.insert("HOME".to_owned(), identity.home.clone());
        environment.extend(script.environment.clone());
        environment.extend(
            [
                ("TMPDIR", &own),
                ("CONSIGN_PACKAGE", &facts.package),
                ("CONSIGN_VERSION", &facts.version),
                ("CONSIGN_STEP", &facts.step),
            ]
            .map(|(name, value)| (name.to_owned(), value.clone())),
        );
        let lock = self.state.as_deref().map(|state| text(&running(state))).transpose()?;
        Ok(Setup {
            words,
            environment,
            directory: script.directory.clone().unwrap_or_else(|| own.clone()),
            identity,
            writes: Writes::of(script, &facts.targets, &own),
            timeout_ms: u64::try_from(script.timeout.as_millis()).unwrap_or(u64::MAX),
            lock,
            limits: Bounds::from(&script.limits),
            groups,
        })
    }
}

/// Waits until no script of an earlier process runs that kept its state in `state`, and removes
/// what it left behind. Scripts end within moments of the process that ran them.
///
/// # Errors
/// When one still runs after `within`, or the directory cannot be used.
pub fn settle(state: &Path, within: Duration) -> io::Result<()> {
    let lock = open_lock(&running(state))?;
    let end = Instant::now() + within;
    while let Err(errno) =
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive)
    {
        if errno != rustix::io::Errno::WOULDBLOCK || Instant::now() >= end {
            return Err(errno.into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    left::sweep(state);
    crate::scratch::sweep(&scratch_note(state));
    Ok(())
}

/// Is the helper: hears on standard input what it is to be. Returns only when that fails, or
/// when it has supervised a script to its end.
///
/// # Errors
/// When standard input is not the socket of a [`Runner`].
pub fn help() -> io::Result<()> {
    let control = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
    let nothing = std::fs::File::open("/dev/null")?;
    rustix::stdio::dup2_stdin(&nothing)?;
    let mut control = UnixStream::from(control);
    let message = hear(&mut BufReader::new(&control))?;
    match message {
        Message::Supervise(setup) => supervise::supervise(&setup, control),
        Message::Become(setup, own) => {
            let refused = confine::become_script(&setup, &own);
            say(&mut control, &Answer::Refused(refused))
        }
    }
}

/// The file that a supervisor holds locked while its script runs.
fn running(state: &Path) -> PathBuf {
    state.join("running")
}

fn scratch_note(state: &Path) -> PathBuf {
    state.join("scratch")
}

fn open_lock(path: &Path) -> io::Result<std::fs::File> {
    std::fs::OpenOptions::new().write(true).create(true).truncate(false).open(path)
}

fn rest(until: Instant) -> rustix::event::Timespec {
    let rest = until.saturating_duration_since(Instant::now());
    // A moment more, or the last round would be one of many that wait for nothing.
    (rest + Duration::from_millis(1))
        .try_into()
        .unwrap_or(rustix::event::Timespec { tv_sec: i64::from(i32::MAX), tv_nsec: 0 })
}

fn text(path: &Path) -> Result<String, NotStarted> {
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| NotStarted::Refused(format!("{} is not UTF-8", path.display())))
}

fn failed(action: &'static str) -> impl Fn(io::Error) -> NotStarted {
    move |source| NotStarted::System { action, source }
}

/// Who a script or a file belongs to, as numbers.
///
/// # Errors
/// When this machine knows no such user or group.
pub(crate) fn owner(owner: &Owner) -> Result<(u32, u32), NotStarted> {
    identity::look_up(owner).map(|identity| (identity.user, identity.group))
}
