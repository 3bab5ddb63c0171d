//! `consign token create`, `list` and `revoke`

use hub_api::{TokenInfo, TokenRequest, TokenScope};
use serde_json::json;

use super::pages::show_each;
use super::{Session, parse};
use crate::args::{TokenArgs, TokenCommand, TokenCreateArgs};
use crate::exit::Ended;
use crate::output::{path, utc};

pub(super) async fn run(session: &Session, args: TokenArgs) -> anyhow::Result<Ended> {
    match args.what {
        TokenCommand::Create(args) => create(session, args).await,
        TokenCommand::List => list(session).await,
        TokenCommand::Revoke(args) => {
            let link = session.link()?;
            link.client.revoke_token(args.number).await?;
            session.output.fact(
                format!("token {} is revoked", args.number),
                &json!({"event": "revoked", "token": args.number}),
            )?;
            Ok(Ended::Done)
        }
    }
}

/// The token goes to standard output alone, so that it can be kept in a file.
async fn create(session: &Session, args: TokenCreateArgs) -> anyhow::Result<Ended> {
    for name in &args.name {
        parse::<documents::ReleaseName>(name)?;
    }
    let request = TokenRequest {
        label: args.label,
        scope: if args.publish { TokenScope::Publish } else { TokenScope::Read },
        names: args.name,
        lifetime_s: args.days * 86_400,
    };
    let link = session.link()?;
    let created = link.client.create_token(&request).await?;
    session.output.remark(format!(
        "token {}, good until {}; it is shown this once:",
        created.id,
        utc(created.expires)
    ));
    session.output.fact(
        &created.token.0,
        &json!({"event": "created", "token": created.id, "secret": created.token.0, "expires": created.expires}),
    )?;
    Ok(Ended::Done)
}

async fn list(session: &Session) -> anyhow::Result<Ended> {
    let link = session.link()?;
    show_each(|after| link.client.tokens(after), |token| show(session, token)).await?;
    Ok(Ended::Done)
}

fn show(session: &Session, token: &TokenInfo) -> anyhow::Result<()> {
    let scope = match token.scope {
        TokenScope::Read => "read",
        TokenScope::Publish => "publish",
    };
    let names = if token.names.is_empty() { "all names".into() } else { token.names.join(" ") };
    let used =
        token.last_used.map_or_else(|| "never used".into(), |at| format!("used {}", utc(at)));
    session.output.fact(
        format!(
            "{:>5}  {scope:<7}  until {}  {used}  {}  {}",
            token.id,
            utc(token.expires),
            path(names.as_bytes()),
            path(token.label.as_bytes())
        ),
        &json!({
            "event": "token",
            "token": token.id,
            "label": token.label,
            "scope": token.scope,
            "names": token.names,
            "created": token.created,
            "expires": token.expires,
            "last_used": token.last_used,
        }),
    )
}
