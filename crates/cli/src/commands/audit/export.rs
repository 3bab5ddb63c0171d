//! `consign audit export`

use std::fs::OpenOptions;
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;

use anyhow::Context as _;
use documents::audit::AuditHead;
use hub_api::{AuditChainPage, Base64Bytes};
use serde_json::{Value, json};

use super::super::Session;
use crate::args::AuditExportArgs;
use crate::exit::Ended;
use crate::output::path;

pub(super) async fn run(session: &Session, args: &AuditExportArgs) -> anyhow::Result<Ended> {
    let link = session.link()?;
    let shown = path(args.file.as_os_str().as_encoded_bytes());
    let writing = || format!("cannot write {shown}");
    // Never over an earlier one: that is what tells of a log that was cut off.
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&args.file);
    let mut file = BufWriter::new(file.with_context(writing)?);
    let (mut after, mut entries, mut heads) = (None, 0_u64, 0_u64);
    loop {
        let page = link.client.audit_chain(after).await?;
        entries += page.entries.len() as u64;
        heads += page.heads.len() as u64;
        write_page(&page, &mut file).with_context(writing)?;
        match page.next {
            // A hub that repeats a page must not keep us here.
            Some(next) if !page.entries.is_empty() && after.is_none_or(|after| next > after) => {
                after = Some(next);
            }
            Some(_) | None => break,
        }
    }
    let file = file.into_inner().map_err(std::io::IntoInnerError::into_error);
    file.and_then(|file| file.sync_all()).with_context(writing)?;
    session.output.fact(
        format!("{entries} entries and {heads} signed heads are in {shown}"),
        &json!({
            "event": "exported", "file": shown, "entries": entries, "heads": heads,
        }),
    )?;
    Ok(Ended::Done)
}

/// Each entry, and behind it the heads of it; before the first one that of the entries that the hub removed,
/// and behind all those of entries that are not there.
fn write_page(page: &AuditChainPage, to: &mut impl Write) -> anyhow::Result<()> {
    let opened = |signed: &Base64Bytes| AuditHead::open(&signed.0).map_or(0, |head| head.number);
    let mut heads = page.heads.iter().map(|signed| (opened(signed), signed)).peekable();
    for entry in &page.entries {
        while let Some((_, signed)) = heads.next_if(|(number, _)| *number < entry.number) {
            write_line("head", json!({ "signed": signed }), to)?;
        }
        write_line("entry", serde_json::to_value(entry)?, to)?;
        while let Some((_, signed)) = heads.next_if(|(number, _)| *number <= entry.number) {
            write_line("head", json!({ "signed": signed }), to)?;
        }
    }
    for (_, signed) in heads {
        write_line("head", json!({ "signed": signed }), to)?;
    }
    Ok(())
}

/// A line of the file, which `docs/format.md` describes.
fn write_line(event: &str, mut line: Value, to: &mut impl Write) -> anyhow::Result<()> {
    line["event"] = event.into();
    serde_json::to_writer(&mut *to, &line)?;
    Ok(to.write_all(b"\n")?)
}
