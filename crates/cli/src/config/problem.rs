//! What is wrong with a configuration file, and where.

use std::fmt;
use std::path::PathBuf;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The file cannot be read.
    Unreadable,
    /// It is not TOML, or not of the form sections and keys have.
    Malformed,
    /// There is no such section or key.
    UnknownKey,
    /// The option does not take this value.
    Value,
}

/// One mistake in one file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) struct ConfigProblem {
    pub(crate) kind: Kind,
    pub(crate) path: PathBuf,
    /// Line and column, both from 1.
    pub(crate) place: Option<(usize, usize)>,
    /// What is wrong, without the place.
    pub(crate) what: String,
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Some((line, column)) => {
                write!(f, "{}:{line}:{column}: {}", self.path.display(), self.what)
            }
            None => write!(f, "{}: {}", self.path.display(), self.what),
        }
    }
}

impl ConfigProblem {
    pub(super) fn unreadable(path: PathBuf, error: &std::io::Error) -> Self {
        Self { kind: Kind::Unreadable, path, place: None, what: format!("cannot be read: {error}") }
    }
}

/// Which of `known` somebody meant who wrote `wrong`; `None` when nothing is like it.
pub(crate) fn near<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    /// As clap judges flags: below it suggestions are guesses.
    const LIKENESS_MIN: f64 = 0.8;
    let likeness = |one: &str| strsim::jaro_winkler(wrong, one);
    let scored = known.into_iter().map(|one| (likeness(one), one));
    let best = scored.max_by(|(left, _), (right, _)| left.total_cmp(right))?;
    (best.0 >= LIKENESS_MIN).then_some(best.1)
}
