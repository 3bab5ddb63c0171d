//! `PUT /v1/me/password`: another password.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use hub_api::{PasswordChange, PersonNews, ProblemCode};

use crate::acts::{Act, Outcome};
use crate::app::App;
use crate::body::Json;
use crate::files::unix_now;
use crate::peer::Peer;
use crate::people::{Handle, PersonCaller, check_password, network_of, try_password};
use crate::refusal::Refusal;

/// By who knows the old one; a wrong one counts as a failed login. Devices on no list are logged out: whoever
/// knew the old one may have made them.
pub(crate) async fn put_password(
    State(app): State<Arc<App>>,
    caller: PersonCaller,
    peer: Peer,
    headers: HeaderMap,
    Json(change): Json<PasswordChange>,
) -> Result<StatusCode, Refusal> {
    check_password(&change.new.0)?;
    let handle: Handle =
        caller.handle.parse::<Handle>().map_err(|error| Refusal::internal(&error))?;
    let network = network_of(peer.client(&headers, &app.trusted_proxies));
    let tried = try_password(&app, &handle, change.old.0, &network).await?;
    let new = app.people.passwords.hash(change.new.0).await?;
    let act = Act::new(&app, &caller.account, "change-password", &handle).taking_away();
    let (db, person) = (Arc::clone(&app.db), caller.person);
    let done = async move {
        let changed = db.change_password(person, &tried.hash, &new, unix_now()).await?;
        changed.ok_or_else(|| Refusal::new(ProblemCode::LoginRefused, ""))?;
        Ok(Outcome::Changed(()))
    };
    act.run(done).await?;
    app.people.presence.tell(caller.person, PersonNews::Devices);
    Ok(StatusCode::NO_CONTENT)
}
