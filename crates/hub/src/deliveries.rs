//! Live deliveries: segments on their way from a sender to a recipient, in memory and nowhere else.
//!
//! [`exchange`] decides what is held and what comes next, [`register`] who is let in; both are pure.
//! Here are the clock, the waiting, and the memory: a permit goes with the bytes of each segment until
//! the connection has written them, so a delivery takes no more than its window of segments, however
//! slow its recipient is. Nothing here reaches the database, the data directory or the log; of those
//! that are addressed to a person `people` notes how they stand.

mod exchange;
mod place;
mod register;
mod shared;
mod side;
mod stream;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use hub_api::limits::DELIVERY_WINDOW;
use hub_api::{
    DELIVERY_TOKEN_HEADER, DeliveryAnnouncement, DeliveryEnd, DeliveryParty, DeliveryStatus, Hex,
    SegmentTaken,
};
use hub_db::AccountKey;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::sleep_until;

use self::exchange::{Announced, Exchange, Ticket, Unearned};
use self::place::Segment;
pub(crate) use self::place::Waiting;
pub(crate) use self::register::{Asker, NotAnnounced};
use self::register::{Bounds, Entry, Register};
pub(crate) use self::shared::take_together;
use self::side::Now;
pub(crate) use self::stream::SegmentStream;
use crate::app::App;
use crate::caller::Sender;
use crate::config::HubLimits;
use crate::files::unix_now;
use crate::places::Sharer;
use crate::refusal::Refusal;

/// What waits and is counted beside one delivery.
#[derive(Debug)]
struct Beside {
    /// Changes whenever somebody who waits may go on.
    stirred: watch::Sender<u64>,
    /// Room for as many segments as the window has.
    room: Arc<Semaphore>,
    /// How it stands is noted in the database.
    is_addressed: bool,
    /// Until when a recipient may begin, in seconds since 1970.
    until: Option<u64>,
}

/// All deliveries of the hub.
#[derive(Debug)]
pub(crate) struct Deliveries {
    register: Mutex<Register<Segment, Beside>>,
    /// An addressed one may stand otherwise.
    addressed_stirred: Notify,
}

/// A request for one delivery by somebody who was let in. While it lives, that side is here.
#[derive(Debug)]
pub(crate) struct Delivery {
    deliveries: Arc<Deliveries>,
    id: [u8; 16],
    serial: Ticket,
    party: DeliveryParty,
    stirred: watch::Receiver<u64>,
    room: Arc<Semaphore>,
    is_answered: bool,
}

impl Deliveries {
    pub(crate) fn new(limits: &HubLimits) -> Self {
        let bounds = Bounds {
            deliveries_max: limits.deliveries_max,
            per_account_max: limits.deliveries_per_account_max,
            idle_time: limits.delivery_idle_time,
        };
        Self { register: Mutex::new(Register::new(bounds)), addressed_stirred: Notify::new() }
    }

    /// Whether it is new. How one stands that is addressed to somebody is noted.
    pub(crate) fn announce(
        &self,
        id: [u8; 16],
        (sender, sharer): (AccountKey, Sharer),
        announcement: &DeliveryAnnouncement,
        is_addressed: bool,
    ) -> Result<bool, NotAnnounced> {
        let DeliveryAnnouncement { segments, bytes, recipient, until, ref direct } = *announcement;
        let announced = Announced { sender, segments, bytes, recipient: recipient.0 };
        let room = Arc::new(Semaphore::new(DELIVERY_WINDOW));
        let beside = Beside { stirred: watch::Sender::new(0), room, is_addressed, until };
        let mut register = self.lock();
        let is_new = register.announce(id, (announced, sharer), beside, now())?;
        if let Some(entry) = register.get_mut(&id) {
            entry.beside.is_addressed |= is_addressed;
            entry.beside.until = until;
            let direct = direct.as_ref().map(|sealed| sealed.0.clone());
            entry.change(|exchange| exchange.handle_direct_path(direct));
        }
        Ok(is_new)
    }

    /// How the addressed ones stand.
    pub(crate) fn addressed(&self) -> Vec<([u8; 16], DeliveryStatus)> {
        let (mut register, now) = (self.lock(), now());
        let entries = register.iter_mut().filter(|(_, entry)| entry.beside.is_addressed);
        let status = |(id, entry): (&[u8; 16], &mut Entry<Segment, Beside>)| {
            entry.change(|exchange| exchange.handle_time(now));
            (*id, entry.exchange.status())
        };
        entries.map(status).collect()
    }

    /// Returns when an addressed one may stand otherwise than when this returned last.
    pub(crate) async fn addressed_stirred(&self) {
        self.addressed_stirred.notified().await;
    }

    /// Ends a delivery that this account announced, for somebody who was asked who they are elsewhere.
    pub(crate) fn end(&self, id: &[u8; 16], sender: AccountKey, end: DeliveryEnd) {
        let (mut register, now) = (self.lock(), now());
        let Some(entry) = register.get_mut(id) else { return };
        if entry.exchange.announced().sender == sender {
            entry.change(|exchange| exchange.handle_end(end, now));
            let sharer = entry.sharer;
            register.bound_ended(sharer);
        }
    }

    /// A request for a delivery; `None` when it is not there or not for this asker.
    pub(crate) fn open(self: &Arc<Self>, id: [u8; 16], asker: Asker) -> Option<Delivery> {
        let party = match asker {
            Asker::Sender(_) => DeliveryParty::Sender,
            Asker::Recipient(_) => DeliveryParty::Recipient,
        };
        let register = self.lock();
        let entry = register.find(&id, asker)?;
        let is_late = party == DeliveryParty::Recipient && entry.is_late(now());
        let delivery = Delivery {
            deliveries: Arc::clone(self),
            id,
            serial: entry.serial,
            party,
            stirred: entry.beside.stirred.subscribe(),
            room: Arc::clone(&entry.beside.room),
            is_answered: false,
        };
        drop(register);
        delivery.with(|exchange, _, now| {
            if is_late {
                exchange.handle_end(too_late(), now);
            }
            exchange.handle_request(party, now);
        });
        Some(delivery)
    }

    /// Whether it is here, whoever asks.
    pub(crate) fn has(&self, id: &[u8; 16]) -> bool {
        self.lock().get_mut(id).is_some()
    }

    /// Whether this side of a delivery is here, at this front-end.
    pub(crate) fn is_here(&self, id: &[u8; 16], party: DeliveryParty) -> bool {
        let (mut register, now) = (self.lock(), now());
        let Some(entry) = register.get_mut(id) else { return false };
        entry.change(|exchange| exchange.handle_time(now));
        let DeliveryStatus { sender, recipient, .. } = entry.exchange.status();
        match party {
            DeliveryParty::Sender => sender.here,
            DeliveryParty::Recipient => recipient.here,
            DeliveryParty::Hub => false,
        }
    }

    /// The ids of all that are here.
    pub(crate) fn ids(&self) -> Vec<[u8; 16]> {
        self.lock().iter_mut().map(|(id, _)| *id).collect()
    }

    /// Forgets all, as a restart does: they may be at another front-end by now. Both sides begin anew.
    pub(crate) fn forget_all(&self) {
        self.lock().forget_all();
    }

    /// Forgets deliveries that nobody needs any more.
    pub(crate) fn sweep(&self) {
        let (mut register, now) = (self.lock(), now());
        for (_, entry) in register.iter_mut() {
            if entry.is_late(now) {
                entry.change(|exchange| exchange.handle_end(too_late(), now));
            }
        }
        register.sweep(now);
    }

    /// How many run.
    pub(crate) fn running(&self) -> usize {
        self.lock().running()
    }

    fn lock(&self) -> MutexGuard<'_, Register<Segment, Beside>> {
        self.register.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a delivery ends that nobody began in time.
fn too_late() -> DeliveryEnd {
    let reason = "nobody began to receive it in time".to_owned();
    DeliveryEnd { by: DeliveryParty::Hub, reason }
}

impl Entry<Segment, Beside> {
    /// Whether its time to begin is over, and nobody has.
    fn is_late(&self, now: Now) -> bool {
        let DeliveryStatus { next, verified, receipt, .. } = self.exchange.status();
        let has_begun = next.is_some() || verified > 0 || receipt.is_some();
        !has_begun && self.beside.until.is_some_and(|until| until <= now.unix)
    }

    /// Does something to the exchange, and wakes who waits for it.
    fn change<T>(&mut self, act: impl FnOnce(&mut Exchange<Segment>) -> T) -> T {
        let before = self.exchange.stirs();
        let result = act(&mut self.exchange);
        let after = self.exchange.stirs();
        if after != before {
            self.beside.stirred.send_replace(after);
        }
        result
    }
}

impl Delivery {
    /// Does something to the delivery, with a ticket that nobody had, and wakes who waits for it;
    /// `None` when it was forgotten meanwhile.
    fn with<T>(&self, act: impl FnOnce(&mut Exchange<Segment>, Ticket, Now) -> T) -> Option<T> {
        let mut register = self.deliveries.lock();
        let ticket = register.ticket();
        let entry = register.entry(&self.id, self.serial)?;
        let before = entry.exchange.stirs();
        let result = entry.change(|exchange| act(exchange, ticket, now()));
        if entry.beside.is_addressed && entry.exchange.stirs() != before {
            self.deliveries.addressed_stirred.notify_one();
        }
        Some(result)
    }

    pub(crate) fn status(&self) -> Result<DeliveryStatus, Refusal> {
        let status = self.with(|exchange, _, now| {
            exchange.handle_time(now);
            exchange.status()
        });
        status.ok_or_else(Refusal::not_found)
    }

    /// The status once its change is not `after` any more, or when the waiting is over. A greater number
    /// than the change is of a hub before this one, or of another delivery with this id.
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
            let gone_at = self.with(|exchange, _, _| exchange.poll_timeout()).flatten();
            let wake = gone_at.map_or(waiting.until(), |gone| waiting.until().min(gone.into()));
            tokio::select! {
                _ = self.stirred.changed() => {}
                () = sleep_until(wake) => {}
                () = waiting.ended() => {}
            }
        }
    }

    /// What the sender is told of a segment.
    pub(crate) fn segment_taken(&self, taken: bool) -> Result<SegmentTaken, Refusal> {
        self.with(|exchange, _, _| exchange.taken(taken)).ok_or_else(Refusal::not_found)
    }

    /// Whether it is addressed to a person, and how it stands is noted.
    pub(crate) fn is_addressed(&self) -> bool {
        let mut register = self.deliveries.lock();
        register.entry(&self.id, self.serial).is_some_and(|entry| entry.beside.is_addressed)
    }

    /// How many segments it has.
    pub(crate) fn segments(&self) -> Result<u64, Refusal> {
        let segments = self.with(|exchange, _, _| exchange.announced().segments);
        segments.ok_or_else(Refusal::not_found)
    }

    /// The recipient has verified and kept so many segments.
    pub(crate) fn verified(&self, segments: u64, receipt: Option<Vec<u8>>) -> Result<(), Refusal> {
        earned(self.with(|exchange, _, now| exchange.handle_verified(segments, receipt, now)))
    }

    /// Refuses what [`verified`](Self::verified) would.
    pub(crate) fn check_verified(&self, segments: u64, has_receipt: bool) -> Result<(), Refusal> {
        let done = self.with(|exchange, _, _| exchange.check_verified(segments, has_receipt));
        earned(done)
    }

    /// This side ends it.
    pub(crate) fn end(&self, reason: String) {
        self.end_as(DeliveryEnd { by: self.party, reason });
    }

    /// It ends so.
    pub(crate) fn end_as(&self, end: DeliveryEnd) {
        if self.with(|exchange, _, now| exchange.handle_end(end, now)).is_some() {
            let mut register = self.deliveries.lock();
            let sharer = register.entry(&self.id, self.serial).map(|entry| entry.sharer);
            if let Some(sharer) = sharer {
                register.bound_ended(sharer);
            }
        }
    }

    /// The request was answered, though what goes on with the answer still needs the delivery.
    fn answered(&mut self) {
        if !self.is_answered {
            self.is_answered = true;
            self.with(|exchange, _, now| exchange.handle_answer(self.party, now));
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        self.answered();
    }
}

fn earned(done: Option<Result<(), Unearned>>) -> Result<(), Refusal> {
    done.ok_or_else(Refusal::not_found)?.map_err(|Unearned| {
        Refusal::malformed("more segments than were handed out, or a receipt before the end")
    })
}

fn now() -> Now {
    Now { at: Instant::now(), unix: unix_now() }
}

/// Whoever shows the token of a recipient; a request without one finds nothing.
pub(crate) struct Recipient(pub(crate) Asker);

/// Whoever shows the token of a recipient, else the sender of a session.
pub(crate) struct Participant(pub(crate) Asker);

fn shown_token(parts: &Parts) -> Option<Result<Asker, Refusal>> {
    let token = parts.headers.get(DELIVERY_TOKEN_HEADER)?;
    let token = token.to_str().ok().and_then(|token| token.parse::<Hex<32>>().ok());
    let asker = token.map(|token| Asker::Recipient(blake3::hash(&token.0)));
    Some(asker.ok_or_else(Refusal::not_found))
}

impl FromRequestParts<Arc<App>> for Recipient {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, Refusal> {
        shown_token(parts).unwrap_or_else(|| Err(Refusal::not_found())).map(Self)
    }
}

impl FromRequestParts<Arc<App>> for Participant {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refusal> {
        if let Some(asker) = shown_token(parts) {
            return asker.map(Self);
        }
        let Sender { key, .. } = Sender::from_request_parts(parts, app).await?;
        Ok(Self(Asker::Sender(key)))
    }
}
