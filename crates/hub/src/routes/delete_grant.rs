//! `DELETE /v1/names/{team}/{name}/grants/{key}`: takes a grant back, at once.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use hub_api::Hex;
use serde_json::json;

use crate::acts::{Act, Outcome};
use crate::app::App;
use crate::caller::{Member, Segments};
use crate::communities::refuse_feed;
use crate::refusal::Refusal;

/// Says the same whether there was a grant or not: afterwards there is none.
pub(crate) async fn delete_grant(
    State(app): State<Arc<App>>,
    Member(account): Member,
    segments: Segments,
) -> Result<StatusCode, Refusal> {
    let name = segments.owned(&app, &account).await?;
    refuse_feed(&name.name)?;
    let key = segments.key()?;
    let act = Act::new(&app, &account, "ungrant", &name.name)
        .with(json!({ "key": Hex(key.0) }))
        .taking_away();
    let done = async move {
        let outcome = match app.db.remove_grant(&name.name, &key).await? {
            true => Outcome::Changed,
            false => Outcome::Unchanged,
        };
        Ok(outcome(StatusCode::NO_CONTENT))
    };
    act.run(done).await
}
