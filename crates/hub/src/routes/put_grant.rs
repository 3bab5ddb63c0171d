//! `PUT /v1/names/{team}/{name}/grants/{key}`: lets a key read a name.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use hub_api::{GivenGrant, GrantSettings, Hex, ProblemCode};
use serde_json::json;

use crate::acts::{Act, Outcome};
use crate::app::App;
use crate::body::Json;
use crate::caller::{Member, Segments};
use crate::communities::refuse_feed;
use crate::refusal::Refusal;

/// The key need not be registered yet; it must be before it can read. A publisher who becomes a
/// reader loses something, so memories are dropped.
pub(crate) async fn put_grant(
    State(app): State<Arc<App>>,
    Member(account): Member,
    segments: Segments,
    Json(settings): Json<GrantSettings>,
) -> Result<StatusCode, Refusal> {
    let name = segments.owned(&app, &account).await?;
    refuse_feed(&name.name)?;
    let key = segments.key()?;
    if key == name.owner_key {
        return Err(Refusal::new(ProblemCode::Forbidden, "the owner has every right already"));
    }
    let act = Act::new(&app, &account, "grant", &name.name)
        .with(json!({ "key": Hex(key.0), "grant": settings.grant }))
        .taking_away();
    let done = async move {
        match settings.grant {
            GivenGrant::Reader => app.db.add_reader(&name.name, &key).await?,
        }
        Ok(Outcome::Changed(StatusCode::NO_CONTENT))
    };
    act.run(done).await
}
