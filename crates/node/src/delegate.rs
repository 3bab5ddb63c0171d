//! The owner's list of further publishers: changed here, signed here.

use std::collections::BTreeMap;

use documents::delegation::PUBLISHERS_MAX;
use documents::{AcceptError, Authority, Delegation, PublicKey, ReleaseName, Tenure};
use hub_client::ClientError;

use crate::hubs::HubLink;
use crate::publish::unix_now;
use crate::state::{Node, StateError};
use crate::trust::Trust;

/// How long a list counts, in seconds: a year. A hub that hides a newer one can do so for as long;
/// publishing renews a list that has passed half of it.
const VALID_TIME: u64 = 365 * 86_400;

/// Why a list was not changed. The one before it counts.
#[derive(Debug, thiserror::Error)]
pub enum DelegateError {
    /// The hub could not be reached or refused.
    #[error("cannot say at {url} who publishes {name}")]
    Hub {
        /// The name.
        name: ReleaseName,
        /// The hub.
        url: String,
        /// What it said.
        #[source]
        source: ClientError,
    },
    /// Only the owner of a name signs for its publishers. Run the command on the owner's machine.
    #[error("{name} belongs to {owner}, not to this node")]
    NotOwner {
        /// The name.
        name: ReleaseName,
        /// The owner, by the hub's word or as it is pinned.
        owner: PublicKey,
    },
    /// The hub shows a list that this node did not sign. It mixed things up, or lies.
    #[error("the hub's list of the publishers of {name} is not this node's")]
    Foreign {
        /// The name.
        name: ReleaseName,
        /// What does not fit.
        #[source]
        source: AcceptError,
    },
    /// The list is full: take somebody off it.
    #[error("{name} has {} publishers already", PUBLISHERS_MAX)]
    Full {
        /// The name.
        name: ReleaseName,
    },
    /// This node's state failed.
    #[error("cannot use this node's state")]
    State(#[from] StateError),
}

/// What becomes of the releases of somebody who publishes no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Past {
    /// Those there are stay good.
    Kept,
    /// None counts any more: the key was in the wrong hands.
    Disowned,
}

impl Node {
    /// Puts `key` on the list of publishers of a name this node owns.
    ///
    /// # Errors
    /// See [`DelegateError`].
    pub async fn add_publisher(
        &self,
        hub: &HubLink,
        name: &ReleaseName,
        key: &PublicKey,
    ) -> Result<(), DelegateError> {
        let mut list = self.own_list(hub, name).await?;
        list.publishers.insert(*key, Tenure::Current);
        self.replace_list(hub, name, list).await.map(drop)
    }

    /// Takes `key` off the list; whether it was on it.
    ///
    /// # Errors
    /// See [`DelegateError`].
    pub async fn end_publisher(
        &self,
        hub: &HubLink,
        name: &ReleaseName,
        key: &PublicKey,
        past: Past,
    ) -> Result<bool, DelegateError> {
        let mut list = self.own_list(hub, name).await?;
        let Some(tenure) = list.publishers.get(key).copied() else { return Ok(false) };
        let until = match (past, tenure) {
            (Past::Kept, Tenure::Until(_)) => return Ok(false),
            (Past::Kept, Tenure::Current) => {
                let info = hub.client.name_info(name).await;
                info.map_err(|source| hub_error(hub, name, source))?.latest
            }
            (Past::Disowned, _) => None,
        };
        match until {
            Some(last) => list.publishers.insert(*key, Tenure::Until(last)),
            None => list.publishers.remove(key),
        };
        self.replace_list(hub, name, list).await.map(|_| true)
    }

    /// Sees to it that the hub has the newest list of a name this node owns, in force for another
    /// while; the list, if there is any. `offered` is what the hub has.
    pub(crate) async fn upheld_list(
        &self,
        hub: &HubLink,
        name: &ReleaseName,
        authority: &Authority,
        offered: Option<&[u8]>,
    ) -> Result<Option<Vec<u8>>, DelegateError> {
        let (Ok(Some(list)), Some(signed)) = (authority.delegation(), authority.signed()) else {
            return Ok(None);
        };
        let left = list.expires.saturating_sub(unix_now());
        if left < VALID_TIME / 2 && !list.publishers.is_empty() {
            return self.replace_list(hub, name, list.clone()).await.map(Some);
        }
        if offered != Some(signed) {
            // The hub went back to an older one, as after a restore.
            let put = hub.client.put_delegation(name, signed).await;
            put.map_err(|source| hub_error(hub, name, source))?;
        }
        Ok(Some(signed.to_vec()))
    }

    /// The newest list, by the hub and by what this node remembers; an empty one before the first.
    async fn own_list(
        &self,
        hub: &HubLink,
        name: &ReleaseName,
    ) -> Result<Delegation, DelegateError> {
        let own = self.key().public();
        let info = hub.client.name_info(name).await;
        let info = info.map_err(|source| hub_error(hub, name, source))?;
        let owner = PublicKey::from_bytes(info.publisher.0);
        if owner != own {
            return Err(DelegateError::NotOwner { name: name.clone(), owner });
        }
        let offered = hub.client.delegation(name).await;
        let offered = offered.map_err(|source| hub_error(hub, name, source))?;
        let trust = self.trust(&hub.identity, name)?.filter(|trust| trust.owner == own);
        let trust = trust.unwrap_or(Trust::new(own));
        // At any time: what has expired is signed again.
        let authority = trust.authority(name, offered.as_deref(), 0);
        match authority.delegation() {
            Ok(Some(list)) => Ok(list.clone()),
            Ok(None) => Ok(Delegation {
                owner: own,
                name: name.clone(),
                number: 0,
                issued: 0,
                expires: 0,
                publishers: BTreeMap::new(),
            }),
            Err(source) => {
                Err(DelegateError::Foreign { name: name.clone(), source: source.clone() })
            }
        }
    }

    /// Signs `list` as the successor of what it was made from, and gives it to the hub.
    async fn replace_list(
        &self,
        hub: &HubLink,
        name: &ReleaseName,
        list: Delegation,
    ) -> Result<Vec<u8>, DelegateError> {
        if list.publishers.len() > PUBLISHERS_MAX {
            return Err(DelegateError::Full { name: name.clone() });
        }
        let issued = unix_now();
        let number = list.number.saturating_add(1);
        let list = Delegation { number, issued, expires: issued + VALID_TIME, ..list };
        let signed = list.sign(self.key());
        let put = hub.client.put_delegation(name, &signed).await;
        put.map_err(|source| hub_error(hub, name, source))?;
        let own = self.key().public();
        let trust = self.trust(&hub.identity, name)?.filter(|trust| trust.owner == own);
        let trust = Trust { list: Some(signed.clone()), ..trust.unwrap_or(Trust::new(own)) };
        self.remember_trust(&hub.identity, name, &trust)?;
        Ok(signed)
    }
}

fn hub_error(hub: &HubLink, name: &ReleaseName, source: ClientError) -> DelegateError {
    DelegateError::Hub { name: name.clone(), url: hub.url.clone(), source }
}
