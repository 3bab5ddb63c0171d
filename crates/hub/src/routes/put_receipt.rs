//! `PUT /v1/names/{team}/{name}/releases/{sequence}/receipts/{key}`: a target is done with a release.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use community::{Address, CommunityId, SignedReceipt};
use documents::DocumentHash;
use hub_api::limits::RECEIPT_BYTES_MAX;
use hub_db::{AccountKey, Answerable, Answered, CommunityKey, NameId};

use crate::app::App;
use crate::body::BoundedBody;
use crate::caller::{Segments, SessionKey, not_registered};
use crate::communities::{forbidden, key_of, public_key, refused};
use crate::files::unix_now;
use crate::refusal::Refusal;

/// By the target or a relay: the signature tells whose it is. The first one stands, and repeating it
/// changes nothing.
pub(crate) async fn put_receipt(
    State(app): State<Arc<App>>,
    session: Result<SessionKey, Refusal>,
    segments: Segments,
    request: Request,
) -> Result<StatusCode, Refusal> {
    // A refusal before the body is read leaves a connection that cannot be used again.
    let SessionKey(key) = session.map_err(Refusal::closing)?;
    let answering = Answering::at(&app, &segments, key).await.map_err(Refusal::closing)?;
    let _turn = app.turn(&app.uploads).await.map_err(Refusal::closing)?;
    let body = BoundedBody::new(request, RECEIPT_BYTES_MAX, app.limits.idle_time)?;
    let signed = body.whole().await?;
    let Answering { entry, community, ref address, target, owner } = answering;
    SignedReceipt::open(&signed, address, entry.1).map_err(refused)?;
    match app.db.answer_entry(entry, &target, &signed, unix_now()).await? {
        Answered::Now => {
            app.bus.answered(community, owner);
            Ok(StatusCode::NO_CONTENT)
        }
        Answered::Before => Ok(StatusCode::NO_CONTENT),
        Answered::NotQueued => Err(Refusal::not_found()),
    }
}

/// What a target says something of: a release that may wait for it.
pub(super) struct Answering {
    pub(super) entry: (NameId, u64),
    pub(super) community: CommunityKey,
    /// What its document must be bound to.
    pub(super) address: Address,
    pub(super) target: AccountKey,
    pub(super) owner: AccountKey,
}

impl Answering {
    /// What the path names, if the account with this key may bring the target's word there. Asked of the
    /// database every time and at once: a thousand targets may answer together.
    pub(super) async fn at(
        app: &App,
        segments: &Segments,
        key: AccountKey,
    ) -> Result<Self, Refusal> {
        let (sequence, target) = (segments.parse("sequence")?, segments.key()?);
        let name = segments.name()?;
        let feed = CommunityId::of_feed(&name);
        let (community, publisher) = feed.ok_or_else(Refusal::not_found)?;
        let (id, owner, hash) = match app.db.answerable(&key, name.as_str(), sequence).await? {
            Answerable::Release { name, owner, hash } => (name, owner, hash),
            Answerable::NotFound => return Err(Refusal::not_found()),
            Answerable::NoAccount => return Err(not_registered()),
        };
        let address = Address {
            community,
            manifest: DocumentHash::from_bytes(hash),
            publisher,
            target: public_key(&target),
        };
        let community = key_of(&community);
        if key != target {
            let peer = app.db.member(&community, &key).await?;
            if !peer.is_some_and(|peer| peer.roles.relay) {
                return Err(forbidden("the target itself or a relay only"));
            }
        }
        Ok(Self { entry: (id, sequence), community, address, target, owner })
    }
}
