//! How a script is spoken to, and listened to, from outside.

use std::io::{self, BufReader};
use std::os::unix::net::UnixStream;
use std::process::Child;
use std::time::{Duration, Instant};

use package::Script;
use package::receipt::{End, Limit, Ran};
use rustix::event::{PollFd, PollFlags, poll};

use super::messages::{Answer, Message, Setup, hear, say};
use super::said::Said;
use super::{KILL_AFTER, NotStarted, Runner, failed, rest};

/// How long after a script's time a supervisor that says nothing is waited for: somebody stopped it.
const SUPERVISOR_WITHIN: Duration = Duration::from_secs(60);
/// How long pipes are read that somebody keeps open after the supervisor ended.
const SAID_WITHIN: Duration = Duration::from_secs(1);

impl Runner {
    /// Says what is to be run, listens, and hears how it ended.
    pub(super) fn talk(
        &self,
        supervisor: &mut Child,
        mut control: UnixStream,
        setup: &Setup,
        script: &Script,
    ) -> Result<Result<Ran, NotStarted>, NotStarted> {
        say(&mut control, &Message::Supervise(setup.clone())).map_err(failed("start a process"))?;
        let mut out = Said::new(supervisor.stdout.take(), script.output_bytes_max);
        let mut error = Said::new(supervisor.stderr.take(), script.output_bytes_max);
        let patience = setup.timeout() + KILL_AFTER + SUPERVISOR_WITHIN;
        let given_up = Instant::now() + patience;
        let listening = failed("listen");
        loop {
            let mut waits = vec![PollFd::new(&control, PollFlags::IN)];
            waits.extend(out.waits());
            waits.extend(error.waits());
            match poll(&mut waits, Some(&rest(given_up))) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(listening(errno.into())),
            }
            let answered = !waits[0].revents().is_empty();
            out.read();
            error.read();
            if answered || Instant::now() >= given_up {
                break;
            }
        }
        let answer = if Instant::now() < given_up {
            hear::<Answer>(&mut BufReader::new(&control))
        } else {
            // Only who has our rights stops it; killing it kills the script.
            let _ = supervisor.kill();
            Err(io::ErrorKind::TimedOut.into())
        };
        let end = Instant::now() + SAID_WITHIN;
        while (out.is_open() || error.is_open()) && Instant::now() < end {
            let mut waits: Vec<_> = out.waits().into_iter().chain(error.waits()).collect();
            let _ = poll(&mut waits, Some(&rest(end)));
            out.read();
            error.read();
        }
        let mut ran = Ran {
            end: End::TimedOut,
            is_expected: false,
            output: out.finish(),
            error: error.finish(),
            processor: Duration::ZERO,
            memory_bytes_max: 0,
            limit: None,
            memory_together_bytes_max: None,
        };
        match answer {
            Ok(Answer::Refused(reason)) => return Ok(Err(NotStarted::Refused(reason))),
            Ok(Answer::Ended { end, processor_us, memory_bytes_max, limit, together }) => {
                ran.end = end.into();
                let limit = limit.as_deref().and_then(Limit::from_key);
                let has_come =
                    matches!(ran.end, End::Code(code) if script.expected.contains(&code));
                // Who was refused a process and came to a good end all the same has lost nothing.
                ran.limit = limit.filter(|limit| !has_come || *limit != Limit::Processes);
                ran.is_expected = has_come && ran.limit.is_none();
                ran.processor = Duration::from_micros(processor_us);
                ran.memory_bytes_max = memory_bytes_max;
                // Whoever made a step without limits may know nothing of this fact.
                ran.memory_together_bytes_max = together.filter(|_| !script.limits.is_empty());
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {}
            // Somebody killed the supervisor; the script may have come any way.
            Err(_) => ran.end = End::Signal(9),
        }
        Ok(Ok(ran))
    }
}
