//! `PUT /v1/names/{team}/{name}/owner`: gives a name to another account.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use hub_api::{OwnerSettings, ProblemCode};
use hub_db::AccountKey;
use serde_json::json;

use crate::acts::{Act, Outcome};
use crate::app::App;
use crate::body::Json;
use crate::caller::{Member, Segments};
use crate::communities::refuse_feed;
use crate::refusal::Refusal;

/// The owner until now keeps no right.
pub(crate) async fn transfer_name(
    State(app): State<Arc<App>>,
    Member(account): Member,
    segments: Segments,
    Json(settings): Json<OwnerSettings>,
) -> Result<StatusCode, Refusal> {
    let name = segments.administered(&app, &account).await?;
    if name.owner_key.0 == settings.key.0 {
        // The owner's list of publishers goes on.
        return Ok(StatusCode::NO_CONTENT);
    }
    refuse_feed(&name.name)?;
    let act = Act::new(&app, &account, "transfer", &name.name)
        .with(json!({ "to": settings.key }))
        .taking_away();
    let done = async move {
        if !app.db.transfer_name(name.id, &AccountKey(settings.key.0)).await? {
            let why = "the key has no publisher's account in force";
            return Err(Refusal::new(ProblemCode::Forbidden, why));
        }
        Ok(Outcome::Changed(StatusCode::NO_CONTENT))
    };
    act.run(done).await
}
