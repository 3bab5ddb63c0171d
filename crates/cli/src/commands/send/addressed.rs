//! A delivery for somebody who has a handle at the hub.

use std::time::Duration;

use anyhow::bail;
use documents::PublicKey;
use hub_api::{DeliveryInfo, DeliveryState};
use node::deliveries::Prepared;
use people::Handle;
use serde_json::json;

use super::super::Session;
use crate::output::{bytes, number, utc};
use crate::progress::{Look, watch_silence};

/// How often it is looked whether the recipient agreed.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// Addresses the delivery, and waits until the recipient lets its sender in.
pub(super) async fn address(
    session: &Session,
    prepared: &Prepared,
    to: &Handle,
) -> anyhow::Result<()> {
    let node = session.node()?;
    let me = session.patiently(node.me(&prepared.hub)).await?;
    let (info, known) = session.patiently(node.address(&me, prepared, to)).await?;
    let (files, total) = prepared.header.totals();
    session.output.fact(
        format!(
            "{}  for {to} ({} devices), through {}: {} files, {}",
            prepared.id,
            known.list.devices.len(),
            prepared.hub.url,
            number(files),
            bytes(total),
        ),
        &json!({
            "event": "addressed",
            "id": prepared.id.to_string(),
            "hub": prepared.hub.url,
            "to": to.as_str(),
            "state": info.state,
            "files": files,
            "bytes_total": total,
        }),
    )?;
    let reason = format!("{to} to let you in, since {}", utc(info.since));
    let look = || Look { waits_for: Some(reason.clone()), ..Look::default() };
    watch_silence(session.output, admitted(session, prepared, info), look).await
}

async fn admitted(
    session: &Session,
    prepared: &Prepared,
    mut info: DeliveryInfo,
) -> anyhow::Result<()> {
    let node = session.node()?;
    while info.state == DeliveryState::PendingApproval {
        tokio::time::sleep(LOOK_INTERVAL).await;
        let listed = node.outbox(&prepared.hub).await?;
        let ours = listed.into_iter().find(|one| one.delivery.0 == *prepared.id.as_bytes());
        let Some(found) = ours else { bail!("the hub does not know the delivery any more") };
        info = found;
    }
    match info.state {
        DeliveryState::Terminated | DeliveryState::Removed => {
            let reason = info.ended.map_or(String::new(), |end| end.reason);
            bail!("the delivery was ended: {reason}")
        }
        DeliveryState::PendingApproval
        | DeliveryState::Waiting
        | DeliveryState::Running
        | DeliveryState::Received => Ok(()),
    }
}

/// Whether who signed the receipt is a device of the recipient's.
pub(super) async fn confirm(
    session: &Session,
    prepared: &Prepared,
    to: &Handle,
    signer: &PublicKey,
) -> anyhow::Result<()> {
    let node = session.node()?;
    if !session.patiently(node.is_device_of(&prepared.hub, to, signer)).await? {
        bail!("the receipt was signed by {signer}, which is no device of {to}");
    }
    Ok(())
}
