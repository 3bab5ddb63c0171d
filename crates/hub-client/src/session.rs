//! Sessions: opened by proving the node's key on a challenge, renewed before they end.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use documents::{NodeKey, SessionProof};
use hub_api::{
    ChallengeRequest, ChallengeResponse, Hex, ProblemCode, SessionRequest, SessionResponse, limits,
    routes,
};
use hyper::header::{AUTHORIZATION, HeaderValue};
use hyper::{Method, Response};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::error::ClientError;
use crate::exchange::{Call, Exchange, is_answer};
use crate::incoming::{Incoming, refusal};

/// How long before its end a session is renewed: longer than a request waits for its head.
const RENEWAL_MARGIN: Duration = Duration::from_mins(1);
/// Least time a session is used, so that clocks that disagree do not make one per request; a
/// session that the hub ends earlier is renewed when it says so.
const RENEWAL_INTERVAL_MIN: Duration = Duration::from_secs(30);

const OPENING: &str = "open a session";

/// What a call wants of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// The route takes none.
    Nothing,
    /// Public things can be read without one.
    Wanted,
    /// Without one the hub refuses.
    Required,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Unknown,
    /// The hub does not know the key; only public things can be read.
    NotRegistered,
    Open {
        token: HeaderValue,
        renew_at: Instant,
    },
}

/// The session of one client.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    /// Held while a session is opened, so that concurrent calls open one together.
    state: Mutex<State>,
}

impl Sessions {
    /// Forgets what is known of the hub's opinion of the key.
    pub(crate) async fn forget(&self) {
        *self.state.lock().await = State::Unknown;
    }

    async fn forget_token(&self, refused: &HeaderValue) {
        let mut state = self.state.lock().await;
        // Another call may have opened a new session meanwhile.
        if matches!(&*state, State::Open { token, .. } if token == refused) {
            *state = State::Unknown;
        }
    }

    async fn token(
        &self,
        exchange: &Exchange,
        need: Need,
    ) -> Result<Option<HeaderValue>, ClientError> {
        if need == Need::Nothing || exchange.key.is_none() {
            return Ok(None);
        }
        let mut state = self.state.lock().await;
        match &*state {
            State::Open { token, renew_at } if Instant::now() < *renew_at => {
                return Ok(Some(token.clone()));
            }
            State::NotRegistered if need == Need::Wanted => return Ok(None),
            State::Open { .. } | State::NotRegistered | State::Unknown => {}
        }
        match open(exchange).await {
            Ok((token, lifetime)) => {
                let renew_at = Instant::now() + lifetime;
                *state = State::Open { token: token.clone(), renew_at };
                Ok(Some(token))
            }
            Err(error) if error.code() == Some(ProblemCode::NotRegistered) => {
                *state = State::NotRegistered;
                if need == Need::Wanted { Ok(None) } else { Err(error) }
            }
            Err(error) => Err(error),
        }
    }

    /// Opens a session unless one is open.
    pub(crate) async fn open(&self, exchange: &Exchange) -> Result<(), ClientError> {
        self.token(exchange, Need::Required).await.map(drop)
    }

    /// Makes the call within a session where there can be one; opens a new one, once, when the
    /// hub does not take the old one any more.
    ///
    /// # Errors
    /// Also when the hub's answer is a problem or a redirect.
    pub(crate) async fn call(
        &self,
        exchange: &Exchange,
        call: &Call,
        need: Need,
    ) -> Result<Response<Incoming>, ClientError> {
        let mut renewed = false;
        loop {
            let mut call = call.clone();
            let token = self.token(exchange, need).await?;
            if let Some(token) = &token {
                call.headers.insert(AUTHORIZATION, token.clone());
            }
            let response = exchange.send(&call).await?;
            if is_answer(&call, response.status()) {
                return Ok(response);
            }
            let error = refusal(response, exchange.timeouts.document).await;
            match (&token, error.code()) {
                (Some(token), Some(ProblemCode::SessionExpired | ProblemCode::SessionRequired))
                    if !renewed =>
                {
                    self.forget_token(token).await;
                    renewed = true;
                }
                _ => return Err(error),
            }
        }
    }
}

async fn open(exchange: &Exchange) -> Result<(HeaderValue, Duration), ClientError> {
    match prove(exchange).await {
        // A hub that was restarted in between has forgotten the challenge: once more tells.
        Err(error) if error.code() == Some(ProblemCode::ProofRefused) => prove(exchange).await,
        opened => opened,
    }
}

/// Answers a challenge of the hub; the answer is used up by its first arrival.
pub(crate) async fn answer_challenge(
    exchange: &Exchange,
    key: &NodeKey,
    purpose: &'static str,
) -> Result<SessionRequest, ClientError> {
    let public = key.public();
    let asked = Hex(*public.as_bytes());
    let call = Call::new(Method::POST, routes::SESSION_CHALLENGE, purpose)
        .json(&ChallengeRequest { key: asked });
    let ChallengeResponse { challenge } = exchange.json(&call).await?;
    let hub = exchange.hub_identity();
    let proof = SessionProof { hub, challenge: challenge.0, key: public }.sign(key);
    Ok(SessionRequest { key: asked, proof: proof.into() })
}

async fn prove(exchange: &Exchange) -> Result<(HeaderValue, Duration), ClientError> {
    let key = exchange.key.as_ref().expect("callers checked that there is a key");
    let answer = answer_challenge(exchange, key, OPENING).await?;
    let call = Call::new(Method::POST, routes::SESSIONS, OPENING).json(&answer).once();
    let session: SessionResponse = exchange.json(&call).await?;
    exchange.versions.note(exchange.base(), session.clients);
    let mut token = HeaderValue::from_str(&format!("Bearer {}", session.token.0))
        .expect("base64url is fit for a header");
    token.set_sensitive(true);
    Ok((token, usable_for(session.expires, unix_now())))
}

/// How long to use a session before it is renewed.
fn usable_for(expires: u64, now: u64) -> Duration {
    let left = Duration::from_secs(expires.saturating_sub(now));
    left.saturating_sub(RENEWAL_MARGIN).clamp(RENEWAL_INTERVAL_MIN, limits::SESSION_LIFETIME)
}

fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_renewed_in_time_whatever_the_clocks_say() {
        assert_eq!(usable_for(1_900, 1_000), Duration::from_secs(840));
        assert_eq!(usable_for(1_000, 5_000), RENEWAL_INTERVAL_MIN);
        assert_eq!(usable_for(u64::MAX, 0), limits::SESSION_LIFETIME);
    }
}
