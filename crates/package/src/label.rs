//! Labels of machines, and expressions over them.

use std::collections::BTreeMap;

/// Labels of one machine: a key, and a value that may be empty.
pub type Labels = BTreeMap<String, String>;

/// Chooses machines by their labels: `site=berlin & !(lab | ring=0)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expression {
    /// The label is there, whatever its value.
    Has(String),
    /// The label is there with this value.
    Is(String, String),
    /// The other does not fit.
    Not(Box<Self>),
    /// All of them fit; two or more.
    All(Vec<Self>),
    /// One of them fits; two or more.
    Any(Vec<Self>),
}

impl Expression {
    /// Whether a machine with these labels is chosen.
    #[must_use]
    pub fn fits(&self, labels: &Labels) -> bool {
        match self {
            Self::Has(key) => labels.contains_key(key),
            Self::Is(key, value) => labels.get(key) == Some(value),
            Self::Not(other) => !other.fits(labels),
            Self::All(parts) => parts.iter().all(|part| part.fits(labels)),
            Self::Any(parts) => parts.iter().any(|part| part.fits(labels)),
        }
    }
}
