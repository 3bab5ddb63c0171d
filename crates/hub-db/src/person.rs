//! People: handles, passwords, and the devices that are theirs.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;

use crate::{AccountId, AccountKey, DbError};

/// How long tries of a password are remembered: longer than anybody counts them.
pub const LOGIN_MEMORY: Duration = Duration::from_hours(24);

/// Number of a person in one database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PersonId(pub(crate) i64);

impl PersonId {
    /// The person with a number that was shown to somebody.
    #[must_use]
    pub const fn from_number(number: i64) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> i64 {
        self.0
    }
}

/// What people tell of themselves.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Details {
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// Where they work.
    pub organisation: String,
    /// Postal address.
    pub address: String,
    /// E-mail address.
    pub email: String,
}

/// Whom a person lets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SenderPolicy {
    /// Contacts at once; others wait for a decision.
    #[default]
    AddressBook,
    /// Contacts alone.
    BlockAll,
}

/// A person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Their number.
    pub id: PersonId,
    /// What they are called.
    pub handle: String,
    /// What they tell of themselves.
    pub details: Details,
    /// When they registered.
    pub created: u64,
    /// Whom they let in.
    pub policy: SenderPolicy,
    /// When a device of theirs listened first.
    pub first_online: Option<u64>,
    /// When it was noted last that they came or went.
    pub last_online: Option<u64>,
}

/// A person to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPerson {
    /// What they are to be called.
    pub handle: String,
    /// Their password, hashed.
    pub password: String,
    /// What they tell of themselves.
    pub details: Details,
    /// The account that becomes their first device.
    pub account: AccountId,
    /// The first signed list of their devices.
    pub list: Vec<u8>,
    /// The time.
    pub now: u64,
}

/// What came of making a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PersonMade {
    /// There is a new one.
    Now(PersonId),
    /// Somebody is called that, or was.
    HandleTaken,
    /// The account is a device of somebody.
    IsDevice,
    /// The account is revoked.
    NoAccount,
}

/// Whose device an account is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Belonging {
    /// The person.
    pub person: PersonId,
    /// Their handle.
    pub handle: String,
    /// Whether the device stands on the newest list.
    pub is_listed: bool,
}

/// A device of a person whose account is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceRecord {
    /// Its key.
    pub key: AccountKey,
    /// When it logged in.
    pub since: u64,
    /// Whether it stands on the newest list.
    pub is_listed: bool,
    /// Free bytes and the largest file it takes, if it said.
    pub room: Option<(u64, u64)>,
}

/// What came of a login with the right password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceAdded {
    /// It is a new device.
    Now,
    /// It is one already.
    Before,
    /// Its key was revoked.
    Revoked,
    /// It is a device of somebody else.
    OfAnother,
    /// They have as many as they may have.
    TooMany,
    /// There is no such person, or the password was changed meanwhile.
    Changed,
}

/// A list of devices to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewList {
    /// Whose.
    pub person: PersonId,
    /// The list it follows: the one that must be the newest; `None` when it is the first.
    pub previous: Option<Vec<u8>>,
    /// Its number.
    pub number: u64,
    /// The list, signed.
    pub signed: Vec<u8>,
    /// The devices on it.
    pub keys: Vec<AccountKey>,
    /// The time.
    pub now: u64,
}

/// What came of a list of devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListKept {
    /// It is kept; these devices were left out and are revoked.
    Now(Vec<AccountKey>),
    /// It does not follow the newest list.
    NotNext,
    /// This key is no device of the person.
    NoDevice(AccountKey),
}

/// Whether a password may be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginTurn {
    /// It may; it counts as failed until it is known otherwise.
    Now,
    /// It was tried too often; again at this time.
    NotBefore(u64),
}

/// People and their devices.
#[async_trait]
pub trait People: Send + Sync {
    /// Makes a person of an account. Of two with one handle one is made.
    async fn create_person(&self, new: &NewPerson) -> Result<PersonMade, DbError>;

    /// The person who is called so.
    async fn person(&self, handle: &str) -> Result<Option<Person>, DbError>;

    /// Whose device an account is, while it is in force.
    async fn belonging(&self, account: AccountId) -> Result<Option<Belonging>, DbError>;

    /// Handles of the people whose devices these accounts are, up to [`LOOKUP_IDS_MAX`](crate::LOOKUP_IDS_MAX) of them.
    async fn handles(&self, accounts: &[AccountId]) -> Result<HashMap<AccountId, String>, DbError>;

    /// The hash of a person's password.
    async fn password(&self, handle: &str) -> Result<Option<String>, DbError>;

    /// Changes what a person tells of themselves.
    async fn put_details(&self, person: PersonId, details: &Details) -> Result<(), DbError>;

    /// Counts one more try of the password of `handle` from `network`, unless there were `most` of them
    /// after `since`: then nothing is counted, and the answer is the time of the oldest that counts. Of
    /// tries at the same time no more than `most` are let through.
    async fn begin_login(
        &self,
        handle: &str,
        network: &str,
        most: u32,
        since: u64,
        now: u64,
    ) -> Result<LoginTurn, DbError>;

    /// The password was right: tries from this network count no more. Those from others do.
    async fn forget_logins(&self, handle: &str, network: &str) -> Result<(), DbError>;

    /// Makes a device of a key for the person whose password's hash still is `password`. An account is
    /// made, or one in force taken; at most `most` devices in all.
    async fn add_device(
        &self,
        handle: &str,
        password: &str,
        key: &AccountKey,
        most: u32,
        now: u64,
    ) -> Result<DeviceAdded, DbError>;

    /// Replaces a password whose hash is `old` and revokes the devices that stand on no list; these.
    /// `None` when it is another one by now.
    async fn change_password(
        &self,
        person: PersonId,
        old: &str,
        new: &str,
        now: u64,
    ) -> Result<Option<Vec<AccountKey>>, DbError>;

    /// Sets a password without knowing the one before. All devices are revoked and all lists dropped: the
    /// person begins anew with the next login, as another identity. What waited for them ends, since
    /// nobody can open its letters. Their devices; `None` when nobody is called so.
    async fn reset_person(
        &self,
        handle: &str,
        password: &str,
        now: u64,
    ) -> Result<Option<Vec<AccountKey>>, DbError>;

    /// The signed lists of a person's devices, from the first on.
    async fn device_lists(&self, person: PersonId) -> Result<Vec<Vec<u8>>, DbError>;

    /// Keeps the next list. Devices that stood on the one before and not on this one are revoked.
    async fn put_list(&self, list: &NewList) -> Result<ListKept, DbError>;

    /// The devices of a person that are in force, in the order in which they came.
    async fn devices(&self, person: PersonId) -> Result<Vec<DeviceRecord>, DbError>;

    /// Revokes a device that stands on no list; whether there was one.
    async fn remove_device(
        &self,
        person: PersonId,
        key: &AccountKey,
        now: u64,
    ) -> Result<bool, DbError>;

    /// Notes what a device has room for.
    async fn put_room(&self, account: AccountId, free: u64, largest: u64) -> Result<(), DbError>;

    /// Notes that somebody came or went.
    async fn note_presence(&self, person: PersonId, now: u64) -> Result<(), DbError>;
}
