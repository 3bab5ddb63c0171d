//! Codes by mail for who lost their password.

use std::sync::Arc;

use hub_api::ProblemCode;
use hub_api::limits::{
    FAILED_LOGINS_MAX, LOGIN_WINDOW, RECOVERIES_MAX, RECOVERY_REQUESTS_MAX, RECOVERY_TIME,
};
use hub_db::{LoginTurn, PersonId};

use super::reset::draw;
use crate::app::App;
use crate::files::unix_now;
use crate::mail::Mailer;
use crate::people::Handle;
use crate::refusal::Refusal;

/// Under which all requests of a network are counted: nobody is called so.
const ANYBODY: &str = "*";

const SUBJECT: &str = "Your password at Consign";

/// Has a code sent to a person, if there is one of this handle who has told an address: nobody waits for
/// that, so that the time of the answer tells nothing.
pub(crate) async fn ask_recovery(
    app: &Arc<App>,
    handle: Handle,
    network: &str,
) -> Result<(), Refusal> {
    let Some(mailer) = app.mailer.clone() else {
        let why = "this hub sends no mail: its administrator resets passwords";
        return Err(Refusal::new(ProblemCode::NotFound, why));
    };
    let (now, window) = (unix_now(), LOGIN_WINDOW.as_secs());
    let since = now.saturating_sub(window);
    let turn = app.db.begin_login(ANYBODY, network, RECOVERY_REQUESTS_MAX, since, now).await?;
    if let LoginTurn::NotBefore(oldest) = turn {
        let left_s = (oldest + window).saturating_sub(now);
        return Err(Refusal::too_many("too many codes for this network").after(left_s));
    }
    let full = |_| Refusal::busy("too many mails at once");
    let place = Arc::clone(&app.people.mails).try_acquire_owned().map_err(full)?;
    let app = Arc::clone(app);
    tokio::spawn(async move {
        if let Err(error) = send(&app, &mailer, &handle, now).await {
            tracing::warn!(%handle, error, "a code to recover a password was not sent");
        }
        drop(place);
    });
    Ok(())
}

async fn send(app: &App, mailer: &Mailer, handle: &Handle, now: u64) -> Result<(), String> {
    let code = draw().map_err(|error| error.to_string())?;
    let since = now.saturating_sub(RECOVERY_TIME.as_secs());
    let (db, hash) = (&app.db, hash(&code));
    let begun = db.begin_recovery(handle.as_str(), &hash, RECOVERIES_MAX, since, now).await;
    match begun.map_err(|error| error.to_string())? {
        Some(to) => mailer.send(&to, SUBJECT, text(&address(app), handle, &code)).await,
        None => Ok(()),
    }
}

/// The hub as a machine that does not know it yet recognises it.
fn address(app: &App) -> String {
    match app.fingerprint {
        [0, ..] if app.fingerprint == [0; 32] => app.url.clone(),
        pinned => format!("{}#{}", app.url, hex::encode(pinned)),
    }
}

fn text(address: &str, handle: &Handle, code: &str) -> String {
    let url = address.split('#').next().unwrap_or(address);
    let minutes = RECOVERY_TIME.as_secs() / 60;
    format!(
        "Somebody, you perhaps, asked for another password for {handle} at {url}.\n\n\
         This code lets you choose one within {minutes} minutes:\n\n    {code}\n\n\
         With Consign on any machine:\n\n    \
         consign account recover {handle} --code --hub '{address}'\n\n\
         If it was not you, nothing has happened, and nothing will: the code is with you alone.\n"
    )
}

/// What the database knows of a code. It is random, so a plain hash hides it.
fn hash(code: &str) -> [u8; 32] {
    *blake3::hash(code.as_bytes()).as_bytes()
}

/// Takes a code; a wrong one counts as a failed login from this network.
pub(crate) async fn take_recovery(
    app: &App,
    handle: &Handle,
    code: &str,
    network: &str,
) -> Result<PersonId, Refusal> {
    let (now, window) = (unix_now(), LOGIN_WINDOW.as_secs());
    let since = now.saturating_sub(window);
    let turn = app.db.begin_login(handle.as_str(), network, FAILED_LOGINS_MAX, since, now).await?;
    if let LoginTurn::NotBefore(oldest) = turn {
        let refusal = Refusal::new(ProblemCode::LoginRefused, "too many tries from this network");
        return Err(refusal.after((oldest + window).saturating_sub(now)));
    }
    let since = now.saturating_sub(RECOVERY_TIME.as_secs());
    let code = code.trim().to_ascii_lowercase();
    let taken = app.db.take_recovery(handle.as_str(), &hash(&code), since).await?;
    taken.ok_or_else(|| Refusal::new(ProblemCode::LoginRefused, "the code is wrong, or too old"))
}
