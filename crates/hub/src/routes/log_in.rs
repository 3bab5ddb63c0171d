//! `POST /v1/logins`: handle and password make a device of a key.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use hub_api::limits::DEVICES_MAX;
use hub_api::{Hex, LoginRequest, PersonNews, ProblemCode, SessionResponse};
use hub_db::{AccountKey, Actor, DeviceAdded};

use super::open_session::prove;
use crate::acts::{Act, Outcome};
use crate::app::App;
use crate::body::Json;
use crate::files::unix_now;
use crate::peer::Peer;
use crate::people::{Handle, network_of, try_password};
use crate::refusal::Refusal;

/// The device stands on no list until another one signs it in.
pub(crate) async fn log_in(
    State(app): State<Arc<App>>,
    peer: Peer,
    headers: HeaderMap,
    Json(request): Json<LoginRequest>,
) -> Result<axum::Json<SessionResponse>, Refusal> {
    let now = unix_now();
    let proved = prove(&app, &request.session, now)?;
    // Before the password: a proof is good for one try.
    proved.redeem(&app, now).await?;
    let refused = |why: &str| Refusal::new(ProblemCode::LoginRefused, why);
    let handle: Handle = request.handle.parse().map_err(|_| refused(""))?;
    let network = network_of(peer.client(&headers, &app.trusted_proxies));
    let tried = try_password(&app, &handle, request.password.0, &network).await?;

    let key = AccountKey(request.session.key.0);
    let act = Act::by(&app, Actor::Account(key), "log-in", &handle);
    let act = act.with(serde_json::json!({ "device": Hex(key.0) }));
    let (db, name) = (Arc::clone(&app.db), handle.clone());
    let done = async move {
        let most = u32::try_from(DEVICES_MAX).expect("a few");
        match db.add_device(name.as_str(), &tried.hash, &key, most, now).await? {
            DeviceAdded::Now => Ok(Outcome::Changed(true)),
            DeviceAdded::Before => Ok(Outcome::Unchanged(false)),
            DeviceAdded::Changed => Err(refused("")),
            DeviceAdded::Revoked => Err(refused("the key was revoked: log in with a new one")),
            DeviceAdded::OfAnother => Err(refused("the key is a device of somebody else")),
            DeviceAdded::TooMany => Err(refused("the person has as many devices as one may have")),
        }
    };
    if act.run(done).await? {
        let person = app.db.person(handle.as_str()).await?.ok_or_else(Refusal::not_found)?;
        app.people.presence.tell(person.id, PersonNews::Devices);
    }
    Ok(axum::Json(proved.issue(&app, now)))
}
