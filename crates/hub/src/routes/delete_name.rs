//! `DELETE /v1/names/{team}/{name}`: a name with all its releases and grants.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use serde_json::json;

use crate::acts::{Act, Outcome};
use crate::app::App;
use crate::caller::{Member, Segments};
use crate::refusal::Refusal;

/// Chunks that nothing else needs go with the next collection.
pub(crate) async fn delete_name(
    State(app): State<Arc<App>>,
    Member(account): Member,
    segments: Segments,
) -> Result<StatusCode, Refusal> {
    let name = segments.administered(&app, &account).await?;
    let act = Act::new(&app, &account, "delete-name", &name.name)
        .with(json!({ "latest": name.latest }))
        .taking_away();
    let done = async move {
        app.db.delete_name(name.id).await?;
        Ok(Outcome::Changed(StatusCode::NO_CONTENT))
    };
    act.run(done).await
}
