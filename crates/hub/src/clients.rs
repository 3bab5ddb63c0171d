//! Which versions the clients of this hub are to be: told to all of them, and the oldest one that is answered.
//!
//! What is wanted stands in the database, so it is of all front-ends. A client says its version in every request, and
//! may say anything: this keeps old programs from going wrong, and nobody out.

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use hub_api::{ClientVersion, ClientVersions, ProblemCode, routes as paths};
use hub_db::{Actor, AuditEntry, DbError, HubDb, WantedClients};
use serde_json::json;

use crate::app::App;
use crate::database::{BesideError, HubData, beside};
use crate::files::unix_now;
use crate::refusal::Refusal;

/// Routes that are answered to the oldest client: by them it learns what is wrong.
const OPEN: [&str; 5] = [paths::HEALTH, paths::READY, paths::HUB, paths::ERROR, paths::OPENAPI];

/// What every request of ours says of who makes it, before the version.
const PROGRAM: &str = "consign/";

/// What is wanted of clients, as this process knows.
#[derive(Debug, Default)]
pub(crate) struct Clients(Mutex<ClientVersions>);

impl Clients {
    /// What clients are told; `None` when nothing is wanted.
    pub(crate) fn told(&self) -> Option<ClientVersions> {
        let wanted = self.wanted();
        if wanted.is_empty() { None } else { Some(wanted) }
    }

    fn wanted(&self) -> ClientVersions {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks at what is wanted now.
    pub(crate) async fn look(&self, db: &dyn HubDb) -> Result<(), DbError> {
        let wanted = versions(db.wanted_clients().await?);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = wanted;
        Ok(())
    }
}

/// What cannot be read is as if it had not been said: a newer front-end may say more.
fn versions(wanted: WantedClients) -> ClientVersions {
    let version = |text: Option<String>| text?.parse().ok();
    ClientVersions {
        newest: version(wanted.newest),
        place: wanted.place.and_then(|text| text.parse().ok()),
        minimum: version(wanted.minimum),
    }
}

/// The version that a request says it comes from; `None` from browsers and other programs.
fn version_of(headers: &HeaderMap) -> Option<ClientVersion> {
    let text = headers.get(header::USER_AGENT)?.to_str().ok()?.strip_prefix(PROGRAM)?;
    text.split(' ').next()?.parse().ok()
}

/// Refuses clients that are too old.
pub(crate) async fn let_through(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    if route.is_some_and(|route| OPEN.contains(&route)) {
        return next.run(request).await;
    }
    let wanted = app.clients.wanted();
    let found = version_of(request.headers()).and_then(|own| Some((own, wanted.too_old(own)?)));
    let Some((own, minimum)) = found else { return next.run(request).await };
    let place = wanted.at_place();
    let why = format!("this is consign {own}, and the hub answers {minimum} and newer{place}");
    Refusal::new(ProblemCode::ClientTooOld, why).closing().into_response()
}

/// Why it was not set what a hub wants of its clients.
#[derive(Debug, thiserror::Error)]
pub enum ClientsError {
    /// There is no hub, or its database cannot be used.
    #[error(transparent)]
    Hub(#[from] BesideError),
    /// The oldest version that is answered would be newer than the newest there is. Say both.
    #[error("clients cannot be {minimum} or newer when the newest is {newest}")]
    Order {
        /// The oldest that was to be answered.
        minimum: ClientVersion,
        /// The newest there is.
        newest: ClientVersion,
    },
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// What a hub wants of its clients. It works while the hub runs.
///
/// # Errors
/// See [`ClientsError`].
pub async fn wanted_clients(hub: impl Into<HubData>) -> Result<ClientVersions, ClientsError> {
    let (_, db) = beside(&hub.into()).await?;
    let wanted = db.wanted_clients().await;
    db.close().await;
    Ok(versions(wanted?))
}

/// Sets what a hub wants of its clients, at all its front-ends within seconds. It works while the hub runs.
///
/// # Errors
/// See [`ClientsError`].
pub async fn want_clients(
    hub: impl Into<HubData>,
    wanted: &ClientVersions,
) -> Result<(), ClientsError> {
    if let (Some(minimum), Some(newest)) = (wanted.minimum, wanted.newest)
        && minimum > newest
    {
        return Err(ClientsError::Order { minimum, newest });
    }
    let (_, db) = beside(&hub.into()).await?;
    let set = record_and_set(&*db, wanted).await;
    db.close().await;
    Ok(set?)
}

async fn record_and_set(db: &dyn HubDb, wanted: &ClientVersions) -> Result<(), DbError> {
    let entry = AuditEntry {
        time: unix_now(),
        actor: Actor::Local,
        action: "want-clients".to_owned(),
        subject: "hub".to_owned(),
        detail: json!(wanted).to_string(),
    };
    // Told first, so that nothing is changed unrecorded.
    db.record(&entry).await?;
    let wanted = WantedClients {
        newest: wanted.newest.map(|version| version.to_string()),
        place: wanted.place.as_ref().map(ToString::to_string),
        minimum: wanted.minimum.map(|version| version.to_string()),
    };
    db.want_clients(&wanted).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_program_says_its_version() {
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::USER_AGENT, text.parse().expect("a value"));
            version_of(&headers)
        };
        let version = ClientVersion { major: 0, minor: 1, patch: 0 };
        assert_eq!(of("consign/0.1.0"), Some(version));
        assert_eq!(of("consign/0.1.0 (linux)"), Some(version));
        for text in ["Mozilla/5.0 (X11; Linux x86_64)", "consign", "consign/", "consign/x", ""] {
            assert_eq!(of(text), None, "{text}");
        }
        assert_eq!(version_of(&HeaderMap::new()), None);
    }

    #[test]
    fn what_cannot_be_read_is_not_wanted() {
        let wanted = WantedClients {
            newest: Some("1.2.3-later".to_owned()),
            place: Some("javascript:alert(1)".to_owned()),
            minimum: Some("0.2.0".to_owned()),
        };
        let minimum = Some(ClientVersion { major: 0, minor: 2, patch: 0 });
        assert_eq!(versions(wanted), ClientVersions { minimum, ..ClientVersions::default() });
    }
}
