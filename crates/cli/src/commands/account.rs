//! `consign account list` and `revoke`

use documents::PublicKey;
use serde_json::json;

use super::invitation::role_word;
use super::{Session, parse};
use crate::args::{AccountArgs, AccountCommand};
use crate::exit::Ended;
use crate::output::utc;

pub(super) async fn run(session: &Session, args: AccountArgs) -> anyhow::Result<Ended> {
    match args.what {
        AccountCommand::List => list(session).await,
        AccountCommand::Revoke(args) => {
            let key: PublicKey = parse(&args.key)?;
            let link = session.node()?.hub(session.hub.as_deref())?;
            link.client.revoke_account(&key).await?;
            session.output.fact(
                format!("the account of {key} is revoked"),
                &json!({"event": "revoked", "key": args.key}),
            )?;
            Ok(Ended::Done)
        }
    }
}

async fn list(session: &Session) -> anyhow::Result<Ended> {
    let link = session.node()?.hub(session.hub.as_deref())?;
    let mut after = None;
    loop {
        let (accounts, next) = link.client.accounts(after).await?;
        for account in &accounts {
            let since = utc(account.created);
            let state = account
                .revoked
                .map_or_else(|| format!("since {since}"), |at| format!("revoked {}", utc(at)));
            session.output.fact(
                format!("{:<13}  {}  {state}", role_word(account.role), account.key),
                &json!({
                    "event": "account",
                    "account": account.id,
                    "key": account.key,
                    "role": account.role,
                    "created": account.created,
                    "revoked": account.revoked,
                }),
            )?;
        }
        match next {
            // A hub that repeats a page must not keep us here.
            Some(next) if after < Some(next) => after = Some(next),
            Some(_) | None => return Ok(Ended::Done),
        }
    }
}
