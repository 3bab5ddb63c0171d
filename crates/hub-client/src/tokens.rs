//! Machine tokens of this node's account.

use hub_api::{TokenCreated, TokenInfo, TokenRequest, TokensPage, limits, routes};
use hyper::Method;

use crate::client::HubClient;
use crate::error::ClientError;
use crate::exchange::Call;
use crate::session::Need;

impl HubClient {
    /// Makes a token. A request that was sent and not answered is not repeated: the token it may
    /// have made stands in [`HubClient::tokens`] and can be revoked.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn create_token(&self, request: &TokenRequest) -> Result<TokenCreated, ClientError> {
        let call = Call::new(Method::POST, routes::TOKENS, "make a token").json(request).once();
        self.json(&call, Need::Required).await
    }

    /// A page of the tokens of this node's account, by number; `after` is the `next` of the page
    /// before.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn tokens(
        &self,
        after: Option<u64>,
    ) -> Result<(Vec<TokenInfo>, Option<u64>), ClientError> {
        let from = after.as_ref().map(|after| ("after", after as &dyn std::fmt::Display));
        let path = routes::page(routes::TOKENS, from, limits::PAGE_MAX);
        let call = Call::new(Method::GET, path, "list tokens");
        let page: TokensPage = self.json(&call, Need::Required).await?;
        Ok((page.tokens, page.next))
    }

    /// Ends a token, at once.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn revoke_token(&self, id: u64) -> Result<(), ClientError> {
        self.done(&Call::new(Method::DELETE, routes::token(id), "revoke a token")).await
    }
}
