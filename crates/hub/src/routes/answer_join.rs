//! `PUT /v1/communities/{community}/joins/{id}/answer`: the machine's answer to a challenge.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use community::JoinAnswer;
use hub_api::{Hex, JoinDocument};
use hub_db::{CommunityKey, JoinStep};

use super::knock::{JOIN_REQUEST_BYTES_MAX, must_be_small};
use crate::app::App;
use crate::body::Json;
use crate::caller::Segments;
use crate::communities::{Community, conflict, refused};
use crate::files::unix_now;
use crate::refusal::Refusal;

/// For whoever knows the id; the signature tells that it is the machine.
pub(crate) async fn answer_join(
    State(app): State<Arc<App>>,
    segments: Segments,
    Json(document): Json<JoinDocument, JOIN_REQUEST_BYTES_MAX>,
) -> Result<StatusCode, Refusal> {
    let id: Hex<32> = segments.parse("id")?;
    let community = Community::find(&app, &segments).await?;
    let record = app.db.join(&community.key, &id.0).await?.ok_or_else(Refusal::not_found)?;
    let challenge = record.challenge.ok_or_else(|| conflict("there is no challenge yet"))?;
    let answer = document.document.0;
    must_be_small(&answer)?;
    JoinAnswer::open(&answer, &community.charter, &record.request, &challenge).map_err(refused)?;
    let step = app.db.answer_join(&community.key, &id.0, &answer, unix_now()).await?;
    stepped(&app, &community.key, step)
}

/// Tells what came of a step, and others that there was one.
pub(super) fn stepped(
    app: &App,
    community: &CommunityKey,
    step: JoinStep,
) -> Result<StatusCode, Refusal> {
    match step {
        JoinStep::Now => {
            app.bus.joined(*community);
            Ok(StatusCode::NO_CONTENT)
        }
        JoinStep::Before => Ok(StatusCode::NO_CONTENT),
        JoinStep::OutOfTurn => Err(conflict("the joining is over, or another step was taken")),
        JoinStep::NoJoining => Err(Refusal::not_found()),
    }
}
