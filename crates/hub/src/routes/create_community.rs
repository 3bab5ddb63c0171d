//! `POST /v1/communities`: a community begins with its first charter.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use hub_api::CharterDocument;
use serde_json::json;

use crate::acts::{Act, Outcome};
use crate::app::App;
use crate::body::Json;
use crate::caller::Member;
use crate::communities::{conflict, first_charter, forbidden, key_of, public_key, refused};
use crate::files::unix_now;
use crate::refusal::Refusal;

/// Rosters make accounts, so only whom an operator has invited to publish may begin one, and only
/// one's own.
pub(crate) async fn create_community(
    State(app): State<Arc<App>>,
    Member(account): Member,
    Json(document): Json<CharterDocument>,
) -> Result<StatusCode, Refusal> {
    let signed = document.charter.0;
    let charter = first_charter(&account, &signed)?;
    if charter.expires <= unix_now() {
        return Err(refused("it has expired"));
    }
    if !charter.managers.keys.contains(&public_key(&account.key)) {
        return Err(forbidden("managers of the charter only"));
    }
    let key = key_of(&charter.community);
    let act = Act::new(&app, &account, "create-community", charter.community)
        .with(json!({ "managers": charter.managers.keys.len() }));
    let done = async move {
        if app.db.create_community(&key, &signed, None, unix_now()).await? {
            return Ok(Outcome::Changed(StatusCode::NO_CONTENT));
        }
        // The same once more: its answer was lost.
        if app.db.charters(&key, 0, 1).await? == [signed] {
            return Ok(Outcome::Unchanged(StatusCode::NO_CONTENT));
        }
        Err(conflict("there is a community of this id"))
    };
    act.run(done).await
}
