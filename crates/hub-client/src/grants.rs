//! Who may do what with a name.

use documents::{PublicKey, ReleaseName};
use hub_api::{
    DelegationDocument, GivenGrant, GrantInfo, GrantSettings, GrantsPage, Hex, OwnerSettings,
    limits, routes,
};
use hyper::Method;

use crate::client::HubClient;
use crate::error::ClientError;
use crate::exchange::Call;
use crate::session::Need;

impl HubClient {
    /// Lets a key read a name, and no more than that.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn add_reader(&self, name: &ReleaseName, key: &PublicKey) -> Result<(), ClientError> {
        let call = Call::new(Method::PUT, routes::grant(name, key), "let a key read a name")
            .json(&GrantSettings { grant: GivenGrant::Reader });
        self.done(&call).await
    }

    /// The owner's signed list of publishers, not verified yet; `None` without one.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn delegation(&self, name: &ReleaseName) -> Result<Option<Vec<u8>>, ClientError> {
        let call = Call::new(Method::GET, routes::delegation(name), "read who may publish");
        match self.json::<DelegationDocument>(&call, Need::Wanted).await {
            Ok(document) => Ok(Some(document.delegation.0)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Replaces the list of publishers by a newer one.
    ///
    /// # Errors
    /// See [`ClientError`]; [`hub_api::ProblemCode::DelegationConflict`] when it is not newer.
    pub async fn put_delegation(
        &self,
        name: &ReleaseName,
        signed: &[u8],
    ) -> Result<(), ClientError> {
        let call = Call::new(Method::PUT, routes::delegation(name), "say who may publish")
            .json(&DelegationDocument { delegation: signed.into() });
        self.done(&call).await
    }

    /// Takes a grant back. What the key has read it keeps.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn remove_grant(
        &self,
        name: &ReleaseName,
        key: &PublicKey,
    ) -> Result<(), ClientError> {
        self.done(&Call::new(Method::DELETE, routes::grant(name, key), "take a grant back")).await
    }

    /// A page of the grants of a name, the owner first, then by key; `after` is the `next` of the
    /// page before.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn grants(
        &self,
        name: &ReleaseName,
        after: Option<&Hex<32>>,
    ) -> Result<(Vec<GrantInfo>, Option<Hex<32>>), ClientError> {
        let from = after.map(|after| ("after", after as &dyn std::fmt::Display));
        let path = routes::page(&routes::grants(name), from, limits::PAGE_MAX);
        let call = Call::new(Method::GET, path, "list grants");
        let page: GrantsPage = self.json(&call, Need::Required).await?;
        Ok((page.grants, page.next))
    }

    /// Gives a name to another account. Readers must be told of the key that signs from then on.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn transfer_name(
        &self,
        name: &ReleaseName,
        to: &PublicKey,
    ) -> Result<(), ClientError> {
        let call = Call::new(Method::PUT, routes::owner(name), "give a name away")
            .json(&OwnerSettings { key: Hex(*to.as_bytes()) });
        self.done(&call).await
    }

    /// Deletes a name with all its releases and grants.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn delete_name(&self, name: &ReleaseName) -> Result<(), ClientError> {
        self.done(&Call::new(Method::DELETE, routes::name(name), "delete a name")).await
    }
}
