//! `DELETE /v1/communities/{community}/admissions/{admission}`: gives a peer's place up.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use hub_api::Hex;
use serde_json::json;

use crate::acts::{Act, Outcome};
use crate::app::App;
use crate::caller::{Member, Segments};
use crate::communities::Community;
use crate::refusal::Refusal;

/// Says the same whether there was one or not: afterwards there is none.
pub(crate) async fn delete_admission(
    State(app): State<Arc<App>>,
    Member(account): Member,
    segments: Segments,
) -> Result<StatusCode, Refusal> {
    let admission: Hex<16> = segments.parse("admission")?;
    let community = Community::managed(&app, &segments, &account).await?;
    let act = Act::new(&app, &account, "withdraw-admission", community.id)
        .with(json!({ "admission": admission }));
    let done = async move {
        let outcome = match app.db.withdraw_admission(&community.key, &admission.0).await? {
            true => Outcome::Changed,
            false => Outcome::Unchanged,
        };
        Ok(outcome(StatusCode::NO_CONTENT))
    };
    act.run(done).await
}
