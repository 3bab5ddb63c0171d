//! What a new release continues.

use documents::{Delegation, DocumentHash, Manifest, PublicKey, ReleaseName};

use super::{PublishError, unix_now};
use crate::hubs::HubLink;
use crate::state::Node;
use crate::tree::offered_owner;
use crate::trust::Trust;

/// A name as the hub shows it and this node believes it.
pub(crate) struct History {
    /// Whose name it is; this node itself if nobody's yet.
    pub(crate) owner: PublicKey,
    /// The newest list of publishers, as the owner signed it.
    pub(crate) list: Option<Vec<u8>>,
    /// The newest release.
    pub(crate) newest: Option<(Manifest, DocumentHash)>,
    /// Whether readers believe it: the owner may have disowned whoever signed it.
    pub(crate) counts: bool,
}

impl Node {
    /// The newest release at the hub, which must continue what this node knows of, by somebody who
    /// may publish, as this node must be. An owner's list that is near its end is renewed.
    pub(crate) async fn history(
        &self,
        hub: &HubLink,
        name: &ReleaseName,
    ) -> Result<History, PublishError> {
        let own = self.key().public();
        let fail = |source| PublishError::Hub { name: name.clone(), url: hub.url.clone(), source };
        let newest = match hub.client.head(name).await {
            Ok(newest) => Some(newest),
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(fail(error)),
        };
        let list = match &newest {
            Some(newest) => newest.delegation.clone(),
            // It may come before the first release.
            None => hub.client.delegation(name).await.map_err(fail)?,
        };
        let trust = match (self.trust(&hub.identity, name)?, &newest, &list) {
            (Some(trust), _, _) => trust,
            (None, Some(newest), _) => Trust::new(offered_owner(newest).unwrap_or(own)),
            (None, None, Some(list)) => Trust::new(Delegation::peek_owner(list).unwrap_or(own)),
            (None, None, None) => Trust::new(own),
        };
        // Owners believe their own list however old it is: it is renewed below.
        let now = if trust.owner == own { 0 } else { unix_now() };
        let authority = trust.authority(name, list.as_deref(), now);
        let seen = trust.seen.as_ref();
        let opened = newest.map(|newest| authority.open_latest(&newest.manifest, &own, seen));
        let opened = opened.transpose();
        let newest =
            opened.map_err(|source| PublishError::History { name: name.clone(), source })?;
        continues(name, &trust, newest.as_ref())?;
        let counts = newest.as_ref().is_none_or(|(manifest, _)| {
            authority.check(&manifest.publisher, manifest.sequence).is_ok()
        });
        let next = newest.as_ref().map_or(1, |(manifest, _)| manifest.sequence + 1);
        authority
            .check(&own, next)
            .map_err(|source| PublishError::NoPublisher { name: name.clone(), source })?;
        let list = if trust.owner == own {
            self.upheld_list(hub, name, &authority, list.as_deref())
                .await
                .map_err(|source| PublishError::Renewal(name.clone(), Box::new(source)))?
        } else {
            authority.signed().map(<[u8]>::to_vec)
        };
        Ok(History { owner: trust.owner, list, newest, counts })
    }
}

/// Checks that nothing this node knows of is missing or different.
fn continues(
    name: &ReleaseName,
    trust: &Trust,
    newest: Option<&(Manifest, DocumentHash)>,
) -> Result<(), PublishError> {
    let offered = newest.map_or(0, |(manifest, _)| manifest.sequence);
    if let Some(seen) = trust.seen
        && seen.sequence > offered
    {
        let (name, seen) = (name.clone(), seen.sequence);
        return Err(PublishError::RolledBack { name, offered, seen });
    }
    let Some((manifest, hash)) = newest else { return Ok(()) };
    let forked = trust
        .seen
        .as_ref()
        .is_some_and(|seen| seen.sequence == manifest.sequence && seen.manifest != *hash);
    if manifest.name != *name || forked {
        return Err(PublishError::OtherHistory { name: name.clone() });
    }
    Ok(())
}
