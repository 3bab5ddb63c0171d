//! `GET /v1/audit?before=&limit=`: who changed what, newest first.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use hub_api::limits::{PAGE_DEFAULT, PAGE_MAX};
use hub_api::{AuditInfo, AuditPage};
use hub_db::AuditEntry;
use serde::Deserialize;

use super::list_accounts::signed;
use crate::app::App;
use crate::audit::actor_text;
use crate::caller::Administrator;
use crate::pages::Rows;
use crate::refusal::Refusal;

#[derive(Deserialize)]
pub(crate) struct Page {
    before: Option<u64>,
    limit: Option<u32>,
}

pub(crate) async fn audit(
    State(app): State<Arc<App>>,
    Administrator(_): Administrator,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Json<AuditPage>, Refusal> {
    let Query(page) = page?;
    let rows = Rows::new(page.limit, PAGE_DEFAULT, PAGE_MAX);
    let entries = app.db.audit(page.before.map(signed), rows.to_read()).await?;
    let mut entries: Vec<AuditInfo> = entries.into_iter().map(audit_info).collect();
    let next = rows.cut(&mut entries, |last| last.id);
    Ok(Json(AuditPage { entries, next }))
}

fn audit_info((id, entry): (i64, AuditEntry)) -> AuditInfo {
    AuditInfo {
        id: id.unsigned_abs(),
        time: entry.time,
        actor: actor_text(&entry.actor),
        action: entry.action,
        subject: entry.subject,
        detail: entry.detail,
    }
}
