//! `DELETE /v1/accounts/{key}`: revokes an account, at once.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;

use crate::acts::{Act, Outcome};
use crate::app::App;
use crate::caller::{Administrator, Segments};
use crate::files::unix_now;
use crate::refusal::Refusal;
use hub_api::{Hex, ProblemCode};

/// Its sessions, tokens, event streams and running fetches end; its names stay.
pub(crate) async fn revoke_account(
    State(app): State<Arc<App>>,
    Administrator(account): Administrator,
    segments: Segments,
) -> Result<StatusCode, Refusal> {
    let key = segments.key()?;
    if key == account.key {
        // Or a hub could be left without an administrator by a slip.
        return Err(Refusal::new(ProblemCode::Forbidden, "nobody revokes their own account"));
    }
    let act = Act::new(&app, &account, "revoke-account", Hex(key.0)).taking_away();
    let done = async move {
        if !app.db.revoke_account(&key, unix_now()).await? {
            return Err(Refusal::not_found());
        }
        Ok(Outcome::Changed(StatusCode::NO_CONTENT))
    };
    act.run(done).await
}
