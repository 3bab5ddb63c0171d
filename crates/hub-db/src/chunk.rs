//! Who holds a chunk.

use crate::{AccountId, NameId};

/// An account or a name that holds chunks.
///
/// One integer so that the largest table of the hub has small rows: the id shifted left by
/// one, with the lowest bit set for names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HolderId(pub(crate) i64);

impl From<AccountId> for HolderId {
    fn from(account: AccountId) -> Self {
        Self(account.0 << 1)
    }
}

impl From<NameId> for HolderId {
    fn from(name: NameId) -> Self {
        Self(name.0 << 1 | 1)
    }
}
