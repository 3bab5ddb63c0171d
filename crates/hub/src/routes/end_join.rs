//! `PUT /v1/communities/{community}/joins/{id}/end`: how a joining ends.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use community::JoinRequest;
use hub_api::limits::REASON_BYTES_MAX;
use hub_api::{Hex, JoinEnd};
use hub_db::{AccountKey, JoinOutcome};

use super::answer_join::stepped;
use super::knock::JOIN_REQUEST_BYTES_MAX;
use crate::app::App;
use crate::body::Json;
use crate::caller::{Member, Segments};
use crate::communities::{Community, conflict};
use crate::files::unix_now;
use crate::refusal::Refusal;

/// Whoever knows the id may break off; the rest is for managers. It is logged, for a machine that
/// breaks off may have met somebody who is no manager.
pub(crate) async fn end_join(
    State(app): State<Arc<App>>,
    member: Result<Member, Refusal>,
    segments: Segments,
    Json(end): Json<JoinEnd, JOIN_REQUEST_BYTES_MAX>,
) -> Result<StatusCode, Refusal> {
    let id: Hex<32> = segments.parse("id")?;
    let (community, outcome) = match end {
        JoinEnd::Aborted { reason } => {
            (Community::find(&app, &segments).await?, JoinOutcome::Aborted(reason))
        }
        JoinEnd::Refused { reason } => {
            let managed = Community::answering(&app, &segments, &member?.0).await?;
            (managed, JoinOutcome::Refused(reason))
        }
        JoinEnd::Admitted => {
            let managed = Community::answering(&app, &segments, &member?.0).await?;
            must_be_member(&app, &managed, &id.0).await?;
            (managed, JoinOutcome::Admitted)
        }
    };
    if let JoinOutcome::Refused(reason) | JoinOutcome::Aborted(reason) = &outcome
        && (reason.len() > REASON_BYTES_MAX || reason.chars().any(char::is_control))
    {
        let limit = format!("a reason is one line of at most {REASON_BYTES_MAX} bytes");
        return Err(Refusal::malformed(limit));
    }
    let step = app.db.end_join(&community.key, &id.0, &outcome, unix_now()).await?;
    let done = stepped(&app, &community.key, step)?;
    tracing::info!(community = %community.id, join = %id, ?outcome, "a joining ended");
    Ok(done)
}

/// Refuses to call admitted whom the roster does not have.
async fn must_be_member(app: &App, community: &Community, id: &[u8; 32]) -> Result<(), Refusal> {
    let record = app.db.join(&community.key, id).await?.ok_or_else(Refusal::not_found)?;
    let request = JoinRequest::open(&record.request).map_err(|error| Refusal::internal(&error))?;
    let key = AccountKey(*request.key.as_bytes());
    let peer = app.db.member(&community.key, &key).await?;
    if peer.is_none_or(|peer| peer.peer != request.peer.to_string()) {
        return Err(conflict("the roster does not have this machine as this peer"));
    }
    Ok(())
}
