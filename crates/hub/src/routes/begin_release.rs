//! `PUT /v1/names/{team}/{name}/releases/{sequence}/targets/{key}`: a target begins with a release.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use community::CommunityId;
use hub_db::Answerable;

use crate::app::App;
use crate::caller::{Member, Segments, not_registered};
use crate::communities::{forbidden, key_of};
use crate::files::unix_now;
use crate::refusal::Refusal;

/// By the target alone, of itself: that it runs is its own word. The first time stands, and what does
/// not wait for it is not begun.
pub(crate) async fn begin_release(
    State(app): State<Arc<App>>,
    Member(account): Member,
    segments: Segments,
) -> Result<StatusCode, Refusal> {
    let key = account.key;
    let (sequence, target) = (segments.parse::<u64>("sequence")?, segments.key()?);
    let feed = segments.name()?;
    let (community, _) = CommunityId::of_feed(&feed).ok_or_else(Refusal::not_found)?;
    let (name, owner) = match app.db.answerable(&key, feed.as_str(), sequence).await? {
        Answerable::Release { name, owner, .. } => (name, owner),
        Answerable::NotFound => return Err(Refusal::not_found()),
        Answerable::NoAccount => return Err(not_registered()),
    };
    if key != target {
        return Err(forbidden("the target itself only"));
    }
    if app.db.begin_entry((name, sequence), &target, unix_now()).await? {
        // Its publisher asks for what came back, and sees it.
        app.bus.answered(key_of(&community), owner);
    }
    Ok(StatusCode::NO_CONTENT)
}
