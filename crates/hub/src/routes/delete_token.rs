//! `DELETE /v1/tokens/{id}`: ends a machine token, at once.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use hub_db::{Role, TokenId};
use serde_json::json;

use crate::acts::{Act, Outcome};
use crate::app::App;
use crate::caller::{Member, Segments};
use crate::refusal::Refusal;

/// One of the caller's own; an administrator may end any.
pub(crate) async fn delete_token(
    State(app): State<Arc<App>>,
    Member(account): Member,
    segments: Segments,
) -> Result<StatusCode, Refusal> {
    let id: u32 = segments.parse("id")?;
    let owner = (account.role < Role::Administrator).then_some(account.id);
    let act = Act::new(&app, &account, "revoke-token", id).with(json!({})).taking_away();
    let done = async move {
        if !app.db.revoke_token(TokenId::from_number(i64::from(id)), owner).await? {
            return Err(Refusal::not_found());
        }
        Ok(Outcome::Changed(StatusCode::NO_CONTENT))
    };
    act.run(done).await
}
