//! `GET /v1/accounts?after=&limit=`: all accounts, for administrators.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use hub_api::limits::{PAGE_DEFAULT, PAGE_MAX};
use hub_api::{AccountInfo, AccountRole, AccountsPage, Hex};
use hub_db::{Account, AccountId, Role};
use serde::Deserialize;

use crate::app::App;
use crate::caller::Administrator;
use crate::pages::Rows;
use crate::refusal::Refusal;

/// A page of what is numbered.
#[derive(Deserialize)]
pub(crate) struct Page {
    pub(crate) after: Option<u64>,
    pub(crate) limit: Option<u32>,
}

pub(crate) async fn list_accounts(
    State(app): State<Arc<App>>,
    Administrator(_): Administrator,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Json<AccountsPage>, Refusal> {
    let Query(page) = page?;
    let rows = Rows::new(page.limit, PAGE_DEFAULT, PAGE_MAX);
    let after = page.after.map(|after| AccountId::from_number(signed(after)));
    let accounts = app.db.accounts(after, rows.to_read()).await?;
    let ids: Vec<AccountId> = accounts.iter().map(|account| account.id).collect();
    let mut handles = app.db.handles(&ids).await?;
    let info = |account: Account| {
        let handle = handles.remove(&account.id);
        account_info(account, handle)
    };
    let mut accounts: Vec<AccountInfo> = accounts.into_iter().map(info).collect();
    let next = rows.cut(&mut accounts, |last| last.id);
    Ok(Json(AccountsPage { accounts, next }))
}

/// A number as the database has it; nothing comes after the largest.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn account_info(account: Account, handle: Option<String>) -> AccountInfo {
    AccountInfo {
        id: account.id.number().unsigned_abs(),
        key: Hex(account.key.0),
        handle,
        role: role_word(account.role),
        created: account.created,
        revoked: account.revoked,
    }
}

pub(super) fn role_word(role: Role) -> AccountRole {
    match role {
        Role::Reader => AccountRole::Reader,
        Role::Publisher => AccountRole::Publisher,
        Role::Administrator => AccountRole::Administrator,
    }
}
