//! Inviting people to a hub, also from another process.

use std::time::Duration;

use documents::{Invitation, ReleaseName};
use hub_db::{Actor, AuditEntry, DbError, NewInvitation, Role};
use serde_json::json;

use crate::audit::linking;
use crate::database::{BesideError, HubData, beside};
use crate::files::unix_now;

/// Why an invitation was not made.
#[derive(Debug, thiserror::Error)]
pub enum InviteError {
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

/// Makes an invitation for one key to a hub of this machine.
///
/// `grants` are names the key may read then; `expires` is how long from now the invitation is
/// good. It works while the hub runs.
///
/// # Errors
/// See [`InviteError`].
pub async fn invite(
    hub: impl Into<HubData>,
    role: Role,
    grants: &[ReleaseName],
    expires: Duration,
) -> Result<Invitation, InviteError> {
    let mut secret = [0; 16];
    getrandom::fill(&mut secret).map_err(InviteError::Randomness)?;
    let (announcement, db) = beside(&hub.into()).await?;
    let now = unix_now();
    let invitation = NewInvitation {
        secret_hash: secret_hash(&secret),
        role,
        grants: grants.iter().map(|name| name.as_str().to_owned()).collect(),
        uses: 1,
        each_network: None,
        creator: None,
        created: now,
        expires: now.saturating_add(expires.as_secs()),
    };
    let entry = AuditEntry {
        time: now,
        actor: Actor::Local,
        action: "invite".to_owned(),
        subject: role_word(role).to_owned(),
        detail: json!({ "names": invitation.grants, "expires": invitation.expires }).to_string(),
    };
    // Told first, so that none is made unrecorded.
    let recorded = async {
        let entry = db.record(&entry).await?;
        db.create_invitation(&invitation).await?;
        db.chain(entry, linking).await
    }
    .await;
    db.close().await;
    recorded?;
    Ok(Invitation { url: announcement.url, fingerprint: announcement.fingerprint.0, secret })
}

/// A role in words.
pub(crate) fn role_word(role: Role) -> &'static str {
    match role {
        Role::Reader => "reader",
        Role::Publisher => "publisher",
        Role::Administrator => "administrator",
    }
}

/// What the database knows of a secret. The secret is random, so a plain hash hides it.
pub(crate) fn secret_hash(secret: &[u8; 16]) -> [u8; 32] {
    *blake3::hash(secret).as_bytes()
}
