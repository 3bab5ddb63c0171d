//! What administrators ask: accounts, invitations and the audit log.

use std::fmt::Display;

use documents::PublicKey;
use hub_api::{
    AccountInfo, AccountsPage, AuditChainPage, AuditInfo, AuditPage, InvitationCreated,
    InvitationInfo, InvitationRequest, InvitationsPage, limits, routes,
};
use hyper::Method;

use crate::client::HubClient;
use crate::error::ClientError;
use crate::exchange::Call;
use crate::session::Need;

fn behind<'a>(
    parameter: &'static str,
    next: &'a Option<u64>,
) -> Option<(&'static str, &'a dyn Display)> {
    next.as_ref().map(|next| (parameter, next as &dyn Display))
}

impl HubClient {
    /// A page of all accounts, by number; `after` is the `next` of the page before.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn accounts(
        &self,
        after: Option<u64>,
    ) -> Result<(Vec<AccountInfo>, Option<u64>), ClientError> {
        let path = routes::page(routes::ACCOUNTS, behind("after", &after), limits::PAGE_MAX);
        let call = Call::new(Method::GET, path, "list accounts");
        let page: AccountsPage = self.json(&call, Need::Required).await?;
        Ok((page.accounts, page.next))
    }

    /// Revokes an account, at once and for good.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn revoke_account(&self, key: &PublicKey) -> Result<(), ClientError> {
        self.done(&Call::new(Method::DELETE, routes::account(key), "revoke an account")).await
    }

    /// Makes an invitation. A request that was sent and not answered is not repeated: the
    /// invitation it may have made stands in [`HubClient::invitations`].
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn invite(
        &self,
        request: &InvitationRequest,
    ) -> Result<InvitationCreated, ClientError> {
        let call = Call::new(Method::POST, routes::INVITATIONS, "invite").json(request).once();
        self.json(&call, Need::Required).await
    }

    /// A page of the invitations that can still be used, by number; `after` is the `next` of the
    /// page before.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn invitations(
        &self,
        after: Option<u64>,
    ) -> Result<(Vec<InvitationInfo>, Option<u64>), ClientError> {
        let path = routes::page(routes::INVITATIONS, behind("after", &after), limits::PAGE_MAX);
        let call = Call::new(Method::GET, path, "list invitations");
        let page: InvitationsPage = self.json(&call, Need::Required).await?;
        Ok((page.invitations, page.next))
    }

    /// Takes an invitation back. Accounts it made stay.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn revoke_invitation(&self, id: u64) -> Result<(), ClientError> {
        let call = Call::new(Method::DELETE, routes::invitation(id), "take an invitation back");
        self.done(&call).await
    }

    /// A page of the audit log, newest first; `before` is the `next` of the page before.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn audit(
        &self,
        before: Option<u64>,
    ) -> Result<(Vec<AuditInfo>, Option<u64>), ClientError> {
        let path = routes::page(routes::AUDIT, behind("before", &before), limits::PAGE_MAX);
        let call = Call::new(Method::GET, path, "read the audit log");
        let page: AuditPage = self.json(&call, Need::Required).await?;
        Ok((page.entries, page.next))
    }

    /// A page of the audit log with its links and signed heads, oldest first; `after` is the `next` of the
    /// page before.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn audit_chain(&self, after: Option<u64>) -> Result<AuditChainPage, ClientError> {
        let path = routes::page(routes::AUDIT_CHAIN, behind("after", &after), limits::PAGE_MAX);
        let call = Call::new(Method::GET, path, "read the audit log");
        let body = self.body_of(&call, Need::Required, limits::RELEASES_RESPONSE_BYTES_MAX).await?;
        self.exchange.parse(&call, &body)
    }
}
