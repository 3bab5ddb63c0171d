//! Deliveries that go to people by their handles.

use std::time::Duration;

use deliver::Sent;
use delivery::Ticket;
use documents::PublicKey;
use hub_api::{
    AddressedDelivery, DeliveriesPage, DeliveryEnd, DeliveryInfo, DeliveryParty, DeliveryState,
    DeviceLetter, Hex, ProblemCode, RecipientAnswer, RecipientCheck,
};
use hub_client::ClientError;
use people::{Handle, Known, Letter, ReceiptFile};

use super::{Me, PeopleError, Seen, follow, seed};
use crate::deliveries::Prepared;
use crate::hubs::HubLink;
use crate::state::Node;

/// How often it is looked whether a recipient agreed.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// A delivery that came, with what opens it.
#[derive(Debug, Clone)]
pub struct Arrived {
    /// What the hub says of it.
    pub info: DeliveryInfo,
    /// Who sent it.
    pub sender: Handle,
    /// Whether it can be opened here, or why not.
    pub opening: Opening,
}

/// Whether a delivery can be opened.
#[derive(Debug, Clone)]
pub enum Opening {
    /// With this ticket. Whether the sender is who the address book knows stands beside it.
    Ticket(Box<Ticket>, Seen),
    /// Nothing was sealed for this device: another one has it.
    NotForThisDevice,
    /// It is over.
    Over,
}

impl Node {
    /// Asks whether somebody can be sent so much, before it is: `bytes` in all, in files of which the
    /// largest has `largest`. Who has yet to let the sender in, or is away, is waited for.
    ///
    /// # Errors
    /// [`PeopleError::Unknown`], [`PeopleError::Refuses`], [`PeopleError::NoRoom`] or
    /// [`PeopleError::FileTooLarge`] when it cannot be; see [`PeopleError`].
    pub async fn check_recipient(
        &self,
        hub: &HubLink,
        to: &Handle,
        bytes: u64,
        largest: u64,
    ) -> Result<RecipientCheck, PeopleError> {
        let check = hub.client.check_recipient(to.as_str(), bytes, largest).await?;
        let to = to.clone();
        match check.answer {
            RecipientAnswer::Ready
            | RecipientAnswer::Offline
            | RecipientAnswer::NeverOnline
            | RecipientAnswer::PendingApproval => Ok(check),
            RecipientAnswer::Unknown => Err(PeopleError::Unknown(to)),
            RecipientAnswer::Blocked => Err(PeopleError::Refuses(to)),
            RecipientAnswer::DiskFull => Err(PeopleError::NoRoom { to, bytes }),
            RecipientAnswer::FileTooLarge => Err(PeopleError::FileTooLarge { to, largest }),
        }
    }

    /// Addresses a delivery to somebody, for all their devices.
    ///
    /// # Errors
    /// See [`PeopleError`].
    pub async fn address(
        &self,
        me: &Me,
        prepared: &Prepared,
        to: &Handle,
    ) -> Result<(DeliveryInfo, Known), PeopleError> {
        me.approved()?;
        let hub = &prepared.hub;
        loop {
            let (known, _) = self.recipient(hub, me, to).await?;
            let address = self.letters(me, prepared, &known)?;
            let id = *prepared.id.as_bytes();
            match hub.client.address_delivery(id, &address).await {
                Ok(info) => {
                    prepared.seal_for(known.identity)?;
                    return Ok((info, known));
                }
                Err(error) if error.code() == Some(ProblemCode::PersonConflict) => {
                    // A device came or went since: that list is another one now, or the hub is wrong.
                    let again = self.devices_of(hub, to).await?;
                    if again.hash == known.hash {
                        return Err(error.into());
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn letters(
        &self,
        me: &Me,
        prepared: &Prepared,
        known: &Known,
    ) -> Result<AddressedDelivery, PeopleError> {
        let letter =
            Letter { delivery: prepared.id, sender: me.known.identity, recipient: known.identity };
        let secret = prepared.ticket.secret;
        let mut letters = Vec::with_capacity(known.list.devices.len());
        for (key, device) in &known.list.devices {
            let sealed = letter.seal(&self.exchange(), &device.exchange, &secret, seed()?);
            let sealed = sealed.map_err(|_| PeopleError::Weak(known.list.handle.clone()))?;
            letters.push(DeviceLetter { key: Hex(*key.as_bytes()), sealed: sealed.into() });
        }
        let (files, _) = prepared.header.totals();
        Ok(AddressedDelivery {
            to: known.list.handle.to_string(),
            list: known.list.number,
            letters,
            segments: delivery::segment_count(prepared.stream_bytes),
            bytes: prepared.stream_bytes,
            files,
            largest: prepared.header.largest(),
            recipient: Hex(*blake3::hash(&secret.recipient_token()).as_bytes()),
        })
    }

    /// Waits until the recipient lets the sender in.
    ///
    /// # Errors
    /// [`PeopleError::Ended`] when they do not; see [`PeopleError`].
    pub async fn admitted(
        &self,
        prepared: &Prepared,
        mut info: DeliveryInfo,
    ) -> Result<(), PeopleError> {
        while info.state == DeliveryState::PendingApproval {
            tokio::time::sleep(LOOK_INTERVAL).await;
            let listed = self.outbox(&prepared.hub).await?;
            info = one_of(listed, &prepared.id.to_string())?;
        }
        check_over(info)
    }

    /// Why a delivery is over at the hub without its receipt, if it is.
    pub async fn why_over(&self, prepared: &Prepared) -> Option<PeopleError> {
        let listed = self.outbox(&prepared.hub).await.ok()?;
        let info = one_of(listed, &prepared.id.to_string()).ok()?;
        check_over(info).err()
    }

    /// Makes sure that a receipt was signed by a device of the recipient's, and keeps what proves it.
    ///
    /// # Errors
    /// [`PeopleError::ForeignReceipt`] when it was not; see [`PeopleError`].
    pub async fn confirm_receipt(
        &self,
        prepared: &Prepared,
        to: &Handle,
        sent: &Sent,
    ) -> Result<(), PeopleError> {
        let lists = prepared.hub.client.person(to.as_str()).await?.lists;
        let known = follow(to, &lists)?;
        let sealed_for = prepared.sealed_for()?;
        if sealed_for.is_some_and(|identity| identity != known.identity.to_string()) {
            return Err(PeopleError::IdentityChanged(to.clone()));
        }
        let signer = sent.receipt.recipient;
        if !known.list.devices.contains_key(&signer) {
            return Err(PeopleError::ForeignReceipt { to: to.clone(), signer });
        }
        let lists = lists.into_iter().map(|list| list.0).collect();
        Ok(prepared.keep_receipt(&ReceiptFile { receipt: sent.signed.clone(), lists })?)
    }

    /// What came for the owner of this machine, the newest first.
    ///
    /// # Errors
    /// See [`PeopleError`]. A delivery that its sender did not seal is an error when it is opened, and none
    /// here: it must not hide the others.
    pub async fn inbox(&self, hub: &HubLink) -> Result<Vec<DeliveryInfo>, PeopleError> {
        all(|before| hub.client.inbox(before)).await
    }

    /// What the owner of this machine addressed to others, the newest first.
    ///
    /// # Errors
    /// See [`PeopleError`].
    pub async fn outbox(&self, hub: &HubLink) -> Result<Vec<DeliveryInfo>, PeopleError> {
        all(|before| hub.client.outbox(before)).await
    }

    /// Finds one delivery by the beginning of its id, and opens its letter.
    ///
    /// # Errors
    /// See [`PeopleError`].
    pub async fn arrived(&self, hub: &HubLink, me: &Me, id: &str) -> Result<Arrived, PeopleError> {
        let found = one_of(self.inbox(hub).await?, id)?;
        let sender: Handle = found.from.parse()?;
        if found.state.is_over() {
            return Ok(Arrived { info: found, sender, opening: Opening::Over });
        }
        let Some(sealed) = &found.letter else {
            let opening = Opening::NotForThisDevice;
            return Ok(Arrived { info: found, sender, opening });
        };
        let theirs = self.devices_of(hub, &sender).await?;
        let device = theirs.list.devices.get(&PublicKey::from_bytes(found.device.0));
        let device = device.ok_or_else(|| PeopleError::Forged(sender.clone()))?;
        let letter = Letter {
            delivery: delivery::DeliveryId::from_bytes(found.delivery.0),
            sender: theirs.identity,
            recipient: me.known.identity,
        };
        let opened = letter.open(&device.exchange, &self.exchange(), &sealed.0);
        let secret = opened.map_err(|_| PeopleError::Forged(sender.clone()))?;
        let seen = self.contacts(hub, me).await?.seen(&sender, theirs.identity);
        let route = hub.route();
        let (url, fingerprint, id) = (route.url, route.fingerprint, letter.delivery);
        let ticket = Box::new(Ticket { url, fingerprint, id, secret });
        Ok(Arrived { info: found, sender, opening: Opening::Ticket(ticket, seen) })
    }
}

impl Node {
    /// Ends a delivery of the inbox or the outbox by the beginning of its id, and removes what came of it here.
    ///
    /// # Errors
    /// See [`PeopleError`].
    pub async fn end_addressed(
        &self,
        hub: &HubLink,
        among: Vec<DeliveryInfo>,
        id: &str,
        reason: &str,
    ) -> Result<DeliveryInfo, PeopleError> {
        let found = one_of(among, id)?;
        hub.client.end_delivery(found.delivery.0, None, reason).await?;
        let over = DeliveryInfo { state: DeliveryState::Terminated, ..found };
        self.forget_ended(std::slice::from_ref(&over)).await;
        Ok(over)
    }
}

/// Every delivery of every page; a hub that repeats a page must not keep us here.
async fn all<P>(page: impl Fn(Option<u64>) -> P) -> Result<Vec<DeliveryInfo>, PeopleError>
where
    P: Future<Output = Result<DeliveriesPage, ClientError>>,
{
    let mut found = Vec::new();
    let mut before = None;
    loop {
        let page = page(before).await?;
        found.extend(page.deliveries);
        match page.next {
            Some(next) if before.is_none_or(|before| next < before) => before = Some(next),
            Some(_) | None => return Ok(found),
        }
    }
}

/// Refuses a delivery that ended without a receipt.
fn check_over(info: DeliveryInfo) -> Result<(), PeopleError> {
    let by = match &info.ended {
        Some(DeliveryEnd { by: DeliveryParty::Sender, .. }) => "the sender",
        Some(DeliveryEnd { by: DeliveryParty::Recipient, .. }) => "the recipient",
        Some(DeliveryEnd { by: DeliveryParty::Hub, .. }) | None => "the hub",
    };
    match info.state {
        DeliveryState::Terminated | DeliveryState::Removed => {
            let reason = info.ended.map_or_else(String::new, |end| end.reason);
            Err(PeopleError::Ended { by, reason })
        }
        DeliveryState::PendingApproval
        | DeliveryState::Waiting
        | DeliveryState::Running
        | DeliveryState::Received => Ok(()),
    }
}

/// The one delivery whose id begins so.
fn one_of(list: Vec<DeliveryInfo>, id: &str) -> Result<DeliveryInfo, PeopleError> {
    let mut found = list.into_iter().filter(|one| one.delivery.to_string().starts_with(id));
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        _ => Err(PeopleError::NoSuchDelivery(id.to_owned())),
    }
}
