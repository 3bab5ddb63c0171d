//! People and what is addressed to them, as rows hold them.

use super::{hash, unsigned};
use crate::{
    AccountKey, AddressedRecord, DbError, DeliveryState, Details, DeviceRecord, EndedBy,
    NewAddressed, PendingRecord, Person, PersonId, SenderPolicy, Sides,
};

/// id, handle, first name, last name, organisation, address, email, created, policy, first online, last
/// online
pub(crate) type PersonRow =
    (i64, String, String, String, String, String, String, i64, i64, Option<i64>, Option<i64>);

pub(crate) fn person(row: PersonRow) -> Result<Person, DbError> {
    let (id, handle, first_name, last_name, organisation, address, email, created, ..) = row;
    let (code, first_online, last_online) = (row.8, row.9, row.10);
    Ok(Person {
        id: PersonId(id),
        handle,
        details: Details { first_name, last_name, organisation, address, email },
        created: unsigned(created)?,
        policy: policy(code)?,
        first_online: first_online.map(unsigned).transpose()?,
        last_online: last_online.map(unsigned).transpose()?,
    })
}

pub(crate) fn policy_code(policy: SenderPolicy) -> i64 {
    match policy {
        SenderPolicy::AddressBook => 0,
        SenderPolicy::BlockAll => 1,
    }
}

pub(crate) fn policy(code: i64) -> Result<SenderPolicy, DbError> {
    match code {
        0 => Ok(SenderPolicy::AddressBook),
        1 => Ok(SenderPolicy::BlockAll),
        _ => Err(DbError::Damaged("an unknown policy")),
    }
}

/// key, since, listed, free, largest
pub(crate) type DeviceRow = (Vec<u8>, i64, bool, Option<i64>, Option<i64>);

pub(crate) fn device(
    (key, since, is_listed, free, largest): DeviceRow,
) -> Result<DeviceRecord, DbError> {
    let room = free.zip(largest);
    let room = room.map(|(free, largest)| Ok::<_, DbError>((unsigned(free)?, unsigned(largest)?)));
    Ok(DeviceRecord {
        key: AccountKey(hash(key)?),
        since: unsigned(since)?,
        is_listed,
        room: room.transpose()?,
    })
}

pub(crate) fn keys(rows: Vec<Vec<u8>>) -> Result<Vec<AccountKey>, DbError> {
    rows.into_iter().map(|key| Ok(AccountKey(hash(key)?))).collect()
}

/// The columns that [`addressed!`] reads, of `addressed d` with both people.
macro_rules! addressed_columns {
    () => {
        "d.number, d.delivery, d.sender, s.handle AS from_handle, d.account, d.recipient,
         r.handle AS to_handle, d.token, d.segments, d.bytes, d.files, d.largest, d.state, d.since,
         d.created, d.started, d.finished, d.used, d.verified, d.restarts, d.ended_by, d.reason"
    };
}
pub(crate) use addressed_columns;

/// A delivery from a row of either database, which has more columns than a tuple may.
macro_rules! addressed {
    ($row:expr) => {{
        let row = &$row;
        let number = |name: &str| crate::stored::unsigned(sqlx::Row::try_get(row, name)?);
        let perhaps = |name: &str| {
            let found: Option<i64> = sqlx::Row::try_get(row, name)?;
            found.map(crate::stored::unsigned).transpose()
        };
        let ended_by: Option<i64> = sqlx::Row::try_get(row, "ended_by")?;
        let reason: Option<String> = sqlx::Row::try_get(row, "reason")?;
        let ended = match ended_by.zip(reason) {
            Some((by, reason)) => Some((crate::stored::ended_by(by)?, reason)),
            None => None,
        };
        crate::AddressedRecord {
            number: number("number")?,
            delivery: crate::stored::delivery_id(sqlx::Row::try_get(row, "delivery")?)?,
            sender: crate::PersonId(sqlx::Row::try_get(row, "sender")?),
            from: sqlx::Row::try_get(row, "from_handle")?,
            account: crate::AccountKey(crate::stored::hash(sqlx::Row::try_get(row, "account")?)?),
            recipient: crate::PersonId(sqlx::Row::try_get(row, "recipient")?),
            to: sqlx::Row::try_get(row, "to_handle")?,
            token: crate::stored::hash(sqlx::Row::try_get(row, "token")?)?,
            segments: number("segments")?,
            bytes: number("bytes")?,
            files: number("files")?,
            largest: number("largest")?,
            state: crate::stored::delivery_state(sqlx::Row::try_get(row, "state")?)?,
            since: number("since")?,
            created: number("created")?,
            started: perhaps("started")?,
            finished: perhaps("finished")?,
            used: number("used")?,
            verified: number("verified")?,
            restarts: number("restarts")?,
            ended,
        }
    }};
}
pub(crate) use addressed;

pub(crate) fn delivery_id(bytes: Vec<u8>) -> Result<[u8; 16], DbError> {
    bytes.try_into().map_err(|_| DbError::Damaged("an id of a delivery that is not 16 bytes"))
}

pub(crate) fn state_code(state: DeliveryState) -> i64 {
    match state {
        DeliveryState::PendingApproval => 0,
        DeliveryState::Waiting => 1,
        DeliveryState::Running => 2,
        DeliveryState::Received => 3,
        DeliveryState::Terminated => 4,
        DeliveryState::Removed => 5,
    }
}

pub(crate) fn delivery_state(code: i64) -> Result<DeliveryState, DbError> {
    match code {
        0 => Ok(DeliveryState::PendingApproval),
        1 => Ok(DeliveryState::Waiting),
        2 => Ok(DeliveryState::Running),
        3 => Ok(DeliveryState::Received),
        4 => Ok(DeliveryState::Terminated),
        5 => Ok(DeliveryState::Removed),
        _ => Err(DbError::Damaged("an unknown state of a delivery")),
    }
}

pub(crate) fn ended_by_code(by: EndedBy) -> i64 {
    match by {
        EndedBy::Sender => 0,
        EndedBy::Recipient => 1,
        EndedBy::Hub => 2,
    }
}

pub(crate) fn ended_by(code: i64) -> Result<EndedBy, DbError> {
    match code {
        0 => Ok(EndedBy::Sender),
        1 => Ok(EndedBy::Recipient),
        2 => Ok(EndedBy::Hub),
        _ => Err(DbError::Damaged("an unknown side of a delivery")),
    }
}

/// delivery, sender, recipient
pub(crate) type SidesRow = (Vec<u8>, i64, i64);

pub(crate) fn sides((delivery, sender, recipient): SidesRow) -> Result<Sides, DbError> {
    let (sender, recipient) = (PersonId(sender), PersonId(recipient));
    Ok(Sides { delivery: delivery_id(delivery)?, sender, recipient })
}

/// handle, first name, last name, organisation, since, deliveries
pub(crate) type PendingRow = (String, String, String, String, i64, i64);

pub(crate) fn pending(row: PendingRow) -> Result<PendingRecord, DbError> {
    let (handle, first_name, last_name, organisation, since, deliveries) = row;
    let (since, deliveries) = (unsigned(since)?, unsigned(deliveries)?);
    Ok(PendingRecord { handle, first_name, last_name, organisation, since, deliveries })
}

/// What a book with these entries and this policy makes of a sender's delivery; `None` when they are
/// refused.
pub(crate) fn admitted(
    policy: SenderPolicy,
    is_contact: bool,
    is_blocked: bool,
) -> Option<DeliveryState> {
    match (policy, is_contact, is_blocked) {
        (_, _, true) | (SenderPolicy::BlockAll, false, false) => None,
        (_, true, false) => Some(DeliveryState::Waiting),
        (SenderPolicy::AddressBook, false, false) => Some(DeliveryState::PendingApproval),
    }
}

/// Whether a delivery was addressed with these values.
pub(crate) fn is_same(known: &AddressedRecord, new: &NewAddressed) -> bool {
    (known.sender, known.account, known.token) == (new.sender, new.account, new.token)
        && known.to == new.to
        && [known.segments, known.bytes, known.files, known.largest]
            == [new.segments, new.bytes, new.files, new.largest]
}
