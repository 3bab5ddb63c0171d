//! A delivery that is offered: its header, and what this machine remembers of it from an earlier try.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use backoff::Delay;
use delivery::{
    DeliveryId, Header, Layout, OpenSegmentError, PREFIX_BYTES, PlainSegment, SEGMENT_BYTES, Tag,
    Ticket, TooLong, Vault, header_length, segment_count,
};
use delivery_plan::DeliveryConfig;
use documents::NodeKey;
use hub_api::DeliveryStatus;
use hub_client::{ClientError, HubClient};

use crate::direct::Reach;
use crate::kept::Kept;
use crate::place::{Leftover, Place};
use crate::progress::DeliveryProgress;
use crate::receive::{Driver, ReceiveError, Received};
use crate::send::party;
use crate::tags::Tags;

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
    reach: Reach,
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
        let reach = Reach::new(Arc::clone(&client), ticket.clone());
        let (encoded, first) = match read_if_there(&memory.join(HEADER))? {
            Some(encoded) => (encoded, Vec::new()),
            None => fetch_header(&client, &ticket, &vault, &reach, progress).await?,
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
        Ok(Self { client, ticket, memory, vault, header, encoded, layout, first, reach })
    }

    /// The same, all of it through the hub: the sender does not learn the address of this machine.
    #[must_use]
    pub fn relay_only(self) -> Self {
        self.reach.refuse_direct_path();
        self
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
        let Self { client, ticket, memory, vault, header, encoded, layout, first, reach } = self;
        let items = header.items.len() as u64;
        let mut driver = Driver {
            client,
            ticket,
            vault,
            layout,
            items,
            reach,
            stream: None,
            has_moved: false,
            direct_segments: 0,
            kept: None,
            is_receipt_kept: false,
            silent: None,
        };
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
pub(crate) const RECEIPT: &str = "receipt";

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
    reach: &Reach,
    progress: &DeliveryProgress,
) -> Result<(Vec<u8>, Vec<(Tag, PlainSegment)>), ReceiveError> {
    let mut delay = Delay::new(DeliveryConfig::default().retry, crate::seed());
    let mut damaged = 0;
    loop {
        let error = match try_header(client, ticket, vault, reach).await {
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
    reach: &Reach,
) -> Result<(Vec<u8>, Vec<(Tag, PlainSegment)>), ReceiveError> {
    let (id, token) = (*ticket.id.as_bytes(), ticket.secret.recipient_token());
    let status = client.delivery_status(id, Some(&token), None).await.map_err(ReceiveError::Hub)?;
    not_ended(&status)?;
    reach.hear(&status);
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
pub(crate) fn not_ended(status: &DeliveryStatus) -> Result<(), ReceiveError> {
    match &status.ended {
        Some(end) => Err(ReceiveError::Ended { by: party(end.by), reason: end.reason.clone() }),
        None => Ok(()),
    }
}
