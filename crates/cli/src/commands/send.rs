//! `consign send`

mod addressed;
mod handover;
mod several;

use std::time::{Duration, Instant};

use anyhow::Context as _;
use deliver::{DeliveryProgress, Filled, LeftOut, LockerTerms, SendError, Sent};
use delivery::SEGMENT_BYTES;
use hub_api::LockerStatus;
use node::deliveries::{DeliveryError, DeliveryRequest, Prepared};
use people::Handle;
use serde_json::json;

use self::handover::Handover;
use super::{Session, parse};
use crate::args::SendDeliveryArgs;
use crate::exit::{Ended, Usage};
use crate::output::{Output, bytes, path, utc};
use crate::progress::{Look, watch};

/// For how long a hub keeps a delivery when nobody says.
const LOCKER_DAYS: u16 = 7;
const DAY_SECONDS: u64 = 24 * 3600;

pub(super) async fn run(session: &Session, args: SendDeliveryArgs) -> anyhow::Result<Ended> {
    let mut prepared = match &args.resume {
        Some(id) => vec![session.node()?.resume_delivery(id)?],
        None => prepare(session, &args).await?,
    };
    report_left_out(session.output, &prepared[0].left_out)?;
    if args.resume.is_none() && !args.anyway {
        for index in 0..prepared.len() {
            if let Some(to) = prepared[index].to.clone()
                && let Err(error) = addressed::fits(session, &prepared[index], &to).await
            {
                for one in prepared {
                    one.discard()?;
                }
                return Err(error);
            }
        }
    }
    match prepared.pop() {
        Some(one) if prepared.is_empty() => send(session, &args, one).await,
        last => {
            prepared.extend(last);
            several::run(session, prepared, args.background).await
        }
    }
}

/// One delivery for each recipient, after the hub was asked about all of them; one for whoever gets the
/// ticket when nobody is named.
async fn prepare(session: &Session, args: &SendDeliveryArgs) -> anyhow::Result<Vec<Prepared>> {
    let message = match &*args.message {
        "-" => read_input("the message").await?,
        text => text.to_owned(),
    };
    let is_handed_over =
        args.link || args.ticket || args.ticket_file.is_some() || !args.to.is_empty();
    if args.locker && !is_handed_over {
        let text = "a code needs you there while it is used: with --locker say --to, --link or --ticket, too";
        return Err(Usage(text.into()).into());
    }
    if args.days.is_some() && !args.locker && !args.link {
        return Err(Usage("--days goes with --locker or --link".into()).into());
    }
    if args.subject.chars().any(char::is_control) {
        return Err(Usage("a subject is one line".into()).into());
    }
    let paths = args.paths.iter().map(|path| session.path(path)).collect();
    let mut to: Vec<Handle> = Vec::with_capacity(args.to.len());
    for text in &args.to {
        let handle = parse(text)?;
        if to.contains(&handle) {
            return Err(Usage(format!("{handle} is named twice")).into());
        }
        to.push(handle);
    }
    // People and lockers need an account; for the rest a hub with guests does.
    let link = match to.is_empty() && !args.locker {
        true => session.node()?.hub_at(session.hub.as_deref())?,
        false => session.link()?,
    };
    let message = match args.no_signature {
        true => message,
        false => {
            let signed = session.node()?.signed(&link, message).await;
            signed.context(
                "cannot put your signature under the message (--no-signature leaves it out)",
            )?
        }
    };
    for handle in &to {
        addressed::ask(session, &link, handle).await?;
    }
    let locker = args.locker.then(|| LockerTerms {
        seconds: u64::from(args.days.unwrap_or(LOCKER_DAYS)) * DAY_SECONDS,
        downloads: args.downloads,
    });
    let seconds = args.days.filter(|_| !args.locker).map(|days| u64::from(days) * DAY_SECONDS);
    let subject = args.subject.clone();
    let direct = args.direct;
    let request = DeliveryRequest { paths, subject, message, to, locker, seconds, direct };
    Ok(session.node()?.prepare_deliveries(&link, request)?)
}

async fn send(
    session: &Session,
    args: &SendDeliveryArgs,
    mut prepared: Prepared,
) -> anyhow::Result<Ended> {
    let node = session.node()?;
    let ended = if prepared.left_out.is_empty() { Ended::Done } else { Ended::InPart };
    let mut handover = match prepared.to.clone() {
        Some(to) => {
            let info = addressed::address(session, &prepared, &to).await?;
            if args.background {
                prepared.leave_to_node()?;
                addressed::tell_of_node(session).await?;
                return Ok(ended);
            }
            addressed::admitted(session, &prepared, &to, info).await?;
            Handover::Letters
        }
        // The recipient has what was handed over, or it is in its file.
        None if prepared.has_locker && args.resume.is_some() => Handover::Letters,
        None => Handover::new(session, args, &prepared).await?,
    };
    handover.begin(session, &prepared)?;
    let progress = DeliveryProgress::default();
    let look = || look(&progress, "sending").with_calls_if_still(session, Instant::now());
    let started = Instant::now();
    if prepared.has_locker {
        let filled = watch(session.output, prepared.fill(&progress), look).await;
        return match filled {
            Ok(Filled::Kept { locker, .. }) => {
                kept(session, &prepared, &locker)?;
                Ok(ended)
            }
            Ok(Filled::Received(sent)) => {
                if let Some(to) = &prepared.to {
                    addressed::confirm(session, &prepared, to, &sent).await?;
                }
                delivered(session, &prepared, &sent, started.elapsed())?;
                Ok(ended)
            }
            Err(error) => {
                let over = match prepared.to {
                    Some(_) => node.why_over(&prepared).await,
                    None => None,
                };
                Err(over.map_or_else(|| stopped(&prepared, error), anyhow::Error::new))
            }
        };
    }
    offer_direct_path(session, &mut prepared).await;
    let sent = watch(session.output, handover.send(session, &mut prepared, &progress), look).await;
    if sent.is_err()
        && prepared.to.is_some()
        && let Some(over) = node.why_over(&prepared).await
    {
        return Err(over.into());
    }
    let sent = sent.map_err(|error| stopped(&prepared, error))?;
    let wall = started.elapsed();
    if let Some(to) = &prepared.to {
        addressed::confirm(session, &prepared, to, &sent).await?;
    }
    delivered(session, &prepared, &sent, wall)?;
    Ok(ended)
}

/// Listens for the recipient where that is wanted, and says when everything goes through the hub all the same.
async fn offer_direct_path(session: &Session, prepared: &mut Prepared) {
    if prepared.is_direct
        && let Err(error) = prepared.offer_direct_path().await
    {
        let error = anyhow::Error::new(error);
        session.output.remark(format!("no direct path, all goes through the hub: {error:#}"));
    }
}

/// How much of a delivery came without the hub between.
pub(super) fn directly(segments: u64, total: u64) -> String {
    let direct = segments.saturating_mul(SEGMENT_BYTES as u64).min(total);
    if direct == 0 { String::new() } else { format!(", {} of it directly", bytes(direct)) }
}

/// Says how it goes on, unless it is over.
fn stopped(prepared: &Prepared, error: DeliveryError) -> anyhow::Error {
    let is_over = matches!(error, DeliveryError::Send(SendError::Ended { .. }));
    let error = anyhow::Error::new(error);
    if is_over {
        return error;
    }
    let id = prepared.id;
    error.context(format!(
        "delivery {id} is not through; `consign send --resume` with its id goes on"
    ))
}

/// Says that the hub keeps it.
fn kept(session: &Session, prepared: &Prepared, locker: &LockerStatus) -> anyhow::Result<()> {
    let LockerStatus { until, downloads, downloads_max, .. } = *locker;
    let counted = downloads_max
        .map_or_else(String::new, |most| format!("; downloaded {downloads} of {most} times"));
    let whom = prepared.to.as_ref().map_or_else(String::new, |to| format!(" for {to}"));
    let id = prepared.id.to_string();
    session.output.fact(
        format!("{id}  the hub keeps it{whom} until {}{counted}", utc(until)),
        &json!({
            "event": "in-locker",
            "id": id,
            "to": prepared.to.as_ref().map(Handle::as_str),
            "bytes_total": prepared.stream_bytes,
            "until": until,
            "downloads": downloads,
            "downloads_max": downloads_max,
        }),
    )?;
    session
        .output
        .remark(format!("`consign send --resume {id}` takes the receipt when it was collected"));
    Ok(())
}

/// Says that it arrived.
fn delivered(
    session: &Session,
    prepared: &Prepared,
    sent: &Sent,
    wall: Duration,
) -> anyhow::Result<()> {
    let seconds = wall.as_secs_f64();
    let recipient = sent.receipt.recipient.to_string();
    let to = prepared.to.as_ref();
    let whom = to.map_or_else(String::new, |to| format!(" to {to}"));
    session.output.fact(
        format!(
            "delivered{whom}: {} in {seconds:.1} s{}; verified and kept at {} by {recipient}",
            bytes(prepared.stream_bytes),
            directly(sent.direct_segments, prepared.stream_bytes),
            utc(sent.receipt.received),
        ),
        &json!({
            "event": "delivered",
            "id": prepared.id.to_string(),
            "to": to.map(Handle::as_str),
            "bytes_total": prepared.stream_bytes,
            "digest": sent.receipt.digest.to_string(),
            "received": sent.receipt.received,
            "recipient": recipient,
            "direct_segments": sent.direct_segments,
            "wall_s": seconds,
        }),
    )
}

/// Reads standard input on a thread of its own, so that Ctrl-C is heard meanwhile.
pub(super) async fn read_input(what: &str) -> anyhow::Result<String> {
    tokio::task::spawn_blocking(|| std::io::read_to_string(std::io::stdin()))
        .await?
        .with_context(|| format!("cannot read {what}"))
}

/// A look at a delivery that moves.
pub(super) fn look(progress: &DeliveryProgress, phase: &str) -> Look {
    let total = progress.stream_bytes();
    Look {
        phase: phase.into(),
        done: progress.verified_bytes(),
        total: (total > 0).then_some(total),
        waits_for: progress.waits_for(),
        ..Look::default()
    }
}

impl Look {
    /// Adds what the calls to hubs wait for, unless the job says itself what it waits for: a delivery
    /// always has a question open at its hub.
    pub(super) fn with_calls_if_still(self, session: &Session, now: Instant) -> Self {
        if self.waits_for.is_some() { self } else { self.with_calls(&session.activity, now) }
    }
}

fn report_left_out(output: Output, left_out: &[LeftOut]) -> anyhow::Result<()> {
    const SHOWN: usize = 20;
    for (index, one) in left_out.iter().enumerate() {
        let (name, reason) = (path(&one.path), &one.reason);
        let line = json!({"event": "left-out", "path": name, "reason": reason});
        if output.is_json() || index < SHOWN {
            output.warn(format!("left out {name}: {reason}"), &line)?;
        }
    }
    if left_out.len() > SHOWN {
        output.remark(format!("and {} more; --json names them all", left_out.len() - SHOWN));
    }
    Ok(())
}
