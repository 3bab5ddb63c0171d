//! Machine tokens of all accounts: listing and revoking. Their owners make them, by the API.

use askama::Template;
use axum::extract::Query;
use axum::response::Redirect;
use hub_db::{TokenId, TokenScope};
use serde::Deserialize;

use super::accounts::accounts_after;
use super::name_settings::outcome;
use super::page::{Failure, Layout, Page, Section, Shown, State};
use super::session::Operator;
use super::write::Write;
use crate::files::unix_now;
use pages::format::{self, Moment, shown};

/// What of the query is used.
#[derive(Deserialize)]
pub(super) struct Wanted {
    after: Option<String>,
    done: Option<String>,
}

#[derive(Template)]
#[template(path = "tokens.html")]
pub(super) struct Tokens {
    layout: Layout,
    tokens: Vec<Row>,
    is_later_page: bool,
    next: Option<String>,
}

struct Row {
    number: i64,
    label: String,
    account: String,
    account_key: String,
    scope: &'static str,
    names: Vec<String>,
    created: Moment,
    expires: Moment,
    is_over: bool,
    last_used: Option<Moment>,
}

/// `GET /console/tokens`: those of a page of accounts.
pub(super) async fn list(
    state: State,
    operator: Operator,
    Query(wanted): Query<Wanted>,
) -> Shown<Tokens> {
    let now = unix_now();
    let (accounts, next) = accounts_after(&state, wanted.after.as_deref()).await?;
    let mut tokens = Vec::new();
    for account in accounts {
        for token in state.db.tokens(account.id).await? {
            tokens.push(Row {
                number: token.id.number(),
                label: shown(token.label.as_bytes()),
                account: format::handle(&account.key.0),
                account_key: hex::encode(account.key.0),
                scope: match token.scope {
                    TokenScope::Read => "read",
                    TokenScope::Publish => "publish",
                },
                names: token.names,
                created: Moment::new(token.created, now),
                expires: Moment::new(token.expires, now),
                is_over: token.expires <= now,
                last_used: token.last_used.map(|used| Moment::new(used, now)),
            });
        }
    }
    let layout =
        Layout::new(&state, &operator, Section::Tokens, "Tokens").noticing(wanted.done.as_deref());
    Ok(Page(Tokens { layout, tokens, is_later_page: wanted.after.is_some(), next }))
}

#[derive(Deserialize)]
pub(super) struct Old {
    number: i64,
}

/// `POST /console/tokens/revoke`
pub(super) async fn revoke(
    state: State,
    Write { operator, form }: Write<Old>,
) -> Result<Redirect, Failure> {
    let (app, id) = (state.0.clone(), TokenId::from_number(form.number));
    let revoked = operator
        .act(&state, "revoke-token", form.number)
        .taking_away()
        .run(async move { Ok(outcome(app.db.revoke_token(id, None).await?)) })
        .await?;
    let done = if revoked { "token-revoked" } else { "gone" };
    Ok(Redirect::to(&format!("/console/tokens?done={done}")))
}
