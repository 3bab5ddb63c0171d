//! `GET /v1/names/{team}/{name}/head`: the newest release and the statement that it is.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use hub_api::{Base64Bytes, NewestRelease};

use crate::app::App;
use crate::caller::{Segments, Visitor};
use crate::conditional;
use crate::refusal::Refusal;

pub(crate) async fn head(
    State(app): State<Arc<App>>,
    Visitor(caller): Visitor,
    segments: Segments,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let name = segments.visible(&app, &caller).await?;
    let release = app.db.latest_release(name.id).await?.ok_or_else(Refusal::not_found)?;
    if release.head.is_empty() {
        // Taken over from another hub: there is nobody here who says that it is the newest.
        return Err(Refusal::not_found());
    }
    let newest = NewestRelease {
        manifest: Base64Bytes(release.manifest),
        head: Base64Bytes(release.head),
        delegation: app.db.delegation(name.id).await?.map(Base64Bytes),
    };
    Ok(conditional::json(&headers, &newest))
}
