//! Invitations: making, listing, revoking.

use std::sync::Arc;

use askama::Template;
use axum::extract::Query;
use axum::response::Redirect;
use documents::{Invitation, ReleaseName};
use hub_db::{NewInvitation, Role};
use serde::Deserialize;
use serde_json::json;

use super::name_settings::outcome;
use super::page::{Failure, Layout, Page, Section, Shown, State};
use super::session::Operator;
use super::write::Write;
use crate::acts::Outcome;
use crate::app::App;
use crate::files::unix_now;
use crate::invite::{role_word, secret_hash};
use pages::format::Moment;

/// Longest life of an invitation.
const HOURS_MAX: u64 = 8_760;

/// Most names one invitation grants.
const GRANTS_MAX: usize = 500;

/// What of the query is used.
#[derive(Deserialize)]
pub(super) struct Wanted {
    done: Option<String>,
}

#[derive(Template)]
#[template(path = "invitations.html")]
pub(super) struct Invitations {
    layout: Layout,
    invitations: Vec<Row>,
    made: Option<Made>,
}

/// One that was just made, shown this once.
struct Made {
    text: String,
    role: &'static str,
    expires: Moment,
}

struct Row {
    id: i64,
    role: &'static str,
    grants: Vec<String>,
    uses_left: u32,
    created: Option<Moment>,
    expires: Moment,
}

async fn page(
    app: &App,
    operator: &Operator,
    made: Option<Made>,
    done: Option<&str>,
) -> Shown<Invitations> {
    let now = unix_now();
    let invitations = app.db.invitations(now).await?;
    let invitations = invitations
        .into_iter()
        .rev()
        .map(|found| Row {
            id: found.id,
            role: role_word(found.role),
            grants: found.grants,
            uses_left: found.uses_left,
            created: (found.created > 0).then(|| Moment::new(found.created, now)),
            expires: Moment::new(found.expires, now),
        })
        .collect();
    let layout = Layout::new(app, operator, Section::Invitations, "Invitations").noticing(done);
    Ok(Page(Invitations { layout, invitations, made }))
}

/// `GET /console/invitations`
pub(super) async fn list(
    state: State,
    operator: Operator,
    Query(wanted): Query<Wanted>,
) -> Shown<Invitations> {
    page(&state, &operator, None, wanted.done.as_deref()).await
}

#[derive(Deserialize)]
pub(crate) struct Form {
    role: String,
    #[serde(default)]
    names: String,
    hours: u64,
}

/// What a new invitation is to be good for.
pub(crate) struct Asked {
    role: Role,
    pub(crate) grants: Vec<ReleaseName>,
    pub(crate) hours: u64,
}

impl Form {
    /// What it asks for, if that is within the limits.
    pub(crate) fn asked(&self) -> Result<Asked, Failure> {
        let role = match self.role.as_str() {
            "reader" => Role::Reader,
            "publisher" => Role::Publisher,
            "administrator" => Role::Administrator,
            _ => {
                return Err(Failure::refused("An invitation is for one of the roles on the page."));
            }
        };
        if !(1..=HOURS_MAX).contains(&self.hours) {
            return Err(Failure::refused("An invitation is good for 1 to 8,760 hours."));
        }
        let names = self.names.split([' ', ',', '\n', '\r', '\t']).filter(|name| !name.is_empty());
        let grants: Result<Vec<ReleaseName>, _> = names.map(str::parse).collect();
        let grants =
            grants.map_err(|error| Failure::refused(format!("A name to read: {error}.")))?;
        if grants.len() > GRANTS_MAX {
            return Err(Failure::refused("An invitation grants at most 500 names."));
        }
        Ok(Asked { role, grants, hours: self.hours })
    }
}

/// `POST /console/invitations`: the answer shows the invitation; nothing else ever does.
pub(super) async fn invite(
    state: State,
    Write { operator, form }: Write<Form>,
) -> Shown<Invitations> {
    let app = &state.0;
    let Asked { role, grants, hours } = form.asked()?;
    let grants: Vec<String> = grants.iter().map(|name| name.as_str().to_owned()).collect();
    let mut secret = [0; 16];
    getrandom::fill(&mut secret)?;
    let now = unix_now();
    let new = NewInvitation {
        secret_hash: secret_hash(&secret),
        role,
        grants,
        uses: 1,
        each_network: None,
        creator: None,
        created: now,
        expires: now + hours * 3_600,
    };
    let detail = json!({ "names": new.grants, "expires": new.expires });
    let (database, expires) = (Arc::clone(app), new.expires);
    let act = operator.act(app, "invite", role_word(role)).with(detail);
    act.run(async move { Ok(Outcome::Changed(database.db.create_invitation(&new).await?)) })
        .await?;
    let text = Invitation { url: app.console.url.clone(), fingerprint: app.fingerprint, secret };
    let made =
        Made { text: text.to_string(), role: role_word(role), expires: Moment::new(expires, now) };
    page(app, &operator, Some(made), None).await
}

#[derive(Deserialize)]
pub(super) struct Old {
    id: i64,
}

/// `POST /console/invitations/revoke`
pub(super) async fn revoke(
    state: State,
    Write { operator, form }: Write<Old>,
) -> Result<Redirect, Failure> {
    let (app, id) = (state.0.clone(), form.id);
    let revoked = operator
        .act(&state, "revoke-invitation", id)
        .run(async move { Ok(outcome(app.db.revoke_invitation(id).await?)) })
        .await?;
    let done = if revoked { "invitation-revoked" } else { "gone" };
    Ok(Redirect::to(&format!("/console/invitations?done={done}")))
}
