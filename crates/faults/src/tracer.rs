//! Runs a program and stops it before and after each call that changes a file.
//!
//! Calls are made one after the other, over all threads and children: while one is under way the
//! others wait at theirs. So there is one order, a number for each call, and never two that overlap.

use std::collections::VecDeque;
use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use nix::errno::Errno;
use nix::libc::user_regs_struct;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::call::Call;
use crate::filter;
use crate::tracee::Tracee;

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// `PTRACE_EVENT_STOP` of `linux/ptrace.h`: a new thread, or one that was told to stop.
const EVENT_STOP: i32 = 128;

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is made.
    Go,
    /// All processes are killed before it is made.
    Kill,
    /// It is not made and gives this error.
    Fail(Errno),
    /// If it writes from one buffer, only the first half of it is written.
    Shorten,
}

/// Decides over calls and sees what they did.
pub trait Watch: Send + 'static {
    /// A call is about to be made; the first one has the number 1.
    fn before(&mut self, number: u64, call: &Call) -> Verdict;
    /// A file is about to be read; asked only where [`Program::reads`] says so. The first one has
    /// the number 1.
    fn reading(&mut self, number: u64, call: &Call) -> Verdict {
        let _ = (number, call);
        Verdict::Go
    }
    /// It was made; everything that changes a file still waits.
    fn after(&mut self, call: &Call, result: i64);
}

/// What to run.
#[derive(Debug)]
pub struct Program {
    /// Program and arguments, environment and working directory.
    pub command: Command,
    /// Its standard output and error go here.
    pub output: PathBuf,
    /// Only calls beneath these count.
    pub roots: Vec<PathBuf>,
    /// Whether to stop before calls that read, too.
    pub reads: bool,
    /// What it takes for the identity of this boot: another one than the rest of the world.
    pub boot: Option<PathBuf>,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this code.
    Code(i32),
    /// By a signal; the kill of a [`Verdict::Kill`] or of [`Tracing::kill`] too.
    Signal(Signal),
}

/// A program under way; killed when it is dropped.
#[derive(Debug)]
pub struct Tracing {
    thread: Option<JoinHandle<anyhow::Result<Ended>>>,
    finished: Receiver<()>,
    group: Pid,
}

impl Tracing {
    /// Starts a program.
    ///
    /// # Errors
    /// When it cannot be started or traced.
    pub fn start(program: Program, watch: impl Watch) -> anyhow::Result<Self> {
        let (started, group) = channel();
        let (finish, finished) = channel();
        // Only the thread that started a process can trace it and wait for it.
        let thread = std::thread::spawn(move || {
            let result = Tracer::start(program, watch).and_then(|mut tracer| {
                started.send(tracer.root).context("nobody waits")?;
                tracer.run()
            });
            drop(started);
            let _ = finish.send(());
            result
        });
        match group.recv() {
            Ok(group) => Ok(Self { thread: Some(thread), finished, group }),
            Err(_) => match thread.join() {
                Ok(result) => Err(result.err().unwrap_or_else(|| anyhow!("did not start"))),
                Err(_) => bail!("the tracer panicked"),
            },
        }
    }

    /// Whether it still runs after waiting so long.
    #[must_use]
    pub fn runs_after(&self, time: Duration) -> bool {
        self.finished.recv_timeout(time) == Err(RecvTimeoutError::Timeout)
    }

    /// Waits for its end; after `patience` it is killed.
    ///
    /// # Errors
    /// When it had to be killed, or could not be traced.
    pub fn wait(mut self, patience: Duration) -> anyhow::Result<Ended> {
        let hangs = self.runs_after(patience);
        if hangs {
            self.signal(Signal::SIGKILL);
        }
        let ended = self.join()?;
        if hangs { Err(anyhow!("still running after {patience:?}")) } else { Ok(ended) }
    }

    /// Kills it, and waits until it is gone.
    pub fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.signal(Signal::SIGKILL);
        let _ = self.join();
    }

    /// Sends all its processes a signal.
    pub fn signal(&self, signal: Signal) {
        if self.thread.as_ref().is_some_and(|thread| !thread.is_finished()) {
            let _ = killpg(self.group, signal);
        }
    }

    fn join(&mut self) -> anyhow::Result<Ended> {
        let thread = self.thread.take().context("waited for twice")?;
        thread.join().map_err(|_| anyhow!("the tracer panicked"))?
    }
}

impl Drop for Tracing {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.end();
        }
    }
}

struct Tracer<W> {
    watch: W,
    roots: Vec<PathBuf>,
    reads: bool,
    boot: Option<PathBuf>,
    root: Pid,
    /// Everything traced, to be killed together.
    known: Vec<Pid>,
    calls: u64,
    read_calls: u64,
    /// The call under way.
    busy: Option<Call>,
    /// Threads that stand before a call meanwhile.
    waiting: VecDeque<Call>,
    killed: bool,
}

impl<W: Watch> Tracer<W> {
    fn start(program: Program, watch: W) -> anyhow::Result<Self> {
        let mut plain = program.command;
        // It waits for a line before it becomes the program, so that we are there in time.
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "read -r _ && exec \"$0\" \"$@\" </dev/null"]);
        shell.arg(plain.get_program()).args(plain.get_args());
        for (name, value) in plain.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        if let Some(directory) = plain.get_current_dir() {
            shell.current_dir(directory);
        }
        let output = File::create(&program.output).context("the output's file")?;
        shell.stdin(Stdio::piped()).stdout(output.try_clone()?).stderr(output).process_group(0);
        let mut child = shell.spawn().context("cannot start a shell")?;
        plain.stdin(Stdio::null());

        let root = Pid::from_raw(i32::try_from(child.id())?);
        let options = Options::PTRACE_O_TRACESYSGOOD
            | Options::PTRACE_O_TRACECLONE
            | Options::PTRACE_O_TRACEFORK
            | Options::PTRACE_O_TRACEVFORK
            | Options::PTRACE_O_TRACEEXEC
            | Options::PTRACE_O_TRACESECCOMP
            | Options::PTRACE_O_EXITKILL;
        let seized = ptrace::seize(root, options);
        if seized.is_err() {
            child.kill()?;
            child.wait()?;
        }
        seized.context("tracing is not permitted")?;
        std::io::Write::write_all(&mut child.stdin.take().context("a pipe")?, b"\n")?;
        let tracer = Self {
            watch,
            roots: program.roots,
            reads: program.reads,
            boot: program.boot,
            root,
            known: vec![root],
            calls: 0,
            read_calls: 0,
            busy: None,
            waiting: VecDeque::new(),
            killed: false,
        };
        tracer.arrive()?;
        Ok(tracer)
    }

    /// Waits until the shell has become the program, and filters its calls.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "whatever else it is, nothing goes on from there"
    )]
    fn arrive(&self) -> anyhow::Result<()> {
        loop {
            match waitpid(self.root, Some(WaitPidFlag::__WALL))? {
                WaitStatus::PtraceEvent(pid, _, event) if event == Event::EXEC => {
                    ptrace::syscall(pid, None)?;
                }
                WaitStatus::PtraceSyscall(pid) => {
                    filter::install(Tracee(pid), self.reads)?;
                    return Ok(ptrace::cont(pid, None)?);
                }
                WaitStatus::PtraceEvent(pid, ..) => ptrace::cont(pid, None)?,
                WaitStatus::Stopped(pid, signal) => ptrace::cont(pid, signal)?,
                other => bail!("the program did not start: {other:?}"),
            }
        }
    }

    fn run(&mut self) -> anyhow::Result<Ended> {
        let mut ended = None;
        loop {
            // Nobody else's children: the caller may have a hub running.
            let flags = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
            match waitpid(None, Some(flags)) {
                Ok(WaitStatus::PtraceEvent(pid, signal, event)) => match event {
                    Event::SECCOMP => self.arrives(pid)?,
                    EVENT_STOP if signal != Signal::SIGTRAP => go_on(ptrace::cont(pid, None))?,
                    _ => {
                        if !self.known.contains(&pid) {
                            self.known.push(pid);
                        }
                        go_on(ptrace::cont(pid, None))?;
                    }
                },
                Ok(WaitStatus::PtraceSyscall(pid)) => self.returns(pid)?,
                Ok(WaitStatus::Stopped(pid, signal)) => go_on(ptrace::cont(pid, signal))?,
                Ok(WaitStatus::Exited(pid, code)) => {
                    if pid == self.root {
                        ended = Some(Ended::Code(code));
                    }
                    self.is_gone(pid)?;
                }
                Ok(WaitStatus::Signaled(pid, signal, _)) => {
                    if pid == self.root {
                        ended = Some(Ended::Signal(signal));
                    }
                    self.is_gone(pid)?;
                }
                Ok(other) => bail!("unexpected: {other:?}"),
                Err(Errno::ECHILD) => return ended.context("the program is gone"),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error).context("waiting for the program"),
            }
        }
    }

    /// A thread stands before a call.
    fn arrives(&mut self, pid: Pid) -> anyhow::Result<()> {
        let Some(registers) = registers_of(pid)? else { return Ok(()) };
        let Some(call) = Call::of(Tracee(pid), &registers) else {
            return go_on(ptrace::cont(pid, None));
        };
        if call.is_open() && call.path == Path::new(BOOT_ID) {
            self.pretend_boot(&call)?;
        }
        if !call.is_beneath(&self.roots) {
            return go_on(ptrace::cont(pid, None));
        }
        self.waiting.push_back(call);
        self.next()
    }

    /// Lets the next call be made when none is under way.
    fn next(&mut self) -> anyhow::Result<()> {
        while self.busy.is_none() && !self.killed {
            let Some(call) = self.waiting.pop_front() else { return Ok(()) };
            let pid = call.tracee.0;
            if !call.is_read() && !call.has_effect() {
                go_on(ptrace::cont(pid, None))?;
                continue;
            }
            let verdict = if call.is_read() {
                self.read_calls += 1;
                self.watch.reading(self.read_calls, &call)
            } else {
                self.calls += 1;
                self.watch.before(self.calls, &call)
            };
            match verdict {
                Verdict::Go if call.is_read() => {
                    go_on(ptrace::cont(pid, None))?;
                    continue;
                }
                Verdict::Go => {}
                Verdict::Kill => {
                    self.killed = true;
                    let _ = killpg(self.root, Signal::SIGKILL);
                    // Those that made a group of their own.
                    for pid in &self.known {
                        let _ = kill(*pid, Signal::SIGKILL);
                    }
                    return Ok(());
                }
                Verdict::Fail(errno) => {
                    let Some(mut registers) = registers_of(pid)? else { continue };
                    registers.orig_rax = u64::MAX;
                    registers.rax = -i64::from(errno as i32) as u64;
                    go_on(ptrace::setregs(pid, registers))?;
                    go_on(ptrace::cont(pid, None))?;
                    continue;
                }
                Verdict::Shorten if matches!(call.name, "write" | "pwrite64") => {
                    let Some(mut registers) = registers_of(pid)? else { continue };
                    registers.rdx = registers.rdx.div_ceil(2);
                    go_on(ptrace::setregs(pid, registers))?;
                }
                Verdict::Shorten => {}
            }
            go_on(ptrace::syscall(pid, None))?;
            self.busy = Some(call);
        }
        Ok(())
    }

    /// A thread has made its call.
    fn returns(&mut self, pid: Pid) -> anyhow::Result<()> {
        if self.busy.as_ref().is_some_and(|call| call.tracee.0 == pid) {
            let call = self.busy.take().context("just seen")?;
            if let Some(registers) = registers_of(pid)? {
                self.watch.after(&call, registers.rax as i64);
            }
        }
        go_on(ptrace::cont(pid, None))?;
        self.next()
    }

    fn is_gone(&mut self, pid: Pid) -> anyhow::Result<()> {
        self.known.retain(|known| *known != pid);
        self.waiting.retain(|call| call.tracee.0 != pid);
        if self.busy.as_ref().is_some_and(|call| call.tracee.0 == pid) {
            self.busy = None;
        }
        self.next()
    }

    /// Lets an `openat` of the boot's identity open another file.
    fn pretend_boot(&self, call: &Call) -> anyhow::Result<()> {
        let Some(boot) = &self.boot else { return Ok(()) };
        let Some(mut registers) = registers_of(call.tracee.0)? else { return Ok(()) };
        let mut text = boot.as_os_str().as_encoded_bytes().to_vec();
        text.push(0);
        let place = registers.rsp - 2048;
        if let Err(error) = call.tracee.write(place, &text) {
            // Its memory goes before it does.
            return if registers_of(call.tracee.0)?.is_none() { Ok(()) } else { Err(error.into()) };
        }
        match call.name {
            "openat" => registers.rsi = place,
            other => bail!("the identity of the boot is opened with {other}"),
        }
        go_on(ptrace::setregs(call.tracee.0, registers))
    }
}

/// The numbers of `ptrace`'s events, as `waitpid` has them.
struct Event;

impl Event {
    const EXEC: i32 = ptrace::Event::PTRACE_EVENT_EXEC as i32;
    const SECCOMP: i32 = ptrace::Event::PTRACE_EVENT_SECCOMP as i32;
}

/// What a thread that stands still has in its registers; `None` when it was killed meanwhile, as when
/// another thread of its process ends the process. Its end is reported next.
fn registers_of(pid: Pid) -> anyhow::Result<Option<user_regs_struct>> {
    match ptrace::getregs(pid) {
        Ok(registers) => Ok(Some(registers)),
        Err(Errno::ESRCH) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A thread that was killed meanwhile is no error; its end is reported next.
fn go_on(done: nix::Result<()>) -> anyhow::Result<()> {
    match done {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
