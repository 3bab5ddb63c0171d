//! `POST /v1/recoveries`: a code by mail for who lost their password.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use hub_api::RecoveryRequest;

use crate::app::App;
use crate::body::Json;
use crate::peer::Peer;
use crate::people::{Handle, ask_recovery as ask, network_of};
use crate::refusal::Refusal;

/// The answer is the same, and as quick, whether there is such a person or not.
pub(crate) async fn ask_recovery(
    State(app): State<Arc<App>>,
    peer: Peer,
    headers: HeaderMap,
    Json(request): Json<RecoveryRequest>,
) -> Result<StatusCode, Refusal> {
    let handle: Handle =
        request.handle.parse().map_err(|error| Refusal::malformed(format!("{error}")))?;
    let network = network_of(peer.client(&headers, &app.trusted_proxies));
    ask(&app, handle, &network).await?;
    Ok(StatusCode::ACCEPTED)
}
