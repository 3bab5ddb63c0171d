//! Who sent a request, and the parts of its path.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Path};
use axum::http::header;
use axum::http::request::Parts;
use documents::{ReleaseName, SessionToken};
use hub_api::{Base64Bytes, ProblemCode};
use hub_db::{Account, AccountKey, Caller, NameRecord, Role};

use crate::app::App;
use crate::files::unix_now;
use crate::refusal::Refusal;

/// A caller with or without a session.
pub(crate) struct Visitor(pub(crate) Caller);

/// A caller whose session belongs to a publisher.
pub(crate) struct Publisher(pub(crate) Account);

async fn account(parts: &Parts, app: &App) -> Result<Option<Account>, Refusal> {
    let Some(authorization) = parts.headers.get(header::AUTHORIZATION) else {
        return Ok(None);
    };
    let refused = || Refusal::new(ProblemCode::SessionExpired, "no token of this hub");
    let (scheme, token) =
        authorization.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(refused)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(refused());
    }
    let token: Base64Bytes = token.trim().parse().map_err(|_| refused())?;
    let token = SessionToken::verify(&token.0, &app.public_key, unix_now())?;
    // Asked every time, so that a revocation by another process takes effect at once.
    let account = app.db.account(&AccountKey(*token.subject.as_bytes())).await?;
    match account {
        Some(account) if account.revoked.is_none() => Ok(Some(account)),
        Some(_) | None => Err(Refusal::new(ProblemCode::NotRegistered, "")),
    }
}

impl FromRequestParts<Arc<App>> for Visitor {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refusal> {
        let account = account(parts, app).await?;
        Ok(Self(account.as_ref().map_or(Caller::Anonymous, Caller::from)))
    }
}

impl FromRequestParts<Arc<App>> for Publisher {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refusal> {
        match account(parts, app).await? {
            None => Err(Refusal::new(ProblemCode::SessionRequired, "")),
            Some(account) if account.role == Role::Publisher => Ok(Self(account)),
            Some(_) => Err(Refusal::new(ProblemCode::Forbidden, "publishers only")),
        }
    }
}

/// The parts of a path that vary.
pub(crate) struct Segments(HashMap<String, String>);

impl FromRequestParts<Arc<App>> for Segments {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refusal> {
        let segments = Path::<HashMap<String, String>>::from_request_parts(parts, app).await;
        segments.map(|Path(segments)| Self(segments)).map_err(|_| Refusal::not_found())
    }
}

impl Segments {
    /// What stands at `{segment}`; nothing is found at what does not parse.
    pub(crate) fn parse<T: FromStr>(&self, segment: &str) -> Result<T, Refusal> {
        let text = self.0.get(segment).ok_or_else(Refusal::not_found)?;
        text.parse().map_err(|_| Refusal::not_found())
    }

    /// The name at `{team}/{name}`.
    pub(crate) fn name(&self) -> Result<ReleaseName, Refusal> {
        let [team, name] =
            ["team", "name"].map(|segment| self.0.get(segment).map_or("", String::as_str));
        format!("{team}/{name}").parse().map_err(|_| Refusal::not_found())
    }

    /// The name at `{team}/{name}` as far as `caller` may see it.
    pub(crate) async fn visible(&self, app: &App, caller: &Caller) -> Result<NameRecord, Refusal> {
        let name = self.name()?;
        app.db.name(name.as_str(), caller).await?.ok_or_else(Refusal::not_found)
    }

    /// The name at `{team}/{name}`, which `account` must own.
    pub(crate) async fn owned(&self, app: &App, account: &Account) -> Result<NameRecord, Refusal> {
        let name = self.visible(app, &account.into()).await?;
        if name.owner != account.id {
            return Err(Refusal::new(ProblemCode::Forbidden, "the owner of the name only"));
        }
        Ok(name)
    }
}
