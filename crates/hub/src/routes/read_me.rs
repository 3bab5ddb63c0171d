//! `GET /v1/me`: the calling person.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use hub_api::MyPerson;
use hub_db::{Account, Details, Totals};

use crate::app::App;
use crate::people::{DeviceCaller, my_person};
use crate::refusal::Refusal;

/// For devices on no list, too, which learn no more than whether they stand on one by now.
pub(crate) async fn read_me(
    State(app): State<Arc<App>>,
    caller: DeviceCaller,
) -> Result<Response, Refusal> {
    let me = me(&app, &caller.handle, &caller.account, caller.is_listed).await?;
    Ok(([(header::CACHE_CONTROL, "no-store")], axum::Json(me)).into_response())
}

/// What a device is told of its person.
pub(super) async fn me(
    app: &App,
    handle: &str,
    account: &Account,
    is_listed: bool,
) -> Result<MyPerson, Refusal> {
    let mut person = app.db.person(handle).await?.ok_or_else(Refusal::not_found)?;
    let lists = app.db.device_lists(person.id).await?;
    let mut devices = app.db.devices(person.id).await?;
    let totals = match is_listed {
        true => app.db.totals(person.id).await?,
        false => Totals::default(),
    };
    if !is_listed {
        person.details = Details::default();
        devices.retain(|device| device.key == account.key);
    }
    Ok(my_person(person, lists, &devices, totals))
}
