//! How long releases are kept.

use documents::ReleaseName;
use hub_api::{Retention, routes};
use hyper::Method;

use crate::client::HubClient;
use crate::error::ClientError;
use crate::exchange::Call;
use crate::session::Need;

impl HubClient {
    /// Which releases of a name the hub keeps.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn retention(&self, name: &ReleaseName) -> Result<Retention, ClientError> {
        let call = Call::new(Method::GET, routes::retention(name), "ask which releases are kept");
        self.json(&call, Need::Required).await
    }

    /// Says which releases of a name the hub keeps.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn set_retention(
        &self,
        name: &ReleaseName,
        retention: Retention,
    ) -> Result<(), ClientError> {
        let call = Call::new(Method::PUT, routes::retention(name), "say which releases are kept")
            .json(&retention);
        self.done(&call).await
    }

    /// Keeps a release whatever retention says, or lets retention decide again.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn set_pinned(
        &self,
        name: &ReleaseName,
        sequence: u64,
        pinned: bool,
    ) -> Result<(), ClientError> {
        let (method, doing) = if pinned {
            (Method::PUT, "pin a release")
        } else {
            (Method::DELETE, "unpin a release")
        };
        self.done(&Call::new(method, routes::pin(name, sequence), doing)).await
    }
}
