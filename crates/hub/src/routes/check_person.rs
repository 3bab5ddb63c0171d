//! `GET /v1/people/{handle}/check?bytes=&largest=`: whether somebody can be sent something.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use hub_api::{RecipientAnswer, RecipientCheck};
use hub_db::{DeviceRecord, Entry, Person, SenderPolicy};
use serde::Deserialize;

use crate::app::App;
use crate::caller::Segments;
use crate::files::unix_now;
use crate::people::{PersonCaller, online};
use crate::refusal::Refusal;

/// What is to be sent.
#[derive(Deserialize)]
pub(crate) struct Size {
    bytes: Option<u64>,
    largest: Option<u64>,
}

/// Who was not let in learns nothing of whether and where the other one is.
pub(crate) async fn check_person(
    State(app): State<Arc<App>>,
    caller: PersonCaller,
    segments: Segments,
    size: Result<Query<Size>, QueryRejection>,
) -> Result<Response, Refusal> {
    let (Query(size), handle) = (size?, segments.handle()?);
    let check = match app.db.person(handle.as_str()).await? {
        Some(person) => check(&app, &caller, &person, &size).await?,
        None => {
            app.people.unknown.count(caller.person, 1, unix_now())?;
            RecipientCheck { answer: RecipientAnswer::Unknown, since: None }
        }
    };
    Ok(([(header::CACHE_CONTROL, "no-store")], axum::Json(check)).into_response())
}

async fn check(
    app: &App,
    caller: &PersonCaller,
    person: &Person,
    size: &Size,
) -> Result<RecipientCheck, Refusal> {
    let told = |answer| Ok(RecipientCheck { answer, since: None });
    let entry = app.db.entry(person.id, &caller.handle).await?;
    match (entry, person.policy) {
        (Some(Entry::Contact), _) => {}
        _ if caller.person == person.id => {}
        (Some(Entry::Blocked), _) | (None, SenderPolicy::BlockAll) => {
            return told(RecipientAnswer::Blocked);
        }
        (None, SenderPolicy::AddressBook) => return told(RecipientAnswer::PendingApproval),
    }
    let online: Option<u64> = online(app, [person.id]).await?.remove(&person.id);
    if online.is_none() && person.first_online.is_none() {
        return told(RecipientAnswer::NeverOnline);
    }
    let devices = app.db.devices(person.id).await?;
    let since = online.or(person.last_online);
    let answer = match room(&devices, size) {
        Some(lacks) => lacks,
        None if online.is_some() => RecipientAnswer::Ready,
        None => RecipientAnswer::Offline,
    };
    Ok(RecipientCheck { answer, since })
}

/// What none of the devices has room for, of those that said what they have.
fn room(devices: &[DeviceRecord], size: &Size) -> Option<RecipientAnswer> {
    let (bytes, largest) = (size.bytes.unwrap_or(0), size.largest.unwrap_or(0));
    let listed = devices.iter().filter(|device| device.is_listed);
    let said: Vec<(u64, u64)> = listed.filter_map(|device| device.room).collect();
    let fits = said.iter().any(|(free, most)| bytes <= *free && largest <= *most);
    if said.is_empty() || fits {
        return None;
    }
    let is_too_much = said.iter().all(|(free, _)| bytes > *free);
    Some(if is_too_much { RecipientAnswer::DiskFull } else { RecipientAnswer::FileTooLarge })
}

#[cfg(test)]
mod tests {
    use hub_db::AccountKey;

    use super::*;

    #[test]
    fn it_fits_when_one_device_on_the_list_takes_it() {
        let device =
            |is_listed, room| DeviceRecord { key: AccountKey([1; 32]), since: 0, is_listed, room };
        let size = Size { bytes: Some(100), largest: Some(50) };
        assert_eq!(room(&[device(true, None)], &size), None, "nobody said");
        assert_eq!(room(&[device(true, Some((99, 99)))], &size), Some(RecipientAnswer::DiskFull));
        assert_eq!(
            room(&[device(true, Some((100, 49)))], &size),
            Some(RecipientAnswer::FileTooLarge)
        );
        let one_of_two = [device(true, Some((9, 9))), device(true, Some((100, 50)))];
        assert_eq!(room(&one_of_two, &size), None);
        let unlisted = [device(true, Some((9, 99))), device(false, Some((100, 50)))];
        assert_eq!(room(&unlisted, &size), Some(RecipientAnswer::DiskFull));
    }
}
