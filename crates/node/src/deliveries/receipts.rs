//! Receipts that are kept: of what was sent from here, and of what was received.
//!
//! Each is a file that proves by itself who received what, and is verified anew whenever it is shown.

use std::fs;
use std::path::Path;

use deliver::{DeliveryProgress, Offered, Received};
use delivery::DeliveryId;
use people::{Handle, ProvenReceipt, ReceiptFile, ReceiptFileError};
use serde::{Deserialize, Serialize};

use super::{DeliveryError, FACTS, RECEIPT, Remembered, SentDelivery};
use crate::hubs::HubLink;
use crate::state::{Node, StateError, create_private_directory, read_json, replace, write_json};

/// Which way a delivery went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// From here.
    Sent,
    /// To here.
    Received,
}

/// A receipt that is kept here.
#[derive(Debug, Clone)]
pub struct KeptReceipt {
    /// Of which delivery.
    pub id: DeliveryId,
    /// Which way that went.
    pub way: Way,
    /// Handle of the other side, when it has one.
    pub with: Option<String>,
    /// The hub it went through.
    pub hub: String,
    /// Its subject.
    pub subject: String,
    /// As it can be handed on.
    pub file: Vec<u8>,
    /// What it proves.
    pub proven: Result<ProvenReceipt, ReceiptProblem>,
}

/// Why a kept receipt proves nothing.
#[derive(Debug, thiserror::Error, Clone)]
pub enum ReceiptProblem {
    /// The file was damaged or altered.
    #[error(transparent)]
    File(#[from] ReceiptFileError),
    /// It is the receipt of another delivery, or of other contents than were sent. Somebody changed the
    /// files of this machine.
    #[error("it is not the receipt of what was sent")]
    Other,
    /// It is of somebody else than the delivery was addressed to. Somebody changed the files of this
    /// machine.
    #[error("it was signed for {0}, to whom nothing was addressed")]
    OtherPerson(Handle),
}

/// `received/ID/delivery.json`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Came {
    sent: u64,
    hub: String,
    subject: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<String>,
}

impl Node {
    /// Receives into the directory `to` until everything is there and the sender has the receipt, which is
    /// kept here, too. Dropping the future stops; receiving again goes on. `from` is the handle of the
    /// sender, where they have one; then the owner of this machine has one there as well.
    ///
    /// # Errors
    /// See [`DeliveryError`]. A hub or a sender that is away is waited for.
    pub async fn receive_delivery(
        &self,
        offered: Offered,
        to: &Path,
        from: Option<(&HubLink, &Handle)>,
        progress: &DeliveryProgress,
    ) -> Result<Received, DeliveryError> {
        let header = offered.header();
        let came = Came {
            sent: header.sent,
            hub: offered.hub().to_owned(),
            subject: header.subject.clone(),
            from: from.map(|(_, handle)| handle.to_string()),
        };
        let delivery = offered.id();
        let alone = self.receiving_alone(delivery)?;
        let received = match offered.receive(to, self.key(), progress).await {
            Ok(received) => received,
            Err(error) => {
                drop(alone);
                self.forget_if_ended(delivery, &error).await;
                return Err(error.into());
            }
        };
        let mut file = ReceiptFile { receipt: received.signed.clone(), lists: Vec::new() };
        let id = delivery.to_string();
        let kept = self.deliveries("received")?.join(&id);
        create_private_directory(&kept)?;
        write_json(&kept.join(FACTS), &came)?;
        replace(&kept.join(RECEIPT), &file.encode())?;
        // Nothing is waited for here: everything arrived, and a receipt counts without this, too.
        if let Some((hub, _)) = from
            && let Ok(person) = hub.client.me().await
        {
            file.lists = person.lists.into_iter().map(|list| list.0).collect();
            if file.prove().is_ok() {
                replace(&kept.join(RECEIPT), &file.encode())?;
            }
        }
        // What is remembered is worth nothing any more; a rest of it costs nothing either.
        let _ = fs::remove_dir_all(self.deliveries("in")?.join(id));
        Ok(received)
    }

    /// The receipts that are kept here, the newest first; each is verified.
    ///
    /// # Errors
    /// The state directory fails.
    pub fn receipts(&self) -> Result<Vec<KeptReceipt>, StateError> {
        let mut found = Vec::new();
        for one in self.sent_deliveries()? {
            let memory = self.deliveries("out")?.join(one.id.to_string());
            if one.is_received
                && let Some(file) = read(&memory.join(RECEIPT))?
            {
                let remembered = read_json::<Remembered>(&memory.join(FACTS))?;
                let digest = remembered.and_then(|remembered| remembered.digest);
                let proven = prove(&file, one.id).and_then(|proven| {
                    check_sent(&proven, digest.as_deref(), one.to.as_deref()).map(|()| proven)
                });
                let SentDelivery { id, to: with, hub, subject, .. } = one;
                let way = Way::Sent;
                found.push((one.made, KeptReceipt { id, way, with, hub, subject, file, proven }));
            }
        }
        let directory = self.deliveries("received")?;
        let failed = |source| StateError::Io { action: "list", path: directory.clone(), source };
        for entry in fs::read_dir(&directory).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let Some(id) = super::id_of(&path) else { continue };
            // One that was being kept when its process was killed is kept by the next try.
            let (Some(came), Some(file)) =
                (read_json::<Came>(&path.join(FACTS))?, read(&path.join(RECEIPT))?)
            else {
                continue;
            };
            let proven = prove(&file, id);
            let Came { sent, from: with, hub, subject } = came;
            let way = Way::Received;
            found.push((sent, KeptReceipt { id, way, with, hub, subject, file, proven }));
        }
        found.sort_by_key(|(at, one)| std::cmp::Reverse((*at, one.id, one.way)));
        Ok(found.into_iter().map(|(_, one)| one).collect())
    }
}

fn prove(file: &[u8], id: DeliveryId) -> Result<ProvenReceipt, ReceiptProblem> {
    let proven = ReceiptFile::decode(file)?.prove()?;
    if proven.receipt.id == id { Ok(proven) } else { Err(ReceiptProblem::Other) }
}

fn check_sent(
    proven: &ProvenReceipt,
    digest: Option<&str>,
    to: Option<&str>,
) -> Result<(), ReceiptProblem> {
    if digest.is_some_and(|digest| digest != proven.receipt.digest.to_string()) {
        return Err(ReceiptProblem::Other);
    }
    match &proven.recipient {
        Some((handle, _)) if Some(handle.as_str()) != to => {
            Err(ReceiptProblem::OtherPerson(handle.clone()))
        }
        Some(_) | None => Ok(()),
    }
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, StateError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(StateError::Io { action: "read", path: path.to_owned(), source }),
    }
}
