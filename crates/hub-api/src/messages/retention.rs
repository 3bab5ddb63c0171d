//! How long releases are kept.

use serde::{Deserialize, Serialize};

/// Which releases of a name the hub keeps: those that any rule keeps. The newest and the pinned
/// ones are always kept; without any rule all are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// Keeps this many of the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1))]
    pub last: Option<u32>,
    /// Keeps those the hub accepted in so many days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1))]
    pub days: Option<u32>,
}
