//! `PUT /v1/names/{team}/{name}/releases/{sequence}/mirrored`: a release of a community that is passed
//! on to this hub.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use community::CommunityId;
use documents::Manifest;
use hub_api::ManifestDocument;
use hub_db::{AccountKey, NamePut, NameRecord, PublishError, Retention};

use super::publish::{new_release, present_closure};
use crate::app::App;
use crate::body::Json;
use crate::caller::{Member, Segments};
use crate::communities::{Mirrored, refused};
use crate::files::unix_now;
use crate::refusal::Refusal;

/// What waits is kept anyway; of the rest the newest, so that the next costs what changed.
const KEPT: Retention = Retention { last: Some(1), days: None };

/// Its publisher signed it, and is one by the roster; nothing that the mirror says is believed.
pub(crate) async fn mirror_release(
    State(app): State<Arc<App>>,
    Member(account): Member,
    segments: Segments,
    Json(document): Json<ManifestDocument>,
) -> Result<StatusCode, Refusal> {
    let sequence: u64 = segments.parse("sequence")?;
    let Mirrored { community, publisher } = Mirrored::at(&app, &segments, &account).await?;
    let signed = document.manifest.0;
    let (release, hash) = Manifest::open(&signed, &publisher).map_err(refused)?;
    if release.sequence != sequence || release.name != community.id.feed(&publisher) {
        return Err(refused("it is another release than its path says"));
    }
    let roster = community.roster()?.ok_or_else(Refusal::not_found)?;
    if !roster.publishers.contains_key(&publisher) {
        return Err(refused("the roster does not name its publisher"));
    }
    let owner = AccountKey(*publisher.as_bytes());
    let name = feed(&app, &community.id, &owner).await?;
    let _turn = app.turn(&app.publishes).await?;
    let _kept = app.publishing.read().await;
    let closure = present_closure(&app, &(&account).into(), &release).await?;
    // It comes without a head: see `hub_db::NewRelease::head`.
    let new = new_release(name.id, &release, (*hash.as_bytes(), signed), Vec::new(), &closure);
    // Something the closure names may have been taken in and never acknowledged.
    app.store.flush().await?;
    match app.db.mirror_release(&new, &closure.ids).await {
        Ok(true) => tracing::info!(sequence, chunks = closure.ids.len(), "took a release over"),
        Ok(false) => {}
        Err(PublishError::WrongPrevious) => {
            return Err(refused("another release has its number: its publisher signed both"));
        }
        Err(
            error @ (PublishError::NotNext { .. } | PublishError::NoName | PublishError::Db(_)),
        ) => {
            return Err(error.into());
        }
    }
    Ok(StatusCode::NO_CONTENT)
}

/// The feed as it is here, made when it is not: it belongs to its publisher, whose account the roster
/// has made.
async fn feed(app: &App, id: &CommunityId, owner: &AccountKey) -> Result<NameRecord, Refusal> {
    let name = id.feed(&documents::PublicKey::from_bytes(owner.0));
    let account = app.db.account(owner).await?.ok_or_else(Refusal::not_found)?;
    let put = app.db.put_name(name.as_str(), account.id, false, unix_now()).await?;
    let record = app.db.name(name.as_str(), &(&account).into()).await?;
    let record = record.ok_or_else(Refusal::not_found)?;
    match put {
        NamePut::Created => app.db.set_retention(record.id, &KEPT).await?,
        NamePut::Updated | NamePut::OwnedByAnother => {}
    }
    Ok(record)
}
