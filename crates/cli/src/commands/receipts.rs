//! `consign receipts`

use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use node::deliveries::{DeliveryError, KeptReceipt, Way};
use people::{ProvenReceipt, RECEIPT_FILE_BYTES_MAX, ReceiptFile};
use serde_json::{Value, json};

use super::Session;
use crate::args::DeliveryReceiptsArgs;
use crate::exit::Ended;
use crate::output::{bytes, number, utc};

pub(super) fn run(session: &Session, args: &DeliveryReceiptsArgs) -> anyhow::Result<Ended> {
    if let Some(file) = &args.check {
        return check(session, &session.path(file));
    }
    let mut kept = session.node()?.receipts()?;
    if let Some(id) = &args.id {
        kept.retain(|one| one.id.to_string().starts_with(&**id));
        let [one] = &kept[..] else { return Err(DeliveryError::NoReceipt(id.clone()).into()) };
        if let Some(file) = &args.export {
            return export(session, one, &session.path(file));
        }
    }
    if kept.is_empty() {
        session.output.remark("there are none yet: a receipt comes when a delivery arrived");
    }
    let mut ended = Ended::Done;
    for one in kept {
        show(session, &one)?;
        if one.proven.is_err() {
            ended = Ended::Refused;
        }
    }
    Ok(ended)
}

fn show(session: &Session, one: &KeptReceipt) -> anyhow::Result<()> {
    let (way, arrow) = match one.way {
        Way::Sent => ("sent", "to"),
        Way::Received => ("received", "from"),
    };
    let with = one.with.as_deref().unwrap_or("somebody without a handle");
    let mut line = json!({
        "event": "delivery-receipt",
        "id": one.id.to_string(),
        "way": way,
        "with": one.with,
        "hub": one.hub,
        "subject": one.subject,
    });
    let human = match &one.proven {
        Ok(proven) => {
            add(&mut line, proven);
            format!(
                "{}  {arrow} {with}: {}\n  {}",
                one.id,
                one.subject,
                words(proven).replace('\n', "\n  ")
            )
        }
        Err(problem) => {
            add_one(&mut line, "problem", problem.to_string());
            format!("{}  {arrow} {with}: {}\n  proves nothing: {problem}", one.id, one.subject)
        }
    };
    session.output.fact(human.trim_end(), &line)
}

fn words(proven: &ProvenReceipt) -> String {
    let ProvenReceipt { receipt, recipient } = proven;
    let whose = match recipient {
        Some((handle, identity)) => format!("a device of {handle}, identity {identity}"),
        None => "which nothing says whose it is".to_owned(),
    };
    format!(
        "{} entries, {}, digest {}\nverified and kept at {} by {}, {whose}",
        number(receipt.tally.items),
        bytes(receipt.tally.stream_bytes),
        receipt.digest,
        utc(receipt.received),
        receipt.recipient,
    )
}

fn add(line: &mut Value, proven: &ProvenReceipt) {
    let ProvenReceipt { receipt, recipient } = proven;
    add_one(line, "entries", receipt.tally.items);
    add_one(line, "bytes_total", receipt.tally.stream_bytes);
    add_one(line, "digest", receipt.digest.to_string());
    add_one(line, "received", receipt.received);
    add_one(line, "device", receipt.recipient.to_string());
    if let Some((handle, identity)) = recipient {
        add_one(line, "recipient", handle.to_string());
        add_one(line, "identity", identity.to_string());
    }
}

fn add_one(line: &mut Value, name: &str, value: impl Into<Value>) {
    if let Some(line) = line.as_object_mut() {
        line.insert(name.into(), value.into());
    }
}

fn export(session: &Session, one: &KeptReceipt, file: &Path) -> anyhow::Result<Ended> {
    if let Err(problem) = &one.proven {
        return Err(problem.clone().into());
    }
    std::fs::write(file, &one.file)
        .with_context(|| format!("cannot write the receipt to {}", file.display()))?;
    let shown = file.display().to_string();
    let line = json!({"event": "receipt-exported", "id": one.id.to_string(), "file": shown});
    session.output.fact(format!("the receipt of {} is in {shown}", one.id), &line)?;
    Ok(Ended::Done)
}

fn check(session: &Session, file: &Path) -> anyhow::Result<Ended> {
    let cannot = || format!("cannot read {}", file.display());
    let mut read = Vec::new();
    let opened = std::fs::File::open(file).with_context(cannot)?;
    opened.take(RECEIPT_FILE_BYTES_MAX as u64 + 1).read_to_end(&mut read).with_context(cannot)?;
    let proven = ReceiptFile::decode(&read).and_then(|file| file.prove());
    let proven = proven.with_context(|| format!("{} proves nothing", file.display()))?;
    let mut line = json!({"event": "receipt-checked", "id": proven.receipt.id.to_string()});
    add(&mut line, &proven);
    session.output.fact(
        format!("{}\n  {}", proven.receipt.id, words(&proven).replace('\n', "\n  ")),
        &line,
    )?;
    Ok(Ended::Done)
}
