//! What we, the supervisor and the script's own process say to each other, a line of JSON each.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use package::Script;
use package::receipt::End;
use serde::{Deserialize, Serialize};

use super::group::Places;
use super::identity::Identity;
use super::limits::{Bounds, Own};

/// What a process of the helper is to be.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Message {
    Supervise(Setup),
    Become(Setup, Own),
}

/// What the helper answers.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    Refused(String),
    Ended {
        end: HowEnded,
        processor_us: u64,
        memory_bytes_max: u64,
        /// The key of a `Limit`.
        limit: Option<String>,
        /// The most memory of all of it, in bytes.
        together: Option<u64>,
    },
}

/// [`End`] as it is said.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) enum HowEnded {
    Code(u8),
    Signal(u8),
    TimedOut,
}

impl From<HowEnded> for End {
    fn from(end: HowEnded) -> Self {
        match end {
            HowEnded::Code(code) => Self::Code(code),
            HowEnded::Signal(signal) => Self::Signal(signal),
            HowEnded::TimedOut => Self::TimedOut,
        }
    }
}

/// Where a script may change files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Writes {
    /// Wherever its user may.
    Anywhere,
    /// Beneath these paths, or it is not started.
    Demanded(Vec<String>),
    /// Beneath those of these paths that are there, where the kernel can hold it to that.
    Usual(Vec<String>),
}

impl Writes {
    /// Of a script whose package puts files at these `targets`; `own` is its temporary directory.
    pub(super) fn of(script: &Script, targets: &[String], own: &str) -> Self {
        let Some(places) = script.places(targets.iter().map(String::as_str)) else {
            return Self::Anywhere;
        };
        let places = places.into_iter().chain([own]).map(str::to_owned).collect();
        if script.writes.is_some() { Self::Demanded(places) } else { Self::Usual(places) }
    }
}

/// All the helper needs to know. It goes over a socket, because arguments and environments of
/// processes can be read by others.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Setup {
    pub(super) words: Vec<String>,
    pub(super) environment: BTreeMap<String, String>,
    pub(super) directory: String,
    pub(super) identity: Identity,
    pub(super) writes: Writes,
    pub(super) timeout_ms: u64,
    pub(super) lock: Option<String>,
    pub(super) limits: Bounds,
    pub(super) groups: Places,
}

impl Setup {
    pub(super) fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms).min(package::instructions::TIMEOUT_MAX)
    }
}

pub(super) fn say(to: &mut UnixStream, what: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(what)?;
    line.push(b'\n');
    to.write_all(&line)
}

pub(super) fn hear<T: for<'de> Deserialize<'de>>(from: &mut impl io::BufRead) -> io::Result<T> {
    let mut line = String::new();
    from.read_line(&mut line)?;
    if !line.ends_with('\n') {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_str(&line)?)
}
