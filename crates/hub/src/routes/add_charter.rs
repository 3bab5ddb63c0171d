//! `POST /v1/communities/{community}/charters`: the next charter.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use community::CharterError;
use hub_api::CharterDocument;
use serde_json::json;

use crate::acts::{Act, Outcome};
use crate::app::App;
use crate::body::Json;
use crate::caller::{Member, Segments};
use crate::communities::{Community, conflict, refused};
use crate::files::unix_now;
use crate::refusal::Refusal;

/// Who manages no more sees and changes nothing any more, so memories are dropped.
pub(crate) async fn add_charter(
    State(app): State<Arc<App>>,
    Member(account): Member,
    segments: Segments,
    Json(document): Json<CharterDocument>,
) -> Result<StatusCode, Refusal> {
    let signed = document.charter.0;
    let community = Community::handed_in(&app, &segments, &account).await?;
    if community.record.signed_charter == signed {
        return Ok(StatusCode::NO_CONTENT);
    }
    let next = community.charter.follow(&signed).map_err(|error| match error {
        CharterError::BrokenChain { .. } | CharterError::Forked { .. } => conflict(error),
        CharterError::Signatures(_) | CharterError::OtherCommunity { .. } => refused(error),
    })?;
    // Those before the newest may have: the roster that counts is under the newest.
    if next.expires <= unix_now() && community.record.mirror.is_none() {
        return Err(refused("it has expired"));
    }
    let act = Act::new(&app, &account, "charter", community.id)
        .with(json!({ "number": next.number, "managers": next.managers.keys.len() }))
        .taking_away();
    let done = async move {
        if !app.db.add_charter(&community.key, next.number, &signed).await? {
            return Err(conflict(format!("there is a charter {} by now", next.number)));
        }
        app.bus.changed(community.key);
        Ok(Outcome::Changed(StatusCode::NO_CONTENT))
    };
    act.run(done).await
}
