//! What became of a package on one machine.

mod bounds;
mod encoding;

use std::time::Duration;

/// The longest encoding of a [`Receipt`], in bytes. Outputs of a few scripts fit in full; with more of
/// them each gets a share.
pub const RECEIPT_BYTES_MAX: usize = 8 << 20;
/// The longest reason, in bytes.
pub const REASON_BYTES_MAX: usize = 4096;

/// What a machine reports of one package, whatever became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Name of the package; empty where it could not be opened.
    pub package: String,
    /// Its version, as its publisher wrote it; empty where it could not be opened.
    pub version: String,
    /// What became of it as a whole.
    pub verdict: Verdict,
    /// One for each step of the package, in order; at most [`crate::instructions::STEPS_MAX`].
    pub steps: Vec<StepReceipt>,
}

/// What became of a package as a whole. A reason has at most [`REASON_BYTES_MAX`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Every step that is for this machine succeeded.
    Passed,
    /// A step failed, what it needs is missing, or it could not be opened: the reason, for people.
    Failed(String),
    /// It is not for this machine: why, for people.
    NotApplicable(String),
}

/// What became of one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepReceipt {
    /// Its name in the package.
    pub name: String,
    /// How it ended.
    pub outcome: Outcome,
    /// When it began, in milliseconds since 1970; 0 when it never did.
    pub begun_ms: u64,
    /// How long it took; microseconds travel.
    pub took: Duration,
}

/// How a step ended. A reason has at most [`REASON_BYTES_MAX`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is not for this machine: why, for people.
    NotApplicable(String),
    /// It was left out because an earlier one failed.
    LeftOut,
    /// Files are in place.
    Placed(Placed),
    /// They were, and were put back because a later step failed.
    PutBack(Placed),
    /// Files could not be put in place, and nothing of them is: why, for people.
    NotPlaced(String),
    /// A script ran to its end, whichever that was.
    Ran(Ran),
    /// A script could not be started: why, for people.
    NotStarted(String),
    /// The machine stopped while the script ran, and it must not be run again.
    Interrupted,
}

/// What placing files did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Placed {
    /// Files that were not there before.
    pub added: u64,
    /// Files that were there with other contents, mode or owner.
    pub changed: u64,
    /// Files that were as they should be.
    pub kept: u64,
    /// Files that were there and are not in the package.
    pub removed: u64,
    /// Bytes of what was added and changed.
    pub bytes: u64,
}

/// How a script ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// How its process ended.
    pub end: End,
    /// Whether that is what its step expects.
    pub is_expected: bool,
    /// What it wrote to its standard output.
    pub output: Output,
    /// What it wrote to its standard error.
    pub error: Output,
    /// Processor time of it and all it started, in user and kernel mode; microseconds travel.
    pub processor: Duration,
    /// The largest resident set of one of its processes, in bytes.
    pub memory_bytes_max: u64,
    /// The limit that it ran into; then its end was not what its step expects.
    pub limit: Option<Limit>,
    /// The most memory that all its processes used together, files they kept in memory among it, in
    /// bytes. Only of a script whose step has limits, and where the machine counts that.
    pub memory_together_bytes_max: Option<u64>,
}

/// What a script has too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Memory: it was killed.
    Memory,
    /// Processes: another one was refused, and it ended otherwise than its step expects.
    Processes,
    /// Processor time: it was killed.
    Processor,
}

impl Limit {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Memory, Self::Processes, Self::Processor];

    /// Its key in a specification.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Processes => "processes",
            Self::Processor => "cpu-time",
        }
    }

    /// The limit of this key.
    #[must_use]
    pub fn from_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|limit| limit.as_str() == key)
    }
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// By itself, with this code.
    Code(u8),
    /// By this signal, from 1.
    Signal(u8),
    /// It took too long and was killed.
    TimedOut,
}

/// What a script wrote.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// The first of it; at most [`crate::instructions::OUTPUT_BYTES_MAX`].
    pub bytes: Vec<u8>,
    /// How much there was in all, in bytes; more than `bytes` holds when it was cut off.
    pub bytes_total: u64,
}

#[cfg(test)]
pub(crate) mod tests;
