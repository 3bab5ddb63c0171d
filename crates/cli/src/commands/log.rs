//! `consign log`

use documents::{AcceptError, Delegation, Manifest};
use hub_api::limits;
use node::publish::unix_now;
use node::trust::Trust;
use serde_json::json;

use super::{Session, parse};
use crate::args::LogArgs;
use crate::exit::Ended;
use crate::output::{bytes, counted, utc};

pub(super) async fn run(session: &Session, args: LogArgs) -> anyhow::Result<Ended> {
    let name: documents::ReleaseName = parse(&args.name)?;
    let node = session.node()?;
    let link = node.hub(session.hub.as_deref())?;
    let trust = node.trust(&link.identity, &name)?;
    let list = link.client.delegation(&name).await?;
    let owner = list.as_deref().and_then(|list| Delegation::peek_owner(list).ok());
    let mut before = None;
    loop {
        let page = link.client.releases(&name, before, limits::RELEASES_PAGE_MAX).await?;
        for info in &page {
            let signed = &info.manifest.0;
            let publisher = Manifest::peek_publisher(signed)?;
            let (manifest, hash) = Manifest::open(signed, &publisher)?;
            // As `get` would take it, who pins the owner at first use.
            let trust = trust.clone().unwrap_or(Trust::new(owner.unwrap_or(publisher)));
            let authority = trust.authority(&name, list.as_deref(), unix_now());
            let doubt = match authority.check(&publisher, manifest.sequence) {
                Ok(()) => None,
                Err(error @ AcceptError::WrongKey { .. }) => return Err(error.into()),
                Err(error) => Some(error.to_string()),
            };
            if manifest.name != name || before.is_some_and(|before| manifest.sequence >= before) {
                anyhow::bail!("{} answers with releases that are not asked for", link.url);
            }
            let size = match &manifest.totals {
                Some(totals) => {
                    format!("{}, {}", counted(totals.files, "file"), bytes(totals.bytes))
                }
                None => "sealed".into(),
            };
            let by = match &doubt {
                Some(doubt) => format!("  not accepted: {doubt}"),
                None if publisher == trust.owner => String::new(),
                None => format!("  by {publisher}"),
            };
            session.output.fact(
                format!(
                    "{}@{}  {}  {size}  tree {}{by}",
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
                    "accepted": doubt.is_none(),
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
