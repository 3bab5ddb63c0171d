//! A community ends: its managers sign a last charter, which its peers believe and no hub can make.

use std::collections::{BTreeMap, BTreeSet};

use community::Proposal;
use community::proposal::{Basis, Draft};
use hub_api::ProblemCode;

use super::changing::renewers;
use super::{ATTEMPTS, CHARTER_LIFETIME, Proposed, ROSTER_LIFETIME, fail};
use crate::communities::{CommunityError, Place};
use crate::hubs::HubLink;
use crate::publish::unix_now;
use crate::state::{lock_for_change, write_json};

/// What became of ending a community.
#[derive(Debug)]
pub enum Ending {
    /// It has ended, with the charter of this number.
    Ended(u64),
    /// More managers have to sign it.
    Proposed(Box<Proposed>),
}

impl Place {
    /// Ends the community, for good: at the hub everything goes but its charters, by the last of which
    /// its peers learn of the end. A proposal that was made here before is gone.
    ///
    /// # Errors
    /// It has ended already, or see [`CommunityError`].
    pub async fn end(&self) -> Result<Ending, CommunityError> {
        self.own_charter()?;
        let hub = self.hub()?;
        for _ in 0..ATTEMPTS {
            let basis = self.basis(&hub).await?;
            let proposal = self.propose_end(&basis);
            if proposal.progress(&basis.charter).missing > 0 {
                let _lock = lock_for_change(&self.pending_path())?;
                let proposed = self.keep_pending(&basis, proposal)?;
                return Ok(Ending::Proposed(Box::new(proposed)));
            }
            if self.put_in_force(&hub, &basis, &proposal).await? {
                return Ok(Ending::Ended(basis.charter.number.saturating_add(1)));
            }
        }
        Err(CommunityError::Contended)
    }

    fn propose_end(&self, basis: &Basis) -> Proposal {
        let now = unix_now();
        let charter = basis.charter.ending(now, now + CHARTER_LIFETIME.as_secs());
        let times = (now, now + ROSTER_LIFETIME.as_secs());
        let renewers = renewers(&self.node.key().public(), &charter.managers.keys);
        // It counts nothing: the proposal is known by it.
        let roster = basis.next_roster(&charter, &basis.members, renewers, times);
        let (members, removed) = (BTreeMap::new(), BTreeSet::new());
        let draft = Draft { base: basis.roster, charter: Some(charter), roster, members, removed };
        Proposal::new(draft, self.node.key())
    }

    /// Hands the last charter in; returns whether it is the one in force then.
    pub(super) async fn hand_in_end(
        &self,
        hub: &HubLink,
        signed: &[u8],
    ) -> Result<bool, CommunityError> {
        match hub.client.add_charter(&self.id, signed).await {
            Ok(()) => {}
            Err(error) if error.code() == Some(ProblemCode::RosterConflict) => return Ok(false),
            Err(source) => return Err(fail(hub, "end the community", source)),
        }
        {
            let _lock = lock_for_change(&self.path())?;
            let mut stored = self.stored()?;
            stored.charter = signed.into();
            write_json(&self.path(), &stored)?;
        }
        // Secrets of peers that will not join.
        let _lock = lock_for_change(&self.managed_path())?;
        let mut managed = self.managed()?;
        managed.defined.clear();
        write_json(&self.managed_path(), &managed)?;
        self.forget_pending()?;
        Ok(true)
    }
}
