//! `POST /v1/tokens`: a machine token of the caller's account, told once.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use documents::ReleaseName;
use hub_api::limits::{LABEL_CHARS_MAX, LISTED_NAMES_MAX, TOKEN_LIFETIME_MAX};
use hub_api::{Hex, Hidden, ProblemCode, TOKEN_PREFIX, TokenCreated, TokenRequest, TokenScope};
use hub_db::{NewToken, Role};
use serde_json::json;

use crate::acts::{Act, Outcome};
use crate::app::App;
use crate::caller::{Member, token_hash};
use crate::files::unix_now;
use crate::idempotency::Once;
use crate::refusal::Refusal;

/// Tokens one account may have: enough for every machine of an office.
const TOKENS_MAX: usize = 1000;

pub(crate) async fn create_token(
    State(app): State<Arc<App>>,
    Member(account): Member,
    request: Once<TokenRequest>,
) -> Result<Response, Refusal> {
    let (asked, done) = request.split();
    check(&asked)?;
    if asked.scope == TokenScope::Publish && account.role < Role::Publisher {
        return Err(Refusal::new(ProblemCode::Forbidden, "publishers only"));
    }
    if app.db.tokens(account.id).await?.len() >= TOKENS_MAX {
        let many = format!("an account has at most {TOKENS_MAX} tokens");
        return Err(Refusal::new(ProblemCode::Forbidden, many));
    }
    let mut secret = [0; 32];
    getrandom::fill(&mut secret)?;
    let created = unix_now();
    let token = NewToken {
        secret_hash: token_hash(&secret),
        account: account.id,
        label: asked.label,
        scope: match asked.scope {
            TokenScope::Read => hub_db::TokenScope::Read,
            TokenScope::Publish => hub_db::TokenScope::Publish,
        },
        names: asked.names,
        created,
        expires: created + asked.lifetime_s,
    };
    let act = Act::new(&app, &account, "create-token", &token.label).with(json!({
        "scope": asked.scope,
        "names": &token.names,
        "expires": token.expires,
    }));
    let work = {
        let app = Arc::clone(&app);
        act.run(async move {
            let id = app.db.create_token(&token).await?.number().unsigned_abs();
            let text = Hidden(format!("{TOKEN_PREFIX}{}", Hex(secret)));
            let created = TokenCreated { id, token: text, expires: token.expires };
            Ok(Outcome::Changed((StatusCode::CREATED, created)))
        })
    };
    done.once(&app, account.id, work).await
}

fn check(asked: &TokenRequest) -> Result<(), Refusal> {
    let length = asked.label.chars().count();
    if length == 0 || length > LABEL_CHARS_MAX || asked.label.chars().any(char::is_control) {
        let expected =
            format!("a label has 1 to {LABEL_CHARS_MAX} characters, none of them control");
        return Err(Refusal::malformed(expected));
    }
    check_lifetime(asked.lifetime_s, TOKEN_LIFETIME_MAX)?;
    check_names(&asked.names)
}

/// A lifetime is at least a second and no longer than `max`.
pub(super) fn check_lifetime(seconds: u64, max: std::time::Duration) -> Result<(), Refusal> {
    if seconds == 0 || seconds > max.as_secs() {
        let expected = format!("a lifetime is 1 to {} seconds", max.as_secs());
        return Err(Refusal::malformed(expected));
    }
    Ok(())
}

/// Names are names, and not too many.
pub(super) fn check_names(names: &[String]) -> Result<(), Refusal> {
    if names.len() > LISTED_NAMES_MAX {
        return Err(Refusal::malformed(format!("more than {LISTED_NAMES_MAX} names")));
    }
    let wrong = names.iter().any(|name| name.parse::<ReleaseName>().is_err());
    if wrong { Err(Refusal::malformed("a name is no name")) } else { Ok(()) }
}
