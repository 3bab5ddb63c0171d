//! `PUT /v1/names/{team}/{name}`: creates a name or changes whether it is public.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use hub_api::{NameInfo, NameSettings, ProblemCode};
use hub_db::NamePut;

use super::list_names::name_info;
use crate::app::App;
use crate::body::Json;
use crate::caller::{Publisher, Segments};
use crate::files::unix_now;
use crate::refusal::Refusal;

pub(crate) async fn put_name(
    State(app): State<Arc<App>>,
    Publisher(account): Publisher,
    segments: Segments,
    Json(settings): Json<NameSettings>,
) -> Result<(StatusCode, axum::Json<NameInfo>), Refusal> {
    let name = segments.name()?;
    // A task of its own: a caller that goes away must not leave the cache behind the database.
    let put = {
        let (app, name, owner) = (Arc::clone(&app), name.clone(), account.id);
        tokio::spawn(async move {
            let put = app.db.put_name(name.as_str(), owner, settings.public, unix_now()).await;
            if !settings.public {
                app.access.forget();
            }
            put
        })
    };
    let put = put.await.map_err(|error| Refusal::internal(&error))??;
    let status = match put {
        NamePut::Created => StatusCode::CREATED,
        NamePut::Updated => StatusCode::OK,
        NamePut::OwnedByAnother => return Err(Refusal::new(ProblemCode::NameTaken, "")),
    };
    let record = segments.visible(&app, &(&account).into()).await?;
    Ok((status, axum::Json(name_info(record))))
}
