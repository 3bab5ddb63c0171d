//! The JSON bodies of requests and responses.
//!
//! Times are seconds since 1970, sizes are bytes. Signed documents travel as the bytes that were
//! signed, in base64url; whoever uses one verifies it first.

mod administration;
mod browse;
mod cluster;
mod communities;
mod deliveries;
mod grants;
mod people;
mod retention;
mod tokens;

use serde::{Deserialize, Serialize};

pub use self::administration::{
    AccountInfo, AccountRole, AccountsPage, AuditChainPage, AuditInfo, AuditLinkInfo, AuditPage,
    InvitationCreated, InvitationInfo, InvitationRequest, InvitationsPage,
};
pub use self::browse::{ChangeInfo, ChangeKind, ChangesPage, EntriesPage, EntryInfo, EntryKind};
pub use self::cluster::{
    AlarmKind, DeliveryTotals, FrontEndState, FrontEndStatus, HubAlarm, HubDown, HubStatus,
    ManagerStatus,
};
pub use self::communities::{
    AddressedEnvelope, AdmissionSettings, BeginningDocument, BeginningInfo, BeginningsPage,
    CharterDocument, ChartersPage, CommunityEvent, CommunityNews, Envelopes, JoinAccepted,
    JoinDocument, JoinEnd, JoinKnock, Joining, JoiningsPage, ManifestDocument, MembersPage,
    MembershipProof, QueueEntryInfo, QueuePage, Queued, QueuedTargetInfo, QueuedTargetsPage,
    ReceiptInfo, ReceiptsPage, RelayReportInfo, RelayReports, RelayReportsTaken, RelayStates,
    RenewalDocument, RosterChange, Standing, TakenReceipts, WaitingEntryInfo, WaitingPage,
};
pub use self::deliveries::{
    DeliveryAnnouncement, DeliveryEnd, DeliveryEnding, DeliveryParty, DeliverySide, DeliveryStatus,
    DeliveryVerified, LockerRequest, LockerStatus, SegmentTaken, SegmentsTaken, SharedTaken,
};
pub use self::grants::{
    DelegationDocument, GivenGrant, Grant, GrantInfo, GrantSettings, GrantsPage, OwnerSettings,
};
pub use self::people::{
    AddressedDelivery, BookDocument, BookKept, DeliveriesPage, DeliveryInfo, DeliveryState,
    DetailsChange, DeviceLetter, DeviceRoom, DevicesDocument, LoginRequest, MyPerson,
    PasswordChange, PendingSender, PendingSenders, PersonCard, PersonDetails, PersonEvent,
    PersonNews, PersonRequest, RecipientAnswer, RecipientCheck, Recovery, RecoveryRequest,
    SenderDecision, SenderPolicy, SenderVerdict, UnlistedDevice,
};
pub use self::retention::Retention;
pub use self::tokens::{
    TOKEN_PREFIX, TokenCreated, TokenInfo, TokenRequest, TokenScope, TokensPage,
};
use crate::clients::ClientVersions;
use crate::limits::Limits;
use crate::text::{Base64Bytes, Hex, Hidden};

/// What a hub says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HubInfo {
    /// Version of the program.
    pub version: String,
    /// Public key the hub signs session tokens with.
    pub key: Hex<32>,
    /// What it accepts.
    pub limits: Limits,
    /// Which versions it wants its clients to be; absent when it wants none in particular.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clients: Option<ClientVersions>,
    /// Whether it tells recipients where they reach the sender of a delivery itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub direct: bool,
}

/// Registers a key by an invitation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RegistrationRequest {
    /// Public key of the node.
    pub key: Hex<32>,
    /// The invitation's secret.
    #[cfg_attr(feature = "openapi", schema(value_type = Hex<16>))]
    pub secret: Hidden<Hex<16>>,
    /// Registration document over secret and certificate fingerprint, signed with `key`.
    pub proof: Base64Bytes,
}

/// The key is registered now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RegistrationResponse {
    /// What the hub calls the account in listings and logs.
    pub handle: String,
}

/// Asks for something to sign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ChallengeRequest {
    /// Public key of the node.
    pub key: Hex<32>,
}

/// Something to sign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChallengeResponse {
    /// Random bytes, good for one session within
    /// [`CHALLENGE_LIFETIME`](crate::limits::CHALLENGE_LIFETIME).
    pub challenge: Hex<32>,
}

/// Opens a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SessionRequest {
    /// Public key of the node.
    pub key: Hex<32>,
    /// Session proof over the challenge and the certificate's fingerprint, signed with `key`.
    pub proof: Base64Bytes,
}

/// A session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SessionResponse {
    /// Goes into `Authorization: Bearer`, as this same text.
    #[cfg_attr(feature = "openapi", schema(value_type = Base64Bytes))]
    pub token: Hidden<Base64Bytes>,
    /// When the hub stops taking it, by the hub's clock.
    pub expires: u64,
    /// Which versions the hub wants its clients to be; absent when it wants none in particular.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clients: Option<ClientVersions>,
}

/// What became of an upload. All of it is durable when this is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UploadResponse {
    /// Chunks that were new to the hub.
    pub stored: u64,
    /// Chunks it had already.
    pub known: u64,
}

/// A name and its newest release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NameInfo {
    /// The name, as `team/tools`.
    pub name: String,
    /// Whether everybody who reaches the hub may read it.
    pub public: bool,
    /// Key of the publisher, by the hub's word alone.
    pub publisher: Hex<32>,
    /// Sequence of the newest release, none before the first.
    pub latest: Option<u64>,
}

/// Creates a name or changes its settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NameSettings {
    /// Whether everybody who reaches the hub may read it.
    pub public: bool,
}

/// Names the caller may read, in order of their bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NamesPage {
    /// The names.
    pub names: Vec<NameInfo>,
    /// What to send as `after` for the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A release's manifest and the head that says it is the newest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct HeadDocuments {
    /// The signed manifest.
    pub manifest: Base64Bytes,
    /// The signed head.
    pub head: Base64Bytes,
    /// Only for the feed of a publisher in a community: the number of the newest release here, when
    /// those between that one and this one are lost with an earlier database of the hub.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
}

/// The newest release of a name, with all that is needed to verify it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NewestRelease {
    /// The signed manifest.
    pub manifest: Base64Bytes,
    /// The signed head.
    pub head: Base64Bytes,
    /// The owner's list of further publishers, if there is one: one of them may have signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delegation: Option<Base64Bytes>,
}

/// A release was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReleaseAccepted {
    /// Its sequence.
    pub sequence: u64,
}

/// One release. Everything beside the manifest repeats it, by the hub's word alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReleaseInfo {
    /// Number of the release, from 1.
    pub sequence: u64,
    /// Id of the chunk at the root of the tree.
    pub tree: Hex<32>,
    /// When it was signed.
    pub issued: u64,
    /// Files in the tree; absent when it is sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<u64>,
    /// Bytes of all files; absent when the tree is sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Bytes of all chunks under the tree, before compression.
    pub stored_bytes: u64,
    /// When the hub accepted it.
    #[serde(default)]
    pub accepted: u64,
    /// Whether retention leaves it alone.
    #[serde(default)]
    pub pinned: bool,
    /// The signed manifest.
    pub manifest: Base64Bytes,
}

/// Releases of a name, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReleasesPage {
    /// The releases.
    pub releases: Vec<ReleaseInfo>,
    /// What to send as `before` for the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// Announces a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReleaseEvent {
    /// The name.
    pub name: String,
    /// Sequence of the release.
    pub sequence: u64,
}

/// How often a stream of events has a heart-beat from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HeartbeatEvent {
    /// Seconds between two; three that are missed in a row are a broken line.
    pub interval_s: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits;

    #[test]
    fn messages_look_as_documented() {
        let release = ReleaseInfo {
            sequence: 3,
            tree: Hex([1; 32]),
            issued: 5,
            files: None,
            bytes: Some(7),
            stored_bytes: 8,
            accepted: 6,
            pinned: false,
            manifest: Base64Bytes(vec![0xff]),
        };
        let json = serde_json::to_string(&release).expect("json");
        let tree = "01".repeat(32);
        let expected = format!(
            r#"{{"sequence":3,"tree":"{tree}","issued":5,"bytes":7,"stored_bytes":8,"accepted":6,"pinned":false,"manifest":"_w"}}"#
        );
        assert_eq!(json, expected);
        assert_eq!(serde_json::from_str::<ReleaseInfo>(&json).expect("json"), release);
    }

    #[test]
    fn requests_refuse_unknown_members_and_responses_ignore_them() {
        assert!(serde_json::from_str::<NameSettings>(r#"{"public":true,"x":1}"#).is_err());
        let accepted: ReleaseAccepted =
            serde_json::from_str(r#"{"sequence":4,"x":1}"#).expect("tolerant");
        assert_eq!(accepted.sequence, 4);
    }

    #[test]
    fn the_largest_messages_stay_within_the_limits() {
        let document = Base64Bytes(vec![0; limits::DOCUMENT_BYTES_MAX]);
        let request =
            HeadDocuments { manifest: document.clone(), head: document.clone(), after: None };
        let request = serde_json::to_vec(&request).expect("json");
        assert!(request.len() <= limits::REQUEST_BYTES_MAX, "{}", request.len());

        let release = ReleaseInfo {
            sequence: u64::MAX,
            tree: Hex([0xff; 32]),
            issued: u64::MAX,
            files: Some(u64::MAX),
            bytes: Some(u64::MAX),
            stored_bytes: u64::MAX,
            accepted: u64::MAX,
            pinned: true,
            manifest: document,
        };
        let page = ReleasesPage {
            releases: vec![release; limits::RELEASES_PAGE_MAX as usize],
            next: None,
        };
        let page = serde_json::to_vec(&page).expect("json");
        assert!(page.len() <= limits::RELEASES_RESPONSE_BYTES_MAX, "{}", page.len());

        let name = NameInfo {
            name: format!("{}/{}", "t".repeat(64), "n".repeat(64)),
            public: false,
            publisher: Hex([0xff; 32]),
            latest: Some(u64::MAX),
        };
        let names = NamesPage { names: vec![name; limits::NAMES_PAGE_MAX as usize], next: None };
        let names = serde_json::to_vec(&names).expect("json");
        assert!(names.len() <= limits::RESPONSE_BYTES_MAX, "{}", names.len());
    }
}
