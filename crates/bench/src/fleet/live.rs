//! Deliveries that stand still in a hub's memory, because their recipients do not take them.

use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use bytes::Bytes;
use content::ChunkId;
use documents::Invitation;
use hub_api::limits::SEGMENT_BYTES_MAX;
use hub_api::{DeliveryAnnouncement, Hex};
use hub_client::{DeliverySegments, HubClient, Pin};
use random::Random;
use tokio::task::JoinSet;

use super::idle::{Idle, SETTLING, resident_bytes};
use super::plant::{now, target_key};

/// What each delivery says that it has: 1 TiB.
const SEGMENTS: u64 = 1 << 20;
/// How often memory is looked at while deliveries stand still.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Why they stand still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stall {
    /// The recipient is connected and reads nothing.
    Deaf,
    /// The recipient reads a segment every few seconds.
    Slow,
}

impl FromStr for Stall {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "deaf" => Ok(Self::Deaf),
            "slow" => Ok(Self::Slow),
            other => bail!("recipients are deaf or slow, not {other}"),
        }
    }
}

/// Begins `count` deliveries, each from an account of its own, and looks at the memory of the
/// process `hub`: before, and the most of what it is while senders press on and recipients stall.
pub(crate) async fn measure(
    invitations: &[Invitation],
    count: usize,
    hub: u32,
    stall: Stall,
) -> Result<Idle> {
    ensure!(invitations.len() >= count, "each delivery needs an invitation for its sender");
    let mut senders = Vec::with_capacity(count);
    for (number, invitation) in invitations.iter().take(count).enumerate() {
        let pin = Pin::Fingerprint(invitation.fingerprint);
        let sender = HubClient::new(&invitation.url, pin, Some(target_key(number)))?;
        sender.register(invitation).await?;
        let (id, token) = names(number)?;
        let recipient = Hex(*ChunkId::of(&token).as_bytes());
        let bytes = SEGMENTS * SEGMENT_BYTES_MAX as u64;
        let announcement = DeliveryAnnouncement {
            segments: SEGMENTS,
            bytes,
            recipient,
            until: None,
            direct: None,
        };
        sender.announce_delivery(id, &announcement).await?;
        senders.push(Arc::new(sender));
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before_bytes = resident_bytes(hub)?;

    let bytes = Bytes::from(Random::new(now()).bytes(SEGMENT_BYTES_MAX));
    let (mut running, mut deaf) = (JoinSet::new(), Vec::new());
    for (number, sender) in senders.iter().enumerate() {
        let (id, token) = names(number)?;
        let pin = Pin::Fingerprint(invitations[0].fingerprint);
        let recipient = HubClient::new(&invitations[0].url, pin, None)?;
        let segments = recipient.delivery_segments(id, &token, 0).await?;
        match stall {
            Stall::Deaf => deaf.push(segments),
            Stall::Slow => drop(running.spawn(read_slowly(segments))),
        }
        running.spawn(press(Arc::clone(sender), id, bytes.clone()));
    }
    let (mut with_bytes, started) = (0, Instant::now());
    while started.elapsed() < SETTLING {
        with_bytes = with_bytes.max(resident_bytes(hub)?);
        tokio::time::sleep(LOOK_EVERY).await;
        if let Some(ended) = running.try_join_next() {
            ended??;
            bail!("a delivery ended that was to stand still");
        }
    }
    drop(deaf);
    Ok(Idle { before_bytes, with_bytes })
}

/// Id and token of a delivery.
fn names(number: usize) -> Result<([u8; 16], [u8; 32])> {
    let token = *ChunkId::of(format!("delivery {number}").as_bytes()).as_bytes();
    Ok((token[..16].try_into()?, token))
}

/// Hands over whatever is wanted, for ever.
async fn press(sender: Arc<HubClient>, id: [u8; 16], bytes: Bytes) -> Result<()> {
    loop {
        let status = sender.delivery_status(id, None, None).await?;
        let mut next = status.next;
        while let Some(number) = next {
            next = sender.put_segment(id, number, bytes.clone()).await?.next;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn read_slowly(mut segments: DeliverySegments) -> Result<()> {
    while segments.next().await?.is_some() {
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
    Ok(())
}
