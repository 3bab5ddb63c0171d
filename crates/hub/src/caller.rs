//! Who sent a request, and the parts of its path.

use std::collections::HashMap;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Path};
use axum::http::header;
use axum::http::request::Parts;
use documents::{ReleaseName, SessionToken};
use hub_api::{Base64Bytes, Hex, ProblemCode, TOKEN_PREFIX};
use hub_db::{Account, AccountKey, Caller, DbError, Grant, NameRecord, Role, TokenScope};

use crate::addresses::counted_as;
use crate::app::App;
use crate::communities::may_use;
use crate::files::unix_now;
use crate::peer::Peer;
use crate::places::Sharer;
use crate::refusal::Refusal;

/// A caller with or without a session or machine token.
pub(crate) struct Visitor(pub(crate) Caller);

/// A caller who may store chunks and releases: a publisher's session, or a token of a publisher
/// that is meant for it.
pub(crate) struct Publisher(pub(crate) Caller);

/// A caller with a session of an account. What grants rights or takes them away wants one: a
/// machine token is for moving content, so a stolen one makes no others.
pub(crate) struct Member(pub(crate) Account);

/// A caller with a session who may send by a code, a ticket or a link: an account's, or a guest's where the
/// hub has guests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sender {
    pub(crate) key: AccountKey,
    /// Where a guest is counted.
    pub(crate) guest: Option<IpAddr>,
}

/// The key of a caller with a session. Whether its account is in force is not asked yet: for a route that
/// asks for that together with the rest, see [`Queues::answerable`](hub_db::Queues::answerable).
pub(crate) struct SessionKey(pub(crate) AccountKey);

/// A caller with a session of an administrator's account.
pub(crate) struct Administrator(pub(crate) Account);

/// Who a request is from, with all that is known of them.
enum Identity {
    Nobody,
    Session(Account),
    Token(Caller, Account, TokenScope),
}

/// What a request brings along, of which the database knows more.
enum Credential {
    Nothing,
    /// A session that is open, of this key.
    Session(AccountKey),
    /// The hash of a machine token's secret.
    Token([u8; 32]),
}

fn refused() -> Refusal {
    Refusal::new(ProblemCode::SessionExpired, "no token of this hub")
}

pub(crate) fn not_registered() -> Refusal {
    Refusal::new(ProblemCode::NotRegistered, "")
}

fn credential(parts: &Parts, app: &App) -> Result<Credential, Refusal> {
    let Some(authorization) = parts.headers.get(header::AUTHORIZATION) else {
        return Ok(Credential::Nothing);
    };
    let (scheme, token) =
        authorization.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(refused)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(refused());
    }
    let token = token.trim();
    if let Some(secret) = token.strip_prefix(TOKEN_PREFIX) {
        let secret: Hex<32> = secret.parse().map_err(|_| refused())?;
        return Ok(Credential::Token(token_hash(&secret.0)));
    }
    let token: Base64Bytes = token.parse().map_err(|_| refused())?;
    let token = SessionToken::verify(&token.0, &app.public_key, unix_now())?;
    Ok(Credential::Session(AccountKey(*token.subject.as_bytes())))
}

async fn identity(parts: &Parts, app: &App) -> Result<Identity, Refusal> {
    match credential(parts, app)? {
        Credential::Nothing => Ok(Identity::Nobody),
        Credential::Token(secret_hash) => {
            let found = app.db.token(&secret_hash, unix_now()).await?;
            let (record, account) = found.ok_or_else(refused)?;
            let caller = Caller::Token { id: record.id, account: account.id, key: account.key };
            Ok(Identity::Token(caller, account, record.scope))
        }
        // Asked every time, so that a revocation by another process takes effect at once.
        Credential::Session(key) => match app.db.account(&key).await? {
            Some(account) if account.revoked.is_none() => Ok(Identity::Session(account)),
            Some(_) | None => Err(not_registered()),
        },
    }
}

/// What the database knows of a token's secret, which is random, so that a plain hash hides it.
pub(crate) fn token_hash(secret: &[u8; 32]) -> [u8; 32] {
    *blake3::hash(secret).as_bytes()
}

/// Whether the caller's account, and its token, are still what they were: for what goes on after
/// a request was let in.
pub(crate) async fn is_in_force(app: &App, caller: &Caller) -> Result<bool, DbError> {
    match caller {
        Caller::Anonymous => Ok(true),
        Caller::Account { key, .. } => {
            let account = app.db.account(key).await?;
            Ok(account.is_some_and(|account| account.revoked.is_none()))
        }
        Caller::Token { id, account, .. } => app.db.token_in_force(*id, *account, unix_now()).await,
    }
}

fn no_session() -> Refusal {
    Refusal::new(ProblemCode::SessionRequired, "")
}

fn forbidden(who: &str) -> Refusal {
    Refusal::new(ProblemCode::Forbidden, who)
}

impl FromRequestParts<Arc<App>> for Visitor {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refusal> {
        Ok(Self(match identity(parts, app).await? {
            Identity::Nobody => Caller::Anonymous,
            Identity::Session(account) => Caller::from(&account),
            Identity::Token(caller, ..) => caller,
        }))
    }
}

impl FromRequestParts<Arc<App>> for Publisher {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refusal> {
        let (caller, account) = match identity(parts, app).await? {
            Identity::Nobody => return Err(no_session()),
            Identity::Session(account) => (Caller::from(&account), account),
            Identity::Token(_, _, TokenScope::Read) => {
                return Err(forbidden("the token is for reading"));
            }
            Identity::Token(caller, account, TokenScope::Publish) => (caller, account),
        };
        if account.role < Role::Publisher {
            return Err(forbidden("publishers only"));
        }
        Ok(Self(caller))
    }
}

impl FromRequestParts<Arc<App>> for Member {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refusal> {
        match identity(parts, app).await? {
            Identity::Nobody => Err(no_session()),
            Identity::Session(account) => Ok(Self(account)),
            Identity::Token(..) => Err(forbidden("a session is wanted, not a token")),
        }
    }
}

impl FromRequestParts<Arc<App>> for Sender {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refusal> {
        let Credential::Session(key) = credential(parts, app)? else {
            let Member(account) = Member::from_request_parts(parts, app).await?;
            return Ok(Self { key: account.key, guest: None });
        };
        match app.db.account(&key).await? {
            Some(account) if account.revoked.is_none() => Ok(Self { key, guest: None }),
            // Whose account was taken away is no guest.
            Some(_) => Err(not_registered()),
            None if app.guests.is_some() => {
                let Ok(peer) = Peer::from_request_parts(parts, app).await;
                let client = peer.client(&parts.headers, &app.trusted_proxies);
                Ok(Self { key, guest: Some(counted_as(client)) })
            }
            None => Err(not_registered()),
        }
    }
}

impl Sender {
    /// Whose share it is that they take of.
    pub(crate) fn sharer(&self) -> Sharer {
        self.guest.map_or(Sharer::Account(self.key), Sharer::Address)
    }
}

impl FromRequestParts<Arc<App>> for SessionKey {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refusal> {
        if let Credential::Session(key) = credential(parts, app)? {
            return Ok(Self(key));
        }
        Member::from_request_parts(parts, app).await.map(|Member(account)| Self(account.key))
    }
}

impl FromRequestParts<Arc<App>> for Administrator {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refusal> {
        let Member(account) = Member::from_request_parts(parts, app).await?;
        if account.role < Role::Administrator {
            return Err(forbidden("administrators only"));
        }
        Ok(Self(account))
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
    pub(crate) fn new<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Self(pairs.into_iter().map(owned).collect())
    }

    /// What stands at `{segment}`; nothing is found at what does not parse.
    pub(crate) fn parse<T: FromStr>(&self, segment: &str) -> Result<T, Refusal> {
        let text = self.0.get(segment).ok_or_else(Refusal::not_found)?;
        text.parse().map_err(|_| Refusal::not_found())
    }

    /// The key at `{key}`.
    pub(crate) fn key(&self) -> Result<AccountKey, Refusal> {
        Ok(AccountKey(self.parse::<Hex<32>>("key")?.0))
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

    /// The name at `{team}/{name}`, under which the caller may publish.
    pub(crate) async fn publishable(
        &self,
        app: &App,
        caller: &Caller,
    ) -> Result<NameRecord, Refusal> {
        let name = self.visible(app, caller).await?;
        if !may_use(app, &self.name()?, &name.owner_key).await? {
            return Err(forbidden(
                "at this hub nobody publishes there: see the roster, and the home of its community",
            ));
        }
        match app.db.grant_of(name.id, caller).await? {
            Some(Grant::Owner | Grant::Publisher) => Ok(name),
            Some(Grant::Reader) | None => Err(forbidden("the publishers of the name only")),
        }
    }

    /// The name at `{team}/{name}`, which `account` must own.
    pub(crate) async fn owned(&self, app: &App, account: &Account) -> Result<NameRecord, Refusal> {
        let name = self.visible(app, &account.into()).await?;
        if name.owner != account.id {
            return Err(forbidden("the owner of the name only"));
        }
        Ok(name)
    }

    /// The name at `{team}/{name}`, which `account` must own or administer.
    pub(crate) async fn administered(
        &self,
        app: &App,
        account: &Account,
    ) -> Result<NameRecord, Refusal> {
        if account.role < Role::Administrator {
            return self.owned(app, account).await;
        }
        let name = self.name()?;
        let found = app.db.all_names(&just_before(name.as_str()), 1).await?.pop();
        found.filter(|found| found.name == name.as_str()).ok_or_else(Refusal::not_found)
    }
}

/// A text below `name` with no other name between: all characters of names are below `~`.
pub(crate) fn just_before(name: &str) -> String {
    let mut before = name.to_owned();
    let last = before.pop().map_or(0, |last| last as u8);
    before.push(char::from(last.saturating_sub(1)));
    before.push('~');
    before
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_lies_between() {
        let names = ["a/a", "a/a0", "a/b", "a/bz", "b/a-", "b/a.", "b/a.x", "zz/z"];
        for name in names {
            let before = just_before(name);
            let first = names.iter().find(|other| **other > before.as_str());
            assert_eq!(first, Some(&name), "{before:?}");
        }
    }
}
