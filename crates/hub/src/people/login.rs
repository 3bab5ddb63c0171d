//! Trying a password.

use std::sync::Arc;

use hub_api::ProblemCode;
use hub_api::limits::{FAILED_LOGINS_MAX, LOGIN_WINDOW, PASSWORD_BYTES_MAX};
use hub_db::LoginTurn;

use crate::app::App;
use crate::files::unix_now;
use crate::people::Handle;
use crate::refusal::Refusal;

/// A password that was right; its hash, by which is seen whether it was changed since.
pub(crate) struct Tried {
    pub(crate) hash: String,
}

/// Whether this is the person's password. What nobody is called takes as long, counts and is answered as a
/// wrong password; after some failures from one network it is not looked at any more from there.
pub(crate) async fn try_password(
    app: &Arc<App>,
    handle: &Handle,
    password: String,
    network: &str,
) -> Result<Tried, Refusal> {
    if password.len() > PASSWORD_BYTES_MAX {
        return Err(Refusal::malformed("a password is shorter"));
    }
    // Before it counts: who finds no place has tried nothing.
    let place = app.people.passwords.place()?;
    let (now, window) = (unix_now(), LOGIN_WINDOW.as_secs());
    let since = now.saturating_sub(window);
    let turn = app.db.begin_login(handle.as_str(), network, FAILED_LOGINS_MAX, since, now).await?;
    if let LoginTurn::NotBefore(oldest) = turn {
        let refusal = Refusal::new(ProblemCode::LoginRefused, "too many tries from this network");
        return Err(refusal.after((oldest + window).saturating_sub(now)));
    }
    let known = app.db.password(handle.as_str()).await?;
    let is_right = app.people.passwords.is_right(place, password, known.clone()).await?;
    let hash = known.filter(|_| is_right);
    let hash = hash.ok_or_else(|| Refusal::new(ProblemCode::LoginRefused, ""))?;
    app.db.forget_logins(handle.as_str(), network).await?;
    Ok(Tried { hash })
}
