//! `DELETE /v1/me/devices/{key}`: logs out a device that stands on no list.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use hub_api::{Hex, PersonNews};

use crate::acts::{Act, Outcome};
use crate::app::App;
use crate::caller::Segments;
use crate::files::unix_now;
use crate::people::DeviceCaller;
use crate::refusal::Refusal;

/// By itself, or by a device on the list. One on the list goes with the next list.
pub(crate) async fn delete_device(
    State(app): State<Arc<App>>,
    caller: DeviceCaller,
    segments: Segments,
) -> Result<StatusCode, Refusal> {
    let key = segments.key()?;
    let (account, person) = (caller.account.clone(), caller.person);
    if key != account.key {
        caller.listed()?;
    }
    let act = Act::new(&app, &account, "log-out", Hex(key.0)).taking_away();
    let db = Arc::clone(&app.db);
    let done = async move {
        match db.remove_device(person, &key, unix_now()).await? {
            true => Ok(Outcome::Changed(())),
            false => Err(Refusal::not_found()),
        }
    };
    act.run(done).await?;
    app.people.presence.tell(person, PersonNews::Devices);
    Ok(StatusCode::NO_CONTENT)
}
