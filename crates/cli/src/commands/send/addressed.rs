//! A delivery for somebody who has a handle at the hub.

use documents::PublicKey;
use node::deliveries::Prepared;
use people::Handle;
use serde_json::json;

use super::super::Session;
use crate::output::{bytes, number, utc};
use crate::progress::{Look, watch_silence};

/// Addresses the delivery.
pub(super) async fn address(
    session: &Session,
    prepared: &Prepared,
    to: &Handle,
    is_kept: bool,
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
    if is_kept {
        prepared.leave_to_node()?;
        return Ok(());
    }
    let reason = format!("{to} to let you in, since {}", utc(info.since));
    let look = || Look { waits_for: Some(reason.clone()), ..Look::default() };
    Ok(watch_silence(session.output, node.admitted(prepared, info), look).await?)
}

/// Makes sure that who signed the receipt is a device of the recipient's.
pub(super) async fn confirm(
    session: &Session,
    prepared: &Prepared,
    to: &Handle,
    signer: &PublicKey,
) -> anyhow::Result<()> {
    let node = session.node()?;
    Ok(session.patiently(node.confirm_receipt(&prepared.hub, to, signer)).await?)
}
