//! What the node does for people by itself: it is online for them, and sends what was left to it.
//!
//! For every hub where the owner has a handle, it listens, says how much room there is, and so is online. For
//! every delivery that was left to it, it waits until the recipient lets the sender in and is there,
//! and goes on after any break until the receipt is here or somebody ends it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use backoff::Delay;
use deliver::{DeliveryProgress, Filled, SendError};
use delivery::DeliveryId;
use hub_api::{DeliveryState, DeviceRoom, PersonNews};
use hub_client::ClientError;
use tokio::task::JoinHandle;

use super::PeopleError;
use super::inbox::{InboxNews, Told};
use crate::causes::chain;
use crate::deliveries::{DeliveryError, Prepared};
use crate::hubs::{HubChoiceError, HubLink};
use crate::state::{Node, StateError, random};

/// How often new handles and deliveries are looked for.
const LOOK_FOR_NEW: Duration = Duration::from_secs(2);
/// The first and the longest pause after a failure.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(5));
/// How often it is looked whether the room changed.
const ROOM_INTERVAL: Duration = Duration::from_mins(1);
/// `MSDOS_SUPER_MAGIC` of statfs(2), for FAT in all its sizes.
const FAT: rustix::fs::FsWord = 0x4d44;
/// A file's length there is 32 bits.
const FAT_FILE_BYTES_MAX: u64 = u32::MAX as u64;
/// Deliveries that are sent at once; the others wait their turn, the oldest first.
const SENT_AT_ONCE: usize = 8;

/// Why something is tried again later.
#[derive(Debug, thiserror::Error)]
enum CourierError {
    #[error(transparent)]
    People(#[from] PeopleError),
    #[error(transparent)]
    Delivery(#[from] DeliveryError),
    #[error(transparent)]
    Hub(#[from] ClientError),
    #[error(transparent)]
    State(#[from] StateError),
    #[error(
        "another process listens as this device: two nodes run with copies of one state directory; give \
         one of them a state of its own with `consign account login`"
    )]
    Elsewhere,
}

/// What goes on for people.
pub struct Courier {
    node: Arc<Node>,
    online: BTreeMap<String, JoinHandle<()>>,
    sending: BTreeMap<DeliveryId, JoinHandle<()>>,
}

impl Courier {
    /// Nothing goes on yet: see [`Courier::run`].
    #[must_use]
    pub fn new(node: Arc<Node>) -> Self {
        Self { node, online: BTreeMap::new(), sending: BTreeMap::new() }
    }

    /// Does what there is to do, for ever. Dropping the future stops all of it; nothing is lost.
    pub async fn run(mut self) {
        loop {
            if let Err(error) = self.look() {
                tracing::error!(error = %chain(&error), "cannot see what is to be sent");
            }
            tokio::time::sleep(LOOK_FOR_NEW).await;
        }
    }

    fn look(&mut self) -> Result<(), StateError> {
        for hub in self.node.hubs()? {
            if !self.online.contains_key(&hub.url) && self.node.is_somebody(&hub)? {
                let node = Arc::clone(&self.node);
                let url = hub.url.clone();
                self.online.insert(url, tokio::spawn(async move { be_online(&node, &hub).await }));
            }
        }
        self.sending.retain(|_, job| !job.is_finished());
        let mut kept = self.node.sent_deliveries()?;
        kept.retain(|one| one.is_kept && !one.is_received && one.ended.is_none());
        for one in kept.into_iter().rev() {
            if self.sending.len() >= SENT_AT_ONCE {
                break;
            }
            let node = Arc::clone(&self.node);
            let job = || tokio::spawn(async move { deliver(&node, one.id).await });
            self.sending.entry(one.id).or_insert_with(job);
        }
        Ok(())
    }
}

impl Drop for Courier {
    fn drop(&mut self) {
        self.online.values().chain(self.sending.values()).for_each(JoinHandle::abort);
    }
}

/// Listens at a hub for ever.
async fn be_online(node: &Node, hub: &HubLink) {
    let (mut delay, mut inbox) = (Delay::new(PAUSES, chance()), Told::default());
    loop {
        match listen(node, hub, &mut inbox).await {
            Ok(()) => delay.reset(),
            Err(error @ CourierError::Elsewhere) => {
                // Coming again at once would end the other one's, which would come again at once.
                tracing::error!(hub = %hub.url, error = %chain(&error), "not online");
                tokio::time::sleep(PAUSES.1).await;
            }
            Err(error) => {
                tracing::warn!(hub = %hub.url, error = %chain(&error), "not online; trying again");
            }
        }
        tokio::time::sleep(delay.next_delay()).await;
    }
}

async fn listen(node: &Node, hub: &HubLink, inbox: &mut Told) -> Result<(), CourierError> {
    let mut events = hub.client.person_events().await?;
    let mut told = None;
    loop {
        let room = room(node);
        if let Some(room) = room
            && told.is_none_or(|told: DeviceRoom| is_another(told.free, room.free))
        {
            hub.client.put_room(&room).await?;
            told = Some(room);
        }
        tokio::select! {
            event = events.next() => match event? {
                Some(event) if event.news.contains(&PersonNews::Elsewhere) => {
                    return Err(CourierError::Elsewhere);
                }
                Some(event) => {
                    let is_of_inbox =
                        |news: &PersonNews| matches!(news, PersonNews::Inbox | PersonNews::Senders);
                    if event.news.iter().any(is_of_inbox) {
                        tell(&node.look_into_inbox(hub, inbox).await?);
                    }
                }
                None => return Ok(()),
            },
            () = tokio::time::sleep(ROOM_INTERVAL) => {}
        }
    }
}

/// What came goes to the log: who sits at the terminal sees it by `consign inbox --follow`.
fn tell(news: &InboxNews) {
    for sender in &news.senders {
        let handle = &*sender.handle;
        tracing::info!(handle, "somebody waits to be let in: `consign accept` with their handle");
    }
    for one in &news.deliveries {
        let (from, id) = (&*one.from, &one.delivery);
        match one.state {
            DeliveryState::Waiting if one.letter.is_some() => {
                tracing::info!(from, %id, "a delivery came: `consign accept` receives it");
            }
            DeliveryState::Terminated if !news.is_first => {
                tracing::info!(from, %id, "a delivery ended");
            }
            DeliveryState::Waiting
            | DeliveryState::PendingApproval
            | DeliveryState::Running
            | DeliveryState::Received
            | DeliveryState::Terminated
            | DeliveryState::Removed => {}
        }
    }
}

/// Room where the node keeps what comes.
fn room(node: &Node) -> Option<DeviceRoom> {
    let facts = rustix::fs::statvfs(node.directory()).ok()?;
    let kind = rustix::fs::statfs(node.directory()).ok()?.f_type;
    let largest = if kind == FAT { FAT_FILE_BYTES_MAX } else { i64::MAX.unsigned_abs() };
    Some(DeviceRoom { free: facts.f_bavail.saturating_mul(facts.f_frsize), largest })
}

/// Whether it changed by a tenth: others need not know more.
fn is_another(before: u64, now: u64) -> bool {
    before.abs_diff(now) >= (before / 10).max(1)
}

/// Sends one delivery, whatever comes, until it is over.
async fn deliver(node: &Node, id: DeliveryId) {
    let mut delay = Delay::new(PAUSES, chance());
    loop {
        match try_to_deliver(node, id).await {
            Ok(()) => return,
            Err(error) => {
                tracing::warn!(%id, error = %chain(&error), "not delivered; trying again");
            }
        }
        tokio::time::sleep(delay.next_delay()).await;
    }
}

async fn try_to_deliver(node: &Node, id: DeliveryId) -> Result<(), CourierError> {
    let mut prepared = match node.resume_delivery(&id.to_string()) {
        Ok(prepared) => prepared,
        // It ended since.
        Err(DeliveryError::Unknown(_)) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let Some(to) = prepared.to.clone() else { return Ok(()) };
    let me = node.me(&prepared.hub).await?;
    let admitted = async {
        let (info, _) = node.address(&me, &prepared, &to).await?;
        node.admitted(&prepared, info).await
    };
    if let Err(error) = admitted.await {
        if let PeopleError::Ended { by, reason } = &error {
            prepared.end(&format!("{by}: {reason}"))?;
            return Ok(());
        }
        return Err(error.into());
    }
    if prepared.is_direct
        && let Err(error) = prepared.offer_direct_path().await
    {
        tracing::info!(%id, error = %chain(&error), "it goes through the hub alone");
    }
    let progress = DeliveryProgress::default();
    let ended = match prepared.has_locker {
        true => match prepared.fill(&progress).await {
            // What it was is noted, so that a changed or removed file does not matter any more.
            Ok(Filled::Kept { .. }) => prepared.send(&progress).await,
            Ok(Filled::Received(sent)) => Ok(sent),
            Err(error) => Err(error),
        },
        false => prepared.send(&progress).await,
    };
    match ended {
        Ok(sent) => {
            node.confirm_receipt(&prepared, &to, &sent).await?;
            tracing::info!(%id, %to, "delivered");
            Ok(())
        }
        Err(error) => over(&prepared, error),
    }
}

/// Notes that a delivery is over when nothing can be done about it.
fn over(prepared: &Prepared, error: DeliveryError) -> Result<(), CourierError> {
    if let DeliveryError::Send(SendError::Ended { by, reason }) = &error {
        prepared.end(&format!("{by}: {reason}"))?;
    } else if let DeliveryError::Send(SendError::Source(error)) = &error {
        prepared.end(&error.to_string())?;
    } else {
        return Err(error.into());
    }
    Ok(())
}

impl Node {
    /// Every hub where this node is registered.
    fn hubs(&self) -> Result<Vec<HubLink>, StateError> {
        let links = self.known_hubs()?.into_iter().map(|known| self.link(&known));
        let usable = |link: Result<HubLink, HubChoiceError>| match link {
            Ok(link) => Some(link),
            Err(error) => {
                tracing::warn!(error = %chain(&error), "a hub cannot be used");
                None
            }
        };
        Ok(links.filter_map(usable).collect())
    }
}

/// Spreads the pauses of many nodes.
pub(super) fn chance() -> u64 {
    random().map_or(0, u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_told_when_it_changed_by_a_tenth() {
        assert!(!is_another(1000, 1000) && !is_another(1000, 1099) && !is_another(1000, 901));
        assert!(is_another(1000, 1100) && is_another(1000, 900) && is_another(0, 1));
    }
}
