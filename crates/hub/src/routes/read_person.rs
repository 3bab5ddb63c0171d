//! `GET /v1/people/{handle}`: what people see of another one.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};

use crate::app::App;
use crate::caller::Segments;
use crate::files::unix_now;
use crate::people::{PersonCaller, person_card};
use crate::refusal::Refusal;

/// A handle that nobody has counts: names cannot be tried one after another.
pub(crate) async fn read_person(
    State(app): State<Arc<App>>,
    caller: PersonCaller,
    segments: Segments,
) -> Result<Response, Refusal> {
    let handle = segments.handle()?;
    let Some(person) = app.db.person(handle.as_str()).await? else {
        app.people.unknown.count(caller.person, 1, unix_now())?;
        return Err(Refusal::not_found());
    };
    let lists = app.db.device_lists(person.id).await?;
    let card = person_card(person, lists);
    Ok(([(header::CACHE_CONTROL, "no-store")], axum::Json(card)).into_response())
}
