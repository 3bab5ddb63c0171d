//! `consign log`

use documents::Manifest;
use hub_api::limits;
use serde_json::json;

use super::{Session, parse};
use crate::args::LogArgs;
use crate::exit::Ended;
use crate::output::{bytes, number, utc};

pub(super) async fn run(session: &Session, args: LogArgs) -> anyhow::Result<Ended> {
    let name: documents::ReleaseName = parse(&args.name)?;
    let node = session.node()?;
    let link = node.hub(session.hub.as_deref())?;
    let trust = node.trust(&link.identity, &name)?;
    let mut before = None;
    loop {
        let page = link.client.releases(&name, before, limits::RELEASES_PAGE_MAX).await?;
        for info in &page {
            let signed = &info.manifest.0;
            let publisher = match &trust {
                Some(trust) => trust.publisher,
                None => Manifest::peek_publisher(signed)?,
            };
            let (manifest, hash) = Manifest::open(signed, &publisher)?;
            if manifest.name != name || before.is_some_and(|before| manifest.sequence >= before) {
                anyhow::bail!("{} answers with releases that are not asked for", link.url);
            }
            let size = match &manifest.totals {
                Some(totals) => format!("{} files, {}", number(totals.files), bytes(totals.bytes)),
                None => "sealed".into(),
            };
            session.output.fact(
                format!(
                    "{}@{}  {}  {size}  tree {}",
                    manifest.name,
                    manifest.sequence,
                    utc(manifest.issued),
                    manifest.tree.id.short()
                ),
                &json!({
                    "event": "release",
                    "release": format!("{}@{}", manifest.name, manifest.sequence),
                    "sequence": manifest.sequence,
                    "issued": manifest.issued,
                    "expires": manifest.expires,
                    "tree": manifest.tree.id.to_string(),
                    "files": manifest.totals.map(|totals| totals.files),
                    "bytes": manifest.totals.map(|totals| totals.bytes),
                    "sealed": manifest.sealed_root.is_some(),
                    "publisher": publisher.to_string(),
                    "manifest": hash.to_string(),
                }),
            )?;
            before = Some(manifest.sequence);
        }
        if page.is_empty() || before == Some(1) {
            return Ok(Ended::Done);
        }
    }
}
