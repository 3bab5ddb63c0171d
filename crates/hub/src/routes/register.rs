//! `POST /v1/registrations`: an invitation makes an account of a key.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use documents::{PublicKey, Registration};
use hub_api::{ProblemCode, RegistrationRequest, RegistrationResponse};
use hub_db::AccountKey;

use crate::app::App;
use crate::body::Json;
use crate::files::unix_now;
use crate::invite::secret_hash;
use crate::peer::Peer;
use crate::people::network_of;
use crate::refusal::Refusal;

pub(crate) async fn register(
    State(app): State<Arc<App>>,
    peer: Peer,
    headers: HeaderMap,
    Json(request): Json<RegistrationRequest>,
) -> Result<axum::Json<RegistrationResponse>, Refusal> {
    let key = PublicKey::from_bytes(request.key.0);
    let secret = request.secret.0.0;
    let proof = Registration::open(&request.proof.0, &key)?;
    if proof.hub != app.identity || proof.secret != secret {
        return Err(Refusal::new(ProblemCode::ProofRefused, "made for another hub or invitation"));
    }
    let network = network_of(peer.client(&headers, &app.trusted_proxies));
    let (account, now) = (AccountKey(request.key.0), unix_now());
    let account = app.db.register(&account, &secret_hash(&secret), &network, now).await?;
    tracing::info!(key = %key, role = ?account.role, "registered");
    // Sixteen digits of the key: short enough to say, long enough to tell accounts apart.
    let handle = request.key.to_string()[..16].to_owned();
    Ok(axum::Json(RegistrationResponse { handle }))
}
