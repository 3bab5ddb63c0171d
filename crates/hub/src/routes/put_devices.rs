//! `PUT /v1/me/devices`: the next list of the calling person's devices.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use hub_api::{DevicesDocument, Hex, PersonNews, ProblemCode};
use hub_db::{ListKept, NewList};

use crate::acts::{Act, Outcome};
use crate::app::App;
use crate::body::Json;
use crate::files::unix_now;
use crate::people::{DeviceCaller, Handle, follow, keys_of};
use crate::refusal::Refusal;

/// By a device on the list before. Where there is none, because the person begins anew, by any device: it
/// is the one on the first list.
pub(crate) async fn put_devices(
    State(app): State<Arc<App>>,
    caller: DeviceCaller,
    Json(DevicesDocument { devices }): Json<DevicesDocument>,
) -> Result<StatusCode, Refusal> {
    let handle: Handle =
        caller.handle.parse::<Handle>().map_err(|error| Refusal::internal(&error))?;
    let lists = app.db.device_lists(caller.person).await?;
    let begins = lists.is_empty();
    let followed = follow(&handle, lists, &devices.0)?;
    let keys = keys_of(&followed.known);
    if begins && keys != [caller.account.key] {
        return Err(Refusal::new(ProblemCode::DocumentRefused, "its device is not the caller"));
    }
    let (account, person) = (caller.account.clone(), caller.person);
    if !begins {
        caller.listed()?;
    }
    let number = followed.known.list.number;
    let list = NewList {
        person,
        previous: followed.previous,
        number,
        signed: devices.0,
        keys,
        now: unix_now(),
    };
    let act = Act::new(&app, &account, "put-devices", &handle).taking_away();
    let act = act.with(serde_json::json!({ "number": number, "devices": list.keys.len() }));
    let db = Arc::clone(&app.db);
    let done = async move {
        match db.put_list(&list).await? {
            ListKept::Now(_) => Ok(Outcome::Changed(())),
            ListKept::NotNext => {
                Err(Refusal::new(ProblemCode::PersonConflict, "there is a newer list of devices"))
            }
            ListKept::NoDevice(key) => {
                let stranger = format!("{} did not log in as a device of this person", Hex(key.0));
                Err(Refusal::new(ProblemCode::DocumentRefused, stranger))
            }
        }
    };
    act.run(done).await?;
    app.people.presence.tell(person, PersonNews::Devices);
    Ok(StatusCode::NO_CONTENT)
}
