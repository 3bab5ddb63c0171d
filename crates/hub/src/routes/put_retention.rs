//! `PUT /v1/names/{team}/{name}/retention`: says which releases are kept.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use hub_api::Retention;
use serde_json::json;

use crate::acts::{Act, Outcome};
use crate::app::App;
use crate::body::Json;
use crate::caller::{Member, Segments};
use crate::refusal::Refusal;

pub(crate) async fn put_retention(
    State(app): State<Arc<App>>,
    Member(account): Member,
    segments: Segments,
    Json(retention): Json<Retention>,
) -> Result<StatusCode, Refusal> {
    let name = segments.owned(&app, &account).await?;
    let Retention { last, days } = retention;
    if last == Some(0) || days == Some(0) {
        return Err(Refusal::malformed("a rule keeps at least one release or one day"));
    }
    let act = Act::new(&app, &account, "retention", &name.name).with(json!(retention));
    let done = async move {
        app.db.set_retention(name.id, &hub_db::Retention { last, days }).await?;
        Ok(Outcome::Changed(StatusCode::NO_CONTENT))
    };
    act.run(done).await
}
