//! Signing in with a link from the terminal, and out.

use std::sync::Arc;

use askama::Template;
use axum::extract::Request;
use axum::http::header;
use axum::response::{IntoResponse as _, Redirect, Response};
use serde::Deserialize;

use super::name_settings::outcome;
use super::page::{Failure, Page, State};
use super::session::{Operator, SESSION_LIFETIME, SessionSecret, no_cookie};
use super::write::{Write, own_pairs, value};
use crate::acts::Outcome;
use crate::files::unix_now;

#[derive(Template)]
#[template(path = "sign_in.html")]
pub(super) struct SignIn {
    host: String,
}

/// `GET /console/sign-in`: a form; a script fills it in from the fragment.
pub(super) async fn form(state: State) -> Page<SignIn> {
    let host = state.console.host().to_owned();
    Page(SignIn { host })
}

/// `POST /console/sign-in`: spends a link.
pub(super) async fn sign_in(state: State, request: Request) -> Result<Response, Failure> {
    let app = &state.0;
    let pairs = own_pairs(request, app).await?;
    // A whole link does as well as its secret.
    let given = value(&pairs, "secret").trim();
    let given = given.rsplit_once('#').map_or(given, |(_, secret)| secret);
    let mut link = [0; 32];
    hex::decode_to_slice(given, &mut link).map_err(|_| Failure::spent_link())?;
    let session = SessionSecret::new()?;
    let operator = Operator { session: session.hash(), form_token: session.form_token() };
    let (now, hash) = (unix_now(), *blake3::hash(&link).as_bytes());
    let (database, session_hash) = (Arc::clone(app), operator.session);
    let ends = now + SESSION_LIFETIME.as_secs();
    let opened = operator
        .act(app, "sign-in", "console")
        .run(async move {
            let opened = database.db.use_sign_in(&hash, &session_hash, now, ends).await?;
            Ok(outcome(opened))
        })
        .await?;
    if !opened {
        return Err(Failure::spent_link());
    }
    let cookie = [(header::SET_COOKIE, session.cookie(&app.console))];
    Ok((cookie, Redirect::to("/console")).into_response())
}

/// A form that says nothing.
#[derive(Deserialize)]
pub(super) struct Nothing {}

/// `POST /console/sign-out`: ends the session here and in the database.
pub(super) async fn sign_out(
    state: State,
    Write { operator, form: Nothing {} }: Write<Nothing>,
) -> Result<Response, Failure> {
    let (app, session) = (state.0.clone(), operator.session);
    operator
        .act(&state, "sign-out", "console")
        .run(async move { Ok(Outcome::Changed(app.db.end_console_session(&session).await?)) })
        .await?;
    let headers = [(header::SET_COOKIE, no_cookie(&state.console))];
    Ok((headers, Redirect::to("/console/sign-in")).into_response())
}
