//! `POST /v1/sessions`: a proof of a key buys a token bound to it.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use documents::{PublicKey, SessionProof, SessionToken};
use hub_api::limits::SESSION_LIFETIME;
use hub_api::{Base64Bytes, Hidden, ProblemCode, SessionRequest, SessionResponse};
use hub_db::AccountKey;

use crate::addresses::counted_as;
use crate::app::App;
use crate::body::Json;
use crate::caller::not_registered;
use crate::challenges;
use crate::files::unix_now;
use crate::peer::Peer;
use crate::refusal::Refusal;

pub(crate) async fn open_session(
    State(app): State<Arc<App>>,
    peer: Peer,
    headers: HeaderMap,
    Json(request): Json<SessionRequest>,
) -> Result<axum::Json<SessionResponse>, Refusal> {
    let now = unix_now();
    let proved = prove(&app, &request, now)?;
    match (app.db.account(&AccountKey(request.key.0)).await?, &app.guests) {
        (Some(account), _) if account.revoked.is_none() => {}
        (None, Some(guests)) => {
            guests.let_in(counted_as(peer.client(&headers, &app.trusted_proxies)))?;
        }
        (Some(_) | None, _) => return Err(not_registered()),
    }
    proved.redeem(&app, now).await?;
    Ok(axum::Json(proved.issue(&app, now)))
}

/// A key that was proved over a challenge that is open.
pub(super) struct Proved {
    key: PublicKey,
    challenge: [u8; 32],
}

/// Looks at the proof of a key.
pub(super) fn prove(app: &App, request: &SessionRequest, now: u64) -> Result<Proved, Refusal> {
    let key = PublicKey::from_bytes(request.key.0);
    let proof = SessionProof::open(&request.proof.0, &key)?;
    if proof.hub != app.identity {
        return Err(Refusal::new(ProblemCode::ProofRefused, "made for another hub"));
    }
    if !app.challenges.is_open(&proof.challenge, &request.key.0, now) {
        return Err(Refusal::new(ProblemCode::ProofRefused, "the challenge is not open"));
    }
    Ok(Proved { key, challenge: proof.challenge })
}

impl Proved {
    /// Uses the challenge up.
    pub(super) async fn redeem(&self, app: &App, now: u64) -> Result<(), Refusal> {
        let is_first = match app.cluster.has_others() {
            true => app.db.answer_challenge(&self.challenge, challenges::ends(now), now).await?,
            false => app.challenges.redeem(self.challenge, now),
        };
        match is_first {
            true => Ok(()),
            false => Err(Refusal::new(ProblemCode::ProofRefused, "the challenge was used")),
        }
    }

    /// A token for the key.
    pub(super) fn issue(&self, app: &App, now: u64) -> SessionResponse {
        let expires = now + SESSION_LIFETIME.as_secs();
        let token =
            SessionToken { issuer: app.public_key, subject: self.key, issued: now, expires };
        SessionResponse {
            token: Hidden(Base64Bytes(token.issue(&app.key))),
            expires,
            clients: app.clients.told(),
        }
    }
}
