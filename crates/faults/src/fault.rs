//! What happens at the N-th call.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use nix::errno::Errno;

use crate::call::Call;
use crate::tracer::{Verdict, Watch};

/// A misfortune.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// `kill -9` of everything, before the call.
    Kill,
    /// The call fails with this error; the next ones work again.
    Once(Errno),
    /// It and all later ones of its kind fail.
    Onward(Errno),
    /// Half of what was to be written is.
    Short,
    /// The N-th call that reads a file fails, and all later ones of the same file.
    Unreadable,
}

impl Fault {
    /// All that are tried at a call that changes a file.
    pub const ALL: [Self; 6] = [
        Self::Kill,
        Self::Once(Errno::ENOSPC),
        Self::Onward(Errno::ENOSPC),
        Self::Once(Errno::EIO),
        Self::Onward(Errno::EIO),
        Self::Short,
    ];

    /// How it is called on a command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Once(Errno::ENOSPC) => "enospc",
            Self::Onward(Errno::ENOSPC) => "full",
            Self::Once(_) => "eio",
            Self::Onward(_) => "dead-disk",
            Self::Short => "short",
            Self::Unreadable => "read",
        }
    }

    pub(crate) fn is_full_disk(self) -> bool {
        matches!(self, Self::Once(Errno::ENOSPC) | Self::Onward(Errno::ENOSPC))
    }

    fn verdict(self, is_at: bool, call: &Call) -> Verdict {
        // A full disk refuses what needs room and nothing else.
        let fails = |errno| errno != Errno::ENOSPC || call.takes_room();
        match self {
            Self::Kill if is_at => Verdict::Kill,
            Self::Short if is_at => Verdict::Shorten,
            Self::Once(errno) if is_at && fails(errno) => Verdict::Fail(errno),
            Self::Onward(errno) if fails(errno) => Verdict::Fail(errno),
            Self::Kill | Self::Short | Self::Once(_) | Self::Onward(_) | Self::Unreadable => {
                Verdict::Go
            }
        }
    }
}

/// Makes a fault happen, or only counts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Injector {
    at: Option<(u64, Fault)>,
    seen: Arc<Mutex<Seen>>,
}

/// What came by.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// How many calls that change a file.
    pub(crate) calls: u64,
    /// How many that read one.
    pub(crate) reads: u64,
    /// The file that cannot be read any more.
    unreadable: Option<PathBuf>,
    /// The one at which something happened.
    pub(crate) hit: Option<String>,
}

impl Injector {
    pub(crate) fn at(number: u64, fault: Fault) -> Self {
        Self { at: Some((number, fault)), seen: Arc::default() }
    }

    pub(crate) fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Watch for Injector {
    fn before(&mut self, number: u64, call: &Call) -> Verdict {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.calls = number;
        let Some((at, fault)) = self.at.filter(|(at, _)| number >= *at) else { return Verdict::Go };
        let verdict = fault.verdict(number == at, call);
        if verdict != Verdict::Go && seen.hit.is_none() {
            seen.hit = Some(format!("{number}: {call}"));
        }
        verdict
    }

    fn reading(&mut self, number: u64, call: &Call) -> Verdict {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.reads = number;
        if self.at == Some((number, Fault::Unreadable)) {
            seen.hit = Some(format!("{number}: {call}"));
            seen.unreadable = Some(call.path.clone());
        }
        if seen.unreadable.as_ref() == Some(&call.path) {
            Verdict::Fail(Errno::EIO)
        } else {
            Verdict::Go
        }
    }

    fn after(&mut self, _: &Call, _: i64) {}
}
