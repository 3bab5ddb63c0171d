//! The hubs this node knows, and how it speaks to them.

use std::sync::Arc;

use community::Route;
use documents::{Invitation, ReleaseName};
use hub_client::{ClientError, HubClient, Pin, Timeouts};
use serde::{Deserialize, Serialize};

use crate::state::{Node, StateError, lock_for_change, read_json, write_json};
use crate::trust::Trust;

/// Why no hub could be spoken to.
#[derive(Debug, thiserror::Error)]
pub enum HubChoiceError {
    /// The node is registered with no hub. Register with an invitation, or name a hub that is
    /// open to the public with `--hub`.
    #[error("this node knows no hub yet")]
    NoneKnown,
    /// The named hub is not among the registered ones, so its certificate cannot be checked.
    /// Register with an invitation first.
    #[error("hub {0} is not registered here, so its certificate cannot be checked")]
    NotRegistered(String),
    /// The hub's address is not a URL.
    #[error("{url:?} is not the address of a hub")]
    Url {
        /// The text.
        url: String,
        /// What is wrong with it.
        #[source]
        source: ClientError,
    },
    /// What stands behind the `#` of a hub's address is no fingerprint. Copy the address as a whole.
    #[error("what follows the # in {0:?} is not the 64 digits of a certificate's fingerprint")]
    Fingerprint(String),
    /// The hub is registered here with another certificate than the address names. Ask whoever runs it
    /// which of them is right.
    #[error("hub {0} is registered here with another certificate than its address names")]
    OtherCertificate(String),
    /// The state directory failed.
    #[error("cannot use this node's state")]
    State(#[from] StateError),
}

/// A hub this node is registered with, as `hubs.json` lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownHub {
    /// Its address.
    pub url: String,
    /// SHA-256 of the certificate; none for plain HTTP behind a proxy of one's own, and for
    /// `https://` where the authorities this system trusts vouch for the certificate.
    pub fingerprint: Option<String>,
}

/// A hub, ready to be spoken to as this node.
#[derive(Clone)]
pub struct HubLink {
    /// The connection.
    pub client: Arc<HubClient>,
    /// The hub's URL.
    pub url: String,
    /// What trust is remembered under: the certificate where there is one, else the URL.
    pub identity: String,
}

impl HubLink {
    /// What a device that was never registered logs in at: the URL, and behind a `#` the SHA-256 of the
    /// certificate where that is pinned.
    #[must_use]
    pub fn address(&self) -> String {
        match self.known().fingerprint {
            Some(fingerprint) => format!("{}#{fingerprint}", self.url),
            None => self.url.clone(),
        }
    }

    /// The SHA-256 of its certificate, where that is pinned.
    pub(crate) fn fingerprint(&self) -> Option<String> {
        (self.identity != self.url).then(|| self.identity.clone())
    }

    fn known(&self) -> KnownHub {
        KnownHub { url: self.url.clone(), fingerprint: self.fingerprint() }
    }

    /// How others find this hub.
    #[must_use]
    pub fn route(&self) -> Route {
        let mut fingerprint = [0; 32];
        // One that is no fingerprint is the URL: a hub without a certificate to pin.
        if hex::decode_to_slice(&self.identity, &mut fingerprint).is_err() {
            fingerprint = [0; 32];
        }
        Route { url: self.url.clone(), fingerprint }
    }
}

impl Node {
    fn hubs_path(&self) -> std::path::PathBuf {
        self.directory().join("hubs.json")
    }

    /// Registers this node's key with the hub that made `invitation`, and remembers the hub.
    ///
    /// # Errors
    /// When the hub refuses the invitation or cannot be reached, or the state cannot be written.
    pub async fn register(&self, invitation: &Invitation) -> Result<HubLink, RegisterError> {
        let fingerprint =
            (invitation.fingerprint != [0; 32]).then(|| hex::encode(invitation.fingerprint));
        let known = KnownHub { url: invitation.url.clone(), fingerprint };
        let link = self.link(&known)?;
        link.client.register(invitation).await.map_err(RegisterError::Hub)?;
        self.remember_hub(known)?;
        Ok(link)
    }

    fn remember_hub(&self, known: KnownHub) -> Result<(), StateError> {
        let path = self.hubs_path();
        let _lock = lock_for_change(&path)?;
        let mut hubs: Vec<KnownHub> = read_json(&path)?.unwrap_or_default();
        match hubs.iter_mut().find(|hub| hub.url == known.url) {
            Some(hub) => *hub = known,
            None => hubs.push(known),
        }
        write_json(&path, &hubs)
    }

    /// The hubs this node registered with, the first one first.
    pub(crate) fn known_hubs(&self) -> Result<Vec<KnownHub>, StateError> {
        Ok(read_json(&self.hubs_path())?.unwrap_or_default())
    }

    /// The hub at `url`, or the first one this node registered with.
    ///
    /// # Errors
    /// When there is none, or its certificate is not known.
    pub fn hub(&self, url: Option<&str>) -> Result<HubLink, HubChoiceError> {
        let hubs = self.known_hubs()?;
        let chosen = match url {
            None => hubs.first().cloned().ok_or(HubChoiceError::NoneKnown)?,
            Some(url) => {
                let wanted = url.trim_end_matches('/');
                let found = hubs.iter().find(|hub| hub.url.trim_end_matches('/') == wanted);
                match found {
                    Some(hub) => hub.clone(),
                    None if wanted.starts_with("http://") => {
                        KnownHub { url: wanted.into(), fingerprint: None }
                    }
                    None => return Err(HubChoiceError::NotRegistered(wanted.into())),
                }
            }
        };
        self.link(&chosen)
    }

    /// The hub where its owner logs this machine in, or sends as a guest: one that is registered here, or any
    /// other by its [address](HubLink::address). Without a fingerprint the authorities that this system trusts
    /// vouch for it.
    ///
    /// # Errors
    /// See [`HubChoiceError`].
    pub fn hub_at(&self, address: Option<&str>) -> Result<HubLink, HubChoiceError> {
        let Some(address) = address else { return self.hub(None) };
        let (url, fingerprint) = match address.split_once('#') {
            None => (address, None),
            Some((url, text)) => {
                let is_one = hex::decode_to_slice(text, &mut [0; 32]).is_ok();
                let found = is_one.then(|| text.to_ascii_lowercase());
                (url, Some(found.ok_or_else(|| HubChoiceError::Fingerprint(address.into()))?))
            }
        };
        let url = url.trim_end_matches('/');
        match self.hub(Some(url)) {
            Ok(link) if fingerprint.is_none() || link.known().fingerprint == fingerprint => {
                Ok(link)
            }
            Err(HubChoiceError::NotRegistered(url)) => self.link(&KnownHub { url, fingerprint }),
            Ok(_) => Err(HubChoiceError::OtherCertificate(url.into())),
            Err(error) => Err(error),
        }
    }

    /// The hub that a delivery went through: as it is registered here, else as it was recognised then.
    pub(crate) fn hub_of(
        &self,
        url: String,
        fingerprint: Option<String>,
    ) -> Result<HubLink, HubChoiceError> {
        match self.hub(Some(&url)) {
            Err(HubChoiceError::NotRegistered(url)) => self.link(&KnownHub { url, fingerprint }),
            found => found,
        }
    }

    /// Remembers a hub that knows this machine now.
    pub(crate) fn remember(&self, hub: &HubLink) -> Result<(), StateError> {
        let known = hub.known();
        if self.known_hubs()?.contains(&known) { Ok(()) } else { self.remember_hub(known) }
    }

    pub(crate) fn link(&self, hub: &KnownHub) -> Result<HubLink, HubChoiceError> {
        self.link_within(hub, Timeouts::default())
    }

    /// A link that is given up after other times than the usual ones.
    pub(crate) fn link_within(
        &self,
        hub: &KnownHub,
        timeouts: Timeouts,
    ) -> Result<HubLink, HubChoiceError> {
        let pin = self.pin(hub)?;
        let client = HubClient::with_timeouts(&hub.url, pin, Some(self.key().clone()), timeouts)
            .map_err(|source| HubChoiceError::Url { url: hub.url.clone(), source })?;
        let client = client.with_activity(self.activity()).through(self.proxies.clone());
        let client = client.with_versions(Arc::clone(&self.versions));
        let identity = hub.fingerprint.clone().unwrap_or_else(|| hub.url.clone());
        Ok(HubLink { client: Arc::new(client), url: hub.url.clone(), identity })
    }

    fn pin(&self, hub: &KnownHub) -> Result<Pin, StateError> {
        let Some(text) = &hub.fingerprint else {
            return Ok(Pin::of_invitation(&hub.url, [0; 32]));
        };
        let mut fingerprint = [0; 32];
        hex::decode_to_slice(text, &mut fingerprint).map_err(|_| StateError::Damaged {
            path: self.hubs_path(),
            reason: "a fingerprint is not 64 hexadecimal digits".into(),
        })?;
        Ok(Pin::Fingerprint(fingerprint))
    }

    /// A client without a key of the hub at `url`, or of the first one this node registered with. A hub that
    /// is not registered here is not recognised by anything, so nothing may depend on what it says.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn unproven_hub(&self, url: Option<&str>) -> Result<HubClient, HubChoiceError> {
        let hubs: Vec<KnownHub> = read_json(&self.hubs_path())?.unwrap_or_default();
        let wanted = url.map(|url| url.trim_end_matches('/'));
        let is_wanted =
            |hub: &&KnownHub| wanted.is_none_or(|it| hub.url.trim_end_matches('/') == it);
        let (url, pin) = match (hubs.iter().find(is_wanted), wanted) {
            (Some(hub), _) => (hub.url.clone(), self.pin(hub)?),
            (None, Some(url)) if url.starts_with("https://") => (url.to_owned(), Pin::Unknown),
            (None, Some(url)) => (url.to_owned(), Pin::None),
            (None, None) => return Err(HubChoiceError::NoneKnown),
        };
        let client = HubClient::with_timeouts(&url, pin, None, Timeouts::default())
            .map_err(|source| HubChoiceError::Url { url: url.clone(), source })?;
        Ok(client.with_activity(self.activity()).through(self.proxies.clone()))
    }

    /// The trust in `name` at `hub`; on first use the owner the hub names is pinned.
    pub(crate) fn trust_or_pin(
        &self,
        hub: &HubLink,
        name: &ReleaseName,
        offered: documents::PublicKey,
    ) -> Result<Trust, StateError> {
        Ok(self.trust(&hub.identity, name)?.unwrap_or(Trust::new(offered)))
    }
}

/// Why the node could not be registered.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// The hub could not be spoken to, or refused: the invitation was used up, expired or
    /// withdrawn. Ask for a new one.
    #[error("the hub did not register this node")]
    Hub(#[source] ClientError),
    /// The invitation names no usable hub.
    #[error(transparent)]
    Choice(#[from] HubChoiceError),
    /// The state directory failed.
    #[error("cannot remember the hub")]
    State(#[from] StateError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_by_what_a_hub_is_recognised() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let node = Node::open(directory.path()).expect("opens");
        let (url, one, other) = ("https://hub.example:7333", "ab".repeat(32), "cd".repeat(32));
        let pinned = format!("{url}/#{}", one.to_uppercase());
        let link = node.hub_at(Some(&pinned)).expect("pinned");
        assert_eq!((&*link.url, &link.identity), (url, &one));
        assert_eq!(link.address(), format!("{url}#{one}"));
        let vouched = node.hub_at(Some(url)).expect("the system's authorities");
        assert_eq!((vouched.address(), &*vouched.identity), (url.to_owned(), url));
        let cut = node.hub_at(Some(&pinned[..pinned.len() - 1])).err();
        assert!(matches!(cut, Some(HubChoiceError::Fingerprint(_))), "{cut:?}");
        let nowhere = node.hub_at(None).err();
        assert!(matches!(nowhere, Some(HubChoiceError::NoneKnown)), "{nowhere:?}");

        node.remember(&link).expect("remembered");
        node.remember(&link).expect("once");
        assert_eq!(node.known_hubs().expect("reads").len(), 1);
        let known = node.hub_at(Some(url)).expect("is known");
        assert_eq!(known.identity, one, "with what it was known by");
        let swapped = node.hub_at(Some(&format!("{url}#{other}"))).err();
        assert!(matches!(swapped, Some(HubChoiceError::OtherCertificate(_))), "{swapped:?}");
    }

    #[test]
    fn hubs_that_are_registered_at_once_are_all_remembered() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let node = Node::open(directory.path()).expect("opens");
        std::thread::scope(|scope| {
            for hub in 0..8 {
                let node = &node;
                scope.spawn(move || {
                    for port in 0..5 {
                        let url = format!("http://hub{hub}:{port}");
                        let known = KnownHub { url, fingerprint: None };
                        node.remember_hub(known).expect("remembered");
                    }
                });
            }
        });
        let hubs: Vec<KnownHub> =
            read_json(&node.hubs_path()).expect("readable").expect("there are some");
        assert_eq!(hubs.len(), 40);
    }
}
