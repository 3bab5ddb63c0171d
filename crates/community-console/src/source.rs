//! How the community stands.

use std::sync::Arc;

use async_trait::async_trait;
use community::{CommunityId, Membership, PeerName, RosterSeen};
use documents::PublicKey;
use node::communities::manager::Expected;
use node::communities::relay::RelaysTold;
use node::communities::{CommunityError, Place};

/// What is known of a community.
#[derive(Debug, Clone)]
pub struct Known {
    /// Where its releases wait.
    pub hub: String,
    /// What this machine is called there; none for a manager that is no peer.
    pub own: Option<PeerName>,
    /// Who manages it.
    pub managers: Vec<PublicKey>,
    /// Number of the charter.
    pub charter: u64,
    /// Which roster counts.
    pub roster: RosterSeen,
    /// Until when it does, in unix seconds.
    pub until: u64,
    /// All peers, by name.
    pub members: Arc<Vec<Membership>>,
    /// Who was defined here and has not joined.
    pub expected: Vec<Expected>,
    /// How its relays are; none from a hub that is too old to tell.
    pub relays: Option<RelaysTold>,
}

/// Where it is asked how a community stands.
#[async_trait]
pub trait Source: Send + Sync {
    /// The community.
    fn id(&self) -> CommunityId;

    /// What people call it.
    ///
    /// # Errors
    /// When the state cannot be read.
    fn name(&self) -> Result<String, CommunityError>;

    /// Asks how it stands; `before` is what was told last.
    ///
    /// # Errors
    /// The hub does not tell, or what it tells is refused.
    async fn look(&self, before: Option<&Known>) -> Result<Known, CommunityError>;
}

#[async_trait]
impl Source for Place {
    fn id(&self) -> CommunityId {
        Self::id(self)
    }

    fn name(&self) -> Result<String, CommunityError> {
        Ok(self.charter()?.name)
    }

    async fn look(&self, before: Option<&Known>) -> Result<Known, CommunityError> {
        let standing = self.refresh().await?;
        // Peers are asked for when the roster is another one: there may be very many.
        let (standing, members) = match before {
            Some(before) if before.roster == standing.roster().seen() => {
                (standing, Arc::clone(&before.members))
            }
            Some(_) | None => {
                let (standing, members) = self.members().await?;
                (standing, Arc::new(members))
            }
        };
        let expected = if self.is_managed_here()? { self.expected()? } else { Vec::new() };
        Ok(Known {
            hub: self.hub()?.url,
            own: standing.membership.as_ref().map(|own| own.peer.clone()),
            managers: standing.charter.managers.keys.iter().copied().collect(),
            charter: standing.charter.number,
            roster: standing.roster().seen(),
            until: standing.current.until,
            members,
            expected,
            relays: self.relays().await?,
        })
    }
}
