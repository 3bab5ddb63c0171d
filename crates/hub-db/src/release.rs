//! Releases as they are stored.

use async_trait::async_trait;
use content::ChunkId;

use crate::{DbError, NameId};

/// Place of a release in the order in which the hub accepted all releases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId(pub u64);

/// A release to be stored. Its documents have been verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRelease {
    /// The name it is a release of.
    pub name: NameId,
    /// Its number.
    pub sequence: u64,
    /// Hash of the signed manifest.
    pub hash: [u8; 32],
    /// Hash of the manifest before, `None` for the first.
    pub previous: Option<[u8; 32]>,
    /// The number of the latest release, where its publisher knows that those between that one and
    /// this one are not here and will not be: an earlier database had them. `None` where nothing may
    /// be left out.
    pub after: Option<u64>,
    /// The signed manifest.
    pub manifest: Vec<u8>,
    /// The signed head; empty for one that a mirror takes, see [`Releases::mirror_release`].
    pub head: Vec<u8>,
    /// Root of the tree.
    pub tree: ChunkId,
    /// Head of the closure.
    pub closure: ChunkId,
    /// Lengths of the chunks in the closure added up.
    pub stored_bytes: u64,
    /// When the publisher says it was issued.
    pub issued: u64,
    /// When the hub accepted it.
    pub accepted: u64,
}

impl NewRelease {
    /// Whether this is the release after the latest one, of which sequence and hash are given, or after
    /// those that its publisher says are not here.
    pub(crate) fn must_follow(&self, latest: Option<(u64, [u8; 32])>) -> Result<(), PublishError> {
        let (latest, previous) = latest.map_or((0, None), |(latest, hash)| (latest, Some(hash)));
        let is_next = self.sequence == latest.saturating_add(1);
        let leaves_out = self.sequence > latest && self.after == Some(latest);
        if !is_next && !leaves_out {
            return Err(PublishError::NotNext { latest, offered: self.sequence });
        }
        // The one before it is not here to be compared with when something is left out.
        if is_next && self.previous != previous {
            return Err(PublishError::WrongPrevious);
        }
        Ok(())
    }
}

/// A stored release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Its place among all releases.
    pub event: EventId,
    /// Its number.
    pub sequence: u64,
    /// Hash of the signed manifest.
    pub hash: [u8; 32],
    /// The signed manifest.
    pub manifest: Vec<u8>,
    /// The signed head; empty for one that a mirror took, which comes without.
    pub head: Vec<u8>,
    /// Root of the tree.
    pub tree: ChunkId,
    /// Head of the closure.
    pub closure: ChunkId,
    /// Lengths of the chunks in the closure added up.
    pub stored_bytes: u64,
    /// When the publisher says it was issued.
    pub issued: u64,
    /// When the hub accepted it.
    pub accepted: u64,
    /// Whether it is kept whatever the retention rules say.
    pub pinned: bool,
}

/// Why a release was not added.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// Another release was accepted in between, or one is missing. Fetch the head, make the
    /// release with the next sequence and try again.
    #[error("release {offered} does not follow release {latest}")]
    NotNext {
        /// Sequence of the latest release, 0 when there is none.
        latest: u64,
        /// Sequence of the release offered.
        offered: u64,
    },
    /// The sequence fits, but the release was made upon another history. The publisher's
    /// record of its own releases is wrong or was forked: compare before going on.
    #[error("the release does not name the hash of the release before it")]
    WrongPrevious,
    /// There is no such name any more. Create it again, or do without.
    #[error("the name was deleted")]
    NoName,
    /// The database failed. Trying again is safe: a release that was added after all is then
    /// the latest, with the same hash.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Why a head was not replaced.
#[derive(Debug, thiserror::Error)]
pub enum RenewError {
    /// The release is not the latest of its name. Sign a head for the latest.
    #[error("a head can be renewed for the latest release only")]
    NotLatest,
    /// The database failed; nothing was changed, trying again is safe.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Releases and their order.
#[async_trait]
pub trait Releases: Send + Sync {
    /// Adds a release and makes its name a holder of `chunks`, all or nothing. The sequence
    /// must follow the latest by one and `previous` must be its hash.
    async fn publish(
        &self,
        release: &NewRelease,
        chunks: &[ChunkId],
    ) -> Result<EventId, PublishError>;

    /// Adds a release as another hub has it, whatever comes before it: a mirror takes what waits for
    /// its targets, and no more. False when it is here already.
    ///
    /// # Errors
    /// See [`PublishError`]; [`PublishError::WrongPrevious`] when another one has its number.
    async fn mirror_release(
        &self,
        release: &NewRelease,
        chunks: &[ChunkId],
    ) -> Result<bool, PublishError>;

    /// Replaces the head of the latest release, which must have this hash.
    async fn renew_head(
        &self,
        name: NameId,
        hash: &[u8; 32],
        head: &[u8],
    ) -> Result<(), RenewError>;

    /// The latest release of a name.
    async fn latest_release(&self, name: NameId) -> Result<Option<Release>, DbError> {
        Ok(self.releases(name, None, 1).await?.pop())
    }

    /// One release of a name.
    async fn release(&self, name: NameId, sequence: u64) -> Result<Option<Release>, DbError> {
        let found = self.releases(name, Some(sequence.saturating_add(1)), 1).await?.pop();
        Ok(found.filter(|release| release.sequence == sequence))
    }

    /// Up to `limit` releases with a sequence below `before`, newest first.
    async fn releases(
        &self,
        name: NameId,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Release>, DbError>;

    /// Event ids and sequences of up to `limit` releases of `name` after `after`, in order.
    async fn releases_after(
        &self,
        name: NameId,
        after: EventId,
        limit: u32,
    ) -> Result<Vec<(EventId, u64)>, DbError>;

    /// The closure heads of all releases: what garbage collection starts from.
    async fn closures(&self) -> Result<Vec<ChunkId>, DbError>;
}
