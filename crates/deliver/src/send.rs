//! A delivery on its way out.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use delivery::{DeliveryId, DeliverySecret, Digest, Receipt, ReceiptError, Tag, Tally, Vault};
use delivery_plan::{DeliveryConfig, HubStatus, SendAction, SendPhase, SendPlan};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use hub_api::{
    Base64Bytes, DeliveryAnnouncement, DeliveryParty, DeliveryStatus, Hex, LockerRequest,
    LockerStatus, SegmentTaken,
};
use hub_client::{ClientError, HubClient};

use crate::company::{self, Put, Seat};
use crate::direct::{DirectError, Listener, Serving, Tags};
use crate::progress::DeliveryProgress;
use crate::source::{Source, SourceError};

/// Why a delivery did not arrive, as far as its sender knows. Nothing of what was to be sent is touched.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The hub refuses; trying again does not help.
    #[error("the hub does not take the delivery")]
    Hub(#[source] ClientError),
    /// What is sent cannot be read any more, or changed.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The recipient, or the hub, ended it.
    #[error("{by} ended the delivery: {reason}")]
    Ended {
        /// Who.
        by: &'static str,
        /// Why, in their words.
        reason: String,
    },
    /// What the recipient signed is not what was sent: another program holds the ticket, or the hub made it
    /// up. Keep what was sent.
    #[error("the receipt is not valid")]
    Receipt(#[source] ReceiptError),
    /// What came as a receipt was not sealed with the delivery's secret: the hub made it up.
    #[error("the receipt does not come from the recipient")]
    ForeignReceipt,
}

/// What is sent, as the driver needs it.
#[derive(Debug)]
pub struct Outgoing {
    /// Which delivery.
    pub id: DeliveryId,
    /// What opens it.
    pub secret: DeliverySecret,
    /// Its stream.
    pub source: Source,
    /// How the hub is to keep it until it is collected; `None` when it goes through the hub's memory alone.
    pub locker: Option<LockerTerms>,
    /// Until when a recipient may begin, in seconds since 1970, when it goes through the hub's memory.
    pub until: Option<u64>,
    /// Of what was sent, when it is known: nothing of the stream is read again then.
    pub digest: Option<Digest>,
}

/// For how long the hub keeps a delivery, and for whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockerTerms {
    /// How long, in seconds.
    pub seconds: u64,
    /// How often it may be downloaded; `None` when the first receipt ends it.
    pub downloads: Option<u32>,
}

/// What became of a delivery with a locker.
#[derive(Debug, Clone)]
pub enum Filled {
    /// The hub has all of it, and nobody has collected it, or not everybody.
    Kept {
        /// What the hub says of its locker.
        locker: LockerStatus,
        /// Of all that was sent, to compare the receipt with.
        digest: Digest,
    },
    /// It arrived.
    Received(Sent),
}

/// A delivery that arrived.
#[derive(Debug, Clone)]
pub struct Sent {
    /// What the recipient signed, verified.
    pub receipt: Receipt,
    /// The signed receipt, to be kept.
    pub signed: Vec<u8>,
    /// How many segments this process sent to the recipient itself, and not to the hub before.
    pub direct_segments: u64,
}

/// A delivery that is being sent.
pub struct Sending {
    client: Arc<HubClient>,
    id: DeliveryId,
    secret: DeliverySecret,
    vault: Arc<Vault>,
    source: Arc<Source>,
    locker: Option<LockerTerms>,
    until: Option<u64>,
    digest: Option<Digest>,
    /// Of the segments that this process has sealed.
    tags: Tags,
    /// Where its recipient may take segments from this machine.
    listener: Option<Listener>,
    /// Its place among deliveries of the same contents.
    seat: Option<Seat>,
}

enum Outcome {
    Status(Box<Result<DeliveryStatus, ClientError>>),
    Put(u64, Put),
}

impl Sending {
    /// Prepares to send through a hub where this machine has an account.
    #[must_use]
    pub fn new(client: Arc<HubClient>, outgoing: Outgoing) -> Self {
        let Outgoing { id, secret, source, locker, until, digest } = outgoing;
        let vault = Arc::new(Vault::of_segments(id, &secret));
        let tags = vec![None; usize::try_from(source.layout().segments()).unwrap_or(usize::MAX)];
        let tags = Arc::new(Mutex::new(tags));
        Self {
            client,
            id,
            secret,
            vault,
            source: Arc::new(source),
            locker,
            until,
            digest,
            tags,
            listener: None,
            seat: None,
        }
    }

    /// Listens for the recipient from now on, and has the hub tell it where, sealed: it then takes the segments from
    /// this machine, and from the hub when that does not work. It learns the address of this machine, and this machine
    /// the recipient's. Of no use for what goes into a locker.
    ///
    /// # Errors
    /// See [`DirectError`]; the delivery goes through the hub alone.
    ///
    /// # Panics
    /// Without a runtime of Tokio.
    pub async fn offer_direct_path(&mut self) -> Result<(), DirectError> {
        let serving = Serving {
            source: Arc::clone(&self.source),
            vault: Arc::clone(&self.vault),
            tags: Arc::clone(&self.tags),
            token: self.secret.direct_token(),
        };
        let whose = (self.id, &self.secret);
        self.listener = Some(Listener::open(&self.client, whose, serving).await?);
        Ok(())
    }

    /// From now on each segment of these, which have the same contents and go through the same hub, is sealed and
    /// sent once for all of them that want it at the same time. `secret` is drawn at random. Each of them goes on
    /// and ends by itself. Nothing changes for those that a locker keeps: each is kept by itself.
    ///
    /// # Panics
    /// Without a runtime of Tokio.
    pub fn together(sendings: Vec<&mut Self>, secret: [u8; 32]) {
        let sendings: Vec<_> =
            sendings.into_iter().filter(|sending| sending.locker.is_none()).collect();
        let Some(first) = sendings.first() else { return };
        let (client, source) = (Arc::clone(&first.client), Arc::clone(&first.source));
        let seats = company::seats(sendings.len(), client, source, secret);
        for (sending, seat) in sendings.into_iter().zip(seats) {
            sending.seat = Some(seat);
        }
    }

    /// Sends until the recipient's receipt is here. Dropping the future stops; what the recipient has stays,
    /// and sending again goes on there.
    ///
    /// # Errors
    /// See [`SendError`]. A hub or a recipient that is away is waited for.
    pub async fn run(&mut self, progress: &DeliveryProgress) -> Result<Sent, SendError> {
        loop {
            if let Filled::Received(sent) = self.drive(progress, Until::Received).await? {
                return Ok(sent);
            }
        }
    }

    /// Sends until the hub has everything in its locker, or the receipt is here. Dropping the future stops; what the
    /// hub has stays, and filling again goes on there.
    ///
    /// # Errors
    /// See [`SendError`]. A hub that is away is waited for.
    pub async fn fill(&mut self, progress: &DeliveryProgress) -> Result<Filled, SendError> {
        self.drive(progress, Until::Kept).await
    }

    async fn drive(
        &mut self,
        progress: &DeliveryProgress,
        until: Until,
    ) -> Result<Filled, SendError> {
        let layout = self.source.layout();
        let (segments, stream_bytes) = (layout.segments(), layout.stream_bytes());
        let now = Instant::now();
        let mut plan = SendPlan::new(DeliveryConfig::default(), segments, crate::seed(), now);
        let _present = self.seat.as_ref().map(|seat| seat.join(self.id, Arc::clone(&self.vault)));
        let mut running = FuturesUnordered::new();
        let mut is_kept = false;
        progress.verified(0, stream_bytes);
        loop {
            while let Some(action) = plan.poll_action(Instant::now()) {
                running.push(self.perform(action));
            }
            progress.verified(plan.verified(), stream_bytes);
            progress.waits(if is_kept {
                Some(KEPT.to_owned())
            } else {
                // A locker takes it, and nobody is connected.
                let nobody = self.locker.is_some() && plan.phase() == SendPhase::Passing;
                // The hub does not see it.
                let is_direct = plan.phase() == SendPhase::WaitingForRecipient
                    && self.listener.as_ref().is_some_and(Listener::is_open);
                waits_for(plan.phase(), plan.verified()).filter(|_| !nobody && !is_direct)
            });
            let timeout = plan.poll_timeout();
            let outcome = tokio::select! {
                Some(outcome) = running.next() => outcome,
                () = sleep_until(timeout) => continue,
            };
            let now = Instant::now();
            match outcome {
                (action, Outcome::Status(answer)) => match progress.heard(*answer) {
                    Ok(status) => {
                        // With a receipt it was a process of this sender that was killed before it
                        // kept that.
                        if let Some(ended) = &status.ended
                            && (ended.by != DeliveryParty::Sender || status.receipt.is_none())
                        {
                            return Err(ended_by(ended));
                        }
                        if let Some(receipt) = &status.receipt {
                            drop(running);
                            let sent = self.accept(&receipt.0).await?;
                            progress.verified(segments, stream_bytes);
                            return Ok(Filled::Received(sent));
                        }
                        if let Some(locker) = status.locker.filter(|it| it.kept == segments) {
                            if until == Until::Kept {
                                drop(running);
                                let digest = self.digest().await?;
                                progress.verified(segments, stream_bytes);
                                return Ok(Filled::Kept { locker, digest });
                            }
                            is_kept = true;
                        }
                        let known = known(&status);
                        match action {
                            SendAction::Announce => plan.handle_announced(known),
                            SendAction::Ask { .. } | SendAction::Put(_) => {
                                plan.handle_status(known);
                            }
                        }
                    }
                    // Only a hub before lockers knows no such route.
                    Err(error) if self.locker.is_some() && error.is_not_found() => match action {
                        SendAction::Announce => return Err(SendError::Hub(error)),
                        SendAction::Ask { .. } | SendAction::Put(_) => {
                            failed(&mut plan, action, error, now)?;
                        }
                    },
                    Err(error) => failed(&mut plan, action, error, now)?,
                },
                (action, Outcome::Put(number, result)) => {
                    let (tag, answer) = result?;
                    if tag.is_some() {
                        lock(&self.tags)[number as usize] = tag;
                    }
                    match progress.heard(answer) {
                        Ok(SegmentTaken { taken: true, verified, next }) => {
                            // What a locker has is durable, which is as far as it goes for now.
                            let kept = next.filter(|_| self.locker.is_some());
                            plan.handle_taken(number, kept.unwrap_or(verified));
                        }
                        Ok(SegmentTaken { next, .. }) => plan.handle_not_taken(number, next),
                        Err(error) => failed(&mut plan, action, error, now)?,
                    }
                }
            }
        }
    }

    /// Does what the plan wants, and says how it ended.
    fn perform(
        &self,
        action: SendAction,
    ) -> impl Future<Output = (SendAction, Outcome)> + Send + use<> {
        let (client, id) = (Arc::clone(&self.client), *self.id.as_bytes());
        let (source, vault) = (Arc::clone(&self.source), Arc::clone(&self.vault));
        let seat = self.seat.clone();
        let recipient = Hex(*blake3::hash(&self.secret.recipient_token()).as_bytes());
        let (locker, until) = (self.locker, self.until);
        let direct = self.listener.as_ref().map(|listener| Base64Bytes(listener.path().to_vec()));
        async move {
            let outcome = match action {
                SendAction::Announce => {
                    let (segments, bytes) =
                        (source.layout().segments(), source.layout().stream_bytes());
                    let answer = match locker {
                        None => {
                            let announcement =
                                DeliveryAnnouncement { segments, bytes, recipient, until, direct };
                            client.announce_delivery(id, &announcement).await
                        }
                        Some(LockerTerms { seconds, downloads }) => {
                            let request =
                                LockerRequest { segments, bytes, recipient, seconds, downloads };
                            client.open_locker(id, &request).await
                        }
                    };
                    Outcome::Status(Box::new(answer))
                }
                SendAction::Ask { after } => {
                    let answer = client.delivery_status(id, None, Some(after)).await;
                    Outcome::Status(Box::new(answer))
                }
                SendAction::Put(number) => {
                    let put = match seat {
                        Some(seat) => seat.put(number).await,
                        None => {
                            let is_kept = locker.is_some();
                            put_alone(&client, id, source, vault, number, is_kept).await
                        }
                    };
                    Outcome::Put(number, put)
                }
            };
            (action, outcome)
        }
    }

    /// Verifies the receipt, and tells the hub that it came.
    async fn accept(&mut self, sealed: &[u8]) -> Result<Sent, SendError> {
        let vault = Vault::of_receipt(self.id, &self.secret);
        let signed = vault.open_any(0, sealed).map_err(|_| SendError::ForeignReceipt)?;
        let digest = self.digest().await?;
        let stream_bytes = self.source.layout().stream_bytes();
        let tally = Tally { items: self.source.items(), stream_bytes };
        let receipt = Receipt::open(&signed, self.id, digest, tally).map_err(SendError::Receipt)?;
        // The recipient waits for this and does without it after a while.
        if let Err(error) = self.client.end_delivery(*self.id.as_bytes(), None, RECEIVED).await {
            tracing::debug!(%error, "the recipient is not told that its receipt came");
        }
        let direct_segments = self.listener.as_ref().map_or(0, Listener::segments);
        Ok(Sent { receipt, signed, direct_segments })
    }

    /// The digest of what was sent. What another process sealed is read once more.
    async fn digest(&mut self) -> Result<Digest, SendError> {
        if let Some(digest) = self.digest {
            return Ok(digest);
        }
        let tags = Arc::clone(&self.tags);
        let (source, vault) = (Arc::clone(&self.source), Arc::clone(&self.vault));
        let digest = tokio::task::spawn_blocking(move || {
            let mut tags = lock(&tags);
            for (number, tag) in (0..).zip(&mut *tags) {
                if tag.is_none() {
                    *tag = Some(vault.tag(number, &source.segment(number)?));
                }
            }
            Ok::<_, SourceError>(Digest::of(tags.iter().flatten().copied()))
        });
        let digest = digest.await.expect("hashing does not panic")?;
        self.digest = Some(digest);
        Ok(digest)
    }

    /// Ends the delivery for both sides.
    ///
    /// # Errors
    /// The hub could not be told; it forgets the delivery by itself after a while.
    pub async fn end(&self, reason: &str) -> Result<(), ClientError> {
        self.client.end_delivery(*self.id.as_bytes(), None, reason).await
    }
}

/// Reads, seals and sends one segment of one delivery, to its recipient or to be kept in its locker.
pub(crate) async fn put_alone(
    client: &HubClient,
    delivery: [u8; 16],
    source: Arc<Source>,
    vault: Arc<Vault>,
    number: u64,
    is_kept: bool,
) -> Put {
    let sealed = tokio::task::spawn_blocking(move || {
        source.segment(number).map(|plain| vault.seal(number, plain))
    });
    let (tag, sealed) = sealed.await.expect("sealing does not panic")?;
    let taken = if is_kept {
        let digest = *blake3::hash(&sealed).as_bytes();
        client.keep_segment(delivery, number, digest, Bytes::from(sealed)).await
    } else {
        client.put_segment(delivery, number, Bytes::from(sealed)).await
    };
    Ok((Some(tag), taken))
}

fn lock(tags: &Tags) -> MutexGuard<'_, Vec<Option<Tag>>> {
    tags.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How far a sender stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    /// The hub has everything in a locker.
    Kept,
    Received,
}

/// What is waited for when everything is in a locker.
const KEPT: &str = "the recipient to collect it from the hub's locker";

/// What the sender says when it ends a delivery that arrived.
const RECEIVED: &str = "received";

fn known(status: &DeliveryStatus) -> HubStatus {
    let DeliveryStatus { change, next, verified, .. } = *status;
    let verified = status.locker.map_or(verified, |locker| verified.max(locker.kept));
    HubStatus { change, next, verified, has_receipt: status.receipt.is_some() }
}

fn failed(
    plan: &mut SendPlan,
    action: SendAction,
    error: ClientError,
    now: Instant,
) -> Result<(), SendError> {
    let forgotten = error.is_not_found();
    if !forgotten && !error.is_retryable() {
        return Err(SendError::Hub(error));
    }
    tracing::debug!(%error, "a delivery waits for its hub");
    plan.handle_failed(action, forgotten, now);
    Ok(())
}

fn ended_by(end: &hub_api::DeliveryEnd) -> SendError {
    SendError::Ended { by: party(end.by), reason: end.reason.clone() }
}

pub(crate) fn party(party: DeliveryParty) -> &'static str {
    match party {
        DeliveryParty::Sender => "the sender",
        DeliveryParty::Recipient => "the recipient",
        DeliveryParty::Hub => "the hub",
    }
}

/// `verified` is how many segments the recipient has.
fn waits_for(phase: SendPhase, verified: u64) -> Option<String> {
    let what = match phase {
        SendPhase::WaitingForHub => "the hub",
        SendPhase::WaitingForRecipient if verified > 0 => {
            "the recipient, who is away; it goes on by itself when they are back"
        }
        SendPhase::WaitingForRecipient => "the recipient to collect it",
        SendPhase::Passing => {
            "the recipient, who is connected and takes nothing; it goes on by itself when they do"
        }
        SendPhase::WaitingForReceipt => "the recipient to write the rest and sign",
        SendPhase::Sending | SendPhase::Done => return None,
    };
    Some(what.to_owned())
}

pub(crate) async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
