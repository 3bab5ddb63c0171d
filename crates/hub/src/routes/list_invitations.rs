//! `GET /v1/invitations?after=&limit=`: invitations that can still be used.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use hub_api::limits::{PAGE_DEFAULT, PAGE_MAX};
use hub_api::{InvitationInfo, InvitationsPage};
use hub_db::InvitationRecord;

use super::list_accounts::{Page, role_word};
use crate::app::App;
use crate::caller::Administrator;
use crate::files::unix_now;
use crate::pages::Rows;
use crate::refusal::Refusal;

pub(crate) async fn list_invitations(
    State(app): State<Arc<App>>,
    Administrator(_): Administrator,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Json<InvitationsPage>, Refusal> {
    let Query(page) = page?;
    let all = app.db.invitations(unix_now()).await?;
    let mut invitations: Vec<InvitationInfo> = all.into_iter().map(invitation_info).collect();
    invitations.sort_by_key(|invitation| invitation.id);
    invitations.retain(|invitation| page.after.is_none_or(|after| invitation.id > after));
    let rows = Rows::new(page.limit, PAGE_DEFAULT, PAGE_MAX);
    let next = rows.cut(&mut invitations, |last| last.id);
    Ok(Json(InvitationsPage { invitations, next }))
}

fn invitation_info(record: InvitationRecord) -> InvitationInfo {
    InvitationInfo {
        id: record.id.unsigned_abs(),
        role: role_word(record.role),
        names: record.grants,
        uses_left: record.uses_left,
        each_network: record.each_network,
        created: record.created,
        expires: record.expires,
    }
}
