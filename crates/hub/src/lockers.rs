//! Lockers: sealed segments of a delivery that wait on the hub's disk for a recipient who is away.
//!
//! Apart from `deliveries`, which keeps nothing: a delivery comes here when its sender asked for a locker, and never
//! unless the operator allows it. [`facts`] and [`register`] decide what is held and who is let in, and are pure;
//! [`folder`] is the disk. Here are the clock, the waiting and the order of both: what is acknowledged is on the
//! disk first, and what is over is told of only when its facts on the disk say so.

mod facts;
mod folder;
mod register;
mod stream;

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use hub_api::{
    DELIVERY_DOWNLOAD_HEADER, DeliveryEnd, DeliveryParty, DeliveryStatus, Hex, LockerRequest,
    LockerStatus, ProblemCode, SEGMENT_DIGEST_HEADER, SegmentTaken,
};
use hub_db::{AccountKey, EndedBy};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard, watch};
use tokio::time::{sleep, timeout};

use self::facts::{DAMAGED, Facts};
use self::folder::Folder;
pub(crate) use self::folder::facts_again;
pub(crate) use self::register::NotOpened;
use self::register::{Admission, Due, Kept, Register};
pub(crate) use self::stream::LockerStream;
use crate::app::App;
use crate::body::BoundedBody;
use crate::config::LockerConfig;
use crate::deliveries::{Asker, Waiting};
use crate::files::unix_now;
use crate::people::tell_sides;
use crate::refusal::{Chain, Refusal};

/// How often it is looked for lockers whose time is over.
const SWEEP_INTERVAL: Duration = Duration::from_mins(1);

/// How long a segment may take to come: 70 kbit/s. Each that comes holds a place.
const SEGMENT_TIME: Duration = Duration::from_mins(2);

/// What waits beside one locker.
#[derive(Debug)]
struct Beside {
    /// Changes whenever somebody who waits may go on.
    stirred: watch::Sender<u64>,
    /// Held while its files are changed.
    writing: Arc<AsyncMutex<()>>,
}

impl Beside {
    fn new() -> Self {
        Self { stirred: watch::Sender::new(0), writing: Arc::default() }
    }
}

/// All lockers of the hub.
#[derive(Debug)]
pub(crate) struct Lockers {
    register: Mutex<Register<Beside>>,
    folder: Folder,
    /// Bytes of the disk that stay free.
    free_reserve_bytes: u64,
    /// Held while one is opened, so that no two are charged for the same room.
    opening: Arc<AsyncMutex<()>>,
}

/// Why something was not done to a locker.
#[derive(Debug, thiserror::Error)]
enum LockerError {
    /// The disk failed, or is full.
    #[error("a locker cannot be written")]
    Disk(#[source] io::Error),
    /// It is not there any more.
    #[error("the locker is gone")]
    Gone,
}

impl From<LockerError> for Refusal {
    fn from(error: LockerError) -> Self {
        match &error {
            LockerError::Gone => Self::not_found(),
            LockerError::Disk(cause) if is_full(cause) => {
                tracing::warn!(error = %Chain(&error), "a segment was refused");
                Self::new(ProblemCode::StorageFull, "the disk with the hub's lockers is full")
            }
            LockerError::Disk(_) => Self::internal(&error),
        }
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

impl From<NotOpened> for Refusal {
    fn from(error: NotOpened) -> Self {
        let detail = error.to_string();
        match error {
            NotOpened::Off | NotOpened::TooLong(_) | NotOpened::AccountFull { .. } => {
                Self::new(ProblemCode::LockerRefused, detail)
            }
            NotOpened::Full(_) => Self::new(ProblemCode::StorageFull, detail),
            NotOpened::Conflict => Self::new(ProblemCode::DeliveryConflict, ""),
            NotOpened::TooManyOfAccount => Self::too_many(&detail),
            NotOpened::TooMany => Self::busy(&detail),
        }
    }
}

/// A request for one locker by somebody who was let in.
#[derive(Debug)]
pub(crate) struct Locker {
    lockers: Arc<Lockers>,
    id: [u8; 16],
    /// Of a recipient.
    download: Option<Hex<16>>,
    stirred: watch::Receiver<u64>,
}

impl Lockers {
    /// Opens the directory with what lies there; nothing is made where nothing is. Blocks.
    pub(crate) fn open(
        path: &Path,
        config: Option<LockerConfig>,
        free_reserve_bytes: u64,
    ) -> io::Result<Self> {
        let folder = Folder::new(path.to_owned());
        let mut register = Register::new(config);
        let now = unix_now();
        for found in folder.find()? {
            let kept = Kept::new(found.facts, found.kept, Beside::new(), now);
            register.insert(found.id, kept);
        }
        let register = Mutex::new(register);
        Ok(Self { register, folder, free_reserve_bytes, opening: Arc::default() })
    }

    /// Opens a locker; whether it is new. Nothing of the delivery is taken yet.
    pub(crate) async fn create(
        self: &Arc<Self>,
        id: [u8; 16],
        sender: AccountKey,
        request: &LockerRequest,
        is_addressed: bool,
    ) -> Result<bool, Refusal> {
        let now = unix_now();
        let facts = Facts::new(sender, request, is_addressed, now)
            .ok_or_else(|| Refusal::malformed("so many bytes have another number of segments"))?;
        let opening = Arc::clone(&self.opening).lock_owned().await;
        let free = self.free_bytes();
        if !self.lock().check(&id, &facts, request.seconds, free)? {
            return Ok(false);
        }
        let given_up = self.lock().given_up(facts.sender);
        if let Some(given_up) = given_up {
            self.forget(given_up).await?;
        }
        let lockers = Arc::clone(self);
        let made = blocking(move || {
            // Also when whoever asked has gone meanwhile.
            let _opening = opening;
            lockers.folder.create(&id, &facts).map_err(LockerError::Disk)?;
            lockers.lock().insert(id, Kept::new(facts, 0, Beside::new(), now));
            Ok(())
        });
        made.await?;
        Ok(true)
    }

    /// A request for a locker; `None` when it is not there or not for this asker. A recipient says which download
    /// it goes on with.
    pub(crate) fn find(
        self: &Arc<Self>,
        id: [u8; 16],
        asker: Asker,
        download: Download,
    ) -> Option<Locker> {
        let (party, download) = match asker {
            Asker::Sender(_) => (DeliveryParty::Sender, None),
            Asker::Recipient(_) => (DeliveryParty::Recipient, Some(download.0)),
        };
        let mut register = self.lock();
        let kept = register.find(&id, asker)?;
        // The devices of a person are one.
        let download = download.map(|it| if kept.facts.is_addressed { Hex([0; 16]) } else { it });
        kept.handle_request(party, unix_now());
        kept.beside.stirred.send_replace(kept.change());
        let stirred = kept.beside.stirred.subscribe();
        Some(Locker { lockers: Arc::clone(self), id, download, stirred })
    }

    /// The longest that a delivery is kept; `None` where the operator allows no lockers.
    pub(crate) fn time_max(&self) -> Option<Duration> {
        self.lock().time_max()
    }

    /// Whether a delivery has one, whoever asks.
    pub(crate) fn has(&self, id: &[u8; 16]) -> bool {
        self.lock().get(id).is_some()
    }

    /// Whether a delivery is over here because it was received.
    pub(crate) fn has_receipt(&self, id: &[u8; 16]) -> bool {
        let register = self.lock();
        register.get(id).is_some_and(|it| it.facts.is_over() && it.facts.receipt.is_some())
    }

    /// The ids of all that are here.
    pub(crate) fn ids(&self) -> Vec<[u8; 16]> {
        self.lock().ids()
    }

    /// What of a delivery lies here, while anything does.
    pub(crate) fn shown(&self, id: &[u8; 16]) -> Option<LockerStatus> {
        let register = self.lock();
        register.get(id).filter(|kept| !kept.facts.is_over()).map(Kept::shown)
    }

    /// How many hold segments, and what they take of the quota.
    pub(crate) fn totals(&self) -> (u64, u64) {
        self.lock().totals()
    }

    /// Ends the locker of a delivery if it has one, for somebody who was asked who they are elsewhere: its segments
    /// are removed.
    pub(crate) async fn end(
        self: &Arc<Self>,
        id: [u8; 16],
        end: &DeliveryEnd,
    ) -> Result<(), Refusal> {
        if !self.has(&id) {
            return Ok(());
        }
        let ended = match end.by {
            // It took the receipt: nothing is left to be told.
            DeliveryParty::Sender if self.has_receipt(&id) => self.forget(id).await,
            by @ (DeliveryParty::Sender | DeliveryParty::Recipient | DeliveryParty::Hub) => {
                let reason = end.reason.clone();
                self.change(id, move |facts| facts.handle_end(by, &reason, unix_now())).await
            }
        };
        match ended {
            Err(LockerError::Gone) => Ok(()),
            ended => Ok(ended?),
        }
    }

    /// Ends and forgets what its time is over for, as of `now`; those that ended.
    async fn sweep(self: &Arc<Self>, now: u64) -> Vec<([u8; 16], &'static str)> {
        let mut ended = Vec::new();
        let due = self.lock().due(now);
        for (id, due) in due {
            let done = match due {
                Due::End(reason) => {
                    let by_hub = move |facts: &mut Facts| {
                        facts.handle_end(DeliveryParty::Hub, reason, now);
                    };
                    self.change(id, by_hub).await.map(|()| ended.push((id, reason)))
                }
                Due::Forget => self.forget(id).await,
            };
            if let Err(error) = done {
                tracing::error!(error = %Chain(&error), "a locker was not cleaned; trying again");
            }
        }
        ended
    }

    /// Changes the facts of a locker, on the disk and then here, and removes the segments of one that is over.
    async fn change(
        self: &Arc<Self>,
        id: [u8; 16],
        change: impl FnOnce(&mut Facts) + Send + 'static,
    ) -> Result<(), LockerError> {
        let alone = self.alone(&id).await?;
        let lockers = Arc::clone(self);
        blocking(move || {
            let _alone = alone;
            let facts = lockers.lock().get(&id).map(|kept| kept.facts.clone());
            let before = facts.ok_or(LockerError::Gone)?;
            let mut facts = before.clone();
            change(&mut facts);
            if facts == before {
                return Ok(());
            }
            let is_over = facts.is_over();
            lockers.folder.write_facts(&id, &facts).map_err(LockerError::Disk)?;
            lockers.stir(&id, |kept| kept.handle_facts(facts));
            if is_over {
                lockers.folder.remove_segments(&id).map_err(LockerError::Disk)?;
            }
            Ok(())
        })
        .await
    }

    /// Removes a locker with all that is known of it.
    async fn forget(self: &Arc<Self>, id: [u8; 16]) -> Result<(), LockerError> {
        let alone = self.alone(&id).await?;
        let lockers = Arc::clone(self);
        blocking(move || {
            let _alone = alone;
            lockers.folder.remove(&id).map_err(LockerError::Disk)?;
            lockers.lock().remove(&id);
            Ok(())
        })
        .await
    }

    /// Keeps others from the files of a locker.
    async fn alone(&self, id: &[u8; 16]) -> Result<OwnedMutexGuard<()>, LockerError> {
        let writing = self.lock().get(id).map(|kept| Arc::clone(&kept.beside.writing));
        Ok(writing.ok_or(LockerError::Gone)?.lock_owned().await)
    }

    /// Does something to a locker, and wakes who waits for it; `None` when it is gone.
    fn stir<T>(&self, id: &[u8; 16], act: impl FnOnce(&mut Kept<Beside>) -> T) -> Option<T> {
        let mut register = self.lock();
        let kept = register.get_mut(id)?;
        let before = kept.change();
        let result = act(kept);
        if kept.change() != before {
            kept.beside.stirred.send_replace(kept.change());
        }
        Some(result)
    }

    /// Room on the disk beyond what stays free.
    fn free_bytes(&self) -> u64 {
        // The directory is made with the first locker, in one that is there.
        let there = self.folder.path().ancestors().find(|path| path.exists());
        let disk = there.and_then(|path| rustix::fs::statvfs(path).ok());
        let free = disk.map_or(0, |disk| disk.f_bavail.saturating_mul(disk.f_frsize));
        free.saturating_sub(self.free_reserve_bytes)
    }

    fn lock(&self) -> MutexGuard<'_, Register<Beside>> {
        self.register.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs what uses the disk; it goes on when whoever waits for it goes away.
async fn blocking<T: Send + 'static>(
    act: impl FnOnce() -> Result<T, LockerError> + Send + 'static,
) -> Result<T, LockerError> {
    tokio::task::spawn_blocking(act)
        .await
        .unwrap_or_else(|error| Err(LockerError::Disk(io::Error::other(error))))
}

impl Locker {
    pub(crate) fn status(&self) -> Result<DeliveryStatus, Refusal> {
        let register = self.lockers.lock();
        let kept = register.get(&self.id).ok_or_else(Refusal::not_found)?;
        Ok(kept.status(self.download, unix_now()))
    }

    /// The status once its change is not `after` any more, or when the waiting is over.
    pub(crate) async fn status_after(
        &mut self,
        after: u64,
        mut waiting: Waiting,
    ) -> Result<DeliveryStatus, Refusal> {
        loop {
            // Before looking: what comes in between wakes.
            self.stirred.mark_unchanged();
            let status = self.status()?;
            if status.change != after || waiting.is_over() {
                return Ok(status);
            }
            tokio::select! {
                _ = self.stirred.changed() => {}
                () = waiting.ended() => {}
            }
        }
    }

    /// Whether it goes to a person, and how it stands is noted.
    pub(crate) fn is_addressed(&self) -> bool {
        self.lockers.lock().get(&self.id).is_some_and(|kept| kept.facts.is_addressed)
    }

    /// Keeps the segment that is the next one; whether it is kept.
    pub(crate) async fn keep(
        &self,
        number: u64,
        digest: Hex<32>,
        body: BoundedBody,
    ) -> Result<bool, Refusal> {
        let bytes_max =
            self.lockers.lock().get(&self.id).map(|it| it.facts.sealed_bytes_max(number));
        let Ok(bytes) = timeout(SEGMENT_TIME, body.whole()).await else {
            let slow = format!("the segment was not here within {} s", SEGMENT_TIME.as_secs());
            return Err(Refusal::new(ProblemCode::RequestTimeout, slow));
        };
        let bytes = bytes?;
        if bytes.is_empty() || bytes_max.is_none_or(|most| bytes.len() as u64 > most) {
            return Err(Refusal::malformed("no segment of this delivery has that length"));
        }
        if *blake3::hash(&bytes).as_bytes() != digest.0 {
            let wrong = format!("segment {number} does not have its digest: send it again");
            return Err(Refusal::new(ProblemCode::WrongBytes, wrong));
        }
        if self.lockers.free_bytes() < bytes.len() as u64 {
            let full = "the disk with the hub's lockers is full; what is kept stays";
            return Err(Refusal::new(ProblemCode::StorageFull, full));
        }
        let (lockers, id) = (Arc::clone(&self.lockers), self.id);
        let alone = lockers.alone(&id).await?;
        let kept = blocking(move || {
            let _alone = alone;
            let wants = |kept: &Kept<Beside>| kept.kept == number && !kept.facts.is_over();
            // Another connection may have brought it meanwhile, or somebody ended it.
            if !lockers.lock().get(&id).is_some_and(wants) {
                return Ok(false);
            }
            lockers.folder.write_segment(&id, number, &bytes).map_err(LockerError::Disk)?;
            lockers.stir(&id, |kept| kept.handle_kept(number + 1, unix_now()));
            Ok(true)
        });
        Ok(kept.await?)
    }

    /// Waits until a segment is the next one; `false` when it is not wanted, or others are first for too long.
    pub(crate) async fn comes_its_turn(
        &mut self,
        number: u64,
        mut waiting: Waiting,
    ) -> Result<bool, Refusal> {
        loop {
            self.stirred.mark_unchanged();
            let next = {
                let register = self.lockers.lock();
                let kept = register.get(&self.id).ok_or_else(Refusal::not_found)?;
                if number >= kept.facts.segments {
                    return Err(Refusal::malformed("the delivery has fewer segments"));
                }
                (!kept.facts.is_over()).then_some(kept.kept)
            };
            match next {
                Some(next) if next == number => return Ok(true),
                Some(next) if next < number && !waiting.is_over() => {}
                _ => return Ok(false),
            }
            tokio::select! {
                _ = self.stirred.changed() => {}
                () = waiting.ended() => {}
            }
        }
    }

    /// What the sender is told of a segment.
    pub(crate) fn segment_taken(&self, taken: bool) -> Result<SegmentTaken, Refusal> {
        let DeliveryStatus { next, verified, .. } = self.status()?;
        Ok(SegmentTaken { taken, next, verified })
    }

    /// A recipient has verified and kept so many segments; with a receipt it has all of them. Whether a receipt is
    /// kept.
    pub(crate) async fn verified(
        &self,
        segments: u64,
        receipt: Option<Vec<u8>>,
    ) -> Result<bool, Refusal> {
        let unearned = || {
            Refusal::malformed("more segments than were handed out, or a receipt before the end")
        };
        let download = self.download.ok_or_else(Refusal::not_found)?;
        let (whole, admitted) = {
            let mut register = self.lockers.lock();
            let kept = register.get_mut(&self.id).ok_or_else(Refusal::not_found)?;
            if kept.facts.is_over() {
                return Ok(kept.facts.receipt.is_some());
            }
            kept.handle_verified(segments).ok_or_else(unearned)?;
            (kept.facts.segments, kept.admit(download, unix_now()))
        };
        let Some(receipt) = receipt else { return Ok(false) };
        if segments < whole || admitted != Admission::Admitted {
            return Err(unearned());
        }
        let now = unix_now();
        let received = move |facts: &mut Facts| facts.handle_receipt(download, receipt, now);
        self.lockers.change(self.id, received).await?;
        Ok(true)
    }

    /// One side ends it. Of several recipients none ends it for the others.
    pub(crate) async fn end(&self, reason: String) -> Result<(), Refusal> {
        let by = match self.download {
            None => DeliveryParty::Sender,
            Some(_) => DeliveryParty::Recipient,
        };
        let has_others =
            |kept: &Kept<Beside>| kept.facts.downloads_max.is_some_and(|most| most > 1);
        if by == DeliveryParty::Recipient
            && self.lockers.lock().get(&self.id).is_some_and(has_others)
        {
            return Ok(());
        }
        self.lockers.end(self.id, &DeliveryEnd { by, reason }).await
    }

    /// The disk does not give back what was written: it is over, and both sides learn why.
    async fn damaged(&self) {
        tracing::error!(delivery = %Hex(self.id), "the disk damaged a locker");
        let damaged = |facts: &mut Facts| facts.handle_end(DeliveryParty::Hub, DAMAGED, unix_now());
        if let Err(error) = self.lockers.change(self.id, damaged).await {
            tracing::error!(error = %Chain(&error), "a damaged locker was not ended");
        }
    }
}

/// Which download of a locker a request belongs to, by the word of whoever asks; all without one are one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Download(Hex<16>);

impl FromRequestParts<Arc<App>> for Download {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, Refusal> {
        let Some(shown) = parts.headers.get(DELIVERY_DOWNLOAD_HEADER) else {
            return Ok(Self(Hex([0; 16])));
        };
        let id = shown.to_str().ok().and_then(|shown| shown.parse::<Hex<16>>().ok());
        id.map(Self).ok_or_else(|| Refusal::malformed("a download is named by 16 bytes"))
    }
}

/// What a segment for a locker has to hash to.
pub(crate) fn shown_digest(headers: &axum::http::HeaderMap) -> Result<Hex<32>, Refusal> {
    let shown = headers.get(SEGMENT_DIGEST_HEADER).and_then(|shown| shown.to_str().ok());
    let digest = shown.and_then(|shown| shown.parse::<Hex<32>>().ok());
    digest.ok_or_else(|| Refusal::malformed("a locker takes no segment without its digest"))
}

/// Ends lockers whose time is over, as long as the hub runs.
pub(crate) async fn clean(app: Arc<App>) {
    loop {
        for (id, reason) in app.lockers.sweep(unix_now()).await {
            let noted = app.db.end_addressed(&id, EndedBy::Hub, reason, unix_now()).await;
            match noted {
                Ok(Some(sides)) => tell_sides(&app, &sides),
                Ok(None) => {}
                // Whoever asks learns it from the locker.
                Err(error) => {
                    tracing::warn!(error = %Chain(&error), "the end of a delivery was not noted");
                }
            }
        }
        sleep(SWEEP_INTERVAL).await;
    }
}

#[cfg(test)]
mod tests;
