//! A delivery that is ready: sending it, and noting what came of that.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use deliver::{
    DeliveryProgress, DirectError, Filled, LeftOut, LockerTerms, Origin, Outgoing, SendError,
    Sending, Sent, Source,
};
use delivery::{DeliveryId, DeliverySecret, Digest, Header, Ticket};
use people::{Handle, Identity, ReceiptFile};

use super::{DeliveryError, FACTS, RECEIPT, Remembered, RememberedLocker, locked};
use crate::causes::chain;
use crate::hubs::HubLink;
use crate::state::{StateError, random, read_json, replace, write_json};

/// A delivery that is ready to be sent.
pub struct Prepared {
    /// Which one.
    pub id: DeliveryId,
    /// For the recipient.
    pub ticket: Ticket,
    /// What is in it.
    pub header: Header,
    /// Length of the stream, in bytes.
    pub stream_bytes: u64,
    /// The recipient's handle, when they are somebody at the hub.
    pub to: Option<Handle>,
    /// What was found and is not sent.
    pub left_out: Vec<LeftOut>,
    /// How the hub is talked to.
    pub hub: HubLink,
    /// Whether the hub is to keep it until it is collected.
    pub has_locker: bool,
    /// Whether its recipient may take it from this machine itself.
    pub is_direct: bool,
    pub(super) memory: PathBuf,
    pub(super) sending: Sending,
}

impl Prepared {
    /// Puts everything into the hub's locker, for which nobody has to be there, and remembers that; with the receipt,
    /// if it is there already, the delivery is over.
    ///
    /// # Errors
    /// See [`DeliveryError`]. A hub that is away is waited for.
    pub async fn fill(&mut self, progress: &DeliveryProgress) -> Result<Filled, DeliveryError> {
        let _alone = self.alone()?;
        let filled = self.sending.fill(progress).await;
        match filled.map_err(|error| self.noted(error))? {
            Filled::Received(sent) => Ok(Filled::Received(self.keep(sent)?)),
            Filled::Kept { locker, digest } => {
                self.remember(|remembered| {
                    let until = Some(locker.until);
                    let kept = remembered.locker.map(|terms| RememberedLocker { until, ..terms });
                    Remembered { locker: kept, digest: Some(digest.to_string()), ..remembered }
                })?;
                Ok(Filled::Kept { locker, digest })
            }
        }
    }

    /// Listens for the recipient, who may take everything from this machine then; see
    /// [`Sending::offer_direct_path`].
    ///
    /// # Errors
    /// See [`DirectError`]; the delivery goes through the hub alone.
    pub async fn offer_direct_path(&mut self) -> Result<(), DirectError> {
        self.sending.offer_direct_path().await
    }

    /// Sends until the recipient's receipt is here, and keeps it.
    ///
    /// # Errors
    /// See [`DeliveryError`]. A hub or a recipient that is away is waited for.
    pub async fn send(&mut self, progress: &DeliveryProgress) -> Result<Sent, DeliveryError> {
        let _alone = self.alone()?;
        let sent = self.sending.run(progress).await;
        self.keep(sent.map_err(|error| self.noted(error))?)
    }

    /// From now on these, which were prepared by one request, are uploaded once for all whose recipients keep pace.
    ///
    /// # Errors
    /// The machine gives no random bytes.
    pub fn send_together(prepared: &mut [Self]) -> Result<(), DeliveryError> {
        let sendings = prepared.iter_mut().map(|one| &mut one.sending).collect();
        Sending::together(sendings, random()?);
        Ok(())
    }

    /// Notes that the delivery is over when that is what went wrong.
    pub(super) fn noted(&self, error: SendError) -> DeliveryError {
        if let SendError::Ended { by, reason } = &error
            && let Err(failed) = self.end(&format!("{by}: {reason}"))
        {
            tracing::warn!(id = %self.id, error = %chain(&failed), "that it ended is not noted");
        }
        error.into()
    }

    /// Keeps the receipt, with which the delivery is over.
    pub(super) fn keep(&self, sent: Sent) -> Result<Sent, DeliveryError> {
        let digest = Some(sent.receipt.digest.to_string());
        self.keep_receipt(&ReceiptFile { receipt: sent.signed.clone(), lists: Vec::new() })?;
        self.remember(|remembered| Remembered { secret: None, digest, ..remembered })?;
        Ok(sent)
    }

    pub(crate) fn keep_receipt(&self, file: &ReceiptFile) -> Result<(), StateError> {
        replace(&self.memory.join(RECEIPT), &file.encode())
    }

    /// Notes whom the delivery is sealed for.
    pub(crate) fn seal_for(&self, identity: Identity) -> Result<(), StateError> {
        let identity = Some(identity.to_string());
        self.remember(|remembered| Remembered { identity, ..remembered })
    }

    /// Whom the delivery was sealed for.
    pub(crate) fn sealed_for(&self) -> Result<Option<String>, StateError> {
        let remembered = read_json::<Remembered>(&self.memory.join(FACTS))?;
        Ok(remembered.and_then(|remembered| remembered.identity))
    }

    /// Leaves it to the node of this machine, which goes on whenever the recipient is there.
    ///
    /// # Errors
    /// The state directory fails.
    pub fn leave_to_node(&self) -> Result<(), DeliveryError> {
        Ok(self.remember(|remembered| Remembered { kept: true, ..remembered })?)
    }

    /// It is over without a receipt, unless it was over before.
    ///
    /// # Errors
    /// The state directory fails.
    pub fn end(&self, reason: &str) -> Result<(), DeliveryError> {
        let ended = Some(reason.to_owned());
        Ok(self.remember(|remembered| match remembered.secret {
            Some(_) => Remembered { secret: None, ended, ..remembered },
            None => remembered,
        })?)
    }

    /// Forgets a delivery of which nobody was told.
    ///
    /// # Errors
    /// The state directory fails.
    pub fn discard(self) -> Result<(), DeliveryError> {
        let path = self.memory;
        fs::remove_dir_all(&path)
            .map_err(|source| StateError::Io { action: "remove", path, source }.into())
    }

    fn remember(&self, change: impl FnOnce(Remembered) -> Remembered) -> Result<(), StateError> {
        let path = self.memory.join(FACTS);
        if let Some(remembered) = read_json::<Remembered>(&path)? {
            write_json(&path, &change(remembered))?;
        }
        Ok(())
    }

    /// Keeps other processes of this machine from sending it, too.
    pub(super) fn alone(&self) -> Result<fs::File, DeliveryError> {
        locked(&self.memory.join("sending"))?.ok_or(DeliveryError::InUse(self.id))
    }
}

/// What this machine alone knows of a delivery that it sends.
pub(super) struct Ours {
    pub(super) id: DeliveryId,
    pub(super) secret: DeliverySecret,
    pub(super) to: Option<Handle>,
    pub(super) left_out: Vec<LeftOut>,
    pub(super) memory: PathBuf,
    pub(super) locker: Option<LockerTerms>,
    pub(super) until: Option<u64>,
    pub(super) direct: bool,
    pub(super) digest: Option<Digest>,
}

/// Makes it ready to be sent.
pub(super) fn prepared(
    hub: HubLink,
    ours: Ours,
    (header, encoded): (Header, Vec<u8>),
    origins: &[Origin],
) -> Result<Prepared, DeliveryError> {
    let source = Source::new(header.clone(), &encoded, origins)
        .map_err(|error| DeliveryError::TooLarge(error.to_string()))?;
    let stream_bytes = source.layout().stream_bytes();
    let Ours { id, secret, to, left_out, memory, locker, until, direct, digest } = ours;
    let route = hub.route();
    let ticket = Ticket { url: route.url, fingerprint: route.fingerprint, id, secret };
    let has_locker = locker.is_some();
    let outgoing = Outgoing { id, secret, source, locker, until, digest };
    let sending = Sending::new(Arc::clone(&hub.client), outgoing);
    Ok(Prepared {
        id,
        ticket,
        header,
        stream_bytes,
        to,
        left_out,
        hub,
        has_locker,
        is_direct: direct && !has_locker,
        memory,
        sending,
    })
}
