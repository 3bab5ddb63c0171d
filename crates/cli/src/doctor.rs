//! What can be wrong around a node, found and named.
//!
//! Every broken set-up has a code that never changes; `docs/doctor.md` has a section for each.
//! A check looks and judges: it changes nothing, needs neither root nor a hub, and says with each
//! finding what it saw and what to do next. What it says is fit to be sent to strangers: paths
//! under the home directory begin with `~`, and no secret is read into a text.
//!
//! [`Surroundings`] is what checks look at: environment, paths, and (looked at once) the hub and
//! the node. `CHECKS` is the list, in the order a person would look for a cause.

use std::path::PathBuf;

mod configuration;
mod destination;
mod disk;
mod environment;
mod hub;
mod running;
mod secrets;
mod shown;
mod state;
mod store;
mod surroundings;
pub(crate) mod work;

pub(crate) use shown::{Shown, without_passwords};
pub(crate) use surroundings::Surroundings;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// Looked at and found well.
    Ok,
    /// It works, but not as it should.
    Warn,
    /// Commands fail because of it.
    Fail,
    /// It could not be looked at, or there is nothing to look at.
    Skipped,
}

impl Status {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Skipped => "skipped",
        }
    }
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) status: Status,
    /// What was seen, for people.
    pub(crate) evidence: String,
    /// What to do about it: a command, or a sentence where there is none.
    pub(crate) next: Option<String>,
    /// What `--fix` does about it.
    pub(crate) fix: Option<Fix>,
}

impl Finding {
    fn new(status: Status, evidence: impl Into<String>) -> Self {
        Self { status, evidence: evidence.into(), next: None, fix: None }
    }

    fn ok(evidence: impl Into<String>) -> Self {
        Self::new(Status::Ok, evidence)
    }

    fn warn(evidence: impl Into<String>, next: impl Into<String>) -> Self {
        Self { next: Some(next.into()), ..Self::new(Status::Warn, evidence) }
    }

    fn fail(evidence: impl Into<String>, next: impl Into<String>) -> Self {
        Self { next: Some(next.into()), ..Self::new(Status::Fail, evidence) }
    }

    fn skipped(why: impl Into<String>) -> Self {
        Self::new(Status::Skipped, why)
    }

    fn or_fix(self, fix: Fix) -> Self {
        Self { fix: Some(fix), ..self }
    }
}

/// A repair that loses nothing and needs no decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fix {
    /// Set the mode of a path.
    Mode(PathBuf, u32),
    /// Move a file that is rebuilt by itself out of the way.
    MoveAside(PathBuf),
    /// Remove a socket nobody listens on.
    RemoveSocket(PathBuf),
}

impl Fix {
    /// Does it; says what was done.
    pub(crate) fn apply(&self, shown: &Shown) -> std::io::Result<String> {
        use std::os::unix::fs::PermissionsExt as _;
        match self {
            Self::Mode(path, mode) => {
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(*mode))?;
                Ok(format!("{} has mode {mode:o} now", shown.path(path)))
            }
            Self::MoveAside(path) => {
                let aside = path.with_extension("damaged");
                std::fs::rename(path, &aside)?;
                Ok(format!("{} is {} now", shown.path(path), shown.path(&aside)))
            }
            Self::RemoveSocket(path) => {
                std::fs::remove_file(path)?;
                Ok(format!("{} is removed", shown.path(path)))
            }
        }
    }
}

/// One broken set-up and how to tell it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Check {
    /// Its name; never changes.
    pub(crate) code: &'static str,
    /// What is looked at, a noun phrase.
    pub(crate) subject: &'static str,
    /// Whether the hub or the node has to be spoken to first.
    pub(crate) needs: Needs,
    pub(crate) run: fn(&Surroundings) -> Finding,
}

/// What must have been looked at before a check can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    Nothing,
    Hub,
    Node,
}

macro_rules! checks {
    ($($needs:ident $code:literal, $subject:literal, $run:path;)*) => {
        &[$(Check { code: $code, subject: $subject, needs: Needs::$needs, run: $run },)*]
    };
}

/// Every check, causes before consequences.
pub(crate) const CHECKS: &[Check] = checks! {
    Nothing "home-unset", "HOME and the XDG directories", environment::home_unset;
    Nothing "xdg-relative", "the XDG directories", environment::xdg_relative;
    Nothing "locale-not-utf8", "the locale", environment::locale_not_utf8;
    Nothing "temp-unwritable", "the directory for temporary files", environment::temp_unwritable;
    Nothing "open-files-low", "the limit of open files", environment::open_files_low;
    Nothing "config-unreadable", "the configuration files", configuration::unreadable;
    Nothing "config-malformed", "the form of the configuration", configuration::malformed;
    Nothing "config-unknown-key", "the keys of the configuration", configuration::unknown_key;
    Nothing "config-value", "the values of the configuration", configuration::value;
    Nothing "config-modes", "who may change the configuration", configuration::modes;
    Nothing "state-missing", "the state directory", state::missing;
    Nothing "state-not-directory", "the kind of the state directory", state::not_directory;
    Nothing "state-owner", "the owner of the state directory", state::owner;
    Nothing "state-unwritable", "writing to the state directory", state::unwritable;
    Nothing "state-modes", "who may read the state directory", state::modes;
    Nothing "file-system-read-only", "the file system of the state", disk::read_only;
    Nothing "disk-nearly-full", "free space", disk::nearly_full;
    Nothing "inodes-nearly-exhausted", "free inodes", disk::inodes_nearly_exhausted;
    Nothing "key-missing", "this node's key", secrets::missing;
    Nothing "key-damaged", "the form of this node's key", secrets::damaged;
    Nothing "key-modes", "who may read this node's key", secrets::modes;
    Nothing "hubs-damaged", "the list of hubs", state::hubs_damaged;
    Nothing "trust-damaged", "what is remembered of publishers", state::trust_damaged;
    Nothing "store-locked", "who uses the store", store::locked;
    Nothing "store-index-damaged", "the store's index", store::index_damaged;
    Nothing "store-pack-damaged", "the store's packs", store::pack_damaged;
    Nothing "hub-none", "the hub to speak to", hub::none;
    Hub "hub-address", "the hub's address", hub::address;
    Hub "proxy-set", "the way to it", hub::proxy_set;
    Hub "hub-name-unresolved", "the hub's name", hub::name_unresolved;
    Hub "hub-ipv6-only", "a way to the hub's addresses", hub::ipv6_only;
    Hub "hub-unreachable", "the network to the hub", hub::unreachable;
    Hub "hub-port-closed", "the hub's port", hub::port_closed;
    Hub "hub-tls-missing", "TLS at the hub's port", hub::tls_missing;
    Hub "hub-fingerprint-changed", "the hub's certificate", hub::fingerprint_changed;
    Hub "hub-certificate-expired", "the dates of the hub's certificate", hub::certificate_expired;
    Hub "hub-silent", "the hub's answer", hub::silent;
    Hub "hub-other-service", "what answers as the hub", hub::other_service;
    Hub "hub-too-old", "the hub's version against ours", hub::too_old;
    Hub "hub-too-new", "our version against the hub's", hub::too_new;
    Hub "client-outdated", "this program's version against the newest", hub::client_outdated;
    Hub "clock-off", "this machine's clock", hub::clock_off;
    Hub "not-registered", "this node's account", hub::not_registered;
    Hub "session-refused", "a session with the hub", hub::session_refused;
    Node "node-socket-owner", "the owner of the node's socket", running::socket_owner;
    Node "node-socket-stale", "the node's socket", running::socket_stale;
    Node "node-version", "the running node's version", running::version;
    Node "node-waiting", "what the running node waits for", running::waiting;
    Node "script-limits", "limits that hold scripts of packages", running::script_limits;
    Node "watch-failing", "followed names", running::watch_failing;
    Nothing "get-interrupted", "interrupted fetches", work::get_interrupted;
    Nothing "publish-interrupted", "interrupted publications", work::publish_interrupted;
    Nothing "destination-unwritable", "writing to the destination", destination::unwritable;
    Nothing "destination-no-symlinks", "symbolic links at the destination", destination::no_symlinks;
    Nothing "destination-no-xattrs", "extended attributes at the destination", destination::no_xattrs;
};

/// The code most like `wrong`, if one is like it at all.
pub(crate) fn near(wrong: &str) -> Option<&'static str> {
    crate::config::near(wrong, CHECKS.iter().map(|check| check.code))
}
