//! What administrators ask: accounts, invitations and the audit log.

use serde::{Deserialize, Serialize};

use crate::text::{Base64Bytes, Hex, Hidden};

/// What an account may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum AccountRole {
    /// Read what it is granted.
    Reader,
    /// Also own names, upload and release.
    Publisher,
    /// Also invite, revoke accounts and read the audit log.
    Administrator,
}

/// A registered key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AccountInfo {
    /// Number of the account.
    pub id: u64,
    /// Its public key.
    pub key: Hex<32>,
    /// Handle of the person whose device it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handle: Option<String>,
    /// What it may do.
    pub role: AccountRole,
    /// When it registered.
    pub created: u64,
    /// When it was revoked; absent while it is in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<u64>,
}

/// Accounts, by number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AccountsPage {
    /// The accounts.
    pub accounts: Vec<AccountInfo>,
    /// What to send as `after` for the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// Asks for an invitation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct InvitationRequest {
    /// Role of the accounts it makes.
    pub role: AccountRole,
    /// Names those accounts may read, at most 64.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(max_items = 64))]
    pub names: Vec<String>,
    /// How many keys may register with it.
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 1_000_000))]
    pub uses: u32,
    /// How many of them may do so from one network within a day: /24 of IPv4, /64 of IPv6.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1))]
    pub each_network: Option<u32>,
    /// How long it is good, in seconds, at most a year.
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 31_536_000))]
    pub lifetime_s: u64,
}

/// A new invitation. Its text is told this once; the hub keeps a hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InvitationCreated {
    /// What `consign register` takes.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub invitation: Hidden<String>,
    /// When it ends, by the hub's clock.
    pub expires: u64,
}

/// What a list says of an invitation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InvitationInfo {
    /// Number of the invitation, to revoke it by.
    pub id: u64,
    /// Role of the accounts it makes.
    pub role: AccountRole,
    /// Names those accounts may read.
    pub names: Vec<String>,
    /// How many keys may still register with it.
    pub uses_left: u32,
    /// How many from one network within a day, if that is bounded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub each_network: Option<u32>,
    /// When it was made.
    pub created: u64,
    /// When it ends.
    pub expires: u64,
}

/// Invitations that can still be used, by number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InvitationsPage {
    /// The invitations.
    pub invitations: Vec<InvitationInfo>,
    /// What to send as `after` for the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// One act that changed who may do what, or took something away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditInfo {
    /// Place in the log; grows.
    pub id: u64,
    /// When.
    pub time: u64,
    /// Who: `local`, `console NAME`, or a public key.
    pub actor: String,
    /// What was done, as in `grant` or `account-revoke`.
    pub action: String,
    /// To what: a name, a key, a number.
    pub subject: String,
    /// More, as a JSON object of texts and numbers; no secrets.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub detail: String,
}

/// Entries of the audit log, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditPage {
    /// The entries.
    pub entries: Vec<AuditInfo>,
    /// What to send as `before` for the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// An entry of the audit log, with its place in the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditLinkInfo {
    /// Its number, from 1, without gaps.
    pub number: u64,
    /// When.
    pub time: u64,
    /// Who: `local`, `console NAME`, or a public key.
    pub actor: String,
    /// What was done.
    pub action: String,
    /// To what.
    pub subject: String,
    /// More, as a JSON object in one text: its bytes are in the link.
    pub detail: String,
    /// The hash over the entry and the link of the one before.
    pub link: Hex<32>,
}

/// Entries of the audit log, oldest first, and what the hub signed of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditChainPage {
    /// The entries.
    pub entries: Vec<AuditLinkInfo>,
    /// Signed heads of them, oldest first. On the last page the newest one is that of the last entry,
    /// unless somebody altered the log.
    pub heads: Vec<Base64Bytes>,
    /// What to send as `after` for the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}
