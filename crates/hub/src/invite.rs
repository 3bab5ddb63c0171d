//! Inviting people to a hub, also from another process.

use std::path::Path;
use std::time::Duration;

use documents::{Invitation, ReleaseName};
use hub_db::{DbError, HubDb as _, NewInvitation, Role, SqliteDb};

use crate::files::{DataDir, unix_now};

/// Why an invitation was not made.
#[derive(Debug, thiserror::Error)]
pub enum InviteError {
    /// No hub has run on this directory yet, or it cannot be read. Start the hub once.
    #[error("no hub has announced itself in {}", path.display())]
    NoHub {
        /// The data directory.
        path: std::path::PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The system gave no random bytes. Try again.
    #[error("no randomness")]
    Randomness(#[source] getrandom::Error),
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Makes an invitation for one key to the hub whose data is in `data_dir`.
///
/// `grants` are names the key may read then; `expires` is how long from now the invitation is
/// good. It works while the hub runs.
///
/// # Errors
/// See [`InviteError`].
pub async fn invite(
    data_dir: &Path,
    role: Role,
    grants: &[ReleaseName],
    expires: Duration,
) -> Result<Invitation, InviteError> {
    let data = DataDir::open(data_dir);
    let no_hub = |source| InviteError::NoHub { path: data_dir.to_owned(), source };
    let announcement = data.announcement().map_err(no_hub)?;
    let mut secret = [0; 16];
    getrandom::fill(&mut secret).map_err(InviteError::Randomness)?;
    let db = SqliteDb::open(&data.database()).await?;
    let invitation = NewInvitation {
        secret_hash: secret_hash(&secret),
        role,
        grants: grants.iter().map(|name| name.as_str().to_owned()).collect(),
        uses: 1,
        expires: unix_now().saturating_add(expires.as_secs()),
    };
    let recorded = db.create_invitation(&invitation).await;
    db.close().await;
    recorded?;
    Ok(Invitation { url: announcement.url, fingerprint: announcement.fingerprint.0, secret })
}

/// What the database knows of a secret. The secret is random, so a plain hash hides it.
pub(crate) fn secret_hash(secret: &[u8; 16]) -> [u8; 32] {
    *blake3::hash(secret).as_bytes()
}
