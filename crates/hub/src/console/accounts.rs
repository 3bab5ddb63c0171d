//! Accounts: listing and revoking.

use askama::Template;
use axum::extract::Query;
use axum::response::Redirect;
use hub_api::Hex;
use hub_db::{Account, Role};
use serde::Deserialize;

use super::name_settings::{key, outcome};
use super::page::{Failure, Layout, Page, Section, Shown, State};
use super::session::Operator;
use super::write::Write;
use crate::app::App;
use crate::files::unix_now;
use crate::invite::role_word;
use pages::format::{self, Moment};

/// Accounts on a page.
const PAGE: usize = 100;

/// What of the query is used.
#[derive(Deserialize)]
pub(super) struct Wanted {
    after: Option<String>,
    done: Option<String>,
}

#[derive(Template)]
#[template(path = "accounts.html")]
pub(super) struct Accounts {
    layout: Layout,
    accounts: Vec<Row>,
    is_later_page: bool,
    next: Option<String>,
}

struct Row {
    key: String,
    handle: String,
    role: &'static str,
    is_administrator: bool,
    created: Moment,
    revoked: Option<Moment>,
}

/// A page of accounts, those behind the one of this key; and the key to go on from.
pub(super) async fn accounts_after(
    app: &App,
    after: Option<&str>,
) -> Result<(Vec<Account>, Option<String>), Failure> {
    let after = match after {
        None => None,
        Some(text) => {
            let account = app.db.account(&key(text)?).await?;
            Some(account.ok_or_else(|| Failure::not_found("There is no such account."))?.id)
        }
    };
    let mut accounts = app.db.accounts(after, PAGE as u32 + 1).await?;
    let has_more = accounts.len() > PAGE;
    accounts.truncate(PAGE);
    let last = accounts.last().map(|account| hex::encode(account.key.0));
    Ok((accounts, last.filter(|_| has_more)))
}

/// `GET /console/accounts`
pub(super) async fn list(
    state: State,
    operator: Operator,
    Query(wanted): Query<Wanted>,
) -> Shown<Accounts> {
    let now = unix_now();
    let (accounts, next) = accounts_after(&state, wanted.after.as_deref()).await?;
    let accounts = accounts
        .into_iter()
        .map(|account| Row {
            key: hex::encode(account.key.0),
            handle: format::handle(&account.key.0),
            role: role_word(account.role),
            is_administrator: account.role == Role::Administrator,
            created: Moment::new(account.created, now),
            revoked: account.revoked.map(|revoked| Moment::new(revoked, now)),
        })
        .collect();
    let layout = Layout::new(&state, &operator, Section::Accounts, "Accounts")
        .noticing(wanted.done.as_deref());
    Ok(Page(Accounts { layout, accounts, is_later_page: wanted.after.is_some(), next }))
}

#[derive(Deserialize)]
pub(super) struct Old {
    key: String,
}

/// `POST /console/accounts/revoke`: at once, transfers and event streams included.
pub(super) async fn revoke(
    state: State,
    Write { operator, form }: Write<Old>,
) -> Result<Redirect, Failure> {
    let key = key(&form.key)?;
    let app = state.0.clone();
    let revoked = operator
        .act(&state, "revoke-account", Hex(key.0))
        .taking_away()
        .run(async move { Ok(outcome(app.db.revoke_account(&key, unix_now()).await?)) })
        .await?;
    let done = if revoked { "account-revoked" } else { "gone" };
    Ok(Redirect::to(&format!("/console/accounts?done={done}")))
}
