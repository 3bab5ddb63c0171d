//! `PUT /v1/recoveries`: a password, set with a code that came by mail.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use hub_api::{PersonNews, ProblemCode, Recovery};
use hub_db::Actor;
use serde_json::json;

use crate::acts::{Act, Outcome};
use crate::app::App;
use crate::body::Json;
use crate::files::unix_now;
use crate::peer::Peer;
use crate::people::{Handle, check_password, network_of, take_recovery};
use crate::refusal::Refusal;

/// The devices of the person stay, for a mail account is no device: what is sent to them is not readable
/// with it. Devices on no list are logged out, as with every other password.
pub(crate) async fn recover(
    State(app): State<Arc<App>>,
    peer: Peer,
    headers: HeaderMap,
    Json(recovery): Json<Recovery>,
) -> Result<StatusCode, Refusal> {
    let refused = || Refusal::new(ProblemCode::LoginRefused, "");
    check_password(&recovery.password.0)?;
    let handle: Handle = recovery.handle.parse().map_err(|_| refused())?;
    let network = network_of(peer.client(&headers, &app.trusted_proxies));
    let person = take_recovery(&app, &handle, &recovery.code.0, &network).await?;
    let new = app.people.passwords.hash(recovery.password.0).await?;
    let act = Act::by(&app, Actor::Local, "recover-password", &handle).taking_away();
    let act = act.with(json!({ "by": "a code that went to the mail address" }));
    let (db, name) = (Arc::clone(&app.db), handle.clone());
    let done = async move {
        let old = db.password(name.as_str()).await?.ok_or_else(refused)?;
        let changed = db.change_password(person, &old, &new, unix_now()).await?;
        changed.ok_or_else(refused)?;
        Ok(Outcome::Changed(()))
    };
    act.run(done).await?;
    app.db.forget_logins(handle.as_str(), &network).await?;
    app.people.presence.tell(person, PersonNews::Devices);
    Ok(StatusCode::NO_CONTENT)
}
