//! `consign invitation create`, `list` and `revoke`

use hub_api::{AccountRole, InvitationInfo, InvitationRequest};
use serde_json::json;

use super::pages::show_each;
use super::{Session, parse};
use crate::args::{InvitationArgs, InvitationCommand, InvitationCreateArgs, InvitedRole};
use crate::exit::Ended;
use crate::output::{number, path, utc};

pub(super) async fn run(session: &Session, args: InvitationArgs) -> anyhow::Result<Ended> {
    match args.what {
        InvitationCommand::Create(args) => create(session, args).await,
        InvitationCommand::List => list(session).await,
        InvitationCommand::Revoke(args) => {
            let link = session.link()?;
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
        each_network: args.each_network,
        lifetime_s: args.hours * 3600,
    };
    let link = session.link()?;
    let created = link.client.invite(&request).await?;
    session.output.remark(format!("good until {}; it is shown this once:", utc(created.expires)));
    session.output.fact(
        &created.invitation.0,
        &json!({"event": "invited", "invitation": created.invitation.0, "expires": created.expires}),
    )?;
    Ok(Ended::Done)
}

async fn list(session: &Session) -> anyhow::Result<Ended> {
    let link = session.link()?;
    show_each(|after| link.client.invitations(after), |one| show(session, one)).await?;
    Ok(Ended::Done)
}

fn show(session: &Session, invitation: &InvitationInfo) -> anyhow::Result<()> {
    let names = invitation.names.join(" ");
    session.output.fact(
        format!(
            "{:>5}  {:<13}  until {}  {} left  {}",
            invitation.id,
            role_word(invitation.role),
            utc(invitation.expires),
            number(u64::from(invitation.uses_left)),
            path(names.as_bytes())
        ),
        &json!({
            "event": "invitation",
            "invitation": invitation.id,
            "role": invitation.role,
            "names": invitation.names,
            "uses_left": invitation.uses_left,
            "each_network": invitation.each_network,
            "created": invitation.created,
            "expires": invitation.expires,
        }),
    )
}

pub(super) fn role_word(role: AccountRole) -> &'static str {
    match role {
        AccountRole::Reader => "reader",
        AccountRole::Publisher => "publisher",
        AccountRole::Administrator => "administrator",
    }
}
