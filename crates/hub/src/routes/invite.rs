//! `POST /v1/invitations`: an invitation to this hub, told once.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use documents::Invitation;
use hub_api::limits::{INVITATION_LIFETIME_MAX, INVITATION_USES_MAX};
use hub_api::{AccountRole, Hidden, InvitationCreated, InvitationRequest, ProblemCode};
use hub_db::{NewInvitation, Role};
use serde_json::json;

use super::create_token::{check_lifetime, check_names};
use crate::acts::{Act, Outcome};
use crate::app::App;
use crate::caller::Administrator;
use crate::files::unix_now;
use crate::idempotency::Once;
use crate::invite::secret_hash;
use crate::refusal::Refusal;

pub(crate) async fn invite(
    State(app): State<Arc<App>>,
    Administrator(account): Administrator,
    request: Once<InvitationRequest>,
) -> Result<Response, Refusal> {
    let (asked, done) = request.split();
    check_lifetime(asked.lifetime_s, INVITATION_LIFETIME_MAX)?;
    check_names(&asked.names)?;
    if !(1..=INVITATION_USES_MAX).contains(&asked.uses) {
        let expected = format!("an invitation has 1 to {INVITATION_USES_MAX} uses");
        return Err(Refusal::malformed(expected));
    }
    if asked.each_network == Some(0) {
        return Err(Refusal::malformed("no network could register anybody"));
    }
    let mut secret = [0; 16];
    getrandom::fill(&mut secret)?;
    let created = unix_now();
    let invitation = NewInvitation {
        secret_hash: secret_hash(&secret),
        role: match asked.role {
            AccountRole::Reader => Role::Reader,
            AccountRole::Publisher => Role::Publisher,
            AccountRole::Administrator => Role::Administrator,
        },
        grants: asked.names,
        uses: asked.uses,
        each_network: asked.each_network,
        creator: Some(account.id),
        created,
        expires: created + asked.lifetime_s,
    };
    let text =
        Invitation { url: app.url.clone(), fingerprint: app.fingerprint, secret }.to_string();
    let role = serde_json::to_value(asked.role).expect("a role is a word");
    let act = Act::new(&app, &account, "invite", role.as_str().unwrap_or_default()).with(json!({
        "names": &invitation.grants,
        "uses": invitation.uses,
        "each_network": invitation.each_network,
        "expires": invitation.expires,
    }));
    let work = {
        let app = Arc::clone(&app);
        act.run(async move {
            if app.db.create_invitation(&invitation).await?.is_none() {
                return Err(Refusal::new(ProblemCode::NotRegistered, ""));
            }
            let expires = invitation.expires;
            let created = InvitationCreated { invitation: Hidden(text), expires };
            Ok(Outcome::Changed((StatusCode::CREATED, created)))
        })
    };
    done.once(&app, account.id, work).await
}
