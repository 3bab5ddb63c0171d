//! Which release waits for which target, and what the targets answered.

use async_trait::async_trait;

use crate::{AccountKey, CommunityKey, DbError, NameId};

/// A release for one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEntry {
    /// Key of the target.
    pub target: AccountKey,
    /// What only the target opens.
    pub envelope: Vec<u8>,
}

/// A release that waits for one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueEntry {
    /// Grows with every entry.
    pub id: i64,
    /// The name it is a release of.
    pub name: String,
    /// Its number.
    pub sequence: u64,
    /// The signed manifest.
    pub manifest: Vec<u8>,
    /// What only the target opens.
    pub envelope: Vec<u8>,
    /// Since when it waits.
    pub queued: u64,
}

/// That a release waits for a target, for whoever passes it on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingEntry {
    /// Grows with every entry.
    pub id: i64,
    /// The name it is a release of.
    pub name: String,
    /// Its number.
    pub sequence: u64,
    /// Key of the target.
    pub target: AccountKey,
    /// What only the target opens.
    pub envelope: Vec<u8>,
}

/// What of a community waits, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backlog {
    /// How many entries, up to a limit.
    pub entries: u64,
    /// Since when the oldest waits; none when none does.
    pub oldest: Option<u64>,
}

/// That a target works on a release that it has not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BeginningRecord {
    /// That of its entry.
    pub id: i64,
    /// Number of the release.
    pub sequence: u64,
    /// Key of the target.
    pub target: AccountKey,
    /// What the target signed.
    pub signed: Vec<u8>,
}

/// What a target answered, without the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceiptRecord {
    /// That of its entry.
    pub id: i64,
    /// Number of the release.
    pub sequence: u64,
    /// Key of the target.
    pub target: AccountKey,
    /// Bytes of the receipt.
    pub bytes: u64,
    /// When it came.
    pub answered: u64,
}

/// How a release stands with one target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueuedTarget {
    /// Key of the target.
    pub target: AccountKey,
    /// Since when it waits, or waited.
    pub queued: u64,
    /// Since when the target works on it, or worked; none when it did not say so.
    pub begun: Option<u64>,
    /// When the target answered; none while it has not.
    pub answered: Option<u64>,
    /// When the publisher took the receipt.
    pub taken: Option<u64>,
}

/// What somebody with a key may answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answerable {
    /// No account in force has the key.
    NoAccount,
    /// There is no such release, or the account may not see its name.
    NotFound,
    /// A release that the account sees.
    Release {
        /// The name it is a release of.
        name: NameId,
        /// Key of the account that owns the name.
        owner: AccountKey,
        /// Hash of the signed manifest.
        hash: [u8; 32],
    },
}

/// What came of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answered {
    /// The receipt is kept, and the entry waits no more.
    Now,
    /// There was one already, which stands.
    Before,
    /// Nothing was queued for that target.
    NotQueued,
}

/// Queues: one entry for each release and target, which waits until the target has answered.
///
/// A release is kept while an entry of it waits, whatever the rules of its name say, and while a
/// receipt was not taken. What waits for a peer goes when a roster says so: see
/// [`Communities`](crate::Communities).
#[async_trait]
pub trait Queues: Send + Sync {
    /// Queues a release for targets; those that have it in their queue, or had it, keep their entry,
    /// and who is no target of the community gets none. Returns how many are new; `None` when there
    /// is no such release, or its name is not the feed of a publisher of a community.
    async fn enqueue(
        &self,
        name: NameId,
        sequence: u64,
        entries: &[NewEntry],
        now: u64,
    ) -> Result<Option<u64>, DbError>;

    /// Up to `limit` entries of a community that wait for a target, in the order in which they were
    /// queued, those after `after`.
    async fn queue(
        &self,
        community: &CommunityKey,
        target: &AccountKey,
        after: i64,
        limit: u32,
    ) -> Result<Vec<QueueEntry>, DbError>;

    /// Up to `limit` entries of a community that wait for any target, in the order in which they were
    /// queued, those after `after`.
    async fn waiting(
        &self,
        community: &CommunityKey,
        after: i64,
        limit: u32,
    ) -> Result<Vec<WaitingEntry>, DbError>;

    /// How many entries of a community wait for any target: no more than `limit` are counted.
    async fn backlog(&self, community: &CommunityKey, limit: u32) -> Result<Backlog, DbError>;

    /// Takes a release out of a target's queue, unanswered; false when it does not wait there.
    async fn withdraw_entry(
        &self,
        entry: (NameId, u64),
        target: &AccountKey,
    ) -> Result<bool, DbError>;

    /// Notes that a target says, with its signature, that it begins with a release that waits for it. The
    /// first one stands. Returns false when it is noted already, or nothing waits.
    ///
    /// `begun` is the target's word for the time; no earlier one is noted than that of queueing.
    async fn begin_entry(
        &self,
        entry: (NameId, u64),
        target: &AccountKey,
        signed: &[u8],
        begun: u64,
    ) -> Result<bool, DbError>;

    /// Up to `limit` releases of a name that targets began with and have not answered, in order of their
    /// entries, those after `after`.
    async fn beginnings(
        &self,
        name: NameId,
        after: i64,
        limit: u32,
    ) -> Result<Vec<BeginningRecord>, DbError>;

    /// Looks for the release of a name that the account with this key wants to answer: what
    /// [`Accounts::account`](crate::Accounts::account), [`Names::name`](crate::Names::name) and
    /// [`Releases::release`](crate::Releases::release) say, asked at once.
    async fn answerable(
        &self,
        account: &AccountKey,
        name: &str,
        sequence: u64,
    ) -> Result<Answerable, DbError>;

    /// Keeps a target's receipt for an entry that waits. Repeating it changes nothing.
    async fn answer_entry(
        &self,
        entry: (NameId, u64),
        target: &AccountKey,
        receipt: &[u8],
        now: u64,
    ) -> Result<Answered, DbError>;

    /// Up to `limit` receipts for releases of a name that were not taken yet, in order of their
    /// entries, those after `after`.
    async fn receipts(
        &self,
        name: NameId,
        after: i64,
        limit: u32,
    ) -> Result<Vec<ReceiptRecord>, DbError>;

    /// The bytes of these receipts, as far as they are for releases of the name and were not taken yet,
    /// in order of their entries. All of them are in memory at once: see [`ReceiptRecord::bytes`].
    async fn signed_receipts(
        &self,
        name: NameId,
        ids: &[i64],
    ) -> Result<Vec<(i64, Vec<u8>)>, DbError>;

    /// A receipt that was not taken yet.
    async fn receipt(
        &self,
        entry: (NameId, u64),
        target: &AccountKey,
    ) -> Result<Option<Vec<u8>>, DbError>;

    /// The publisher has these receipts; returns how many were dropped.
    async fn take_receipts(&self, name: NameId, ids: &[i64], now: u64) -> Result<u64, DbError>;

    /// How a release stands with its targets: up to `limit` of them in order of keys, those after
    /// `after`.
    async fn queued_targets(
        &self,
        entry: (NameId, u64),
        after: Option<&AccountKey>,
        limit: u32,
    ) -> Result<Vec<QueuedTarget>, DbError>;
}
