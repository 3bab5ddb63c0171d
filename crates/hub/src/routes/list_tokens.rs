//! `GET /v1/tokens?after=&limit=`: the machine tokens of the caller's account.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use hub_api::limits::{PAGE_DEFAULT, PAGE_MAX};
use hub_api::{TokenInfo, TokenScope, TokensPage};
use hub_db::TokenRecord;

use super::list_accounts::Page;
use crate::app::App;
use crate::caller::Member;
use crate::pages::Rows;
use crate::refusal::Refusal;

pub(crate) async fn list_tokens(
    State(app): State<Arc<App>>,
    Member(account): Member,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Json<TokensPage>, Refusal> {
    let Query(page) = page?;
    let mut tokens: Vec<TokenInfo> =
        app.db.tokens(account.id).await?.into_iter().map(token_info).collect();
    tokens.retain(|token| page.after.is_none_or(|after| token.id > after));
    let rows = Rows::new(page.limit, PAGE_DEFAULT, PAGE_MAX);
    let next = rows.cut(&mut tokens, |last| last.id);
    Ok(Json(TokensPage { tokens, next }))
}

fn token_info(record: TokenRecord) -> TokenInfo {
    TokenInfo {
        id: record.id.number().unsigned_abs(),
        label: record.label,
        scope: match record.scope {
            hub_db::TokenScope::Read => TokenScope::Read,
            hub_db::TokenScope::Publish => TokenScope::Publish,
        },
        names: record.names,
        created: record.created,
        expires: record.expires,
        last_used: record.last_used,
    }
}
