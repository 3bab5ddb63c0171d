//! A release is addressed to everybody at once.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use community::release::ENVELOPE_BYTES;
use hub_client::{HubClient, Pin};
use serde::{Deserialize, Serialize};

use super::plant::{Plant, target_key};

/// What was measured.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Queueing {
    /// From the first request to the last answer, by when every entry is durable.
    pub(crate) enqueue_s: f64,
    /// Bytes of one envelope.
    pub(crate) envelope_bytes: u64,
    /// Bytes on the wire to the hub, for each target.
    pub(crate) to_hub_bytes: f64,
    /// Bytes on the wire from the hub to one target that asks what waits for it, manifest included.
    pub(crate) from_hub_bytes: u64,
}

/// Addresses one release to every target.
pub(crate) async fn measure(mut plant: Plant) -> Result<Queueing> {
    let release = plant.publish().await?;
    let (publisher, targets) = (&plant.publisher, release.envelopes.len());
    let sent_before = publisher.client.bytes_on_wire().sent;
    let started = Instant::now();
    let queued = publisher
        .client
        .address_release(&publisher.feed, release.sequence, &release.envelopes)
        .await?;
    let enqueue_s = started.elapsed().as_secs_f64();
    let sent = publisher.client.bytes_on_wire().sent - sent_before;
    ensure!(queued == targets as u64, "{queued} of {targets} were queued");

    let last = plant.targets.last().context("there are targets")?;
    let key = target_key(last.number);
    let client = HubClient::new(&plant.url, Pin::Fingerprint(plant.fingerprint), Some(key))?;
    client.open_session().await?;
    let received_before = client.bytes_on_wire().received;
    let queue = client.queue(&plant.id, None).await?;
    let from_hub_bytes = client.bytes_on_wire().received - received_before;
    let (_, sealed) = release.envelopes.last().context("there are envelopes")?;
    ensure!(queue.entries.len() == 1 && queue.entries[0].envelope.0 == *sealed, "another envelope");
    Ok(Queueing {
        enqueue_s,
        envelope_bytes: ENVELOPE_BYTES as u64,
        to_hub_bytes: sent as f64 / targets as f64,
        from_hub_bytes,
    })
}
