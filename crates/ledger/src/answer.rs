//! What targets answer.

use documents::{DocumentHash, PublicKey};
use package::Receipt;

/// What came back from one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The target.
    pub target: PublicKey,
    /// When it answered.
    pub answered: u64,
    /// What it says.
    pub report: Report,
    /// The bytes as they came, to be kept as evidence: signed, where they could be opened.
    pub receipt: Option<Vec<u8>>,
}

/// What an answer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// It was opened, and its signature holds.
    Readable {
        /// Hash of the signed manifest that it names.
        manifest: DocumentHash,
        /// What became of the package.
        receipt: Receipt,
    },
    /// It was not: why, for people. A readable one that comes later takes its place.
    Unreadable(String),
}

/// What came of recording an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// It is kept.
    Now,
    /// There was one already, which stands.
    Before,
    /// No such release was addressed to this target.
    NotAddressed,
}
