//! `GET /v1/me/book`: the calling person's address book.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};

use crate::app::App;
use crate::people::{PersonCaller, book_document};
use crate::refusal::Refusal;

pub(crate) async fn read_book(
    State(app): State<Arc<App>>,
    caller: PersonCaller,
) -> Result<Response, Refusal> {
    let book = book_document(app.db.book(caller.person).await?);
    Ok(([(header::CACHE_CONTROL, "no-store")], axum::Json(book)).into_response())
}
