//! Communities as the operator of their hub sees them, also from another process: listed, and removed.
//!
//! A community whose managers are gone cannot end, because nobody can sign that. Its hub may forget it:
//! its peers are told that the hub no longer has it, which ends nothing by itself.

use community::{Charter, CommunityId};
use documents::jointly;
use hub_db::{Actor, AuditEntry, DbError, HubDb, ListedCommunity};
use serde_json::json;

use crate::audit::linking;
use crate::communities::key_of;
use crate::database::{BesideError, HubData, beside};
use crate::files::unix_now;

/// A community at a hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostedCommunity {
    /// Its id.
    pub community: CommunityId,
    /// What its managers call it.
    pub name: String,
    /// When it began at this hub, in seconds since 1970.
    pub created: u64,
    /// How many peers its roster counts.
    pub peers: u64,
    /// When a manager renewed the roster last, by its word; none where nobody did.
    pub renewed: Option<u64>,
    /// Whether its managers ended it.
    pub ended: bool,
    /// Whether it is passed on to this hub, and managed at another one.
    pub passed_on: bool,
}

/// Why communities were not listed, or one was not removed.
#[derive(Debug, thiserror::Error)]
pub enum HostedError {
    /// There is no hub, or its database cannot be used.
    #[error(transparent)]
    Hub(#[from] BesideError),
    /// The hub has no such community. List them.
    #[error("the hub has no community {0}")]
    Unknown(String),
    /// Several are called so. Name it by its id.
    #[error("{count} communities are called {name}")]
    Ambiguous {
        /// The name.
        name: String,
        /// How many.
        count: usize,
    },
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// The communities of a hub of this machine, in the order in which they began. It works while the hub
/// runs.
///
/// # Errors
/// See [`HostedError`].
pub async fn hosted_communities(
    hub: impl Into<HubData>,
) -> Result<Vec<HostedCommunity>, HostedError> {
    let (_, db) = beside(&hub.into()).await?;
    let listed = db.communities().await;
    db.close().await;
    listed?.into_iter().map(|listed| Ok(hosted(listed)?)).collect()
}

/// The one with this id or name.
///
/// # Errors
/// See [`HostedError`].
pub async fn hosted_community(
    hub: impl Into<HubData>,
    named: &str,
) -> Result<HostedCommunity, HostedError> {
    let mut all = hosted_communities(hub).await?;
    all.retain(|it| it.name == named || it.community.to_string() == named);
    match all.len() {
        0 => Err(HostedError::Unknown(named.to_owned())),
        1 => Ok(all.remove(0)),
        count => Err(HostedError::Ambiguous { name: named.to_owned(), count }),
    }
}

/// Forgets a community at a hub of this machine with all that is there of it; chunks that nothing else
/// needs go with the next collection. It works while the hub runs.
///
/// # Errors
/// See [`HostedError`].
pub async fn remove_community(
    hub: impl Into<HubData>,
    community: &HostedCommunity,
) -> Result<(), HostedError> {
    let (_, db) = beside(&hub.into()).await?;
    let removed = record_and_remove(&*db, community).await;
    db.close().await;
    match removed? {
        true => Ok(()),
        false => Err(HostedError::Unknown(community.community.to_string())),
    }
}

async fn record_and_remove(db: &dyn HubDb, community: &HostedCommunity) -> Result<bool, DbError> {
    let entry = AuditEntry {
        time: unix_now(),
        actor: Actor::Local,
        action: "remove-community".to_owned(),
        subject: community.community.to_string(),
        detail: json!({ "peers": community.peers }).to_string(),
    };
    // Told first, so that nothing is taken away unrecorded.
    let entry = db.record(&entry).await?;
    let removed = db.remove_community(&key_of(&community.community), unix_now()).await?;
    if removed {
        db.chain(entry, linking).await?;
    } else {
        db.withdraw(entry).await?;
    }
    Ok(removed)
}

fn hosted(listed: ListedCommunity) -> Result<HostedCommunity, DbError> {
    let charter: Charter = jointly::peek(&listed.signed_charter)
        .map_err(|_| DbError::Damaged("a charter that cannot be read"))?;
    Ok(HostedCommunity {
        community: charter.community,
        name: charter.name,
        created: listed.created,
        peers: listed.members,
        renewed: listed.renewed,
        ended: charter.ended,
        passed_on: listed.mirror.is_some(),
    })
}
