//! People: who has which handle and devices, whom they let in, and what is addressed to them.

use serde::{Deserialize, Serialize};

use super::{DeliveryTotals, SessionRequest};
use crate::text::{Base64Bytes, Hex, Hidden};

/// What people tell of themselves. Every text is one line of at most
/// [`PERSON_TEXT_CHARS_MAX`](crate::limits::PERSON_TEXT_CHARS_MAX) characters, and may be empty.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct PersonDetails {
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// Where they work.
    pub organisation: String,
    /// Postal address; shown to administrators alone.
    pub address: String,
    /// E-mail address; shown to administrators alone.
    pub email: String,
}

/// Makes a person of the calling account, whose key becomes their first device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PersonRequest {
    /// What they are to be called: 3 to 32 of `a-z 0-9 . _ -`, the first a letter.
    pub handle: String,
    /// At least [`PASSWORD_CHARS_MIN`](crate::limits::PASSWORD_CHARS_MIN) characters, at most
    /// [`PASSWORD_BYTES_MAX`](crate::limits::PASSWORD_BYTES_MAX) bytes.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub password: Hidden<String>,
    /// What they tell of themselves.
    #[serde(default)]
    pub details: PersonDetails,
    /// The first list of their devices, signed.
    pub devices: Base64Bytes,
}

/// Logs a device in for the first time: makes an account of its key that belongs to the person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct LoginRequest {
    /// Whose device it is.
    pub handle: String,
    /// Their password.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub password: Hidden<String>,
    /// The device's key, proved over a challenge as for a session.
    pub session: SessionRequest,
}

/// Asks for a code by mail, with which a password is set that was lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RecoveryRequest {
    /// Whose password.
    pub handle: String,
}

/// Sets a password with a code that came by mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Recovery {
    /// Whose password.
    pub handle: String,
    /// The code.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub code: Hidden<String>,
    /// The new password.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub password: Hidden<String>,
}

/// The calling person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MyPerson {
    /// What they are called.
    pub handle: String,
    /// What they tell of themselves.
    pub details: PersonDetails,
    /// When they registered.
    pub created: u64,
    /// The signed lists of their devices, from the first on.
    pub lists: Vec<Base64Bytes>,
    /// Devices that logged in and stand on no list yet.
    pub unlisted: Vec<UnlistedDevice>,
    /// What they sent and received; nothing for a device on no list.
    #[serde(default)]
    pub totals: DeliveryTotals,
}

/// A device that logged in with the password and was not approved by another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UnlistedDevice {
    /// Its key.
    pub key: Hex<32>,
    /// When it logged in.
    pub since: u64,
}

/// Changes what the caller tells of themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DetailsChange {
    /// All of it, as it is from now on.
    pub details: PersonDetails,
    /// Needed where the e-mail address becomes another one: codes for lost passwords go there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub password: Option<Hidden<String>>,
}

/// Changes a password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PasswordChange {
    /// The one that is good until now.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub old: Hidden<String>,
    /// The one that is good from now on; bounds as in [`PersonRequest`].
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub new: Hidden<String>,
}

/// The next list of a person's devices. Whoever it leaves out is logged out for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DevicesDocument {
    /// The list, signed by a device of the one before.
    pub devices: Base64Bytes,
}

/// What people see of another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PersonCard {
    /// What they are called.
    pub handle: String,
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// Where they work.
    pub organisation: String,
    /// The signed lists of their devices, from the first on.
    pub lists: Vec<Base64Bytes>,
}

/// Whom a person lets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum SenderPolicy {
    /// Contacts at once; others wait for a decision.
    #[default]
    AddressBook,
    /// Contacts alone; others are refused.
    BlockAll,
}

/// A person's address book as the hub keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct BookDocument {
    /// Its version: 0 while there is none; each one that is put is one more than the last.
    pub number: u64,
    /// The contacts, sealed for the person's devices; absent while there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Base64Bytes>,
    /// Handles of the contacts: who is let in.
    pub contacts: Vec<String>,
    /// Handles of who is refused without being told.
    pub blocked: Vec<String>,
    /// What becomes of everybody else.
    pub policy: SenderPolicy,
}

/// An address book was kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BookKept {
    /// Contacts that nobody at this hub is called.
    pub unknown: Vec<String>,
}

/// Whether a person can be sent something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum RecipientAnswer {
    /// They are online, and it fits.
    Ready,
    /// They are not online; it would wait.
    Offline,
    /// They have never been online.
    NeverOnline,
    /// They let nobody in but their contacts, or not the caller.
    Blocked,
    /// They would have to agree first.
    PendingApproval,
    /// It is more than they have room for.
    DiskFull,
    /// One file is larger than their file system takes.
    FileTooLarge,
    /// Nobody is called that here.
    Unknown,
}

/// The answer about a recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RecipientCheck {
    /// In one word.
    pub answer: RecipientAnswer,
    /// Since when they are online or not, as far as the caller may know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
}

/// Addresses a delivery to a person. Repeating it with the same values changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AddressedDelivery {
    /// The recipient's handle.
    pub to: String,
    /// Number of the recipient's list of devices that the letters are for.
    pub list: u64,
    /// One for each device on it.
    pub letters: Vec<DeviceLetter>,
    /// How many segments the delivery has.
    pub segments: u64,
    /// Bytes of the plain stream.
    pub bytes: u64,
    /// Files in it.
    pub files: u64,
    /// Bytes of the largest of them.
    pub largest: u64,
    /// BLAKE3 of the token that the recipient will show, as in the announcement.
    pub recipient: Hex<32>,
}

/// The secret of a delivery, sealed for one device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DeviceLetter {
    /// The device.
    pub key: Hex<32>,
    /// What it opens.
    pub sealed: Base64Bytes,
}

/// How an addressed delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum DeliveryState {
    /// The recipient has to say first whether the sender may.
    PendingApproval,
    /// It has not begun, or was interrupted: one side or both are away.
    Waiting,
    /// Bytes move.
    Running,
    /// The recipient has everything.
    Received,
    /// One side ended it.
    Terminated,
    /// Nobody asked for it for as long as the hub keeps deliveries.
    Removed,
}

impl DeliveryState {
    /// Whether nothing more will happen to it.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Received | Self::Terminated | Self::Removed)
    }
}

/// A delivery that is addressed to the caller or by them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeliveryInfo {
    /// Which one.
    pub delivery: Hex<16>,
    /// Its number: later ones have greater ones.
    pub number: u64,
    /// Handle of the sender.
    pub from: String,
    /// Key of the device that sends.
    pub device: Hex<32>,
    /// Handle of the recipient.
    pub to: String,
    /// How it stands.
    pub state: DeliveryState,
    /// Since when.
    pub since: u64,
    /// When it was addressed.
    pub created: u64,
    /// How many segments it has.
    pub segments: u64,
    /// Segments that the recipient has, as far as was noted: while it runs, ask for its status.
    pub verified: u64,
    /// Bytes of the plain stream.
    pub bytes: u64,
    /// Files in it.
    pub files: u64,
    /// What opens it on the calling device; absent when nothing was sealed for that one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub letter: Option<Base64Bytes>,
    /// Whether the other side is online.
    pub other_online: bool,
    /// Who ended it and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<super::DeliveryEnd>,
    /// What of it lies in a locker, as far as the front-end that answers knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locker: Option<super::LockerStatus>,
}

/// Deliveries, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeliveriesPage {
    /// The deliveries.
    pub deliveries: Vec<DeliveryInfo>,
    /// There are older ones: ask for those before this number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// Somebody who wants to send something and is no contact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PendingSender {
    /// Their handle.
    pub handle: String,
    /// First name, by their own word.
    pub first_name: String,
    /// Last name, by their own word.
    pub last_name: String,
    /// Where they work, by their own word.
    pub organisation: String,
    /// Since when they wait.
    pub since: u64,
    /// How many deliveries wait.
    pub deliveries: u64,
}

/// Senders who wait for a decision, the longest first; all of them: there are at most
/// [`PENDING_SENDERS_MAX`](crate::limits::PENDING_SENDERS_MAX).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PendingSenders {
    /// The senders.
    pub senders: Vec<PendingSender>,
}

/// What becomes of a pending sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum SenderDecision {
    /// Becomes a contact; what waits goes on.
    Accept,
    /// What waits ends; the next delivery asks again.
    Refuse,
    /// What waits ends; nothing asks again.
    Block,
}

/// Decides about a pending sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SenderVerdict {
    /// What is decided.
    pub decision: SenderDecision,
}

/// What a device has room for, so that others learn whether something fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DeviceRoom {
    /// Free bytes where deliveries go.
    pub free: u64,
    /// The largest file that can be written there.
    pub largest: u64,
}

/// What is new for a person; what it is, is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum PersonNews {
    /// Something is addressed to them, or what was is in another state.
    Inbox,
    /// What they address is in another state, or somebody they send to came online.
    Outbox,
    /// Somebody who is no contact wants to send something.
    Senders,
    /// A device logged in, or the list of devices is new.
    Devices,
    /// The address book is new.
    Book,
    /// The same device listens elsewhere; this stream ends.
    Elsewhere,
}

/// An event of a person's stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PersonEvent {
    /// What is new.
    pub news: Vec<PersonNews>,
}
