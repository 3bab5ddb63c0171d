//! `PUT /v1/me`: what the calling person tells of themselves.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use hub_api::PersonDetails;

use crate::app::App;
use crate::body::Json;
use crate::people::{PersonCaller, check_details};
use crate::refusal::Refusal;

pub(crate) async fn put_me(
    State(app): State<Arc<App>>,
    caller: PersonCaller,
    Json(details): Json<PersonDetails>,
) -> Result<StatusCode, Refusal> {
    app.db.put_details(caller.person, &check_details(details)?).await?;
    Ok(StatusCode::NO_CONTENT)
}
