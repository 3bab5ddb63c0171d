//! The switch for everyone, in the console: see [`crate::switch`].

use std::time::Duration;

use axum::response::Redirect;
use serde::Deserialize;
use serde_json::json;

use super::page::{Failure, State};
use super::write::Write;
use crate::acts::Outcome;
use crate::files::unix_now;
use crate::switch::{DOWN_ACTION, SUBJECT, UP_ACTION, checked};

#[derive(Deserialize)]
pub(super) struct Down {
    minutes: u64,
    why: String,
}

/// `POST /console/down`: for everyone but administrators and the console.
pub(super) async fn down(
    state: State,
    Write { operator, form }: Write<Down>,
) -> Result<Redirect, Failure> {
    let time = Duration::from_secs(form.minutes.saturating_mul(60));
    let down = checked(time, form.why.trim(), unix_now());
    let down = down.map_err(|error| Failure::refused(format!("The hub stays up: {error}.")))?;
    let detail = json!({ "until": down.until, "why": down.why });
    let app = state.0.clone();
    operator
        .act(&state, DOWN_ACTION, SUBJECT)
        .with(detail)
        .run(async move { Ok(Outcome::Changed(app.db.set_down(Some(&down)).await?)) })
        .await?;
    Ok(Redirect::to("/console?done=down"))
}

#[derive(Deserialize)]
pub(super) struct Up {}

/// `POST /console/up`: before the time is over.
pub(super) async fn up(
    state: State,
    Write { operator, form: Up {} }: Write<Up>,
) -> Result<Redirect, Failure> {
    let app = state.0.clone();
    let was_down = operator
        .act(&state, UP_ACTION, SUBJECT)
        .run(async move {
            let is_down = app.db.down().await?.is_some_and(|down| down.until > unix_now());
            app.db.set_down(None).await?;
            Ok(if is_down { Outcome::Changed(true) } else { Outcome::Unchanged(false) })
        })
        .await?;
    let done = if was_down { "up" } else { "gone" };
    Ok(Redirect::to(&format!("/console?done={done}")))
}
