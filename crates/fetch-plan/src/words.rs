//! The ids, settings and messages of the machine.

use std::fmt;
use std::time::{Duration, Instant};

/// A piece: whatever can be asked of several sources and verified by itself, a chunk now.
///
/// The 32 bytes mean nothing here.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PieceId(pub [u8; 32]);

impl fmt::Display for PieceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..5].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PieceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PieceId({self})")
    }
}

/// A source, numbered by the driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(pub u32);

/// A request, numbered by the plan; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// How soon a piece is needed. Smaller is sooner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Somebody waits for this piece now.
    Demanded,
    /// Needed in the order it was wanted in.
    Ordered,
    /// Useful later; fetched rarest first when sources differ.
    Ahead,
}

/// The settings of a plan. [`Config::default`] is what design section 5 says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// The rate assumed of a source before it was measured, in bytes a second.
    pub first_rate: u64,
    /// How much of its own time a source is asked for in advance.
    pub window: Duration,
    /// Most pieces in one request.
    pub request_pieces_max: usize,
    /// Most bytes in one request, unless one piece alone is larger.
    pub request_bytes_max: u64,
    /// Most requests outstanding at one source.
    pub source_requests_max: usize,
    /// A request is at risk after this many times the time it should have taken.
    pub risk_factor: u32,
    /// A request is never at risk before this.
    pub risk_after_min: Duration,
    /// A request fails when nothing arrived for this long, plus the time its largest piece
    /// takes at [`Config::slowest_rate`].
    pub idle_max: Duration,
    /// The slowest rate, in bytes a second, at which one piece is still waited for.
    pub slowest_rate: u64,
    /// How long a source may take to end an answer after the last piece of it.
    pub linger: Duration,
    /// The pause after a source's first failure; doubles with every further one.
    pub back_off_first: Duration,
    /// The longest pause after a failure.
    pub back_off_max: Duration,
    /// A source is given up after this many failures in a row...
    pub failures_max: u32,
    /// ...that went on for at least this long.
    pub patience: Duration,
    /// Most bytes wanted and not yet retrieved before the plan asks for a pause in wants.
    pub wanted_bytes_max: u64,
    /// Most pieces wanted and not yet retrieved before the plan asks for a pause in wants.
    pub wanted_pieces_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            first_rate: 8 << 20,
            window: Duration::from_millis(1500),
            request_pieces_max: 1024,
            request_bytes_max: 8 << 20,
            source_requests_max: 4,
            risk_factor: 3,
            risk_after_min: Duration::from_secs(2),
            idle_max: Duration::from_secs(30),
            // A chunk of 128 KiB over a very slow modem line.
            slowest_rate: 16 << 10,
            linger: Duration::from_secs(1),
            back_off_first: Duration::from_millis(250),
            back_off_max: Duration::from_secs(10),
            failures_max: 3,
            patience: Duration::from_secs(45),
            wanted_bytes_max: 64 << 20,
            wanted_pieces_max: 64 << 10,
        }
    }
}

/// Something to ask of a source now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Names the request in every later call.
    pub id: RequestId,
    /// Whom to ask.
    pub source: SourceId,
    /// What to ask for, in the order it is wanted.
    pub pieces: Vec<PieceId>,
    /// Length of the pieces together.
    pub bytes: u64,
}

/// What became of a verified piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// This was the first copy: use it.
    Retrieved,
    /// It was already there, or nobody wanted it: throw it away. Its bytes count as waste.
    Duplicate,
}

/// Why a source cannot give a piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// It answered, and the piece was not in the answer.
    Lacks,
    /// It was dropped for the whole plan, for this reason.
    Dropped(String),
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lacks => f.write_str("does not have it"),
            Self::Dropped(reason) => f.write_str(reason),
        }
    }
}

/// Why a source was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It sent bytes that are not what they claim to be, or far more than was asked for.
    Dishonest,
    /// It refused.
    Refused,
    /// It failed again and again; another day it may do better.
    GivenUp,
}

/// What the driver should hear of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A piece is there.
    PieceRetrieved(PieceId),
    /// A source is not asked again, ever.
    SourceDropped {
        /// The source.
        source: SourceId,
        /// In a word.
        fault: Fault,
        /// What it did.
        reason: String,
    },
    /// A source is not asked again before `until`.
    SourceSuspended {
        /// The source.
        source: SourceId,
        /// When it may be asked again.
        until: Instant,
        /// What it did.
        reason: String,
    },
    /// Stop this request: nothing it could still bring is needed, or it failed.
    RequestCancelled(RequestId),
    /// No source can give this piece. It stays wanted, should a source be added.
    PieceUnavailable {
        /// The piece.
        piece: PieceId,
        /// Why each source cannot give it.
        reasons: Vec<(SourceId, Obstacle)>,
    },
}

/// How one source does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceProgress {
    /// The source.
    pub source: SourceId,
    /// Its measured rate in bytes a second; 0 while it is suspended or dropped.
    pub rate: u64,
    /// Bytes asked of it and not there yet.
    pub in_flight_bytes: u64,
    /// Bytes of pieces it brought first.
    pub retrieved_bytes: u64,
    /// Pieces it was asked for and did not have.
    pub lacked_pieces: u64,
}

/// How the plan does.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Progress {
    /// Pieces ever wanted.
    pub wanted_pieces: u64,
    /// Their bytes.
    pub wanted_bytes: u64,
    /// Pieces retrieved.
    pub retrieved_pieces: u64,
    /// Their bytes.
    pub retrieved_bytes: u64,
    /// Bytes asked of sources and not there yet; a piece asked of two counts twice.
    pub in_flight_bytes: u64,
    /// Bytes that arrived for nothing.
    pub wasted_bytes: u64,
    /// One entry per source, by number.
    pub sources: Vec<SourceProgress>,
}

/// What the plan waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waiting {
    /// Everything wanted is there.
    Wants,
    /// No source was added yet.
    Sources,
    /// An answer to this request.
    Answer {
        /// Whom the request was sent to.
        source: SourceId,
        /// When something last came, or when it was sent.
        since: Instant,
        /// Pieces still to come with it; none when it only has to end before more is asked.
        pieces: usize,
        /// Their bytes.
        bytes: u64,
    },
    /// The end of a source's pause.
    BackOff {
        /// The source.
        source: SourceId,
        /// When it failed.
        since: Instant,
        /// When it is asked again.
        until: Instant,
        /// Why it pauses.
        reason: String,
    },
    /// A source that can give what is wanted: all those there are cannot.
    AnotherSource,
}
