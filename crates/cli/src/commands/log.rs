//! `consign log`

use documents::Manifest;
use hub_api::limits;
use serde_json::json;

use super::{Session, parse};
use crate::args::LogArgs;
use crate::exit::Ended;
use crate::output::{bytes, number};

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

/// Seconds since 1970 as a date and time (civil-from-days, Howard Hinnant).
fn utc(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02} UTC", rest / 3600, rest % 3600 / 60)
}

#[cfg(test)]
mod tests {
    #[test]
    fn seconds_become_dates() {
        assert_eq!(super::utc(0), "1970-01-01 00:00 UTC");
        assert_eq!(super::utc(951_782_400), "2000-02-29 00:00 UTC");
        assert_eq!(super::utc(1_795_132_799), "2026-11-19 23:59 UTC");
    }
}
