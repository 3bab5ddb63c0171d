//! Deliveries of this machine: what it sends and what it collects.
//!
//! ```text
//! deliveries/out/ID/delivery.json   what is sent, through which hub, and what opens it: a secret
//! deliveries/out/ID/header          the header, as the recipient gets it
//! deliveries/out/ID/receipt         what the recipient signed; the delivery is over then
//! deliveries/received/ID/           the receipt of what came, and what it was
//! deliveries/in/ID/                 see `deliver`: what is here of a delivery that is being received
//! deliveries/in/ID/download         what names this download among those of a locker
//! deliveries/in/ID/receiving        locked by the process that receives it
//! deliveries/in/ID/code.json        the code it was asked for with, and the ticket that came: a secret
//! ```
//!
//! A delivery that was interrupted is continued: the sender's by its id, the recipient's with the same
//! ticket or code. What came of one that ended is removed.

mod codes;
mod ended;
mod prepared;
mod receipts;

use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use deliver::{
    CodeError, DeliveryProgress, LeftOut, LockerTerms, Offered, Origin, ReceiveError, SendError,
    SurveyError,
};
use delivery::{DeliveryId, DeliverySecret, Digest, HEADER_BYTES_MAX, Header, Ticket};
use hub_client::{HubClient, Pin, Timeouts};
use people::Handle;
use serde::{Deserialize, Serialize};

pub use self::prepared::Prepared;
use self::prepared::{Ours, prepared};
pub use self::receipts::{KeptReceipt, ReceiptProblem, Way};
use crate::hubs::{HubChoiceError, HubLink};
use crate::publish::unix_now;
use crate::state::{
    Node, StateError, create_private_directory, random, read_json, replace, write_json,
};

/// What to send.
#[derive(Debug, Clone, Default)]
pub struct DeliveryRequest {
    /// Files and directories.
    pub paths: Vec<PathBuf>,
    /// One line for the recipient.
    pub subject: String,
    /// A text for the recipient.
    pub message: String,
    /// The recipients' handles, when they are somebody at the hub. Each gets a delivery.
    pub to: Vec<Handle>,
    /// How the hub is to keep it until it is collected; `None` when it goes through the hub's memory alone.
    pub locker: Option<LockerTerms>,
    /// How long a recipient may begin, in seconds, when it is not in a locker; `None` while the sender is there.
    pub seconds: Option<u64>,
    /// Whether recipients may take it from this machine itself, where hub and network allow it.
    pub direct: bool,
}

/// Why a delivery is not made, found or sent.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// What was named cannot be sent.
    #[error(transparent)]
    Survey(#[from] SurveyError),
    /// The subject, the message, the number of files or their length is more than a delivery can have.
    /// Send less, or pack it first.
    #[error("the delivery is too large: {0}")]
    TooLarge(String),
    /// No delivery, or more than one, whose id begins so is still to be sent from here.
    #[error("no single unfinished delivery here begins with {0:?}")]
    Unknown(String),
    /// The recipient has it, and its receipt waits at the hub. Take that: the delivery is over then.
    #[error("delivery {0} arrived; its receipt waits at the hub")]
    Arrived(DeliveryId),
    /// No receipt, or more than one, is kept of deliveries whose id begins so.
    #[error("no single receipt is kept of a delivery that begins with {0:?}")]
    NoReceipt(String),
    /// Another process of this machine sends it. Leave it to that one, or end it first.
    #[error("delivery {0} is being sent by another process")]
    InUse(DeliveryId),
    /// Another process of this machine receives it. Leave it to that one, or end it first.
    #[error("delivery {0} is being received by another process")]
    Receiving(DeliveryId),
    /// Sending stopped.
    #[error("cannot deliver")]
    Send(#[from] SendError),
    /// The ticket was not handed over.
    #[error("cannot hand the ticket over by a code")]
    Code(#[from] CodeError),
    /// A code does not say where its sender is, and this machine is registered with no hub. Name the hub
    /// that the sender named.
    #[error("a code does not say at which hub its sender is, and none is known here")]
    CodeWithoutHub,
    /// Receiving stopped.
    #[error("cannot receive")]
    Receive(#[from] ReceiveError),
    /// The hub is not one that this machine can use.
    #[error(transparent)]
    Hub(#[from] HubChoiceError),
    /// The state directory failed.
    #[error("cannot use this node's state")]
    State(#[from] StateError),
}

/// A delivery that this machine sent or sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentDelivery {
    /// Which one.
    pub id: DeliveryId,
    /// When it was made, in seconds since 1970.
    pub made: u64,
    /// The hub it goes through.
    pub hub: String,
    /// Its subject.
    pub subject: String,
    /// The recipient's handle, when they are somebody at the hub.
    pub to: Option<String>,
    /// What is sent.
    pub paths: Vec<PathBuf>,
    /// Whether the recipient's receipt is here.
    pub is_received: bool,
    /// Whether the node of this machine sends it by itself.
    pub is_kept: bool,
    /// Why it ended without a receipt.
    pub ended: Option<String>,
    /// Until when the hub keeps it, once it has everything.
    pub kept_until: Option<u64>,
}

impl SentDelivery {
    /// Whether its receipt is still to come.
    #[must_use]
    pub fn is_unfinished(&self) -> bool {
        !self.is_received && self.ended.is_none()
    }
}

/// For whom a delivery is made, and how it goes there.
struct Terms {
    to: Option<Handle>,
    locker: Option<LockerTerms>,
    until: Option<u64>,
    direct: bool,
}

/// `delivery.json`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Remembered {
    made: u64,
    hub: String,
    /// The SHA-256 of the hub's certificate, where that is pinned: a guest is registered nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fingerprint: Option<String>,
    subject: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    /// The node of this machine sends it by itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    kept: bool,
    /// The recipient may take it from this machine itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    direct: bool,
    /// Why it ended without a receipt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ended: Option<String>,
    /// Whom it was sealed for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    identity: Option<String>,
    /// Until when a recipient may begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<u64>,
    /// How the hub is to keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    locker: Option<RememberedLocker>,
    /// Of what was sent, once the receipt is here or the hub has everything in its locker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    /// Absent once the receipt is here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    /// Name in the delivery and path here, as raw bytes in hexadecimal digits.
    origins: Vec<(String, String)>,
}

/// The locker of `delivery.json`.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RememberedLocker {
    seconds: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    downloads: Option<u32>,
    /// Once the hub has everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<u64>,
}

const FACTS: &str = "delivery.json";
const HEADER: &str = "header";
const RECEIPT: &str = "receipt";

impl Node {
    /// Makes a delivery of files and directories through `hub` for each recipient, or one for whoever gets its
    /// ticket. Nothing is read of them but their names, lengths and times.
    ///
    /// # Errors
    /// See [`DeliveryError`].
    pub fn prepare_deliveries(
        &self,
        hub: &HubLink,
        request: DeliveryRequest,
    ) -> Result<Vec<Prepared>, DeliveryError> {
        let surveyed = deliver::survey(&request.paths)?;
        let (origins, left_out) = (surveyed.origins.clone(), surveyed.left_out.clone());
        let header = surveyed.header(request.subject, request.message, unix_now());
        let encoded = header.encode();
        if encoded.len() > HEADER_BYTES_MAX {
            let items = header.items.len();
            return Err(DeliveryError::TooLarge(format!("{items} files and directories")));
        }
        // What this program would refuse to read it does not send.
        let refused = |error: content::DecodeError| DeliveryError::TooLarge(error.to_string());
        Header::decode(&encoded).map_err(refused)?;
        let until = request.seconds.map(|seconds| unix_now().saturating_add(seconds));
        if request.to.is_empty() {
            let terms = Terms { to: None, locker: request.locker, until, direct: request.direct };
            let only = self.prepare(hub, terms, (&header, &encoded), (&origins, &left_out))?;
            return Ok(vec![only]);
        }
        let prepare = |to| {
            let to = Some(to);
            let terms = Terms { to, locker: request.locker, until, direct: request.direct };
            self.prepare(hub, terms, (&header, &encoded), (&origins, &left_out))
        };
        request.to.into_iter().map(prepare).collect()
    }

    fn prepare(
        &self,
        hub: &HubLink,
        Terms { to, locker, until, direct }: Terms,
        (header, encoded): (&Header, &[u8]),
        (origins, left_out): (&[Origin], &[LeftOut]),
    ) -> Result<Prepared, DeliveryError> {
        let id = DeliveryId::from_bytes(random()?);
        let secret = DeliverySecret::from_bytes(random()?);
        let memory = self.deliveries("out")?.join(id.to_string());
        create_private_directory(&memory)?;
        let hexadecimal =
            |at: &Origin| (hex::encode(&at.name), hex::encode(at.path.as_os_str().as_bytes()));
        let remembered = Remembered {
            made: header.sent,
            hub: hub.url.clone(),
            fingerprint: hub.fingerprint(),
            subject: header.subject.clone(),
            to: to.as_ref().map(Handle::to_string),
            kept: false,
            direct,
            ended: None,
            identity: None,
            until,
            locker: locker.map(|LockerTerms { seconds, downloads }| RememberedLocker {
                seconds,
                downloads,
                until: None,
            }),
            digest: None,
            secret: Some(hex::encode(secret.as_bytes())),
            origins: origins.iter().map(hexadecimal).collect(),
        };
        replace(&memory.join(HEADER), encoded)?;
        write_json(&memory.join(FACTS), &remembered)?;
        let left_out = left_out.to_vec();
        let digest = None;
        let ours = Ours { id, secret, to, left_out, memory, locker, until, direct, digest };
        prepared(hub.clone(), ours, (header.clone(), encoded.to_vec()), origins)
    }

    /// A delivery that was made here and whose receipt did not come yet, by the beginning of its id.
    ///
    /// # Errors
    /// See [`DeliveryError`].
    pub fn resume_delivery(&self, id: &str) -> Result<Prepared, DeliveryError> {
        let unknown = || DeliveryError::Unknown(id.to_owned());
        let id = self.unfinished(id)?.ok_or_else(unknown)?;
        let memory = self.deliveries("out")?.join(id.to_string());
        let facts = memory.join(FACTS);
        let remembered: Remembered = read_json(&facts)?.ok_or_else(unknown)?;
        let damaged = |path: &Path, reason: &str| {
            DeliveryError::from(StateError::Damaged {
                path: path.to_owned(),
                reason: reason.into(),
            })
        };
        let secret = remembered.secret.ok_or_else(unknown)?;
        let mut bytes = [0; 32];
        let decoded = hex::decode_to_slice(&secret, &mut bytes);
        decoded.map_err(|_| damaged(&facts, "its secret is not 64 hexadecimal digits"))?;
        let secret = DeliverySecret::from_bytes(bytes);
        let origins: Option<Vec<Origin>> = remembered.origins.iter().map(origin).collect();
        let origins = origins.ok_or_else(|| damaged(&facts, "a path is not hexadecimal"))?;
        let path = memory.join(HEADER);
        let encoded = fs::read(&path).map_err(|source| StateError::Io {
            action: "read",
            path: path.clone(),
            source,
        })?;
        let header =
            Header::decode(&encoded).map_err(|error| damaged(&path, &error.to_string()))?;
        let to = match &remembered.to {
            Some(to) => {
                Some(to.parse().map_err(|_| damaged(&facts, "its recipient is no handle"))?)
            }
            None => None,
        };
        let digest = match &remembered.digest {
            Some(text) => {
                let mut bytes = [0; 32];
                let decoded = hex::decode_to_slice(text, &mut bytes);
                decoded.map_err(|_| damaged(&facts, "its digest is not 64 hexadecimal digits"))?;
                Some(Digest::from_bytes(bytes))
            }
            None => None,
        };
        let locker = remembered.locker.map(|it| {
            let RememberedLocker { seconds, downloads, .. } = it;
            LockerTerms { seconds, downloads }
        });
        let hub = self.hub_of(remembered.hub, remembered.fingerprint)?;
        let ours = Ours {
            id,
            secret,
            to,
            left_out: Vec::new(),
            memory,
            locker,
            until: remembered.until,
            direct: remembered.direct,
            digest,
        };
        prepared(hub, ours, (header, encoded), &origins)
    }

    /// The one unfinished delivery whose id begins so; a whole id need not be looked for.
    fn unfinished(&self, beginning: &str) -> Result<Option<DeliveryId>, StateError> {
        let mut bytes = [0; 16];
        if hex::decode_to_slice(beginning, &mut bytes).is_ok() {
            return Ok(Some(DeliveryId::from_bytes(bytes)));
        }
        let mut found = self.sent_deliveries()?;
        found.retain(|one| one.is_unfinished() && one.id.to_string().starts_with(beginning));
        Ok(match &found[..] {
            [only] => Some(only.id),
            _ => None,
        })
    }

    /// What this machine sent and sends, the newest first.
    ///
    /// # Errors
    /// The state directory fails.
    pub fn sent_deliveries(&self) -> Result<Vec<SentDelivery>, StateError> {
        let directory = self.deliveries("out")?;
        let failed = |source| StateError::Io { action: "list", path: directory.clone(), source };
        let mut found = Vec::new();
        for entry in fs::read_dir(&directory).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let Some(id) = id_of(&path) else { continue };
            // One that was being made when its process was killed was never sent.
            let Some(remembered) = read_json::<Remembered>(&path.join(FACTS))? else { continue };
            found.push(SentDelivery {
                id,
                made: remembered.made,
                hub: remembered.hub,
                subject: remembered.subject,
                to: remembered.to,
                paths: remembered.origins.iter().filter_map(origin).map(|at| at.path).collect(),
                is_received: remembered.secret.is_none() && remembered.ended.is_none(),
                is_kept: remembered.kept,
                kept_until: remembered.locker.and_then(|locker| locker.until),
                ended: remembered.ended,
            });
        }
        found.sort_by_key(|one| std::cmp::Reverse((one.made, one.id)));
        Ok(found)
    }

    /// Waits for the sender of a delivery, and fetches what is in it.
    ///
    /// # Errors
    /// See [`DeliveryError`]. A hub or a sender that is away is waited for.
    pub async fn open_delivery(
        &self,
        ticket: Ticket,
        progress: &DeliveryProgress,
    ) -> Result<Offered, DeliveryError> {
        let memory = self.deliveries("in")?.join(ticket.id.to_string());
        create_private_directory(&memory)?;
        let pin = Pin::of_invitation(&ticket.url, ticket.fingerprint);
        // Without a key: the hub is not to learn who collects.
        let client = HubClient::with_timeouts(&ticket.url, pin, None, Timeouts::default())
            .map_err(|source| HubChoiceError::Url { url: ticket.url.clone(), source })?;
        let client = client.with_activity(self.activity()).through(self.proxies.clone());
        let client = Arc::new(client.with_download(self.download(&memory)?));
        let id = ticket.id;
        match Offered::open(client, ticket, &memory, progress).await {
            Ok(offered) => Ok(offered),
            Err(error) => {
                self.forget_if_ended(id, &error).await;
                Err(error.into())
            }
        }
    }

    /// What names the download of a delivery that is received here, until it is here.
    fn download(&self, memory: &Path) -> Result<[u8; 16], StateError> {
        let path = memory.join("download");
        match fs::read(&path) {
            Ok(bytes) => {
                let damaged = || StateError::Damaged { path, reason: "it is not 16 bytes".into() };
                bytes.try_into().map_err(|_| damaged())
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let download: [u8; 16] = random()?;
                replace(&path, &download)?;
                Ok(download)
            }
            Err(source) => Err(StateError::Io { action: "read", path, source }),
        }
    }

    fn deliveries(&self, direction: &str) -> Result<PathBuf, StateError> {
        let directory = self.directory().join("deliveries").join(direction);
        create_private_directory(&directory)?;
        Ok(directory)
    }
}

/// Locks the file at `path`, making it when there is none; `None` when another process has it.
fn locked(path: &Path) -> Result<Option<fs::File>, StateError> {
    let failed = |source| StateError::Io { action: "lock", path: path.to_owned(), source };
    let mut options = fs::OpenOptions::new();
    let options = options.write(true).create(true).truncate(false).mode(0o600);
    let file = options.open(path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        Err(fs::TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// The delivery whose directory this is.
fn id_of(path: &Path) -> Option<DeliveryId> {
    let mut id = [0; 16];
    hex::decode_to_slice(path.file_name()?.as_bytes(), &mut id).ok()?;
    Some(DeliveryId::from_bytes(id))
}

fn origin((name, path): &(String, String)) -> Option<Origin> {
    let path = std::ffi::OsString::from_vec(hex::decode(path).ok()?);
    Some(Origin { name: hex::decode(name).ok()?, path: path.into() })
}
