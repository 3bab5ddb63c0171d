//! `PUT /v1/me/room`: what the calling device has room for.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use hub_api::DeviceRoom;

use crate::app::App;
use crate::body::Json;
use crate::people::PersonCaller;
use crate::refusal::Refusal;

pub(crate) async fn put_room(
    State(app): State<Arc<App>>,
    caller: PersonCaller,
    Json(DeviceRoom { free, largest }): Json<DeviceRoom>,
) -> Result<StatusCode, Refusal> {
    app.db.put_room(caller.account.id, free, largest).await?;
    Ok(StatusCode::NO_CONTENT)
}
