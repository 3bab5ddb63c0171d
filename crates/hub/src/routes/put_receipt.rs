//! `PUT /v1/names/{team}/{name}/releases/{sequence}/receipts/{key}`: a target is done with a release.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use community::{Address, SignedReceipt};
use documents::DocumentHash;
use hub_api::limits::RECEIPT_BYTES_MAX;
use hub_db::{Account, AccountKey, Answered};

use crate::app::App;
use crate::body::BoundedBody;
use crate::caller::{Member, Segments};
use crate::communities::{Feed, forbidden, key_of, public_key, refused};
use crate::files::unix_now;
use crate::refusal::Refusal;

/// By the target or a relay: the signature tells whose it is. The first one stands, and repeating it
/// changes nothing.
pub(crate) async fn put_receipt(
    State(app): State<Arc<App>>,
    account: Result<Member, Refusal>,
    segments: Segments,
    request: Request,
) -> Result<StatusCode, Refusal> {
    // A refusal before the body is read leaves a connection that cannot be used again.
    let Member(account) = account.map_err(Refusal::closing)?;
    let (feed, sequence, target) =
        place(&app, &segments, &account).await.map_err(Refusal::closing)?;
    let release = app.db.release(feed.name.id, sequence).await?;
    let release = release.ok_or_else(|| Refusal::not_found().closing())?;
    let _turn = app.turn(&app.uploads).await.map_err(Refusal::closing)?;
    let body = BoundedBody::new(request, RECEIPT_BYTES_MAX, app.limits.idle_time)?;
    let signed = body.whole().await?;
    let address = Address {
        community: feed.community,
        manifest: DocumentHash::from_bytes(release.hash),
        publisher: feed.publisher,
        target: public_key(&target),
    };
    SignedReceipt::open(&signed, &address, sequence).map_err(refused)?;
    let entry = (feed.name.id, sequence);
    match app.db.answer_entry(entry, &target, &signed, unix_now()).await? {
        Answered::Now => {
            app.bus.answered(key_of(&feed.community), feed.name.owner_key);
            Ok(StatusCode::NO_CONTENT)
        }
        Answered::Before => Ok(StatusCode::NO_CONTENT),
        Answered::NotQueued => Err(Refusal::not_found()),
    }
}

/// Where the receipt is to go, if the account may bring it there.
async fn place(
    app: &App,
    segments: &Segments,
    account: &Account,
) -> Result<(Feed, u64, AccountKey), Refusal> {
    let (sequence, target) = (segments.parse("sequence")?, segments.key()?);
    let feed = Feed::visible(app, segments, account).await?;
    if account.key != target {
        let peer = app.db.member(&key_of(&feed.community), &account.key).await?;
        if !peer.is_some_and(|peer| peer.roles.relay) {
            return Err(forbidden("the target itself or a relay only"));
        }
    }
    Ok((feed, sequence, target))
}
