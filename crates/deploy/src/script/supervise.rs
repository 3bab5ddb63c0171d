//! The process that stands between us and a script.

use std::io::{self, BufReader};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, WaitStatus, getpid, pidfd_open, set_child_subreaper, setsid,
};

use package::receipt::Limit;

use super::group::{self, Group};
use super::messages::{Answer, HowEnded, Message, Setup, hear, say};
use super::{KILL_AFTER, descendants, open_lock, rest};

/// How often it is looked at what a script used that must not use more.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// `SIGXCPU`: a process has used more than its own limit of processor time.
const SIGNAL_PROCESSOR: i32 = 24;

/// Runs a script, ends all it started, and says how it went.
pub(super) fn supervise(setup: &Setup, mut control: UnixStream) -> io::Result<()> {
    // So that what interrupts those who started us does not end us before the script.
    setsid()?;
    set_child_subreaper(Some(getpid()))?;
    let _lock = match setup.lock.as_ref().map(take).transpose() {
        Ok(lock) => lock,
        Err(error) => {
            let reason = format!("cannot note that it runs: {error}");
            return say(&mut control, &Answer::Refused(reason));
        }
    };
    // Whoever settles what we would do waits for the lock, and that was free: then we are told
    // here that nobody wants it any more.
    if is_over(&control)? {
        return Ok(());
    }
    let mut made = Group::make(&setup.groups, &setup.limits);
    let answer = match start(setup, &mut made) {
        Ok(script) => watch(setup, script, &made, &control)?,
        Err(refused) => Some(Answer::Refused(refused)),
    };
    group::clear(&setup.groups);
    if let Some(answer) = answer {
        say(&mut control, &answer)?;
    }
    Ok(())
}

fn take(path: impl AsRef<Path>) -> io::Result<std::fs::File> {
    let lock = open_lock(path.as_ref())?;
    flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
    Ok(lock)
}

/// Whether the other end was closed. Nothing is ever said after the first message.
fn is_over(control: &UnixStream) -> io::Result<bool> {
    let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    Ok(poll(&mut [PollFd::new(control, PollFlags::IN)], Some(&now))? > 0)
}

/// Starts the process that becomes the script.
fn start(setup: &Setup, made: &mut Group) -> Result<Pid, String> {
    let failed = |error: io::Error| format!("cannot start a process: {error}");
    let (mut ours, theirs) = UnixStream::pair().map_err(failed)?;
    let child = Command::new("/proc/self/exe")
        .args(std::env::args_os().skip(1))
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::inherit())
        .stderr(Stdio::inherit())
        .spawn()
        .map_err(failed)?;
    let script = Pid::from_child(&child);
    // From here on only the script and what it starts holds the pipes.
    let nothing = std::fs::File::options().write(true).open("/dev/null").map_err(failed)?;
    rustix::stdio::dup2_stdout(&nothing).map_err(|errno| failed(errno.into()))?;
    rustix::stdio::dup2_stderr(&nothing).map_err(|errno| failed(errno.into()))?;
    // Until it is told to, it becomes nothing: what it starts later is in the groups, too.
    made.take_in(script);
    let user = setup.identity.user;
    if let Some(reason) = setup.limits.lacking(made, user) {
        descendants::kill(|_, _| {});
        return Err(reason);
    }
    let own = setup.limits.own(made, user);
    say(&mut ours, &Message::Become(setup.clone(), own)).map_err(failed)?;
    match hear::<Answer>(&mut BufReader::new(&ours)) {
        Ok(Answer::Refused(reason)) => {
            descendants::kill(|_, _| {});
            Err(reason)
        }
        // It closed the socket when it became the script, or when somebody killed it.
        Ok(Answer::Ended { .. }) | Err(_) => Ok(script),
    }
}

/// Waits for the end of the script, of its time, of what it may use, or of those who want it.
fn watch(
    setup: &Setup,
    script: Pid,
    made: &Group,
    control: &UnixStream,
) -> io::Result<Option<Answer>> {
    let held = pidfd_open(script, PidfdFlags::empty())?;
    let end = Instant::now() + setup.timeout();
    let looks = setup.limits.processor().is_some() || setup.limits.memory_bytes.is_some();
    let mut wanted = true;
    let mut in_time = false;
    let mut limit = None;
    while Instant::now() < end {
        let mut waits = [PollFd::new(&held, PollFlags::IN), PollFd::new(control, PollFlags::IN)];
        let until = if looks { end.min(Instant::now() + LOOK_EVERY) } else { end };
        match poll(&mut waits, Some(&rest(until))) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        wanted = waits[1].revents().is_empty();
        in_time = !waits[0].revents().is_empty();
        limit = used_up(setup, made);
        if in_time || !wanted || limit.is_some() {
            break;
        }
    }
    let mut status = None;
    let mut note = |pid: Pid, ended: WaitStatus| {
        if pid == script {
            status = Some(ended);
        }
    };
    if !in_time && wanted && limit.is_none() {
        descendants::ask_to_stop();
        let end = Instant::now() + KILL_AFTER;
        while !descendants::reap(&mut note) && Instant::now() < end && !is_over(control)? {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    // Before the kernel is told to refuse all of them.
    let was_refused = made.ran_out_of_processes();
    // At once, where the kernel does it; the others one by one. Both are reaped by the latter.
    group::kill(&setup.groups);
    descendants::kill(&mut note);
    if !wanted {
        return Ok(None);
    }
    let stopped = status.and_then(|status| status.terminating_signal()) == Some(SIGNAL_PROCESSOR);
    let limit = limit
        .or_else(|| (stopped && setup.limits.processor().is_some()).then_some(Limit::Processor))
        .or(was_refused.then_some(Limit::Processes));
    let end = match status {
        Some(status) if in_time || limit.is_some_and(is_killed_by) => how(status),
        Some(_) | None => HowEnded::TimedOut,
    };
    let (processor_us, memory_bytes_max) = used();
    let answer = Answer::Ended {
        end,
        processor_us: made.processor_us().unwrap_or(0).max(processor_us),
        memory_bytes_max,
        limit: limit.map(|limit| limit.as_str().to_owned()),
        together: made.memory_bytes_max(),
    };
    Ok(Some(answer))
}

/// Whether what has used that up is killed, and not only refused more of it.
fn is_killed_by(limit: Limit) -> bool {
    match limit {
        Limit::Memory | Limit::Processor => true,
        Limit::Processes => false,
    }
}

/// What a script has used up, and has to end for.
fn used_up(setup: &Setup, made: &Group) -> Option<Limit> {
    if setup.limits.memory_bytes.is_some() && made.ran_out_of_memory() {
        return Some(Limit::Memory);
    }
    let processor = setup.limits.processor()?;
    let used = made.processor_us().unwrap_or_else(|| descendants::processor_us() + used().0);
    (Duration::from_micros(used) > processor).then_some(Limit::Processor)
}

fn how(status: WaitStatus) -> HowEnded {
    let small = |number: i32| u8::try_from(number).unwrap_or(u8::MAX);
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => HowEnded::Code(small(code)),
        (None, signal) => HowEnded::Signal(signal.map_or(u8::MAX, small)),
    }
}

/// Processor time in microseconds, and the largest resident set in bytes, of all that was reaped.
/// The set is never smaller than this program's own, which the script's process was at first.
fn used() -> (u64, u64) {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_CHILDREN) else { return (0, 0) };
    let micros = |time: nix::sys::time::TimeVal| {
        let micros = time.tv_sec() * 1_000_000 + time.tv_usec();
        u64::try_from(micros).unwrap_or(0)
    };
    let kibibytes = u64::try_from(usage.max_rss()).unwrap_or(0);
    (micros(usage.user_time()) + micros(usage.system_time()), kibibytes * 1024)
}
