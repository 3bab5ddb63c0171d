//! Who may do what with a name.

use serde::{Deserialize, Serialize};

use crate::text::{Base64Bytes, Hex};

/// What a key may do with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Grant {
    /// Everything, including granting and deleting; one key has it.
    Owner,
    /// Reading, uploading and releasing, by the owner's delegation.
    Publisher,
    /// Reading.
    Reader,
}

/// What an owner may grant. Who may release is said by a signed [`DelegationDocument`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum GivenGrant {
    /// Reading.
    Reader,
}

/// Grants a key something; a grant it has already is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct GrantSettings {
    /// What the key may do from now on.
    pub grant: GivenGrant,
}

/// Who may release under a name: a signed list, which replaces the one before it as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DelegationDocument {
    /// The delegation, signed by the owner of the name. Not verified yet.
    pub delegation: Base64Bytes,
}

/// One grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GrantInfo {
    /// The public key; it need not be registered yet.
    pub key: Hex<32>,
    /// What it may do.
    pub grant: Grant,
}

/// Grants of a name, the owner first, then by key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GrantsPage {
    /// The grants.
    pub grants: Vec<GrantInfo>,
    /// What to send as `after` for the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Hex<32>>,
}

/// Gives a name to another account, which must be a publisher's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct OwnerSettings {
    /// Key of the new owner.
    pub key: Hex<32>,
}
