//! A delivery on its way in.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use backoff::Delay;
use bytes::Bytes;
use content::DecodeError;
use delivery::{
    DeliveryId, Digest, Header, Layout, OpenSegmentError, PREFIX_BYTES, PlainSegment, Receipt,
    SEGMENT_BYTES, Tag, Tally, Ticket, TooLong, Vault, header_length, segment_count,
};
use delivery_plan::{DeliveryConfig, ReceiptStanding, ReceiveAction, ReceivePhase, ReceivePlan};
use documents::NodeKey;
use hub_api::{Base64Bytes, DeliveryParty, DeliveryStatus, DeliveryVerified};
use hub_client::{ClientError, HubClient};

use crate::ahead::Ahead;
use crate::kept::Kept;
use crate::place::{Leftover, Place, PlaceError, Placed};
use crate::progress::DeliveryProgress;
use crate::send::{party, sleep_until};
use crate::tags::Tags;

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

/// A delivery that waits for its recipient's word.
pub struct Offered {
    client: Arc<HubClient>,
    ticket: Ticket,
    memory: PathBuf,
    vault: Arc<Vault>,
    header: Header,
    encoded: Vec<u8>,
    layout: Layout,
    /// The first segments in plain, when they were just fetched.
    first: Vec<(Tag, PlainSegment)>,
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
}

impl Offered {
    /// Waits for the sender and fetches the header, unless it is in `memory`, a directory for this delivery
    /// alone, from an earlier try.
    ///
    /// # Errors
    /// See [`ReceiveError`]. A hub or a sender that is away is waited for.
    pub async fn open(
        client: Arc<HubClient>,
        ticket: Ticket,
        memory: &Path,
        progress: &DeliveryProgress,
    ) -> Result<Self, ReceiveError> {
        let vault = Arc::new(Vault::of_segments(ticket.id, &ticket.secret));
        let (encoded, first) = match read_if_there(&memory.join(HEADER))? {
            Some(encoded) => (encoded, Vec::new()),
            None => fetch_header(&client, &ticket, &vault, progress).await?,
        };
        let header = Header::decode(&encoded).map_err(ReceiveError::Header)?;
        let layout = Layout::new(&header, encoded.len())
            .map_err(|TooLong| ReceiveError::Impossible(TooLong.to_string()))?;
        // The length of each segment is only now known for sure.
        let whole = |(number, (_, plain)): (u64, &(Tag, PlainSegment))| {
            plain.len() == layout.segment_length(number)
        };
        if !(0..).zip(&first).all(whole) {
            return Err(ReceiveError::Impossible("its length is not that of its files".into()));
        }
        progress.waits(None);
        let memory = memory.to_owned();
        Ok(Self { client, ticket, memory, vault, header, encoded, layout, first })
    }

    /// Which one it is.
    #[must_use]
    pub fn id(&self) -> DeliveryId {
        self.ticket.id
    }

    /// Address of the hub it comes through.
    #[must_use]
    pub fn hub(&self) -> &str {
        &self.ticket.url
    }

    /// What is in it.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Length of the whole stream, in bytes.
    #[must_use]
    pub fn stream_bytes(&self) -> u64 {
        self.layout.stream_bytes()
    }

    /// The directory into which an earlier try wrote, which goes on there.
    #[must_use]
    pub fn begun_in(&self) -> Option<PathBuf> {
        let bytes = std::fs::read(self.memory.join(TO)).ok()?;
        use std::os::unix::ffi::OsStringExt as _;
        Some(PathBuf::from(std::ffi::OsString::from_vec(bytes)))
    }

    /// Tells the sender that it is not wanted.
    ///
    /// # Errors
    /// The hub could not be told.
    pub async fn refuse(self, reason: &str) -> Result<(), ClientError> {
        let token = self.ticket.secret.recipient_token();
        self.client.end_delivery(*self.ticket.id.as_bytes(), Some(&token), reason).await
    }

    /// Receives into the directory `to` until everything is there and the sender has the receipt, which `key`
    /// signs. Dropping the future stops; receiving again goes on. Once the receipt is kept, what is remembered of
    /// the delivery can go.
    ///
    /// # Errors
    /// See [`ReceiveError`]. A hub or a sender that is away is waited for.
    pub async fn receive(
        self,
        to: &Path,
        key: &NodeKey,
        progress: &DeliveryProgress,
    ) -> Result<Received, ReceiveError> {
        let Self { client, ticket, memory, vault, header, encoded, layout, first } = self;
        let items = header.items.len() as u64;
        let (stream, kept, is_receipt_kept) = (None, None, false);
        let mut driver =
            Driver { client, ticket, vault, layout, items, stream, kept, is_receipt_kept };
        // An earlier try had it all, and only its sender does not know yet.
        if let Some(signed) = read_if_there(&memory.join(RECEIPT))? {
            let receipt = documents::envelope::peek(&signed);
            let receipt = receipt.map_err(|error| ReceiveError::Memory {
                path: memory.join(RECEIPT),
                source: io::Error::other(error),
            })?;
            let (placed, resumed) = (Vec::new(), driver.layout.segments());
            let taken = driver.run(key, progress, Some((placed, receipt, signed))).await?;
            return Ok(Received { resumed, ..taken });
        }
        remember(&memory, to, &encoded)?;
        let path = memory.join(TAGS);
        let failed = |source| ReceiveError::Memory { path: path.clone(), source };
        let tags = Tags::open(&path).map_err(failed)?;
        let kept = tags.count().saturating_mul(SEGMENT_BYTES as u64);
        let layout = driver.layout.clone();
        let place = Place::open(to, driver.ticket.id, header, layout, kept)?;
        let mut head = (encoded.len() as u64).to_le_bytes().to_vec();
        head.extend_from_slice(&encoded);
        let mut kept = Kept::new(place, tags, path, memory.clone());
        kept.distrust_another_boot(&driver.vault, head, progress).await?;
        let resumed = kept.tags.count();
        for (number, (tag, plain)) in (0..).zip(first) {
            if number == kept.tags.count() {
                let added = kept.add(move || Ok((tag, plain))).await?;
                added.map_err(ReceiveError::Damaged)?;
            }
        }
        driver.kept = Some(kept);
        let received = driver.run(key, progress, None).await?;
        Ok(Received { resumed, ..received })
    }
}

/// Removes what an ended delivery left in the directory into which it was received; `memory` is what is remembered
/// of it, which can go with the last of it. What is complete stays, for a later try to end with it.
///
/// # Errors
/// See [`ReceiveError`]. What could not be removed is still remembered.
pub fn discard(memory: &Path, id: DeliveryId) -> Result<Leftover, ReceiveError> {
    use std::os::unix::ffi::OsStringExt as _;
    if read_if_there(&memory.join(RECEIPT))?.is_some() {
        return Ok(Leftover::Complete);
    }
    // Both are remembered before anything is written.
    let (Some(to), Some(encoded)) =
        (read_if_there(&memory.join(TO))?, read_if_there(&memory.join(HEADER))?)
    else {
        return Ok(Leftover::None);
    };
    let to = PathBuf::from(std::ffi::OsString::from_vec(to));
    let header = Header::decode(&encoded).map_err(ReceiveError::Header)?;
    Ok(Place::discard(&to, id, &header)?)
}

const HEADER: &str = "header";
const TAGS: &str = "tags";
const TO: &str = "to";
/// As it was signed, once everything has its name.
const RECEIPT: &str = "receipt";

fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, ReceiveError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ReceiveError::Memory { path: path.to_owned(), source }),
    }
}

fn remember(memory: &Path, to: &Path, encoded: &[u8]) -> Result<(), ReceiveError> {
    use std::os::unix::ffi::OsStrExt as _;
    let write = |name: &str, bytes: &[u8]| {
        let path = memory.join(name);
        // Whole or not at all: a header that was cut would be refused for good.
        let whole = memory.join(format!("{name}.new"));
        std::fs::write(&whole, bytes)
            .and_then(|()| std::fs::rename(&whole, &path))
            .map_err(|source| ReceiveError::Memory { path, source })
    };
    write(TO, to.as_os_str().as_bytes())?;
    write(HEADER, encoded)
}

/// Fetches segments from the first on until the header is whole.
async fn fetch_header(
    client: &HubClient,
    ticket: &Ticket,
    vault: &Vault,
    progress: &DeliveryProgress,
) -> Result<(Vec<u8>, Vec<(Tag, PlainSegment)>), ReceiveError> {
    let mut delay = Delay::new(DeliveryConfig::default().retry, crate::seed());
    let mut damaged = 0;
    loop {
        let error = match try_header(client, ticket, vault).await {
            Ok(found) => return Ok(found),
            Err(error) => error,
        };
        if let ReceiveError::Hub(error) = &error {
            progress.misses(Some(error));
        }
        match &error {
            ReceiveError::Hub(error) if error.is_not_found() => {
                progress.waits(Some("the sender, who is not connected to the hub".into()));
            }
            ReceiveError::Hub(error) if error.is_retryable() => {
                let mut told = "the hub".to_owned();
                if let ClientError::Problem { detail, .. } = error
                    && !detail.is_empty()
                {
                    told = format!("the hub: {detail}");
                }
                progress.waits(Some(told));
            }
            ReceiveError::Damaged(_) if damaged < 2 => damaged += 1,
            ReceiveError::Hub(_)
            | ReceiveError::Ended { .. }
            | ReceiveError::Damaged(_)
            | ReceiveError::Header(_)
            | ReceiveError::Impossible(_)
            | ReceiveError::Place(_)
            | ReceiveError::Memory { .. } => return Err(error),
        }
        tokio::time::sleep(delay.next_delay()).await;
    }
}

async fn try_header(
    client: &HubClient,
    ticket: &Ticket,
    vault: &Vault,
) -> Result<(Vec<u8>, Vec<(Tag, PlainSegment)>), ReceiveError> {
    let (id, token) = (*ticket.id.as_bytes(), ticket.secret.recipient_token());
    let status = client.delivery_status(id, Some(&token), None).await.map_err(ReceiveError::Hub)?;
    not_ended(&status)?;
    if status.segments != segment_count(status.bytes) || status.segments == 0 {
        return Err(ReceiveError::Impossible("its length is not that of its segments".into()));
    }
    let mut stream = client.delivery_segments(id, &token, 0).await.map_err(ReceiveError::Hub)?;
    let (mut first, mut start) = (Vec::new(), Vec::new());
    loop {
        let number = first.len() as u64;
        let next = stream.next().await.map_err(ReceiveError::Hub)?;
        let Some((at, sealed)) = next.filter(|(at, _)| *at == number) else {
            let status = client.delivery_status(id, Some(&token), None).await;
            not_ended(&status.map_err(ReceiveError::Hub)?)?;
            return Err(ReceiveError::Damaged(OpenSegmentError::NotAuthentic(number)));
        };
        let length = (status.bytes - at * SEGMENT_BYTES as u64).min(SEGMENT_BYTES as u64);
        let opened = vault.open(number, length as usize, sealed.into());
        let (tag, plain) = opened.map_err(ReceiveError::Damaged)?;
        start.extend_from_slice(&plain);
        first.push((tag, plain));
        let length = header_length(&start)
            .map_err(|length| ReceiveError::Impossible(format!("a header of {length} bytes")))?;
        if let Some(length) = length
            && let Some(encoded) = start.get(PREFIX_BYTES..PREFIX_BYTES + length)
        {
            return Ok((encoded.to_vec(), first));
        }
        if first.len() as u64 == status.segments {
            return Err(ReceiveError::Impossible("it ends within its header".into()));
        }
    }
}

/// An ended delivery does not go on, unless it ended because it arrived.
fn not_ended(status: &DeliveryStatus) -> Result<(), ReceiveError> {
    match &status.ended {
        Some(end) => Err(ReceiveError::Ended { by: party(end.by), reason: end.reason.clone() }),
        None => Ok(()),
    }
}

/// One loop that decides nothing.
struct Driver {
    client: Arc<HubClient>,
    ticket: Ticket,
    vault: Arc<Vault>,
    layout: Layout,
    items: u64,
    stream: Option<Ahead>,
    /// `None` when everything has its name.
    kept: Option<Kept>,
    /// The hub has the receipt on its disk, and keeps it for the sender.
    is_receipt_kept: bool,
}

/// What was placed, the receipt, and the receipt as it was signed.
type Finished = (Vec<Placed>, Receipt, Vec<u8>);

impl Driver {
    async fn run(
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
            progress.waits(waits_for(plan.phase()));
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
                        let client = Arc::clone(&client);
                        opening = Some(Box::pin(async move {
                            client.delivery_segments(id, &token, from).await
                        }));
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
                });
            }
            let wake = plan.poll_timeout().into_iter().chain(give_up).min();
            tokio::select! {
                opened = async { opening.as_mut().expect("guarded").await }, if opening.is_some() => {
                    opening = None;
                    match progress.heard(opened) {
                        Ok(stream) => {
                            self.stream = Some(Ahead::of(stream));
                            plan.handle_opened();
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
                        self.stream = None;
                        plan.handle_closed(Instant::now());
                        self.look(&mut plan).await?;
                    }
                    Err(error) => self.closed(&mut plan, error)?,
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
        tracing::debug!(%error, "a delivery waits for its hub");
        plan.handle_closed(Instant::now());
        Ok(())
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
            Ok(()) => plan.handle_segment(),
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

async fn next_of(stream: &mut Option<Ahead>) -> Result<Option<(u64, Bytes)>, ClientError> {
    match stream {
        Some(stream) => stream.next().await,
        None => std::future::pending().await,
    }
}

fn waits_for(phase: ReceivePhase) -> Option<String> {
    let what = match phase {
        ReceivePhase::Connecting => "the sender, or the hub between",
        ReceivePhase::HandingIn => "the sender to take the receipt",
        ReceivePhase::Receiving | ReceivePhase::Done | ReceivePhase::Broken => return None,
    };
    Some(what.to_owned())
}
