//! `PUT /v1/communities/{community}/joins/{id}/challenge`: a manager's challenge to a machine.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use community::JoinChallenge;
use hub_api::{Hex, JoinDocument};

use super::answer_join::stepped;
use super::knock::{JOIN_REQUEST_BYTES_MAX, must_be_small};
use crate::app::App;
use crate::body::Json;
use crate::caller::{Member, Segments};
use crate::communities::{Community, refused};
use crate::files::unix_now;
use crate::refusal::Refusal;

pub(crate) async fn challenge_join(
    State(app): State<Arc<App>>,
    Member(account): Member,
    segments: Segments,
    Json(document): Json<JoinDocument, JOIN_REQUEST_BYTES_MAX>,
) -> Result<StatusCode, Refusal> {
    let id: Hex<32> = segments.parse("id")?;
    let community = Community::answering(&app, &segments, &account).await?;
    let record = app.db.join(&community.key, &id.0).await?.ok_or_else(Refusal::not_found)?;
    let challenge = document.document.0;
    must_be_small(&challenge)?;
    JoinChallenge::open(&challenge, &community.charter, &record.request).map_err(refused)?;
    let step = app.db.challenge_join(&community.key, &id.0, &challenge, unix_now()).await?;
    stepped(&app, &community.key, step)
}
