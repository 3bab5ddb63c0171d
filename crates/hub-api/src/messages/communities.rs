//! Communities: who belongs, who asks to, and which release waits for whom.
//!
//! Documents are those of `docs/format.md`, chapter 13. The hub has verified those it hands out; who
//! gets them verifies them again.

use serde::{Deserialize, Serialize};

use crate::text::{Base64Bytes, Hex};

/// A charter: the first one creates its community at this hub, later ones follow it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CharterDocument {
    /// The charter, signed by its managers, and from the second on by those before, too.
    pub charter: Base64Bytes,
}

/// Charters of a community, the oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChartersPage {
    /// Signed charters, in order of their numbers; at most
    /// [`CHARTERS_PAGE_MAX`](crate::limits::CHARTERS_PAGE_MAX). Ask again behind the last one for
    /// more.
    pub charters: Vec<Base64Bytes>,
}

/// Changes who belongs to a community.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RosterChange {
    /// The new roster, signed by the managers.
    pub roster: Base64Bytes,
    /// What says that it is the newest, if the roster names keys for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewal: Option<Base64Bytes>,
    /// Memberships that are new or have changed. With those that are here and not removed they are
    /// the members of the roster.
    pub members: Vec<Base64Bytes>,
    /// Names of peers that belong to it no more.
    pub removed: Vec<String>,
}

/// Says that the roster here is still the newest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RenewalDocument {
    /// The renewal, signed by a key that the roster names.
    pub renewal: Base64Bytes,
}

/// How a community stands, for one of its peers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Standing {
    /// Charters behind the one that was asked for, the oldest first; at most
    /// [`CHARTERS_PAGE_MAX`](crate::limits::CHARTERS_PAGE_MAX). When the newest is not among them, ask
    /// again behind the last.
    pub charters: Vec<Base64Bytes>,
    /// The newest roster.
    pub roster: Base64Bytes,
    /// The newest renewal of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewal: Option<Base64Bytes>,
    /// The caller's membership; absent for a manager who is no peer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub membership: Option<MembershipProof>,
}

/// A membership, and what shows that the roster counts it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MembershipProof {
    /// The membership.
    pub membership: Base64Bytes,
    /// Its place among all, in order of names.
    pub index: u64,
    /// Hashes beside its way to the root, the lowest first.
    pub path: Vec<Hex<32>>,
}

/// Memberships of a community, in order of the peers' names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MembersPage {
    /// The memberships.
    pub members: Vec<Base64Bytes>,
    /// What to send as `after` for the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Keeps a place for a peer that has a join secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AdmissionSettings {
    /// Until when.
    pub expires: u64,
}

/// A machine asks to join.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct JoinKnock {
    /// The join request, signed by the machine.
    pub request: Base64Bytes,
}

/// Where the machine looks for what becomes of its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JoinAccepted {
    /// The document hash of the request. Whoever knows it may read and answer, so it is told to nobody
    /// else than the managers.
    pub id: Hex<32>,
    /// When the hub forgets it.
    pub expires: u64,
}

/// How far a joining is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Joining {
    /// The document hash of the request.
    pub id: Hex<32>,
    /// The signed request.
    pub request: Base64Bytes,
    /// When it came.
    pub came: u64,
    /// A manager's signed challenge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub challenge: Option<Base64Bytes>,
    /// The machine's signed answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Base64Bytes>,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<JoinEnd>,
}

/// How a joining ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case", tag = "how", deny_unknown_fields)]
pub enum JoinEnd {
    /// The roster has the machine as a peer now.
    Admitted,
    /// A manager refused it.
    Refused {
        /// Why, for people: at most 256 bytes.
        reason: String,
    },
    /// The machine broke off, for instance because the challenge is by no manager.
    Aborted {
        /// Why, for people: at most 256 bytes.
        reason: String,
    },
}

/// Joinings that are not over, the oldest first; at most
/// [`JOININGS_PAGE_MAX`](crate::limits::JOININGS_PAGE_MAX).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JoiningsPage {
    /// The joinings.
    pub joinings: Vec<Joining>,
}

/// A challenge or an answer of a joining.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct JoinDocument {
    /// The signed document.
    pub document: Base64Bytes,
}

/// Addresses a release to targets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Envelopes {
    /// At most [`ENVELOPES_MAX`](crate::limits::ENVELOPES_MAX); send more in several requests.
    pub envelopes: Vec<AddressedEnvelope>,
}

/// What one target opens a release with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AddressedEnvelope {
    /// Key of the target.
    pub target: Hex<32>,
    /// The envelope.
    pub envelope: Base64Bytes,
}

/// What became of envelopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Queued {
    /// How many of the targets are new to the release. Who is no target of the community is not
    /// counted, and has nothing queued.
    pub queued: u64,
}

/// A release that waits for the caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct QueueEntryInfo {
    /// Grows with every entry.
    pub id: u64,
    /// The feed it is a release of, as `team/tools`.
    pub name: String,
    /// Its number.
    pub sequence: u64,
    /// The signed manifest.
    pub manifest: Base64Bytes,
    /// What only the caller opens.
    pub envelope: Base64Bytes,
    /// Since when it waits.
    pub queued: u64,
}

/// What waits for the caller, in the order in which it was queued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct QueuePage {
    /// The entries.
    pub entries: Vec<QueueEntryInfo>,
    /// What to send as `after` for the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// That a release waits for a target, for whoever passes it on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WaitingEntryInfo {
    /// Grows with every entry.
    pub id: u64,
    /// The feed it is a release of, as `team/tools`.
    pub name: String,
    /// Its number.
    pub sequence: u64,
    /// Key of the target.
    pub target: Hex<32>,
    /// What only the target opens.
    pub envelope: Base64Bytes,
}

/// What waits for all targets, in the order in which it was queued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WaitingPage {
    /// The entries.
    pub entries: Vec<WaitingEntryInfo>,
    /// What to send as `after` for the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// What relays tell of themselves: the caller, and those under it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RelayReports {
    /// Signed relay reports, at most [`RELAY_REPORTS_MAX`](crate::limits::RELAY_REPORTS_MAX).
    pub reports: Vec<Base64Bytes>,
}

/// What became of relay reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RelayReportsTaken {
    /// How many are the newest of their relay now. Not counted: an older one, one of somebody who is
    /// no relay by the roster here, one of a time to come.
    pub taken: u64,
}

/// How the hub is, and what relays told of themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RelayStates {
    /// How many entries wait here for targets of the community; no more than
    /// [`BACKLOG_MAX`](crate::limits::BACKLOG_MAX) are counted.
    pub waiting: u64,
    /// Since when the oldest of them waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest: Option<u64>,
    /// The newest report of each relay that told something since the hub began to run.
    pub reports: Vec<RelayReportInfo>,
}

/// The newest report of a relay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RelayReportInfo {
    /// When it came.
    pub came: u64,
    /// The signed report.
    pub report: Base64Bytes,
}

/// A release as it was signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ManifestDocument {
    /// The signed manifest.
    pub manifest: Base64Bytes,
}

/// That a target begins with a release, as it was signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct BeginningDocument {
    /// The signed beginning.
    pub beginning: Base64Bytes,
}

/// That a target works on a release that it has not answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BeginningInfo {
    /// That of its queue entry.
    pub id: u64,
    /// Number of the release.
    pub sequence: u64,
    /// Key of the target.
    pub target: Hex<32>,
    /// The signed beginning.
    pub beginning: Base64Bytes,
}

/// Beginnings of a feed that were not answered yet, in order of their ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BeginningsPage {
    /// The beginnings.
    pub beginnings: Vec<BeginningInfo>,
    /// What to send as `after` for the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// A target's answer, for the publisher.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReceiptInfo {
    /// That of its queue entry.
    pub id: u64,
    /// Number of the release.
    pub sequence: u64,
    /// Key of the target.
    pub target: Hex<32>,
    /// When it came.
    pub answered: u64,
    /// Bytes of the signed receipt.
    pub bytes: u64,
    /// The signed receipt, where it was asked for and has at most
    /// [`LISTED_RECEIPT_BYTES_MAX`](crate::limits::LISTED_RECEIPT_BYTES_MAX).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<Base64Bytes>,
}

/// Receipts of a feed that its publisher does not have yet, in order of their ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReceiptsPage {
    /// The receipts.
    pub receipts: Vec<ReceiptInfo>,
    /// What to send as `after` for the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// Receipts that the publisher has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TakenReceipts {
    /// Their ids, at most [`ENVELOPES_MAX`](crate::limits::ENVELOPES_MAX).
    pub ids: Vec<u64>,
}

/// How a release stands with one target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct QueuedTargetInfo {
    /// Key of the target.
    pub target: Hex<32>,
    /// Since when it waits, or waited.
    pub queued: u64,
    /// Since when the target works on it, or worked, by its word; absent when it did not say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun: Option<u64>,
    /// When the target answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered: Option<u64>,
    /// When the publisher took the receipt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken: Option<u64>,
}

/// Targets of a release, in order of their keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct QueuedTargetsPage {
    /// The targets.
    pub targets: Vec<QueuedTargetInfo>,
    /// What to send as `after` for the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Hex<32>>,
}

/// What an event of a community says: that something is new, for which the caller then asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum CommunityNews {
    /// The charter, the roster or its renewal.
    Standing,
    /// A release for the caller, or for somebody to whom the caller passes it on.
    Queue,
    /// A receipt for the caller, or one that the caller passes on; or a target began with what the caller sent.
    Receipts,
    /// A joining, or a step of one; for managers.
    Joins,
}

/// One event of a community.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CommunityEvent {
    /// What is new.
    pub news: CommunityNews,
}
