//! `POST /v1/mirrors`: a community whose home is another hub is passed on to this one.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use hub_api::CharterDocument;
use serde_json::json;

use crate::acts::{Act, Outcome};
use crate::app::App;
use crate::body::Json;
use crate::caller::Member;
use crate::communities::{conflict, first_charter, key_of};
use crate::files::unix_now;
use crate::refusal::Refusal;

/// Its rosters will make accounts here, so only whom an operator has invited to publish may begin it,
/// as with a community of one's own. The first charter may have expired: those that follow count.
pub(crate) async fn mirror_community(
    State(app): State<Arc<App>>,
    Member(account): Member,
    Json(document): Json<CharterDocument>,
) -> Result<StatusCode, Refusal> {
    let signed = document.charter.0;
    let charter = first_charter(&account, &signed)?;
    let key = key_of(&charter.community);
    let mirror = account.key;
    let act = Act::new(&app, &account, "mirror-community", charter.community)
        .with(json!({ "managers": charter.managers.keys.len() }));
    let done = async move {
        if app.db.create_community(&key, &signed, Some(&mirror), unix_now()).await? {
            return Ok(Outcome::Changed(StatusCode::NO_CONTENT));
        }
        // The same once more: its answer was lost.
        let is_ours = app.db.community(&key).await?.is_some_and(|it| it.mirror == Some(mirror));
        if is_ours && app.db.charters(&key, 0, 1).await? == [signed] {
            return Ok(Outcome::Unchanged(StatusCode::NO_CONTENT));
        }
        Err(conflict("there is a community of this id, managed here or passed on by another"))
    };
    act.run(done).await
}
