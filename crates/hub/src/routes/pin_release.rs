//! `PUT` and `DELETE /v1/names/{team}/{name}/releases/{sequence}/pin`: whether retention leaves a
//! release alone.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use serde_json::json;

use crate::acts::{Act, Outcome};
use crate::app::App;
use crate::caller::{Member, Segments};
use crate::refusal::Refusal;

pub(crate) async fn pin_release(
    State(app): State<Arc<App>>,
    Member(account): Member,
    segments: Segments,
) -> Result<StatusCode, Refusal> {
    set(app, &account, &segments, true).await
}

pub(crate) async fn unpin_release(
    State(app): State<Arc<App>>,
    Member(account): Member,
    segments: Segments,
) -> Result<StatusCode, Refusal> {
    set(app, &account, &segments, false).await
}

async fn set(
    app: Arc<App>,
    account: &hub_db::Account,
    segments: &Segments,
    pinned: bool,
) -> Result<StatusCode, Refusal> {
    let name = segments.owned(&app, account).await?;
    let sequence: u64 = segments.parse("sequence")?;
    let action = if pinned { "pin" } else { "unpin" };
    let act = Act::new(&app, account, action, &name.name).with(json!({ "release": sequence }));
    let done = async move {
        if !app.db.set_pinned(name.id, sequence, pinned).await? {
            return Err(Refusal::not_found());
        }
        Ok(Outcome::Changed(StatusCode::NO_CONTENT))
    };
    act.run(done).await
}
