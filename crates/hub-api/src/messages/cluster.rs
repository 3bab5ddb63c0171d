//! How the front-ends of a hub are.

use serde::{Deserialize, Serialize};

use crate::text::Hex;

/// How a hub is, for those who run it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HubStatus {
    /// What it is down for, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub down: Option<HubDown>,
    /// Who does what is done once for all front-ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manager: Option<ManagerStatus>,
    /// All front-ends that gave a sign of life in the last minutes.
    pub front_ends: Vec<FrontEndStatus>,
    /// What somebody should look at.
    pub alarms: Vec<HubAlarm>,
}

/// A hub that is down for everyone but administrators.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HubDown {
    /// Since when.
    pub since: u64,
    /// When it is up again.
    pub until: u64,
    /// Why, for people.
    pub why: String,
}

/// The manager of the front-ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ManagerStatus {
    /// Which front-end.
    pub front_end: Hex<16>,
    /// Grows whenever it is another one.
    pub term: u64,
    /// Since when it is this one.
    pub since: u64,
    /// Whether its lease is in force.
    pub is_held: bool,
}

/// How a front-end is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum FrontEndState {
    /// It serves.
    Up,
    /// It ends its open requests and takes no new ones.
    Going,
    /// It gave no sign of life in time.
    Gone,
}

/// One front-end, as it told of itself last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FrontEndStatus {
    /// Which; it draws this when it starts.
    pub id: Hex<16>,
    /// Where the others reach it; absent when there are no others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// How it is.
    pub state: FrontEndState,
    /// Its program's version.
    pub version: String,
    /// When it started.
    pub started: u64,
    /// Milliseconds since its last sign of life.
    pub silent_ms: u64,
    /// Whether it keeps the chunks.
    pub keeps_chunks: bool,
    /// Live deliveries that run.
    pub deliveries: u64,
    /// Event streams that are open.
    pub streams: u64,
    /// Seconds between two heart-beats of a stream, as it tells its clients; zero of a version that does not say.
    #[serde(default)]
    pub heartbeat_s: u64,
    /// Bytes free where its data is.
    pub free_bytes: u64,
    /// When its certificate ends; zero without one.
    pub certificate_ends: u64,
}

/// What an alarm is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum AlarmKind {
    /// Nobody does what is done once for all.
    ManagerSilent,
    /// A front-end gives no signs of life.
    FrontEndSilent,
    /// No front-end that is alive keeps the chunks.
    ChunksAway,
    /// The disk of a front-end is nearly full.
    DiskNearlyFull,
    /// The certificate of a front-end ends soon, or has ended.
    CertificateEnds,
}

/// Something that somebody should look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HubAlarm {
    /// What it is about.
    pub kind: AlarmKind,
    /// The front-end, when it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub front_end: Option<Hex<16>>,
    /// What there is to know, for people.
    pub detail: String,
}

/// What a person sent and received, of what went through to its end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeliveryTotals {
    /// Deliveries sent.
    pub sent_deliveries: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Deliveries received.
    pub received_deliveries: u64,
    /// Their bytes.
    pub received_bytes: u64,
}
