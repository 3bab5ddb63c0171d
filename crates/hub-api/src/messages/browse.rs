//! What is in the trees of plain releases, by the hub's word: whoever needs proof reads the tree
//! itself.

use serde::{Deserialize, Serialize};

use crate::text::Hex;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
}

/// One entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EntryInfo {
    /// Its name; bytes that are no UTF-8 are replaced.
    pub name: String,
    /// Its name as it stands in a URL: percent-encoded, exact.
    pub escaped: String,
    /// What it is.
    pub kind: EntryKind,
    /// The lower 12 bits of its mode.
    pub mode: u32,
    /// Time of last modification.
    pub mtime: i64,
    /// Size of a file in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// BLAKE3 of a file's bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blob: Option<Hex<32>>,
    /// Where a symbolic link leads; bytes that are no UTF-8 are replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

/// Entries of a directory, by the bytes of their names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EntriesPage {
    /// The entries.
    pub entries: Vec<EntryInfo>,
    /// What to send as `after` for the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// What became of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// Only the later release has it.
    Added,
    /// Both have it, and not the same.
    Changed,
    /// Only the earlier release has it.
    Removed,
    /// A file that was at `from` before.
    Moved,
}

/// One path that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChangeInfo {
    /// The path; bytes that are no UTF-8 are replaced.
    pub path: String,
    /// What happened to it.
    pub kind: ChangeKind,
    /// Where a moved file was before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Size of the file, after the change where there is one; 0 for what is no file.
    pub bytes: u64,
}

/// What changed between two releases, by path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChangesPage {
    /// The changes on this page.
    pub changes: Vec<ChangeInfo>,
    /// Paths added in all.
    pub added: u64,
    /// Paths changed in all.
    pub changed: u64,
    /// Paths removed in all.
    pub removed: u64,
    /// Files moved in all.
    pub moved: u64,
    /// Bytes of all files that were added or changed.
    pub fresh_bytes: u64,
    /// False when there is more than the hub compares; all numbers are too small then.
    pub complete: bool,
    /// What to send as `after` for the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}
