//! The same files for several people: one delivery for each, which goes on and ends by itself. They are uploaded once
//! for all who keep pace.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

use deliver::{DeliveryProgress, Filled};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use hub_api::DeliveryInfo;
use node::deliveries::Prepared;
use people::Handle;
use serde_json::json;

use super::super::Session;
use super::{addressed, delivered, kept, offer_direct_path};
use crate::exit::Ended;
use crate::progress::{Look, watch};

/// One of the recipients.
struct Recipient {
    to: Handle,
    prepared: Prepared,
    info: DeliveryInfo,
}

/// How far one is, for whoever watches.
struct Standing {
    to: Handle,
    stream_bytes: u64,
    progress: DeliveryProgress,
    is_let_in: AtomicBool,
    is_over: AtomicBool,
}

/// Addresses every delivery, and sends all of them at once unless the node of this machine is to.
pub(super) async fn run(
    session: &Session,
    mut prepared: Vec<Prepared>,
    is_kept: bool,
) -> anyhow::Result<Ended> {
    Prepared::send_together(&mut prepared)?;
    let is_whole = prepared.iter().all(|one| one.left_out.is_empty());
    let mut recipients = Vec::with_capacity(prepared.len());
    for one in prepared {
        let to = one.to.clone().expect("each is made for somebody");
        let info = addressed::address(session, &one, &to).await?;
        if is_kept {
            one.leave_to_node()?;
        }
        recipients.push(Recipient { to, prepared: one, info });
    }
    if is_kept {
        addressed::tell_of_node(session).await?;
        return Ok(if is_whole { Ended::Done } else { Ended::InPart });
    }
    let standings: Vec<Standing> = recipients.iter().map(Standing::of).collect();
    let look = || look(&standings).with_calls_if_still(session, Instant::now());
    let failures = watch(session.output, send(session, recipients, &standings), look).await?;
    Ok(match failures {
        0 if is_whole => Ended::Done,
        failures if failures == standings.len() => Ended::Failed,
        _ => Ended::InPart,
    })
}

/// Sends to all until each has it or cannot have it; how many do not.
async fn send(
    session: &Session,
    recipients: Vec<Recipient>,
    standings: &[Standing],
) -> anyhow::Result<usize> {
    let sending = recipients.into_iter().zip(standings).map(|(recipient, standing)| async move {
        let started = Instant::now();
        let (id, to) = (recipient.prepared.id, recipient.to.clone());
        let sent = send_one(session, recipient, standing).await;
        standing.is_over.store(true, Relaxed);
        (id, to, sent, started.elapsed())
    });
    let mut sending: FuturesUnordered<_> = sending.collect();
    let mut failures = 0;
    while let Some((id, to, sent, wall)) = sending.next().await {
        match sent {
            Ok((prepared, Filled::Received(sent))) => {
                delivered(session, &prepared, &sent, wall)?;
            }
            Ok((prepared, Filled::Kept { locker, .. })) => kept(session, &prepared, &locker)?,
            Err(error) => {
                failures += 1;
                let line = json!({
                    "event": "not-delivered",
                    "id": id.to_string(),
                    "to": to.as_str(),
                    "message": format!("{error:#}"),
                });
                session.output.warn(format!("not delivered to {to}: {error:#}"), &line)?;
            }
        }
    }
    Ok(failures)
}

async fn send_one(
    session: &Session,
    recipient: Recipient,
    standing: &Standing,
) -> anyhow::Result<(Prepared, Filled)> {
    let node = session.node()?;
    let Recipient { to, mut prepared, info } = recipient;
    node.admitted(&prepared, info).await?;
    standing.is_let_in.store(true, Relaxed);
    offer_direct_path(session, &mut prepared).await;
    let sent = if prepared.has_locker {
        prepared.fill(&standing.progress).await
    } else {
        prepared.send(&standing.progress).await.map(Filled::Received)
    };
    let sent = match sent {
        Ok(sent) => sent,
        Err(error) => {
            let over = node.why_over(&prepared).await;
            return Err(over.map_or_else(|| error.into(), anyhow::Error::new));
        }
    };
    if let Filled::Received(sent) = &sent {
        node.confirm_receipt(&prepared, &to, sent).await?;
    }
    Ok((prepared, sent))
}

impl Standing {
    fn of(recipient: &Recipient) -> Self {
        Self {
            to: recipient.to.clone(),
            stream_bytes: recipient.prepared.stream_bytes,
            progress: DeliveryProgress::default(),
            is_let_in: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
        }
    }

    /// What it waits for, with the name of whom.
    fn waits_for(&self) -> Option<String> {
        let to = &self.to;
        if self.is_over.load(Relaxed) {
            None
        } else if self.is_let_in.load(Relaxed) {
            self.progress.waits_for().map(|what| format!("{what} ({to})"))
        } else {
            Some(format!("{to} to let you in"))
        }
    }
}

/// All of them together: the bytes of each count.
fn look(standings: &[Standing]) -> Look {
    let done = standings.iter().map(|one| one.progress.verified_bytes()).sum();
    let waits: Vec<String> = standings.iter().filter_map(Standing::waits_for).collect();
    let all_wait = waits.len() == standings.iter().filter(|it| !it.is_over.load(Relaxed)).count();
    Look {
        phase: "sending".into(),
        done,
        total: Some(standings.iter().map(|one| one.stream_bytes).sum()),
        // While bytes move to one, nothing stands still.
        waits_for: (all_wait && !waits.is_empty()).then(|| waits.join("; ")),
        ..Look::default()
    }
}
