//! `consign account list` and `revoke`

use documents::PublicKey;
use hub_api::AccountInfo;
use serde_json::json;

use super::invitation::role_word;
use super::pages::show_each;
use super::{Session, parse};
use crate::args::{AccountArgs, AccountCommand};
use crate::exit::Ended;
use crate::output::utc;

pub(super) async fn run(session: &Session, args: AccountArgs) -> anyhow::Result<Ended> {
    match args.what {
        AccountCommand::List => list(session).await,
        AccountCommand::Revoke(args) => {
            let key: PublicKey = parse(&args.key)?;
            let link = session.link()?;
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
    let link = session.link()?;
    show_each(|after| link.client.accounts(after), |account| show(session, account)).await?;
    Ok(Ended::Done)
}

fn show(session: &Session, account: &AccountInfo) -> anyhow::Result<()> {
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
    )
}
