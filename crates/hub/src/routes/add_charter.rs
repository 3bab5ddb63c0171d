//! `POST /v1/communities/{community}/charters`: the next charter, which may be the last.

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

/// Who manages no more sees and changes nothing any more, so memories are dropped. With the last charter
/// everything goes that the hub has of the community, but the charters: its peers read the end there.
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
        CharterError::BrokenChain { .. }
        | CharterError::Forked { .. }
        | CharterError::Ended { .. } => conflict(error),
        CharterError::Signatures(_) | CharterError::OtherCommunity { .. } => refused(error),
    })?;
    // Those before the newest may have: the roster that counts is under the newest.
    if next.expires <= unix_now() && community.record.mirror.is_none() {
        return Err(refused("it has expired"));
    }
    let action = if next.ended { "end-community" } else { "charter" };
    let act = Act::new(&app, &account, action, community.id)
        .with(json!({ "number": next.number, "managers": next.managers.keys.len() }))
        .taking_away();
    let done = async move {
        let key = &community.key;
        let done = match next.ended {
            true => app.db.end_community(key, next.number, &signed, unix_now()).await?,
            false => app.db.add_charter(key, next.number, &signed).await?,
        };
        if !done {
            return Err(conflict(format!("there is a charter {} by now", next.number)));
        }
        app.bus.changed(community.key);
        Ok(Outcome::Changed(StatusCode::NO_CONTENT))
    };
    act.run(done).await
}
