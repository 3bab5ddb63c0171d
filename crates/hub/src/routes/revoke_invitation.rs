//! `DELETE /v1/invitations/{id}`: takes an invitation back.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;

use crate::acts::{Act, Outcome};
use crate::app::App;
use crate::caller::{Administrator, Segments};
use crate::refusal::Refusal;

/// Accounts that it made stay.
pub(crate) async fn revoke_invitation(
    State(app): State<Arc<App>>,
    Administrator(account): Administrator,
    segments: Segments,
) -> Result<StatusCode, Refusal> {
    let id: u32 = segments.parse("id")?;
    let act = Act::new(&app, &account, "revoke-invitation", id);
    let done = async move {
        if !app.db.revoke_invitation(i64::from(id)).await? {
            return Err(Refusal::not_found());
        }
        Ok(Outcome::Changed(StatusCode::NO_CONTENT))
    };
    act.run(done).await
}
