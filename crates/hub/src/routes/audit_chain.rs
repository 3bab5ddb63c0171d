//! `GET /v1/audit/chain?after=&limit=`: the audit log with its links, oldest first.

use std::sync::Arc;

use crate::app::App;
use crate::audit::{KeepError, actor_text};
use crate::caller::Administrator;
use crate::pages::{PageAfter, Rows};
use crate::refusal::{Chain, Refusal};
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use documents::audit::AuditHead;
use hub_api::limits::{PAGE_DEFAULT, PAGE_MAX};
use hub_api::{AuditChainPage, AuditLinkInfo, Base64Bytes, Hex};
use hub_db::ChainedEntry;

/// What is shown was signed before. A log that was altered is shown as it is, with all that was signed of
/// it: whoever checks it finds where.
pub(crate) async fn audit_chain(
    State(app): State<Arc<App>>,
    Administrator(_): Administrator,
    page: Result<Query<PageAfter<u64>>, QueryRejection>,
) -> Result<Json<AuditChainPage>, Refusal> {
    let Query(page) = page?;
    let rows = Rows::new(page.limit, PAGE_DEFAULT, PAGE_MAX);
    let after = page.after.unwrap_or(0);
    let (newest, is_altered) = match app.audit.sign(&*app.db).await {
        Ok(newest) => (newest, false),
        Err(KeepError::Database(error)) => return Err(error.into()),
        Err(error) => {
            tracing::error!(error = %Chain(&error), "the audit log is not signed");
            let newest = app.audit.newest().ok().flatten();
            (newest.map(|(signed, _)| signed), true)
        }
    };
    let signed = newest.as_ref().and_then(|newest| AuditHead::open(newest).ok());
    let signed = signed.map_or(0, |head| head.number);
    let mut entries = app.db.chained(after, rows.to_read()).await?;
    if !is_altered {
        // What came meanwhile is signed when it is asked for again.
        entries.retain(|entry| entry.number <= signed);
    }
    let mut entries: Vec<AuditLinkInfo> = entries.into_iter().map(info).collect();
    let next = rows.cut(&mut entries, |last| last.number);
    let last = entries.last().map_or(after, |last| last.number);
    let mut heads = app.db.audit_heads(after, last).await?;
    if next.is_none()
        && let Some(newest) = newest.filter(|newest| heads.last() != Some(newest))
    {
        heads.push(newest);
    }
    Ok(Json(AuditChainPage { entries, heads: heads.into_iter().map(Base64Bytes).collect(), next }))
}

fn info(ChainedEntry { number, link, entry }: ChainedEntry) -> AuditLinkInfo {
    AuditLinkInfo {
        number,
        time: entry.time,
        actor: actor_text(&entry.actor),
        action: entry.action,
        subject: entry.subject,
        detail: entry.detail,
        link: Hex(link),
    }
}
