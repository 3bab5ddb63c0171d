//! `POST /v1/names/{team}/{name}/releases/{sequence}/envelopes`: addresses a release to targets.

use std::sync::Arc;

use axum::extract::State;
use hub_api::limits::{ENVELOPE_BYTES_MAX, ENVELOPES_MAX};
use hub_api::{Envelopes, Queued};
use hub_db::{AccountKey, NewEntry};

use crate::app::App;
use crate::body::Json;
use crate::caller::{Member, Segments};
use crate::communities::{Feed, key_of};
use crate::files::unix_now;
use crate::refusal::Refusal;

/// Repeating it changes nothing; who is no target of the community gets none. What an envelope says
/// the hub cannot tell: it is the target's to open.
pub(crate) async fn enqueue(
    State(app): State<Arc<App>>,
    Member(account): Member,
    segments: Segments,
    Json(asked): Json<Envelopes>,
) -> Result<axum::Json<Queued>, Refusal> {
    let sequence: u64 = segments.parse("sequence")?;
    let feed = Feed::collected(&app, &segments, &account).await?;
    if asked.envelopes.len() > ENVELOPES_MAX {
        return Err(Refusal::malformed(format!("more envelopes than {ENVELOPES_MAX}")));
    }
    if asked.envelopes.iter().any(|one| one.envelope.0.len() > ENVELOPE_BYTES_MAX) {
        return Err(Refusal::malformed(format!(
            "an envelope of more than {ENVELOPE_BYTES_MAX} bytes"
        )));
    }
    let entries: Vec<NewEntry> = asked
        .envelopes
        .into_iter()
        .map(|one| NewEntry { target: AccountKey(one.target.0), envelope: one.envelope.0 })
        .collect();
    let queued = app.db.enqueue(feed.name.id, sequence, &entries, unix_now()).await?;
    let queued = queued.ok_or_else(Refusal::not_found)?;
    if queued > 0 {
        let targets: Vec<_> = entries.into_iter().map(|entry| entry.target).collect();
        app.bus.queued(key_of(&feed.community), &targets);
    }
    Ok(axum::Json(Queued { queued }))
}
