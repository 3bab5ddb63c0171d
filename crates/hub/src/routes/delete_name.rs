//! `DELETE /v1/names/{team}/{name}`: a name with all its releases and grants.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use community::CommunityId;
use hub_db::NameRecord;
use serde_json::json;

use crate::acts::{Act, Outcome};
use crate::app::App;
use crate::caller::{Member, Segments};
use crate::communities::{forbidden, may_use};
use crate::refusal::Refusal;

/// Chunks that nothing else needs go with the next collection.
pub(crate) async fn delete_name(
    State(app): State<Arc<App>>,
    Member(account): Member,
    segments: Segments,
) -> Result<StatusCode, Refusal> {
    let name = segments.administered(&app, &account).await?;
    if is_in_use(&app, &name).await? {
        return Err(forbidden("it is the feed of a publisher whom a roster names"));
    }
    let act = Act::new(&app, &account, "delete-name", &name.name)
        .with(json!({ "latest": name.latest }))
        .taking_away();
    let done = async move {
        app.db.delete_name(name.id).await?;
        Ok(Outcome::Changed(StatusCode::NO_CONTENT))
    };
    act.run(done).await
}

/// A feed begins with release 1, and targets remember where it was: one that began anew would be
/// refused by all of them.
async fn is_in_use(app: &App, name: &NameRecord) -> Result<bool, Refusal> {
    let text = name.name.parse().map_err(|_| Refusal::not_found())?;
    Ok(CommunityId::is_reserved(&text) && may_use(app, &text, &name.owner_key).await?)
}
