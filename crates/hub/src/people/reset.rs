//! A new beginning for somebody who lost their password or all their devices, also from another process.

use std::sync::Arc;

use hub_db::{Actor, AuditEntry, DbError, HubDb};
use serde_json::json;

use super::passwords;
use crate::audit::linking;
use crate::database::{BesideError, HubData, beside};
use crate::files::unix_now;

/// Letters that nobody takes for others when they are read out.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
const GROUPS: usize = 4;
const GROUP: usize = 5;

/// Why a password was not reset.
#[derive(Debug, thiserror::Error)]
pub enum ResetPasswordError {
    /// There is no hub, or its database cannot be used.
    #[error(transparent)]
    Hub(#[from] BesideError),
    /// The system gave no random bytes, or the password could not be hashed. Try again.
    #[error("cannot make a password: {0}")]
    Password(String),
    /// Nobody has that handle. Check how it is spelled.
    #[error("nobody is called {0}")]
    Unknown(String),
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Gives a person of a hub on this machine another password, and revokes their devices: whoever logs in with it
/// begins a new list, and is somebody else to their contacts until those agree. It works while the hub
/// runs.
///
/// # Errors
/// See [`ResetPasswordError`].
pub async fn reset_password(
    hub: impl Into<HubData>,
    handle: &str,
) -> Result<String, ResetPasswordError> {
    let failed = |error: &dyn std::fmt::Display| ResetPasswordError::Password(error.to_string());
    let password = draw().map_err(|error| failed(&error))?;
    let hash = passwords::hashed(&password).map_err(|error| failed(&error))?;
    let (_, db) = beside(&hub.into()).await?;
    let reset = reset(&db, handle, &hash).await;
    db.close().await;
    if reset? { Ok(password) } else { Err(ResetPasswordError::Unknown(handle.to_owned())) }
}

async fn reset(db: &Arc<dyn HubDb>, handle: &str, hash: &str) -> Result<bool, DbError> {
    let now = unix_now();
    let entry = AuditEntry {
        time: now,
        actor: Actor::Local,
        action: "reset-password".to_owned(),
        subject: handle.to_owned(),
        detail: json!({}).to_string(),
    };
    // Told first, so that nothing is changed unrecorded.
    let entry = db.record(&entry).await?;
    let is_reset = db.reset_person(handle, hash, now).await?.is_some();
    db.chain(entry, linking).await?;
    Ok(is_reset)
}

/// Something that nobody guesses, of a hundred bits.
pub(super) fn draw() -> Result<String, getrandom::Error> {
    let mut random = [0; GROUPS * GROUP];
    getrandom::fill(&mut random)?;
    Ok(spell(&random))
}

/// Five bits of every byte, in groups.
fn spell(random: &[u8]) -> String {
    let letter = |byte: &u8| char::from(LETTERS[usize::from(byte % 32)]);
    let groups: Vec<String> =
        random.chunks(GROUP).map(|group| group.iter().map(letter).collect()).collect();
    groups.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_can_be_read_out() {
        assert_eq!(spell(&[0, 1, 2, 3, 31, 32, 255]), "abcd9-a9");
        let distinct: std::collections::BTreeSet<_> = LETTERS.iter().collect();
        assert_eq!(distinct.len(), 32);
        assert!(!LETTERS.iter().any(|letter| b"lo01".contains(letter)));
    }
}
