//! One-time links to the console, made in the terminal.

use std::time::Duration;

use hub_db::{Actor, AuditEntry, DbError, HubDb};

use crate::audit::linking;
use crate::database::{BesideError, HubData, beside};
use crate::files::unix_now;

/// How long a link can be used: time to copy it to another machine, little more.
const LINK_LIFETIME: Duration = Duration::from_mins(10);

/// Why there is no link.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleLinkError {
    /// There is no hub, or its database cannot be used.
    #[error(transparent)]
    Hub(#[from] BesideError),
    /// The system gave no random bytes. Try again.
    #[error("no randomness")]
    Randomness(#[source] getrandom::Error),
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Makes a link that opens one session in the console of a hub of this machine. It
/// works once, for ten minutes, while the hub runs.
///
/// The secret stands behind the `#`: browsers send no fragment to anybody. Whoever uses the link
/// first administers the hub.
///
/// # Errors
/// See [`ConsoleLinkError`].
pub async fn console_link(hub: impl Into<HubData>) -> Result<String, ConsoleLinkError> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(ConsoleLinkError::Randomness)?;
    let (announcement, db) = beside(&hub.into()).await?;
    let recorded = record(&*db, &secret).await;
    db.close().await;
    recorded?;
    let url = announcement.url.trim_end_matches('/');
    Ok(format!("{url}/console/sign-in#{}", hex::encode(secret)))
}

async fn record(db: &dyn HubDb, secret: &[u8; 32]) -> Result<(), DbError> {
    let now = unix_now();
    // Told first, so that none is made unrecorded.
    let entry = AuditEntry {
        time: now,
        actor: Actor::Local,
        action: "sign-in-link".to_owned(),
        subject: "console".to_owned(),
        detail: "{}".to_owned(),
    };
    let entry = db.record(&entry).await?;
    db.create_sign_in(blake3::hash(secret).as_bytes(), now + LINK_LIFETIME.as_secs()).await?;
    db.chain(entry, linking).await
}
