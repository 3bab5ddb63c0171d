//! What hubs told of the versions that they want their clients to be.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hub_api::{ClientVersion, ClientVersions};

/// What hubs told, by their addresses, in the sessions that were opened; shared by the clients of a program.
#[derive(Debug, Default)]
pub struct ToldVersions(Mutex<BTreeMap<String, ClientVersions>>);

impl ToldVersions {
    fn told(&self) -> MutexGuard<'_, BTreeMap<String, ClientVersions>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what a hub told; the log tells of a newer version once.
    pub(crate) fn note(&self, hub: &str, versions: Option<ClientVersions>) {
        let mut told = self.told();
        let before = match versions.clone() {
            Some(versions) => told.insert(hub.to_owned(), versions),
            None => told.remove(hub),
        };
        let own = ClientVersion::own();
        let newer = |versions: &ClientVersions| versions.newer_than(own);
        let now = versions.as_ref().and_then(newer);
        if let Some(newest) = now.filter(|_| now != before.as_ref().and_then(newer)) {
            let place = versions.map(|versions| versions.at_place()).unwrap_or_default();
            tracing::warn!(%hub, "consign {newest} is there, this is {own}{place}");
        }
    }

    /// The hubs that told of a newer version than this one, and what they told.
    #[must_use]
    pub fn newer(&self) -> Vec<(String, ClientVersion, ClientVersions)> {
        let own = ClientVersion::own();
        let told = self.told();
        let newer = told.iter().filter_map(|(hub, versions)| {
            Some((hub.clone(), versions.newer_than(own)?, versions.clone()))
        });
        newer.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_hub_told_last_counts() {
        let told = ToldVersions::default();
        let versions = |newest: &str| ClientVersions {
            newest: Some(newest.parse().expect("a version")),
            ..ClientVersions::default()
        };
        told.note("https://one", Some(versions("999.0.0")));
        told.note("https://two", Some(versions("0.0.1")));
        let newer = told.newer();
        assert_eq!(newer.len(), 1, "an older one is not newer: {newer:?}");
        assert_eq!((newer[0].0.as_str(), newer[0].1.major), ("https://one", 999));
        told.note("https://one", None);
        assert_eq!(told.newer(), []);
    }
}
