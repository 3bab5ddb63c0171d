//! `consign invitation create`, `list` and `revoke`

use hub_api::{AccountRole, InvitationRequest};
use serde_json::json;

use super::{Session, parse};
use crate::args::{InvitationArgs, InvitationCommand, InvitationCreateArgs, InvitedRole};
use crate::exit::Ended;
use crate::output::{number, path, utc};

pub(super) async fn run(session: &Session, args: InvitationArgs) -> anyhow::Result<Ended> {
    match args.what {
        InvitationCommand::Create(args) => create(session, args).await,
        InvitationCommand::List => list(session).await,
        InvitationCommand::Revoke(args) => {
            let link = session.node()?.hub(session.hub.as_deref())?;
            link.client.revoke_invitation(args.number).await?;
            session.output.fact(
                format!("invitation {} is taken back", args.number),
                &json!({"event": "revoked", "invitation": args.number}),
            )?;
            Ok(Ended::Done)
        }
    }
}

/// The invitation goes to standard output alone, so that it can be kept in a file.
async fn create(session: &Session, args: InvitationCreateArgs) -> anyhow::Result<Ended> {
    for name in &args.read {
        parse::<documents::ReleaseName>(name)?;
    }
    let request = InvitationRequest {
        role: match args.role {
            InvitedRole::Reader => AccountRole::Reader,
            InvitedRole::Publisher => AccountRole::Publisher,
            InvitedRole::Administrator => AccountRole::Administrator,
        },
        names: args.read,
        uses: args.uses,
        lifetime_s: args.hours * 3600,
    };
    let link = session.node()?.hub(session.hub.as_deref())?;
    let created = link.client.invite(&request).await?;
    session.output.remark(format!("good until {}; it is shown this once:", utc(created.expires)));
    session.output.fact(
        &created.invitation.0,
        &json!({"event": "invited", "invitation": created.invitation.0, "expires": created.expires}),
    )?;
    Ok(Ended::Done)
}

async fn list(session: &Session) -> anyhow::Result<Ended> {
    let link = session.node()?.hub(session.hub.as_deref())?;
    let mut after = None;
    loop {
        let (invitations, next) = link.client.invitations(after).await?;
        for one in &invitations {
            let names = one.names.join(" ");
            session.output.fact(
                format!(
                    "{:>5}  {:<13}  until {}  {} left  {}",
                    one.id,
                    role_word(one.role),
                    utc(one.expires),
                    number(u64::from(one.uses_left)),
                    path(names.as_bytes())
                ),
                &json!({
                    "event": "invitation",
                    "invitation": one.id,
                    "role": one.role,
                    "names": one.names,
                    "uses_left": one.uses_left,
                    "created": one.created,
                    "expires": one.expires,
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

pub(super) fn role_word(role: AccountRole) -> &'static str {
    match role {
        AccountRole::Reader => "reader",
        AccountRole::Publisher => "publisher",
        AccountRole::Administrator => "administrator",
    }
}
