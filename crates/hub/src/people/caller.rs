//! People as callers.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use hub_api::ProblemCode;
use hub_db::{Account, PersonId};

use crate::app::App;
use crate::caller::{Member, Segments};
use crate::people::Handle;
use crate::refusal::Refusal;

/// A caller whose account is a device of a person, on their list or not.
pub(crate) struct DeviceCaller {
    pub(crate) account: Account,
    pub(crate) person: PersonId,
    pub(crate) handle: String,
    pub(crate) is_listed: bool,
}

/// A caller whose account is a device on a person's list. Who knows a password alone is none.
pub(crate) struct PersonCaller {
    pub(crate) account: Account,
    pub(crate) person: PersonId,
    pub(crate) handle: String,
}

impl FromRequestParts<Arc<App>> for DeviceCaller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refusal> {
        let Member(account) = Member::from_request_parts(parts, app).await?;
        let found = app.db.belonging(account.id).await?;
        let found = found.ok_or_else(|| Refusal::new(ProblemCode::PersonRequired, ""))?;
        let (person, handle) = (found.person, found.handle);
        Ok(Self { account, person, handle, is_listed: found.is_listed })
    }
}

impl DeviceCaller {
    /// The same, if it stands on the list.
    pub(crate) fn listed(self) -> Result<PersonCaller, Refusal> {
        if !self.is_listed {
            let wanted = "another device has to approve this one first";
            return Err(Refusal::new(ProblemCode::PersonRequired, wanted));
        }
        Ok(PersonCaller { account: self.account, person: self.person, handle: self.handle })
    }
}

impl FromRequestParts<Arc<App>> for PersonCaller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refusal> {
        DeviceCaller::from_request_parts(parts, app).await?.listed()
    }
}

impl Segments {
    /// The handle at `{handle}`.
    pub(crate) fn handle(&self) -> Result<Handle, Refusal> {
        self.parse("handle")
    }
}

/// Where somebody tries passwords from: whoever has one address has its neighbours, too.
pub(crate) fn network_of(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        address @ IpAddr::V6(_) => format!("{}/64", crate::addresses::counted_as(address)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_count_as_one() {
        let network = |text: &str| network_of(text.parse().expect("an address"));
        assert_eq!(network("192.0.2.7"), "192.0.2.0/24");
        assert_eq!(network("::ffff:192.0.2.9"), "192.0.2.0/24");
        assert_eq!(network("2001:db8:0:1:2:3:4:5"), "2001:db8:0:1::/64");
        assert_ne!(network("192.0.3.7"), network("192.0.2.7"));
    }
}
