//! `POST /v1/sessions/challenge`: something to sign.

use std::sync::Arc;

use axum::extract::State;
use hub_api::{ChallengeRequest, ChallengeResponse, Hex};

use crate::app::App;
use crate::body::Json;
use crate::files::unix_now;
use crate::refusal::Refusal;

/// Answers every key alike, so that nobody learns which keys are registered.
pub(crate) async fn challenge(
    State(app): State<Arc<App>>,
    Json(request): Json<ChallengeRequest>,
) -> Result<axum::Json<ChallengeResponse>, Refusal> {
    let challenge = app.challenges.issue(&request.key.0, unix_now())?;
    Ok(axum::Json(ChallengeResponse { challenge: Hex(challenge) }))
}
