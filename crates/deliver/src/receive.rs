//! A delivery on its way in.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use content::DecodeError;
use delivery::{Digest, Layout, OpenSegmentError, Receipt, Tag, Tally, Ticket, Vault};
use delivery_plan::{DeliveryConfig, ReceiptStanding, ReceiveAction, ReceivePhase, ReceivePlan};
use documents::NodeKey;
use hub_api::{Base64Bytes, DeliveryParty, DeliveryStatus, DeliveryVerified};
use hub_client::{ClientError, HubClient};

use crate::ahead::{Ahead, Broken};
use crate::direct::Reach;
use crate::kept::Kept;
use crate::offered::{RECEIPT, not_ended};
use crate::place::{PlaceError, Placed};
use crate::progress::DeliveryProgress;
use crate::send::sleep_until;

/// How long a recipient that has everything waits for its sender to take the receipt. Then it leaves; the
/// receipt waits at the hub.
const RECEIPT_PATIENCE: Duration = Duration::from_secs(30);

/// Why a delivery is not here. Receiving with the same ticket goes on where it stopped, unless the
/// variant says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// The hub refuses, or is not the one of the ticket.
    #[error("the hub does not hand out the delivery")]
    Hub(#[source] ClientError),
    /// The sender, or the hub, ended it. Ask the sender for another one.
    #[error("{by} ended the delivery: {reason}")]
    Ended {
        /// Who.
        by: &'static str,
        /// Why, in their words.
        reason: String,
    },
    /// What came was not sealed for this ticket, again and again. The hub or the sender is broken or lies;
    /// nothing of it was kept.
    #[error("what comes is not what the sender sealed")]
    Damaged(#[source] OpenSegmentError),
    /// The header is not one. The sender's program is broken, or a newer one.
    #[error("the delivery's header cannot be read")]
    Header(#[source] DecodeError),
    /// The stream claims to be something it cannot be: its header is longer than any, or its length is
    /// not that of its files. The sender's program is broken, or the hub lies about the length.
    #[error("the delivery is impossible: {0}")]
    Impossible(String),
    /// The files cannot be written.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// What this machine remembers of the delivery cannot be read or written.
    #[error("cannot use {}", path.display())]
    Memory {
        /// The file or directory.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// A delivery that is here.
#[derive(Debug)]
pub struct Received {
    /// Where it is. What a killed process had moved to its name before is not among them.
    pub placed: Vec<Placed>,
    /// What this machine signed.
    pub receipt: Receipt,
    /// The signed receipt, to be kept.
    pub signed: Vec<u8>,
    /// Whether the sender has the receipt; else it waits at the hub for a while.
    pub taken: bool,
    /// Whether it waits there durably: the delivery came out of a locker.
    pub is_receipt_kept: bool,
    /// How many segments were here from an earlier try.
    pub resumed: u64,
    /// How many segments came from the sender itself.
    pub direct_segments: u64,
}

/// One loop that decides nothing.
pub(crate) struct Driver {
    pub(crate) client: Arc<HubClient>,
    pub(crate) ticket: Ticket,
    pub(crate) vault: Arc<Vault>,
    pub(crate) layout: Layout,
    pub(crate) items: u64,
    pub(crate) reach: Reach,
    pub(crate) stream: Option<Ahead>,
    /// A segment of the stream was wanted.
    pub(crate) has_moved: bool,
    pub(crate) direct_segments: u64,
    /// `None` when everything has its name.
    pub(crate) kept: Option<Kept>,
    /// The hub has the receipt on its disk, and keeps it for the sender.
    pub(crate) is_receipt_kept: bool,
    /// Who was last found to be silent; `None` while segments come.
    pub(crate) silent: Option<Silent>,
}

/// Who is waited for while nothing comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Silent {
    /// The hub does not answer.
    Hub,
    /// The hub has not heard of the sender for a while, or does not know the delivery any more.
    SenderAway,
    /// The hub heard of the sender a short while ago.
    SenderHere,
}

impl Silent {
    /// By what the hub says. What lies in a locker waits for nobody but the hub.
    fn of(status: &DeliveryStatus) -> Option<Self> {
        match (&status.locker, status.sender.here) {
            (Some(_), _) => None,
            (None, true) => Some(Self::SenderHere),
            (None, false) => Some(Self::SenderAway),
        }
    }
}

/// What was placed, the receipt, and the receipt as it was signed.
pub(crate) type Finished = (Vec<Placed>, Receipt, Vec<u8>);

impl Driver {
    pub(crate) async fn run(
        &mut self,
        key: &NodeKey,
        progress: &DeliveryProgress,
        mut finished: Option<Finished>,
    ) -> Result<Received, ReceiveError> {
        let (segments, stream_bytes) = (self.layout.segments(), self.layout.stream_bytes());
        let (id, token) = (*self.ticket.id.as_bytes(), self.ticket.secret.recipient_token());
        let here = self.kept.as_ref().map_or(segments, |kept| kept.tags.count());
        let config = DeliveryConfig::default();
        let mut plan = ReceivePlan::new(config, (here, segments), crate::seed(), Instant::now());
        let mut give_up = finished.is_some().then(|| Instant::now() + RECEIPT_PATIENCE);
        let mut report = finished.as_ref().map(|(_, _, signed)| self.sealed(signed));
        let client = Arc::clone(&self.client);
        let mut opening = None;
        let mut reporting = None;
        loop {
            progress.verified(plan.verified(), stream_bytes);
            progress.waits(waits_for(plan.phase(), self.silent));
            if plan.verified() == segments && finished.is_none() {
                progress.waits(Some("this machine's disk".into()));
                let done = self.finish(key).await?;
                report = Some(self.sealed(&done.2));
                finished = Some(done);
                give_up = Some(Instant::now() + RECEIPT_PATIENCE);
            }
            while let Some(action) = plan.poll_action(Instant::now()) {
                match action {
                    ReceiveAction::Open { from } => {
                        opening = Some(Box::pin(self.reach.clone().open(from)));
                    }
                    ReceiveAction::Close => self.stream = None,
                    ReceiveAction::Report { verified } => {
                        let (client, receipt) = (Arc::clone(&client), report.clone());
                        let receipt = receipt.filter(|_| verified == segments).map(Base64Bytes);
                        let told = DeliveryVerified { segments: verified, receipt };
                        reporting = Some(asking(Asked::Report(verified), async move {
                            client.delivery_verified(id, &token, &told).await
                        }));
                    }
                    ReceiveAction::Look => {
                        let client = Arc::clone(&client);
                        reporting = Some(asking(Asked::Look, async move {
                            client.delivery_status(id, Some(&token), None).await
                        }));
                    }
                    ReceiveAction::Await { after } => {
                        let client = Arc::clone(&client);
                        reporting = Some(asking(Asked::Await(Instant::now()), async move {
                            client.delivery_status(id, Some(&token), Some(after)).await
                        }));
                    }
                }
            }
            let taken = plan.phase() == ReceivePhase::Done;
            let is_over = taken || give_up.is_some_and(|at| at <= Instant::now());
            if let Some((placed, receipt, signed)) = finished.take_if(|_| is_over) {
                let is_receipt_kept = self.is_receipt_kept;
                let taken = taken && !is_receipt_kept;
                return Ok(Received {
                    placed,
                    receipt,
                    signed,
                    taken,
                    is_receipt_kept,
                    resumed: 0,
                    direct_segments: self.direct_segments,
                });
            }
            let wake = plan.poll_timeout().into_iter().chain(give_up).min();
            tokio::select! {
                opened = async { opening.as_mut().expect("guarded").await }, if opening.is_some() => {
                    opening = None;
                    match progress.heard(opened) {
                        Ok(stream) => {
                            self.stream = Some(stream);
                            (self.silent, self.has_moved) = (None, false);
                            plan.handle_opened(Instant::now());
                        }
                        Err(error) => self.closed(&mut plan, error)?,
                    }
                }
                (asked, answer) = async { reporting.as_mut().expect("guarded").await },
                    if reporting.is_some() =>
                {
                    reporting = None;
                    self.reported(&mut plan, asked, progress.heard(answer))?;
                }
                next = next_of(&mut self.stream), if self.stream.is_some() => match next {
                    Ok(Some((number, sealed))) => self.came(&mut plan, number, sealed).await?,
                    // The end of the stream, or of the sender.
                    Ok(None) => {
                        self.leave_direct_path();
                        plan.handle_closed(Instant::now());
                        self.look(&mut plan).await?;
                    }
                    Err(Broken::Hub(error)) => self.closed(&mut plan, error)?,
                    Err(Broken::Sender(error)) => {
                        tracing::debug!(%error, "a direct stream broke");
                        self.leave_direct_path();
                        plan.handle_closed(Instant::now());
                    }
                },
                () = sleep_until(wake) => {}
            }
        }
    }

    /// A stream could not be opened, or broke.
    fn closed(&mut self, plan: &mut ReceivePlan, error: ClientError) -> Result<(), ReceiveError> {
        self.stream = None;
        if !error.is_not_found() && !error.is_retryable() {
            return Err(ReceiveError::Hub(error));
        }
        self.silent = Some(if error.is_not_found() { Silent::SenderAway } else { Silent::Hub });
        tracing::debug!(%error, "a delivery waits for its hub");
        plan.handle_closed(Instant::now());
        Ok(())
    }

    /// The stream is over. A direct path that brought nothing is not tried again.
    fn leave_direct_path(&mut self) {
        let was_direct = self.stream.take().is_some_and(|stream| stream.is_direct());
        if was_direct && !self.has_moved {
            self.reach.give_up();
        }
    }

    /// The stream ended: whether the delivery did, too.
    async fn look(&mut self, plan: &mut ReceivePlan) -> Result<(), ReceiveError> {
        let (id, token) = (*self.ticket.id.as_bytes(), self.ticket.secret.recipient_token());
        match self.client.delivery_status(id, Some(&token), None).await {
            Ok(status) if plan.phase() != ReceivePhase::HandingIn => not_ended(&status),
            Ok(_) => Ok(()),
            Err(error) if error.is_not_found() || error.is_retryable() => Ok(()),
            Err(error) => Err(ReceiveError::Hub(error)),
        }
    }

    fn reported(
        &mut self,
        plan: &mut ReceivePlan,
        asked: Asked,
        answer: Result<DeliveryStatus, ClientError>,
    ) -> Result<(), ReceiveError> {
        let status = match answer {
            Ok(status) => status,
            Err(error) if error.is_not_found() || error.is_retryable() => {
                plan.handle_report_failed(Instant::now());
                return Ok(());
            }
            Err(error) => return Err(ReceiveError::Hub(error)),
        };
        self.reach.hear(&status);
        let has_all = plan.verified() == status.segments;
        let (is_there, change) = (status.receipt.is_some(), status.change);
        let is_over = status.ended.as_ref().is_some_and(|it| it.by == DeliveryParty::Sender);
        // A locker does without the sender.
        let is_kept = has_all && status.locker.is_some() && is_there;
        let standing = ReceiptStanding { is_there, is_taken: is_over || is_kept, change };
        match asked {
            Asked::Report(verified) => {
                if verified < status.segments {
                    not_ended(&status)?;
                }
                plan.handle_reported(verified, standing, Instant::now());
            }
            Asked::Look => {
                not_ended(&status)?;
                self.silent = Silent::of(&status);
                plan.handle_looked(Instant::now());
            }
            Asked::Await(begun) => plan.handle_awaited(standing, begun),
        }
        self.is_receipt_kept = is_kept;
        Ok(())
    }

    async fn came(
        &mut self,
        plan: &mut ReceivePlan,
        number: u64,
        sealed: Bytes,
    ) -> Result<(), ReceiveError> {
        if !plan.is_next(number) {
            return Ok(());
        }
        let (vault, length) = (Arc::clone(&self.vault), self.layout.segment_length(number));
        let kept = self.kept.as_mut().expect("what is complete wants no segment");
        match kept.add(move || vault.open(number, length, sealed.into())).await? {
            Ok(()) => {
                let is_direct = self.stream.as_ref().is_some_and(Ahead::is_direct);
                self.direct_segments += u64::from(is_direct);
                (self.silent, self.has_moved) = (None, true);
                plan.handle_segment(Instant::now());
            }
            Err(error) => {
                plan.handle_damaged();
                if plan.phase() == ReceivePhase::Broken {
                    return Err(ReceiveError::Damaged(error));
                }
            }
        }
        Ok(())
    }

    /// Everything is here: gives it its names, and signs.
    async fn finish(&mut self, key: &NodeKey) -> Result<Finished, ReceiveError> {
        self.stream = None;
        let kept = self.kept.take().expect("what has its name was not kept by this process");
        let kept = kept.settled().await?;
        kept.tags.sync().map_err(|source| kept.failed(source))?;
        let place = Arc::clone(&kept.place);
        let finishing = tokio::task::spawn_blocking(move || place.finish());
        let placed = finishing.await.expect("finishing does not panic")?;
        let tags = (0..self.layout.segments()).map(|number| kept.tags.read(number));
        let tags = tags.collect::<io::Result<Vec<Tag>>>();
        let receipt = Receipt {
            id: self.ticket.id,
            digest: Digest::of(tags.map_err(|source| kept.failed(source))?),
            tally: Tally { items: self.items, stream_bytes: self.layout.stream_bytes() },
            received: crate::unix_now(),
            recipient: key.public(),
        };
        let signed = receipt.sign(key);
        let path = kept.memory.join(RECEIPT);
        durably(&path, &signed).map_err(|source| ReceiveError::Memory { path, source })?;
        kept.place.clear()?;
        Ok((placed, receipt, signed))
    }

    fn sealed(&self, signed: &[u8]) -> Vec<u8> {
        Vault::of_receipt(self.ticket.id, &self.ticket.secret).seal(0, signed.into()).1
    }
}

/// Writes a file that is there after a power cut, whole or not at all.
fn durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write as _;
    let whole = path.with_extension("new");
    let mut file = std::fs::File::create(&whole)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&whole, path)?;
    std::fs::File::open(path.parent().unwrap_or(path))?.sync_all()
}

/// What the hub was asked about a delivery.
#[derive(Debug, Clone, Copy)]
enum Asked {
    /// It was told that so many segments are here.
    Report(u64),
    /// How it stands now, because nothing comes.
    Look,
    /// How it stands, since this moment.
    Await(Instant),
}

type Asking = Pin<Box<dyn Future<Output = (Asked, Result<DeliveryStatus, ClientError>)> + Send>>;

fn asking(
    asked: Asked,
    answer: impl Future<Output = Result<DeliveryStatus, ClientError>> + Send + 'static,
) -> Asking {
    Box::pin(async move { (asked, answer.await) })
}

async fn next_of(stream: &mut Option<Ahead>) -> Result<Option<(u64, Bytes)>, Broken> {
    match stream {
        Some(stream) => stream.next().await,
        None => std::future::pending().await,
    }
}

fn waits_for(phase: ReceivePhase, silent: Option<Silent>) -> Option<String> {
    let what = match (phase, silent) {
        (ReceivePhase::Connecting | ReceivePhase::Receiving, Some(Silent::SenderAway)) => {
            "the sender, who is away; it goes on by itself when they are back"
        }
        (ReceivePhase::Connecting | ReceivePhase::Receiving, Some(Silent::SenderHere)) => {
            "the sender, who was there half a minute ago at most and sends nothing; it goes on by itself when they do"
        }
        (ReceivePhase::Connecting, Some(Silent::Hub)) => {
            "the hub, which does not answer; it goes on by itself when the hub does"
        }
        (ReceivePhase::Connecting, None) => "the sender, or the hub between",
        (ReceivePhase::HandingIn, _) => "the sender to take the receipt",
        (ReceivePhase::Receiving, None | Some(Silent::Hub))
        | (ReceivePhase::Done | ReceivePhase::Broken, _) => return None,
    };
    Some(what.to_owned())
}

#[cfg(test)]
mod tests {
    use hub_api::DeliverySide;

    use super::*;

    #[test]
    fn who_is_silent_is_named_by_what_the_hub_says() {
        let says = |here| DeliveryStatus {
            segments: 3,
            bytes: 9,
            next: Some(1),
            verified: 1,
            sender: DeliverySide { here, since: 7 },
            recipient: DeliverySide { here: true, since: 7 },
            receipt: None,
            ended: None,
            change: 1,
            locker: None,
            direct: None,
        };
        let named = |status: &DeliveryStatus| {
            waits_for(ReceivePhase::Receiving, Silent::of(status)).unwrap_or_default()
        };
        assert!(named(&says(true)).starts_with("the sender, who was there"));
        assert!(named(&says(false)).starts_with("the sender, who is away"));
        let locker = hub_api::LockerStatus { kept: 3, until: 9, downloads: 0, downloads_max: None };
        assert_eq!(named(&DeliveryStatus { locker: Some(locker), ..says(false) }), "");
    }
}
