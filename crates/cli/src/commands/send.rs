//! `consign send`

mod addressed;

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Instant;

use anyhow::Context as _;
use deliver::{DeliveryProgress, LeftOut};
use node::deliveries::{DeliveryRequest, Prepared};
use serde_json::{Value, json};

use super::{Session, parse};
use crate::args::SendDeliveryArgs;
use crate::exit::{Ended, Usage};
use crate::output::{Output, bytes, number, path, utc};
use crate::progress::{Look, watch};

pub(super) async fn run(session: &Session, args: SendDeliveryArgs) -> anyhow::Result<Ended> {
    let node = session.node()?;
    let mut prepared = match &args.resume {
        Some(id) => node.resume_delivery(id)?,
        None => {
            let message = match &*args.message {
                "-" => read_input("the message").await?,
                text => text.to_owned(),
            };
            if args.subject.chars().any(char::is_control) {
                return Err(Usage("a subject is one line".into()).into());
            }
            let paths = args.paths.iter().map(|path| session.path(path)).collect();
            let to = args.to.as_deref().map(parse).transpose()?;
            let request = DeliveryRequest { paths, subject: args.subject.clone(), message, to };
            node.prepare_delivery(session.link()?, request)?
        }
    };
    report_left_out(session.output, &prepared.left_out)?;
    match prepared.to.clone() {
        Some(to) => addressed::address(session, &prepared, &to, args.background).await?,
        None => announce(session, &args, &prepared)?,
    }
    if args.background {
        session
            .output
            .remark("the node of this machine sends it: `consign outbox` shows how it stands");
        return Ok(if prepared.left_out.is_empty() { Ended::Done } else { Ended::InPart });
    }
    let progress = DeliveryProgress::default();
    let look = || look(&progress, "sending").with_calls_if_still(session, Instant::now());
    let started = Instant::now();
    let sent = watch(session.output, prepared.send(&progress), look).await;
    let sent = sent.with_context(|| {
        format!(
            "delivery {} is not through; `consign send --resume` with its id goes on",
            prepared.id
        )
    })?;
    let seconds = started.elapsed().as_secs_f64();
    let recipient = sent.receipt.recipient.to_string();
    if let Some(to) = &prepared.to {
        addressed::confirm(session, &prepared, to, &sent.receipt.recipient).await?;
    }
    session.output.fact(
        format!(
            "delivered: {} in {seconds:.1} s; verified and kept at {} by {recipient}",
            bytes(prepared.stream_bytes),
            utc(sent.receipt.received),
        ),
        &json!({
            "event": "delivered",
            "id": prepared.id.to_string(),
            "bytes_total": prepared.stream_bytes,
            "digest": sent.receipt.digest.to_string(),
            "received": sent.receipt.received,
            "recipient": recipient,
            "wall_s": seconds,
        }),
    )?;
    Ok(if prepared.left_out.is_empty() { Ended::Done } else { Ended::InPart })
}

/// Says what is sent, and how the recipient gets it.
fn announce(session: &Session, args: &SendDeliveryArgs, prepared: &Prepared) -> anyhow::Result<()> {
    let ticket = prepared.ticket.to_string();
    let (files, total) = prepared.header.totals();
    let mut line = json!({
        "event": "ticket",
        "id": prepared.id.to_string(),
        "hub": prepared.hub.url,
        "files": files,
        "bytes_total": total,
    });
    let what = format!("{} files, {}", number(files), bytes(total));
    let file = args.ticket_file.as_deref().map(|file| session.path(file));
    let human = match &file {
        Some(file) => {
            write_secret(file, &ticket)
                .with_context(|| format!("cannot write the ticket to {}", file.display()))?;
            format!("{what}, through {}: the ticket is in {}", prepared.hub.url, file.display())
        }
        None => {
            if let Some(line) = line.as_object_mut() {
                line.insert("ticket".into(), Value::from(&*ticket));
            }
            ticket
        }
    };
    if file.is_none() {
        session.output.remark(format!(
            "{what}, through {}. The other side runs `consign receive` and pastes this ticket; whoever has it \
             can collect the delivery.",
            prepared.hub.url
        ));
    }
    session.output.fact(human, &line)
}

fn write_secret(file: &Path, text: &str) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(file)?;
    file.write_all(format!("{text}\n").as_bytes())
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
