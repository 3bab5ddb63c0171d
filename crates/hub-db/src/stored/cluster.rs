//! Rows of front-ends.

use std::time::Duration;

use super::unsigned;
use crate::{DbError, Down, FrontEnd, FrontEndId, FrontEndSeen, Manager, Totals};

/// Id, address, whether it keeps chunks, version, start, load.
pub(crate) type FrontEndRow = (Vec<u8>, Option<String>, bool, String, i64, String);

/// A thing, and the same of the front-end that has it.
pub(crate) type HomeRow = (Vec<u8>, Vec<u8>, Option<String>, bool, String, i64, String);

/// A front-end with how many milliseconds it is silent, and whether its lease is in force.
pub(crate) type SeenRow = (Vec<u8>, Option<String>, bool, String, i64, String, i64, bool);

/// Holder, term, since, whether it is held.
pub(crate) type ManagerRow = (Vec<u8>, i64, i64, bool);

/// Sent deliveries and bytes, received deliveries and bytes.
pub(crate) type TotalsRow = (i64, i64, i64, i64);

pub(crate) fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX / 2)
}

pub(crate) fn front_end_id(bytes: Vec<u8>) -> Result<FrontEndId, DbError> {
    let bytes = bytes.try_into();
    bytes.map(FrontEndId).map_err(|_| DbError::Damaged("an id of a front-end that is not 16 bytes"))
}

pub(crate) fn front_end(row: FrontEndRow) -> Result<FrontEnd, DbError> {
    let (id, address, keeps_chunks, version, started, load) = row;
    let (id, started) = (front_end_id(id)?, unsigned(started)?);
    Ok(FrontEnd { id, address, keeps_chunks, version, started, load })
}

pub(crate) fn home(row: HomeRow) -> Result<([u8; 16], FrontEnd), DbError> {
    let (thing, id, address, keeps_chunks, version, started, load) = row;
    let thing = thing.try_into().map_err(|_| DbError::Damaged("the id of a thing"))?;
    Ok((thing, front_end((id, address, keeps_chunks, version, started, load))?))
}

pub(crate) fn seen(row: SeenRow) -> Result<FrontEndSeen, DbError> {
    let (id, address, keeps_chunks, version, started, load, silent_ms, is_live) = row;
    let front_end = front_end((id, address, keeps_chunks, version, started, load))?;
    // A clock that was set back is no silence.
    let silent = Duration::from_millis(u64::try_from(silent_ms).unwrap_or(0));
    Ok(FrontEndSeen { front_end, silent, is_live })
}

pub(crate) fn manager((holder, term, since, is_held): ManagerRow) -> Result<Manager, DbError> {
    let (holder, term, since) = (front_end_id(holder)?, unsigned(term)?, unsigned(since)?);
    Ok(Manager { holder, term, since, is_held })
}

pub(crate) fn down((since, until, why): (i64, i64, String)) -> Result<Down, DbError> {
    Ok(Down { since: unsigned(since)?, until: unsigned(until)?, why })
}

pub(crate) fn totals(row: TotalsRow) -> Result<Totals, DbError> {
    let (sent_deliveries, sent_bytes, received_deliveries, received_bytes) = row;
    Ok(Totals {
        sent_deliveries: unsigned(sent_deliveries)?,
        sent_bytes: unsigned(sent_bytes)?,
        received_deliveries: unsigned(received_deliveries)?,
        received_bytes: unsigned(received_bytes)?,
    })
}
