//! `consign audit verify`

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use anyhow::{Context as _, bail};
use documents::PublicKey;
use documents::audit::{AuditCheck, AuditHead, AuditRecord};
use hub_api::{AuditLinkInfo, Base64Bytes};
use serde_json::{Value, json};

use super::super::Session;
use crate::args::AuditVerifyArgs;
use crate::exit::Ended;
use crate::output::{path, utc};

/// Far longer than any line of an export.
const LINE_BYTES_MAX: u64 = 1 << 20;
/// Keys that are shown: more hubs than this are not on one database.
const KEYS_MAX: usize = 64;

/// A line of an export.
enum Line {
    Entry(Box<AuditLinkInfo>),
    Head(AuditHead),
}

pub(super) fn run(session: &Session, args: &AuditVerifyArgs) -> anyhow::Result<Ended> {
    let earlier = args.earlier.as_deref().map(newest_head).transpose()?.flatten();
    let mut check = AuditCheck::default();
    let (mut keys, mut newest) = (BTreeSet::new(), None::<AuditHead>);
    let mut is_begin = true;
    each_line(&args.file, |line| {
        match line {
            Line::Entry(info) => {
                let link = info.link.0;
                check.handle_entry(&record_of(*info), &link)?;
                if let Some(head) = earlier.as_ref().filter(|head| head.number == check.last()) {
                    check.handle_head(head)?;
                }
            }
            Line::Head(head) => {
                if !args.key.is_empty() && !args.key.contains(&head.key) {
                    bail!("a head is signed by {}, which is none of --key", head.key);
                }
                if is_begin {
                    // What comes before the first entry is of those that the hub removed.
                    check = AuditCheck::behind_removed(&head);
                    if let Some(earlier) = earlier.as_ref().filter(|it| it.number == head.number) {
                        check.handle_head(earlier)?;
                    }
                }
                check.handle_head(&head)?;
                if keys.len() < KEYS_MAX {
                    keys.insert(head.key);
                }
                newest = Some(head);
            }
        }
        is_begin = false;
        Ok(())
    })?;
    if let Some(earlier) = &earlier {
        check.handle_head(earlier)?;
    }
    let last = check.finish()?;
    let removed = check.removed();
    let entries = last - removed.map_or(0, |(number, _)| number);
    let shown = path(args.file.as_os_str().as_encoded_bytes());
    let keys: Vec<String> = keys.iter().map(PublicKey::to_string).collect();
    let by = if keys.is_empty() { "nobody".to_owned() } else { keys.join(", ") };
    let signed = newest.as_ref().map(|head| head.issued);
    let when = signed.map_or(String::new(), |when| format!(" at {}", utc(when)));
    let gone = removed.map_or(String::new(), |(number, time)| {
        format!("; entries up to {number} are gone: the hub removed them at {}", utc(time))
    });
    session.output.fact(
        format!("{shown} is whole: {entries} entries, signed by {by}{when}{gone}"),
        &json!({
            "event": "whole", "file": shown, "entries": entries, "keys": keys, "signed": signed,
            "removed": removed.map(|(number, _)| number),
            "removed_time": removed.map(|(_, time)| time),
        }),
    )?;
    Ok(Ended::Done)
}

fn record_of(info: AuditLinkInfo) -> AuditRecord {
    let AuditLinkInfo { number, time, actor, action, subject, detail, link: _ } = info;
    AuditRecord { number, time, actor, action, subject, detail }
}

/// The newest head in an export; none in one of an empty log.
fn newest_head(file: &Path) -> anyhow::Result<Option<AuditHead>> {
    let mut newest = None::<AuditHead>;
    each_line(file, |line| {
        if let Line::Head(head) = line
            && newest.as_ref().is_none_or(|newest| newest.number <= head.number)
        {
            newest = Some(head);
        }
        Ok(())
    })?;
    Ok(newest)
}

fn each_line(file: &Path, mut take: impl FnMut(Line) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let shown = path(file.as_os_str().as_encoded_bytes());
    let opened = File::open(file).with_context(|| format!("cannot read {shown}"))?;
    let (mut reader, mut bytes) = (BufReader::new(opened), Vec::new());
    for number in 1_u64.. {
        bytes.clear();
        let read = reader.by_ref().take(LINE_BYTES_MAX + 1).read_until(b'\n', &mut bytes);
        let length = read.with_context(|| format!("cannot read {shown}"))?;
        if length == 0 {
            break;
        }
        let place = || format!("{shown}, line {number}");
        if length as u64 > LINE_BYTES_MAX {
            bail!("{} is longer than any line of an export", place());
        }
        let line = parse(&bytes).with_context(|| format!("{} is none of an export", place()))?;
        take(line).with_context(place)?;
    }
    Ok(())
}

fn parse(bytes: &[u8]) -> anyhow::Result<Line> {
    let mut line: Value = serde_json::from_slice(bytes)?;
    match line["event"].as_str() {
        Some("entry") => Ok(Line::Entry(Box::new(serde_json::from_value(line)?))),
        Some("head") => {
            let signed: Base64Bytes = serde_json::from_value(line["signed"].take())?;
            Ok(Line::Head(AuditHead::open(&signed.0)?))
        }
        Some(_) | None => bail!("it is neither an entry nor a head"),
    }
}
