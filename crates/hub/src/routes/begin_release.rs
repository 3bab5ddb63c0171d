//! `PUT /v1/names/{team}/{name}/releases/{sequence}/targets/{key}`: a target begins with a release.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use community::Beginning;
use hub_api::BeginningDocument;

use super::put_receipt::Answering;
use crate::app::App;
use crate::body::Json;
use crate::caller::{Member, Segments};
use crate::communities::refused;
use crate::files::unix_now;
use crate::refusal::Refusal;

/// By the target or a relay: that it runs is the target's word, and the signature tells whose it is. The
/// first one stands, and what does not wait for it is not begun.
pub(crate) async fn begin_release(
    State(app): State<Arc<App>>,
    Member(account): Member,
    segments: Segments,
    Json(document): Json<BeginningDocument>,
) -> Result<StatusCode, Refusal> {
    let Answering { entry, community, address, target, owner } =
        Answering::at(&app, &segments, account.key).await?;
    let signed = document.beginning.0;
    let beginning = Beginning::open(&signed, &address, entry.1).map_err(refused)?;
    let begun = beginning.since(0, unix_now());
    if app.db.begin_entry(entry, &target, &signed, begun).await? {
        // Its publisher asks for what came back, and sees it; so does whoever passes that on.
        app.bus.answered(community, owner);
    }
    Ok(StatusCode::NO_CONTENT)
}
