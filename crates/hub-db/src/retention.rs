//! Which releases of a name are kept.

use async_trait::async_trait;

use crate::{DbError, NameId};

/// Rules that keep releases. A release is kept if any rule keeps it; without rules all are. The
/// latest one and pinned ones always are, and those that a target or a receipt waits for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Retention {
    /// Keep this many of the latest.
    pub last: Option<u32>,
    /// Keep what the hub accepted this many days ago or later.
    pub days: Option<u32>,
}

impl Retention {
    pub(crate) fn from_row((last, days): (Option<i64>, Option<i64>)) -> Result<Self, DbError> {
        let number = |number: i64| {
            u32::try_from(number).map_err(|_| DbError::Damaged("a retention out of range"))
        };
        Ok(Self { last: last.map(number).transpose()?, days: days.map(number).transpose()? })
    }
}

/// Retention rules, pins, and letting go.
#[async_trait]
pub trait Retaining: Send + Sync {
    /// Replaces the rules of a name.
    async fn set_retention(&self, name: NameId, retention: &Retention) -> Result<(), DbError>;

    /// The rules of a name.
    async fn retention(&self, name: NameId) -> Result<Retention, DbError>;

    /// Keeps a release whatever the rules say, or no longer; returns whether there is one.
    async fn set_pinned(&self, name: NameId, sequence: u64, pinned: bool) -> Result<bool, DbError>;

    /// Deletes the releases that no rule keeps; returns which, by name and sequence, in order.
    /// Their chunks stay until they are collected.
    async fn expire_releases(&self, now: u64) -> Result<Vec<(String, u64)>, DbError>;
}
