//! A delivery for somebody who has a handle at the hub.

use deliver::Sent;
use hub_api::{DeliveryInfo, RecipientAnswer};
use node::HubLink;
use node::deliveries::Prepared;
use people::Handle;
use serde_json::json;

use super::super::Session;
use crate::output::{bytes, counted, utc};
use crate::progress::{Look, watch_silence};

/// Asks about the recipient before anything is looked at, and says what it will wait for.
pub(super) async fn ask(session: &Session, hub: &HubLink, to: &Handle) -> anyhow::Result<()> {
    let node = session.node()?;
    let check = session.patiently(node.check_recipient(hub, to, 0, 0)).await?;
    let since = check.since.map_or_else(String::new, |since| format!(" since {}", utc(since)));
    let words = match check.answer {
        RecipientAnswer::Offline => format!("{to} is away{since}: it waits until they are there"),
        RecipientAnswer::NeverOnline => {
            format!("{to} has never been online at this hub: it waits until they are")
        }
        RecipientAnswer::PendingApproval => {
            format!(
                "{to} does not know you yet: it waits until they run `consign accept` with your handle"
            )
        }
        // The others are errors, and not heard of here.
        RecipientAnswer::Ready
        | RecipientAnswer::Blocked
        | RecipientAnswer::DiskFull
        | RecipientAnswer::FileTooLarge
        | RecipientAnswer::Unknown => format!("{to} is online{since}"),
    };
    let line = json!({
        "event": "recipient",
        "handle": to.as_str(),
        "answer": check.answer,
        "since": check.since,
    });
    session.output.fact(words, &line)
}

/// Makes sure that a device of the recipient's has room for it, as far as they said.
pub(super) async fn fits(
    session: &Session,
    prepared: &Prepared,
    to: &Handle,
) -> anyhow::Result<()> {
    let node = session.node()?;
    let (_, bytes) = prepared.header.totals();
    let largest = prepared.header.largest();
    session.patiently(node.check_recipient(&prepared.hub, to, bytes, largest)).await?;
    Ok(())
}

/// Addresses the delivery.
pub(super) async fn address(
    session: &Session,
    prepared: &Prepared,
    to: &Handle,
) -> anyhow::Result<DeliveryInfo> {
    let node = session.node()?;
    let me = session.patiently(node.me(&prepared.hub)).await?;
    let (info, known) = session.patiently(node.address(&me, prepared, to)).await?;
    let (files, total) = prepared.header.totals();
    session.output.fact(
        format!(
            "{}  for {to} ({}), through {}: {}, {}",
            prepared.id,
            counted(known.list.devices.len() as u64, "device"),
            prepared.hub.url,
            counted(files, "file"),
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
    Ok(info)
}

/// Says that the node of this machine goes on with it, or that there is none.
pub(super) async fn tell_of_node(session: &Session) -> anyhow::Result<()> {
    if node::control::status(&session.state_directory()?).await?.is_some() {
        let how = "the node of this machine sends it: `consign outbox` shows how it stands";
        session.output.remark(how);
        return Ok(());
    }
    let warning = "no node runs here, and nothing is sent until one does: start `consign node`";
    session.output.warn(warning, &json!({"event": "warning", "code": "no-node"}))
}

/// Waits until the recipient lets the sender in.
pub(super) async fn admitted(
    session: &Session,
    prepared: &Prepared,
    to: &Handle,
    info: DeliveryInfo,
) -> anyhow::Result<()> {
    let node = session.node()?;
    let reason = format!("{to} to let you in, since {}", utc(info.since));
    let look = || Look { waits_for: Some(reason.clone()), ..Look::default() };
    Ok(watch_silence(session.output, node.admitted(prepared, info), look).await?)
}

/// Makes sure that who signed the receipt is a device of the recipient's.
pub(super) async fn confirm(
    session: &Session,
    prepared: &Prepared,
    to: &Handle,
    sent: &Sent,
) -> anyhow::Result<()> {
    let node = session.node()?;
    Ok(session.patiently(node.confirm_receipt(prepared, to, sent)).await?)
}
