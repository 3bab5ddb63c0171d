//! What a node does, as it tells whoever asks.

use serde::{Deserialize, Serialize};

/// Everything a node does and waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Status {
    /// Version of the program that runs as the node.
    pub version: String,
    /// Its process id.
    pub process: u32,
    /// When it started, in seconds since 1970.
    pub started: u64,
    /// Its state directory, for people: not UTF-8 is replaced.
    pub state: String,
    /// What the node itself waits for before it can work, for example the store.
    pub waits_for: Option<Waiting>,
    /// Hubs that told of a newer version than this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub newer: Vec<NewerVersion>,
    /// The bound of its store; `None` without one.
    pub cache: Option<CacheStatus>,
    /// Jobs commands gave it, the oldest first.
    pub jobs: Vec<JobStatus>,
    /// Names it follows, in the order they were added.
    pub watches: Vec<WatchStatus>,
    /// Communities it follows, by id.
    pub communities: Vec<CommunityStatus>,
}

/// A version of the program that is newer than the one that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewerVersion {
    /// The hub that told of it.
    pub hub: String,
    /// The version.
    pub version: String,
    /// Where it is to be had, if the hub told.
    pub place: Option<String>,
}

/// One community.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommunityStatus {
    /// Its id.
    pub community: String,
    /// Its name, for people.
    pub name: String,
    /// What the node does for it.
    pub state: CommunityState,
    /// Since when, in seconds since 1970.
    pub since: u64,
    /// What it waits for; `None` while it works.
    pub waits_for: Option<Waiting>,
    /// What happened last, in words.
    pub last: Option<String>,
}

/// What a node does for a community.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CommunityState {
    /// Opening the hub's event stream.
    Connecting,
    /// Doing what there is to do.
    Working,
    /// All is done; the event stream is open.
    Listening,
    /// Something failed; waiting until the next try.
    BackingOff,
    /// Its managers ended it: there is nothing to do any more.
    Ended,
}

/// A store that is kept small.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CacheStatus {
    /// How large it may be.
    pub max_bytes: u64,
    /// How large it is; `None` while another process has it.
    pub stored_bytes: Option<u64>,
    /// Chunks that went since the node started.
    pub evicted_chunks: u64,
    /// Bytes they took.
    pub evicted_bytes: u64,
}

/// What something waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waiting {
    /// What is waited for, a noun phrase: "https://hub: 3 chunks asked for".
    pub what: String,
    /// Since when, in seconds since 1970.
    pub since: u64,
    /// What happens when it comes or does not, a sentence without its full stop.
    pub next: String,
}

/// One job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobStatus {
    /// Counts the jobs of this node.
    pub id: u64,
    /// The command, as it was typed and without secrets: "get team/tools --to tools".
    pub what: String,
    /// When it began, in seconds since 1970.
    pub started: u64,
    /// What it does now: "writing, 12 files"; empty before the first word from it.
    pub phase: String,
    /// Bytes done.
    pub bytes_done: u64,
    /// Bytes in all, once known.
    pub bytes_total: Option<u64>,
    /// What it waits for; `None` while it moves.
    pub waits_for: Option<Waiting>,
}

/// One followed name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WatchStatus {
    /// What `watch --remove` takes: the directory, for people.
    pub to: String,
    /// The name.
    pub name: String,
    /// What it does.
    pub state: WatchState,
    /// The release `current` shows; `None` before the first.
    pub current: Option<u64>,
    /// The release it was told to stay at.
    pub hold: Option<u64>,
    /// Releases kept on disk, the current one among them, in ascending order.
    pub kept: Vec<u64>,
    /// What it waits for; `None` while it works.
    pub waits_for: Option<Waiting>,
    /// The last failure since something last went well, in words.
    pub last_error: Option<String>,
    /// When it tries again after a failure, in seconds since 1970.
    pub next_try: Option<u64>,
}

/// What a watch does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WatchState {
    /// Opening the hub's event stream.
    Connecting,
    /// The event stream is open; the newest release is current.
    Listening,
    /// The event stream cannot be had; the head is asked for at intervals.
    Polling,
    /// A release is being fetched and checked.
    Fetching,
    /// The hook runs.
    Hook,
    /// Something failed; waiting until the next try.
    BackingOff,
    /// Stays at the release it was told to.
    Holding,
}
