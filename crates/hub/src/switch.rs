//! The switch for everyone: down for a while, and up again.
//!
//! It stands in the database, so it is of all front-ends. While the hub is down, administrators and the console are
//! answered, everybody else is told when to come again, each a little later than the other; what runs is ended, as
//! when a hub stops. When the time is over the hub is up by itself.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{FromRequestParts as _, MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use hub_api::{ProblemCode, routes as paths};
use hub_db::{Actor, AuditEntry, DbError, Down, HubDb};
use serde_json::json;
use tokio::sync::watch;

use crate::app::App;
use crate::caller::Administrator;
use crate::database::{BesideError, HubData, beside};
use crate::files::unix_now;
use crate::refusal::{Chain, Refusal};

/// How often it is looked whether the switch was thrown.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// The time over which those who were told to come again do so, at least: thousands at once would be refused.
const SPREAD_MIN_S: u64 = 30;

/// Longest time for which a hub is taken down; whoever needs more says so again.
const DOWN_MAX: Duration = Duration::from_hours(7 * 24);

/// Longest reason.
const WHY_CHARS_MAX: usize = 200;

/// How the audit log calls both acts, and what they are done to.
pub(crate) const DOWN_ACTION: &str = "take-down";
pub(crate) const UP_ACTION: &str = "take-up";
pub(crate) const SUBJECT: &str = "hub";

/// Routes that are answered while the hub is down: by them it is seen how it is, and administrators get in.
const OPEN: [&str; 8] = [
    paths::HEALTH,
    paths::READY,
    paths::HUB,
    paths::ERROR,
    paths::OPENAPI,
    paths::SESSION_CHALLENGE,
    paths::SESSIONS,
    paths::STATUS,
];

/// Whether the hub is down, as this process knows.
#[derive(Debug, Default)]
pub(crate) struct Switch(Mutex<Option<Down>>);

impl Switch {
    /// What the hub is down for at `now`.
    pub(crate) fn down(&self, now: u64) -> Option<Down> {
        let down = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        down.clone().filter(|down| now < down.until)
    }

    fn set(&self, down: Option<Down>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = down;
    }
}

/// Looks at the switch, and at what clients are to be, as long as the hub runs, and says to streams when they are to end:
/// `leaving` is true while the hub is down or stops.
pub(crate) async fn look(app: Arc<App>, leaving: watch::Sender<bool>) {
    let mut stopping = app.stopping.clone();
    loop {
        match app.db.down().await {
            Ok(down) => app.switch.set(down),
            // As it was.
            Err(error) => {
                tracing::warn!(error = %Chain(&error), "whether the hub is down is not known");
            }
        }
        if let Err(error) = app.clients.look(&*app.db).await {
            tracing::warn!(error = %Chain(&error), "which versions clients are to be is not known");
        }
        let is_down = app.switch.down(unix_now()).is_some();
        leaving.send_if_modified(|leaving| {
            let has_changed = *leaving != is_down;
            if has_changed {
                tracing::info!(is_down, "the switch for everyone");
            }
            *leaving = is_down;
            has_changed
        });
        tokio::select! {
            () = tokio::time::sleep(LOOK_INTERVAL) => {}
            _ = stopping.wait_for(|stopping| *stopping) => {
                leaving.send_replace(true);
                return;
            }
        }
    }
}

/// Answers while the hub is down.
pub(crate) async fn let_through(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Response {
    let now = unix_now();
    let Some(down) = app.switch.down(now) else { return next.run(request).await };
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let is_open = route.is_some_and(|route| OPEN.contains(&route) || route.starts_with("/console"));
    if is_open {
        return next.run(request).await;
    }
    let (mut parts, body) = request.into_parts();
    if Administrator::from_request_parts(&mut parts, &app).await.is_ok() {
        return next.run(Request::from_parts(parts, body)).await;
    }
    let mut random = [0; 8];
    // Without randomness all come at the earliest moment, and are refused again at worst.
    let _ = getrandom::fill(&mut random);
    let after = come_again_after(&down, now, u64::from_le_bytes(random));
    let why = format!("the hub is down for everyone: {}", down.why);
    Refusal::new(ProblemCode::Unavailable, why).after(after).closing().into_response()
}

/// Seconds after which one caller is to come again: when the hub is up, and then one after the other, over a quarter
/// of the time it was down.
fn come_again_after(down: &Down, now: u64, random: u64) -> u64 {
    let spread = (down.until.saturating_sub(down.since) / 4).max(SPREAD_MIN_S);
    down.until.saturating_sub(now) + random % spread
}

/// Why a hub was not taken down, or up.
#[derive(Debug, thiserror::Error)]
pub enum SwitchError {
    /// There is no hub, or its database cannot be used.
    #[error(transparent)]
    Hub(#[from] BesideError),
    /// The time is nothing, or longer than a week. Say a shorter one, and again when it is over.
    #[error("a hub is taken down for a minute to a week at a time")]
    Time,
    /// There is no reason, or it does not fit on a line of 200 characters.
    #[error("there has to be a reason, of {WHY_CHARS_MAX} characters at most, on a line")]
    Why,
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Takes a hub down for everyone but administrators, all its front-ends within seconds; when it is up again, in
/// seconds since 1970. It works while the hub runs.
///
/// # Errors
/// See [`SwitchError`].
pub async fn take_down(
    hub: impl Into<HubData>,
    time: Duration,
    why: &str,
) -> Result<u64, SwitchError> {
    let down = checked(time, why, unix_now())?;
    throw(&hub.into(), Some(&down)).await?;
    Ok(down.until)
}

/// What the hub is to be down for from `now`, if it may be.
pub(crate) fn checked(time: Duration, why: &str, now: u64) -> Result<Down, SwitchError> {
    if time < Duration::from_mins(1) || time > DOWN_MAX {
        return Err(SwitchError::Time);
    }
    let is_line = !why.is_empty() && !why.chars().any(char::is_control);
    if !is_line || why.chars().count() > WHY_CHARS_MAX {
        return Err(SwitchError::Why);
    }
    Ok(Down { since: now, until: now + time.as_secs(), why: why.to_owned() })
}

/// Takes a hub up again.
///
/// # Errors
/// See [`SwitchError`].
pub async fn take_up(hub: impl Into<HubData>) -> Result<(), SwitchError> {
    throw(&hub.into(), None).await
}

async fn throw(hub: &HubData, down: Option<&Down>) -> Result<(), SwitchError> {
    let (_, db) = beside(hub).await?;
    let thrown = record_and_throw(&*db, down).await;
    db.close().await;
    Ok(thrown?)
}

async fn record_and_throw(db: &dyn HubDb, down: Option<&Down>) -> Result<(), DbError> {
    let detail = down.map_or(json!({}), |down| json!({ "until": down.until, "why": down.why }));
    let entry = AuditEntry {
        time: unix_now(),
        actor: Actor::Local,
        action: if down.is_some() { DOWN_ACTION } else { UP_ACTION }.to_owned(),
        subject: SUBJECT.to_owned(),
        detail: detail.to_string(),
    };
    // Told first, so that nothing is changed unrecorded.
    db.record(&entry).await?;
    db.set_down(down).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_come_again_one_after_the_other() {
        let down = Down { since: 1000, until: 1000 + 900, why: String::new() };
        assert_eq!(come_again_after(&down, 1000, 0), 900);
        assert_eq!(come_again_after(&down, 1000, 224), 900 + 224);
        assert_eq!(come_again_after(&down, 1000, 225), 900, "over a quarter of the time");
        assert_eq!(come_again_after(&down, 1890, 7), 17);
        let short = Down { since: 1000, until: 1060, why: String::new() };
        assert_eq!(come_again_after(&short, 1000, 29), 89);
        assert_eq!(come_again_after(&short, 1000, 30), 60);
    }

    #[test]
    fn a_hub_is_up_when_the_time_is_over() {
        let switch = Switch::default();
        assert_eq!(switch.down(5), None);
        let down = Down { since: 5, until: 10, why: "a disk".to_owned() };
        switch.set(Some(down.clone()));
        assert_eq!(switch.down(9), Some(down));
        assert_eq!(switch.down(10), None);
    }
}
