//! `PUT /v1/me`: what the calling person tells of themselves.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use hub_api::{DetailsChange, ProblemCode};

use crate::acts::{Act, Outcome};
use crate::app::App;
use crate::body::Json;
use crate::peer::Peer;
use crate::people::{Handle, PersonCaller, check_details, network_of, try_password};
use crate::refusal::Refusal;

const PASSWORD_NEEDED: &str =
    "another e-mail address takes the password: codes for lost passwords go there";

/// Another e-mail address is for who knows the password, which a device alone does not; a wrong one counts as a failed
/// login.
pub(crate) async fn put_me(
    State(app): State<Arc<App>>,
    caller: PersonCaller,
    peer: Peer,
    headers: HeaderMap,
    Json(change): Json<DetailsChange>,
) -> Result<StatusCode, Refusal> {
    let details = check_details(change.details)?;
    let known = app.db.person(&caller.handle).await?.ok_or_else(Refusal::not_found)?;
    if known.details.email == details.email {
        app.db.put_details(caller.person, &details).await?;
        return Ok(StatusCode::NO_CONTENT);
    }
    let password =
        change.password.ok_or_else(|| Refusal::new(ProblemCode::LoginRefused, PASSWORD_NEEDED))?;
    let handle: Handle =
        caller.handle.parse::<Handle>().map_err(|error| Refusal::internal(&error))?;
    let network = network_of(peer.client(&headers, &app.trusted_proxies));
    try_password(&app, &handle, password.0, &network).await?;
    let act = Act::new(&app, &caller.account, "change-email", &handle);
    let (db, person) = (Arc::clone(&app.db), caller.person);
    let done = async move {
        db.put_details(person, &details).await?;
        Ok(Outcome::Changed(()))
    };
    act.run(done).await?;
    Ok(StatusCode::NO_CONTENT)
}
