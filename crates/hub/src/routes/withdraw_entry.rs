//! `DELETE /v1/names/{team}/{name}/releases/{sequence}/targets/{key}`: a release that waits here for
//! nothing more.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;

use crate::app::App;
use crate::caller::{Member, Segments};
use crate::communities::Feed;
use crate::refusal::Refusal;

/// It was answered at another hub, or taken back there. One that is gone is no failure.
pub(crate) async fn withdraw_entry(
    State(app): State<Arc<App>>,
    Member(account): Member,
    segments: Segments,
) -> Result<StatusCode, Refusal> {
    let (sequence, target) = (segments.parse::<u64>("sequence")?, segments.key()?);
    let feed = Feed::mirrored(&app, &segments, &account).await?;
    app.db.withdraw_entry((feed.name.id, sequence), &target).await?;
    Ok(StatusCode::NO_CONTENT)
}
