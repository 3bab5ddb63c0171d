//! What the hub and its clients say to each other: routes, requests, responses, problems.
//!
//! Words only: no IO, no HTTP library, no clock, and no judgement of what the signed documents
//! inside say (`documents` does that) nor of chunk streams (`wire`). The hub and the client
//! both depend on this crate and not on each other.
//!
//! * [`routes`]: every path under `/v1`, as a template for the hub and a builder for clients.
//! * [`messages`]: the JSON bodies. Requests refuse members they do not know, because a hub that
//!   ignored one would do something else than was asked; responses ignore them, so that a hub
//!   may say more than an older client understands.
//! * [`problem`]: RFC 9457 problem documents and the table of their codes.
//! * [`clients`]: which versions of the program a hub wants its clients to be.
//! * [`limits`]: the largest of everything, and where each number comes from.
//! * `openapi`, with the feature of this name: the document that says all this to machines.
//! * [`text`]: bytes inside JSON, as hexadecimal digits or base64url.
//!
//! Invariant: a code, a route or a member that was released keeps its meaning under `/v1`.
//!
//! Start reading at [`routes`].

pub mod clients;
pub mod limits;
pub mod messages;
#[cfg(feature = "openapi")]
pub mod openapi;
pub mod problem;
pub mod routes;
pub mod text;

pub use clients::{ClientVersion, ClientVersions, ParseClientsError, Place};
pub use limits::Limits;
pub use messages::{
    AccountInfo, AccountRole, AccountsPage, AddressedDelivery, AddressedEnvelope,
    AdmissionSettings, AlarmKind, AuditChainPage, AuditInfo, AuditLinkInfo, AuditPage,
    BeginningDocument, BeginningInfo, BeginningsPage, BookDocument, BookKept, ChallengeRequest,
    ChallengeResponse, ChangeInfo, ChangeKind, ChangesPage, CharterDocument, ChartersPage,
    CommunityEvent, CommunityNews, DelegationDocument, DeliveriesPage, DeliveryAnnouncement,
    DeliveryEnd, DeliveryEnding, DeliveryInfo, DeliveryParty, DeliverySide, DeliveryState,
    DeliveryStatus, DeliveryTotals, DeliveryVerified, DetailsChange, DeviceLetter, DeviceRoom,
    DevicesDocument, EntriesPage, EntryInfo, EntryKind, Envelopes, FrontEndState, FrontEndStatus,
    GivenGrant, Grant, GrantInfo, GrantSettings, GrantsPage, HeadDocuments, HeartbeatEvent,
    HubAlarm, HubDown, HubInfo, HubStatus, InvitationCreated, InvitationInfo, InvitationRequest,
    InvitationsPage, JoinAccepted, JoinDocument, JoinEnd, JoinKnock, Joining, JoiningsPage,
    LockerRequest, LockerStatus, LoginRequest, ManagerStatus, ManifestDocument, MembersPage,
    MembershipProof, MyPerson, NameInfo, NameSettings, NamesPage, NewestRelease, OwnerSettings,
    PasswordChange, PendingSender, PendingSenders, PersonCard, PersonDetails, PersonEvent,
    PersonNews, PersonRequest, QueueEntryInfo, QueuePage, Queued, QueuedTargetInfo,
    QueuedTargetsPage, ReceiptInfo, ReceiptsPage, RecipientAnswer, RecipientCheck, Recovery,
    RecoveryRequest, RegistrationRequest, RegistrationResponse, RelayReportInfo, RelayReports,
    RelayReportsTaken, RelayStates, ReleaseAccepted, ReleaseEvent, ReleaseInfo, ReleasesPage,
    RenewalDocument, Retention, RosterChange, SegmentTaken, SegmentsTaken, SenderDecision,
    SenderPolicy, SenderVerdict, SessionRequest, SessionResponse, SharedTaken, Standing,
    TOKEN_PREFIX, TakenReceipts, TokenCreated, TokenInfo, TokenRequest, TokenScope, TokensPage,
    UnlistedDevice, UploadResponse, WaitingEntryInfo, WaitingPage,
};
pub use problem::{Problem, ProblemCode};
pub use text::{Base64Bytes, Hex, Hidden, ParseTextError};

/// Media type of JSON bodies.
pub const MEDIA_JSON: &str = "application/json";
/// Media type of [`Problem`] (RFC 9457, section 3).
pub const MEDIA_PROBLEM: &str = "application/problem+json";
/// Media type of id lists, bitmaps, frame streams and chunks.
pub const MEDIA_BYTES: &str = "application/octet-stream";
/// Request header: the same text with the same `POST` has the effect of one.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Request header with which the recipient of a delivery proves itself: its token, 32 bytes as hexadecimal
/// digits.
pub const DELIVERY_TOKEN_HEADER: &str = "consign-delivery-token";
/// Request header with which a recipient says which download of a locker its request belongs to: 16 random bytes as
/// hexadecimal digits, the same ones as long as it goes on with that download.
pub const DELIVERY_DOWNLOAD_HEADER: &str = "consign-delivery-download";
/// Request header with the BLAKE3 of a segment for a locker, as hexadecimal digits.
pub const SEGMENT_DIGEST_HEADER: &str = "consign-segment-digest";
/// Request header by which the hub tells the recipient that claimed a ticket with a code from others: 32
/// random bytes of its own as hexadecimal digits.
pub const CODE_TOKEN_HEADER: &str = "consign-code-token";
/// Media type of the event stream.
pub const MEDIA_EVENTS: &str = "text/event-stream";
/// Name of the event that announces a release; its data is a [`ReleaseEvent`].
pub const EVENT_RELEASE: &str = "release";
/// Name of the event that says what is new for a person; its data is a [`PersonEvent`].
pub const EVENT_PERSON: &str = "person";
/// Name of the event that tells how often a stream has a heart-beat; its data is a [`HeartbeatEvent`].
pub const EVENT_HEARTBEAT: &str = "heart-beat";
/// Name of the event that says what is new in a community; its data is a [`CommunityEvent`].
pub const EVENT_COMMUNITY: &str = "community";
