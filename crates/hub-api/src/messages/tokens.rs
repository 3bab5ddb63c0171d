//! Machine tokens: bearer secrets for programs that hold no key.

use serde::{Deserialize, Serialize};

use crate::text::Hidden;

/// What every machine token begins with, so that people and secret scanners know one.
pub const TOKEN_PREFIX: &str = "consign_pat_";

/// What a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum TokenScope {
    /// Read what its account may read.
    Read,
    /// Also upload chunks and post signed releases.
    Publish,
}

/// Asks for a token of the caller's account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TokenRequest {
    /// What it is for, shown in lists: 1 to 80 characters, no control characters.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 80))]
    pub label: String,
    /// What it may do.
    pub scope: TokenScope,
    /// The names it is good for, at most 64; none means all its account may use.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(max_items = 64))]
    pub names: Vec<String>,
    /// How long it is good, in seconds, at most two years.
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 63_072_000))]
    pub lifetime_s: u64,
}

/// A new token. Its text is told this once; the hub keeps a hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TokenCreated {
    /// Number of the token, to revoke it by.
    pub id: u64,
    /// Goes into `Authorization: Bearer`; begins with `consign_pat_`.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub token: Hidden<String>,
    /// When the hub stops taking it, by the hub's clock.
    pub expires: u64,
}

/// What a list says of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TokenInfo {
    /// Number of the token.
    pub id: u64,
    /// What it is for.
    pub label: String,
    /// What it may do.
    pub scope: TokenScope,
    /// The names it is good for; none means all its account may use.
    pub names: Vec<String>,
    /// When it was made.
    pub created: u64,
    /// When it ends or ended.
    pub expires: u64,
    /// About when it was last used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used: Option<u64>,
}

/// Tokens of the caller's account, by number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TokensPage {
    /// The tokens.
    pub tokens: Vec<TokenInfo>,
    /// What to send as `after` for the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}
