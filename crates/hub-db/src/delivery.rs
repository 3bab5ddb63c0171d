//! Deliveries that are addressed to people: from whom, to whom, how large, how far. Never what is in them.

use async_trait::async_trait;

use crate::{AccountKey, DbError, PersonId};

/// How an addressed delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DeliveryState {
    /// The recipient has to say first whether the sender may.
    PendingApproval,
    /// It has not begun, or was interrupted.
    Waiting,
    /// Bytes move.
    Running,
    /// The recipient has everything.
    Received,
    /// One side ended it.
    Terminated,
    /// Nothing happened to it for as long as the hub keeps deliveries.
    Removed,
}

/// Who ended a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EndedBy {
    /// Who addressed it.
    Sender,
    /// Whom it was for.
    Recipient,
    /// The hub.
    Hub,
}

/// An addressed delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressedRecord {
    /// Later ones have greater ones.
    pub number: u64,
    /// Its id.
    pub delivery: [u8; 16],
    /// Who addressed it.
    pub sender: PersonId,
    /// Their handle.
    pub from: String,
    /// The device that sends.
    pub account: AccountKey,
    /// Whom it is for.
    pub recipient: PersonId,
    /// Their handle.
    pub to: String,
    /// Hash of the token that the recipient shows.
    pub token: [u8; 32],
    /// How many segments it has.
    pub segments: u64,
    /// Bytes of the plain stream.
    pub bytes: u64,
    /// Files in it.
    pub files: u64,
    /// Bytes of the largest of them.
    pub largest: u64,
    /// How it stands.
    pub state: DeliveryState,
    /// Since when.
    pub since: u64,
    /// When it was addressed.
    pub created: u64,
    /// When bytes moved first.
    pub started: Option<u64>,
    /// When it was over.
    pub finished: Option<u64>,
    /// When something happened to it last.
    pub used: u64,
    /// Segments that the recipient had when that was noted last.
    pub verified: u64,
    /// How often it went on after an interruption.
    pub restarts: u64,
    /// Who ended it and why, before it was through.
    pub ended: Option<(EndedBy, String)>,
}

/// A delivery to be addressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAddressed {
    /// Its id.
    pub delivery: [u8; 16],
    /// Who addresses it.
    pub sender: PersonId,
    /// Their handle.
    pub from: String,
    /// With which device.
    pub account: AccountKey,
    /// To whom.
    pub to: String,
    /// The recipient's list that the letters are for.
    pub list: u64,
    /// What opens it, sealed for each device.
    pub letters: Vec<(AccountKey, Vec<u8>)>,
    /// Hash of the token that the recipient will show.
    pub token: [u8; 32],
    /// How many segments it has.
    pub segments: u64,
    /// Bytes of the plain stream.
    pub bytes: u64,
    /// Files in it.
    pub files: u64,
    /// Bytes of the largest of them.
    pub largest: u64,
    /// The time.
    pub now: u64,
}

/// For how much there is room before one recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressRoom {
    /// Deliveries of one sender that are not over.
    pub waiting: u32,
    /// Senders who wait for a decision.
    pub senders: u32,
}

/// What came of addressing a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddressOutcome {
    /// It is new.
    Now(Box<AddressedRecord>),
    /// It was addressed with these values before.
    Before(Box<AddressedRecord>),
    /// There is one with this id and other values.
    Conflict,
    /// Nobody is called so.
    Nobody,
    /// The recipient does not let the sender in, or too many others wait for an answer.
    Refused,
    /// The letters are for other devices than those on the recipient's newest list.
    OtherDevices,
    /// As many of this sender wait as may.
    TooMany,
}

/// A change that is noted of a delivery that runs or may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliveryNote {
    /// How it stands: waiting, running or received.
    pub state: DeliveryState,
    /// Segments that the recipient has.
    pub verified: u64,
}

/// Somebody who is no contact and has addressed something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingRecord {
    /// Their handle.
    pub handle: String,
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// Where they work.
    pub organisation: String,
    /// When the first of their deliveries came.
    pub since: u64,
    /// How many wait.
    pub deliveries: u64,
}

/// Both sides of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sides {
    /// Its id.
    pub delivery: [u8; 16],
    /// Who addressed it.
    pub sender: PersonId,
    /// Whom it is for.
    pub recipient: PersonId,
}

/// Addressed deliveries.
#[async_trait]
pub trait Addressed: Send + Sync {
    /// Keeps a delivery for its recipient, whose policy decides; whoever changes the policy at the same time
    /// does so before or after.
    async fn address(
        &self,
        new: &NewAddressed,
        room: AddressRoom,
    ) -> Result<AddressOutcome, DbError>;

    /// The delivery with this id, over or not.
    async fn addressed(&self, delivery: &[u8; 16]) -> Result<Option<AddressedRecord>, DbError>;

    /// Up to `limit` deliveries that are addressed to a person, the newest first, each with what opens it
    /// on the device with this key.
    async fn inbox(
        &self,
        person: PersonId,
        key: &AccountKey,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<(AddressedRecord, Option<Vec<u8>>)>, DbError>;

    /// Up to `limit` deliveries of everybody, the newest first; those that are over only `with_over`.
    async fn all_addressed(
        &self,
        before: Option<u64>,
        with_over: bool,
        limit: u32,
    ) -> Result<Vec<AddressedRecord>, DbError>;

    /// Up to `limit` deliveries that a person addressed, the newest first.
    async fn outbox(
        &self,
        person: PersonId,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<AddressedRecord>, DbError>;

    /// Notes a change of a delivery that waits or runs; its sides. One that is received loses its letters.
    async fn note_delivery(
        &self,
        delivery: &[u8; 16],
        note: DeliveryNote,
        now: u64,
    ) -> Result<Option<Sides>, DbError>;

    /// Notes that the recipient of a delivery that waits or runs has everything, and keeps what they signed;
    /// its sides. It loses its letters.
    async fn receive_addressed(
        &self,
        delivery: &[u8; 16],
        receipt: &[u8],
        now: u64,
    ) -> Result<Option<Sides>, DbError>;

    /// What the recipient of a delivery signed, sealed for its sender.
    async fn delivery_receipt(&self, delivery: &[u8; 16]) -> Result<Option<Vec<u8>>, DbError>;

    /// Ends a delivery that is not over, with its letters; its sides.
    async fn end_addressed(
        &self,
        delivery: &[u8; 16],
        by: EndedBy,
        reason: &str,
        now: u64,
    ) -> Result<Option<Sides>, DbError>;

    /// What ran when the hub before stopped waits.
    async fn stop_running(&self, now: u64) -> Result<(), DbError>;

    /// Senders who wait for a decision of a person, the longest first.
    async fn pending_senders(&self, person: PersonId) -> Result<Vec<PendingRecord>, DbError>;

    /// Up to `limit` people of whom something waits for a person.
    async fn senders_waiting(&self, person: PersonId, limit: u32)
    -> Result<Vec<PersonId>, DbError>;

    /// Removes up to `limit` deliveries, with their letters, to which nothing has happened since
    /// `idle_since`; the sides of those. Forgets the ones that were over before `over_before`.
    async fn sweep_addressed(
        &self,
        idle_since: u64,
        over_before: u64,
        limit: u32,
        now: u64,
    ) -> Result<Vec<Sides>, DbError>;
}
