//! `PUT /v1/names/{team}/{name}`: creates a name or changes whether it is public.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use community::CommunityId;
use hub_api::{NameInfo, NameSettings, ProblemCode};
use hub_db::{Account, Caller, Grant, NamePut, NameRecord, Role};
use serde_json::json;

use super::list_names::name_info;
use crate::acts::{Act, Outcome};
use crate::app::App;
use crate::body::Json;
use crate::caller::{Member, Segments};
use crate::communities::{OF_COMMUNITY, forbidden, may_use, refuse_feed};
use crate::files::unix_now;
use crate::refusal::Refusal;

/// The same words whether the name is public, private, or kept for somebody.
const UNAVAILABLE: &str = "this account cannot publish under it";

pub(crate) async fn put_name(
    State(app): State<Arc<App>>,
    Member(account): Member,
    segments: Segments,
    Json(settings): Json<NameSettings>,
) -> Result<(StatusCode, axum::Json<NameInfo>), Refusal> {
    if account.role < Role::Publisher {
        return Err(Refusal::new(ProblemCode::Forbidden, "publishers only"));
    }
    let name = segments.name()?;
    if !may_use(&app, &name, &account.key).await? {
        return Err(Refusal::new(ProblemCode::NameTaken, UNAVAILABLE));
    }
    if settings.public {
        refuse_feed(name.as_str())?;
    }
    if account.of_community && !CommunityId::is_reserved(&name) {
        return Err(forbidden(OF_COMMUNITY));
    }
    let before = app.db.name(name.as_str(), &Caller::from(&account)).await?;
    if let Some(before) = before
        && before.public == settings.public
        && may_publish(&app, &account, &before).await?
    {
        return Ok((StatusCode::OK, axum::Json(name_info(before))));
    }
    let act = Act::new(&app, &account, "visibility", &name)
        .with(json!({ "public": settings.public }))
        .taking_away();
    let put = {
        let (app, name, owner) = (Arc::clone(&app), name.clone(), account.id);
        async move {
            let put = app.db.put_name(name.as_str(), owner, settings.public, unix_now()).await?;
            Ok(match put {
                NamePut::Created | NamePut::Updated => Outcome::Changed(put),
                NamePut::OwnedByAnother => Outcome::Unchanged(put),
            })
        }
    };
    let status = match act.run(put).await? {
        NamePut::Created => StatusCode::CREATED,
        NamePut::Updated => StatusCode::OK,
        NamePut::OwnedByAnother => return Err(Refusal::new(ProblemCode::NameTaken, UNAVAILABLE)),
    };
    let record = segments.visible(&app, &(&account).into()).await?;
    Ok((status, axum::Json(name_info(record))))
}

/// Whoever may publish under a name may ask for it to be as it is.
async fn may_publish(app: &App, account: &Account, name: &NameRecord) -> Result<bool, Refusal> {
    let grant = app.db.grant_of(name.id, &account.into()).await?;
    Ok(matches!(grant, Some(Grant::Owner | Grant::Publisher)))
}
