//! `POST /v1/names/{team}/{name}/releases`: a publisher's next release, or a newer head.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use community::CommunityId;
use content::{ChunkId, Closure, ClosureHead};
use documents::{Authority, DocumentError, Head, Manifest, PublicKey, ReleaseName, accept_head};
use hub_api::limits::{HAVE_IDS_MAX, MISSING_IDS_MAX};
use hub_api::{HeadDocuments, Hex, ProblemCode, ReleaseAccepted};
use hub_db::{AccountKey, Caller, Grant, NameId, NameRecord, NewRelease, Role};

use super::have_chunks::here_for;
use crate::app::App;
use crate::caller::{Publisher, Segments, is_in_force};
use crate::files::unix_now;
use crate::idempotency::Once;
use crate::refusal::Refusal;

/// Most chunks in a closure: 128 GiB at the least average size, 128 MiB of ids in memory.
const CLOSURE_CHUNKS_MAX: usize = 4 << 20;

pub(crate) async fn publish(
    State(app): State<Arc<App>>,
    Publisher(caller): Publisher,
    segments: Segments,
    request: Once<HeadDocuments>,
) -> Result<Response, Refusal> {
    let name = segments.publishable(&app, &caller).await?;
    let account = caller.account().ok_or_else(Refusal::not_found)?;
    let (documents, done) = request.split();
    let work = accept(Arc::clone(&app), caller, segments, name, documents);
    done.once(&app, account, work).await
}

async fn accept(
    app: Arc<App>,
    caller: Caller,
    segments: Segments,
    name: NameRecord,
    documents: HeadDocuments,
) -> Result<(StatusCode, ReleaseAccepted), Refusal> {
    let (manifest, head, after) = (documents.manifest.0, documents.head.0, documents.after);
    let text: ReleaseName = name.name.parse().map_err(|_| Refusal::not_found())?;
    if after.is_some() && CommunityId::of_feed(&text).is_none() {
        // Readers of other names follow the chain; targets go by what is sealed for each of them.
        return Err(refused("only the feed of a publisher in a community leaves numbers out"));
    }
    let authority = authority(&app, &name, &text, &manifest).await?;
    let accepted = accept_head(&head, &manifest, &authority, &text, None, unix_now())?;
    let (release, hash) = (accepted.manifest, *accepted.hash.as_bytes());
    let answer = ReleaseAccepted { sequence: release.sequence };

    // The newest release once more: its answer was lost, or its head is renewed.
    let latest = app.db.latest_release(name.id).await?;
    if latest.is_some_and(|latest| latest.hash == hash) {
        renew(&app, &name, &hash, &head).await?;
        return Ok((StatusCode::OK, answer));
    }

    let _turn = app.turn(&app.publishes).await?;
    let kept = app.publishing.read().await;
    let closure = present_closure(&app, &caller, &release).await?;
    let new = new_release(name.id, &release, (hash, manifest), head, &closure);
    let new = NewRelease { after, ..new };
    // Something the closure names may have been taken in and never acknowledged.
    app.store.flush().await?;
    // The chunks may have taken minutes: what was taken away meanwhile is away.
    let now = segments.publishable(&app, &caller).await?;
    if now.id != name.id {
        return Err(Refusal::not_found());
    }
    if !is_in_force(&app, &caller).await? {
        return Err(Refusal::new(ProblemCode::NotRegistered, ""));
    }
    self::authority(&app, &now, &text, &new.manifest)
        .await?
        .check(&release.publisher, release.sequence)?;
    app.db.publish(&new, &closure.ids).await?;
    drop(kept);
    app.bus.released(name.id);
    app.metrics.releases.inc();
    tracing::info!(sequence = release.sequence, chunks = closure.ids.len(), "released");
    Ok((StatusCode::CREATED, answer))
}

/// Replaces the head of the newest release unless the one that is there is as new: heads may
/// overtake each other on their way, and an old one can be sent again by whoever has it.
async fn renew(app: &App, name: &NameRecord, hash: &[u8; 32], head: &[u8]) -> Result<(), Refusal> {
    let _one_at_a_time = app.renewing.lock().await;
    // Who may sign was checked when each of them came.
    let age = |head: &[u8]| {
        let (head, _) = Head::open(head, &Head::peek_publisher(head)?)?;
        Ok::<_, DocumentError>((head.issued, head.expires))
    };
    let offered = age(head).map_err(|error| refused(error.to_string()))?;
    let latest = app.db.latest_release(name.id).await?;
    let stored = latest.filter(|latest| latest.hash == *hash);
    // One that no longer opens is of no use to anybody.
    if stored.and_then(|stored| age(&stored.head).ok()).is_some_and(|stored| stored >= offered) {
        return Ok(());
    }
    Ok(app.db.renew_head(name.id, hash, head).await?)
}

/// Who may sign releases of the name, so that nothing is taken in that no reader believes: the
/// owner, and whom the owner's list names. Who signed this manifest, by its own word, must be in
/// force too. That the signature holds is checked next.
async fn authority(
    app: &App,
    name: &NameRecord,
    text: &ReleaseName,
    manifest: &[u8],
) -> Result<Authority, Refusal> {
    let signer = Manifest::peek_publisher(manifest).map_err(|error| refused(error.to_string()))?;
    let owner = PublicKey::from_bytes(name.owner_key.0);
    if signer == owner {
        return Ok(Authority::of_owner(owner));
    }
    let key = AccountKey(*signer.as_bytes());
    let grants = app.db.grants(&name.name).await?;
    let is_granted = grants.iter().any(|one| one.key == key && one.grant == Grant::Publisher);
    let account = app.db.account(&key).await?;
    let in_force =
        account.is_some_and(|account| account.revoked.is_none() && account.role >= Role::Publisher);
    if !(is_granted && in_force) {
        return Err(refused("signed neither by the owner of the name nor by a publisher of it"));
    }
    let list = app.db.delegation(name.id).await?;
    Ok(Authority::new(owner, list.as_deref(), text, unix_now()))
}

/// Chunks of a release, all of them here and the publisher's to use.
pub(super) struct PresentClosure {
    pub(super) ids: Vec<ChunkId>,
    pub(super) stored_bytes: u64,
}

/// A release to be stored, with its hash and its signed manifest.
pub(super) fn new_release(
    name: NameId,
    release: &Manifest,
    (hash, manifest): ([u8; 32], Vec<u8>),
    head: Vec<u8>,
    closure: &PresentClosure,
) -> NewRelease {
    NewRelease {
        name,
        sequence: release.sequence,
        hash,
        previous: release.previous.map(|previous| *previous.as_bytes()),
        after: None,
        manifest,
        head,
        tree: release.tree.id,
        closure: release.closure.id,
        stored_bytes: closure.stored_bytes,
        issued: release.issued,
        accepted: unix_now(),
    }
}

/// Reads the closure of a release and sees to it that every chunk in it is here and may be read
/// by the publisher, so that nobody publishes what they only know the id of.
pub(super) async fn present_closure(
    app: &App,
    caller: &Caller,
    release: &Manifest,
) -> Result<PresentClosure, Refusal> {
    let mut missing = Vec::new();
    let head_id = release.closure.id;
    check(app, caller, &[head_id], &mut missing).await?;
    refuse_missing(&missing)?;
    let head = ClosureHead::decode(&stored(app, head_id).await?)?;
    if head.tree != release.tree.id {
        return Err(refused("the closure is of another tree"));
    }
    if head.chunks > CLOSURE_CHUNKS_MAX as u64 {
        return Err(refused("the closure is too large"));
    }
    let segments: Vec<ChunkId> = head.segments.iter().map(|segment| segment.id).collect();
    let mut distinct = std::collections::HashSet::new();
    if !segments.iter().all(|segment| distinct.insert(*segment)) {
        return Err(refused("the closure names a segment twice"));
    }
    check(app, caller, &segments, &mut missing).await?;
    refuse_missing(&missing)?;

    let mut ids = vec![head_id];
    ids.extend(&segments);
    let mut stored_bytes = 0u64;
    let mut listed = 0u64;
    let mut has_root = false;
    for segment in segments {
        let entries = Closure::decode(&stored(app, segment).await?)?.0;
        listed += entries.len() as u64;
        if listed > head.chunks {
            return Err(refused("the closure lists more chunks than it says"));
        }
        stored_bytes += entries.iter().map(|entry| u64::from(entry.stored_length)).sum::<u64>();
        has_root |= entries.contains(&release.tree);
        let of_segment: Vec<ChunkId> = entries.iter().map(|entry| entry.id).collect();
        check(app, caller, &of_segment, &mut missing).await?;
        ids.extend(of_segment);
        if missing.len() >= MISSING_IDS_MAX {
            break;
        }
    }
    refuse_missing(&missing)?;
    if listed != head.chunks || stored_bytes != head.stored_bytes || !has_root {
        return Err(refused("the closure does not fit its head or its tree"));
    }
    Ok(PresentClosure { ids, stored_bytes })
}

fn refused(why: impl Into<String>) -> Refusal {
    Refusal::new(ProblemCode::DocumentRefused, why)
}

/// Adds those of `ids` to `missing` that are not here or not the caller's to use.
async fn check(
    app: &App,
    caller: &Caller,
    ids: &[ChunkId],
    missing: &mut Vec<Hex<32>>,
) -> Result<(), Refusal> {
    for batch in ids.chunks(HAVE_IDS_MAX) {
        let readable = app.access.readable(caller, batch).await?;
        let here = here_for(&*app.store, batch, &readable).await?;
        let lacking = batch.iter().zip(here).filter(|(_, here)| !here);
        missing.extend(lacking.map(|(id, _)| Hex(*id.as_bytes())));
    }
    Ok(())
}

fn refuse_missing(missing: &[Hex<32>]) -> Result<(), Refusal> {
    if missing.is_empty() { Ok(()) } else { Err(Refusal::missing(missing.to_vec())) }
}

async fn stored(app: &App, id: ChunkId) -> Result<bytes::Bytes, Refusal> {
    let missing = || Refusal::missing(vec![Hex(*id.as_bytes())]);
    app.store.read(&id).await?.ok_or_else(missing)
}
