//! What a hub is started with.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Settings of a hub.
#[derive(Debug, Clone)]
pub struct HubConfig {
    /// Directory that holds everything the hub keeps; created when missing.
    pub data: PathBuf,
    /// Where to listen; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// How connections are protected.
    pub tls: Tls,
    /// The URL clients shall use, when it is not the listening address: behind a proxy, or when
    /// listening on all addresses.
    pub url: Option<String>,
    /// Most bytes the chunk store may take on disk.
    pub quota_bytes: Option<u64>,
    /// Bytes of the file system the store leaves free.
    pub free_reserve_bytes: u64,
    /// How often unreferenced chunks are collected.
    pub gc_interval: Duration,
    /// How long an uploaded chunk is kept without a release: the longest a publish may take.
    pub gc_grace: Duration,
    /// Bounds on what clients may take of memory, connections and time.
    pub limits: HubLimits,
}

impl HubConfig {
    /// The defaults for a data directory: self-signed TLS, no quota, 1 GiB left free, collection
    /// every hour of what was uploaded over a day ago.
    #[must_use]
    pub fn new(data: impl Into<PathBuf>, listen: SocketAddr) -> Self {
        Self {
            data: data.into(),
            listen,
            tls: Tls::SelfSigned,
            url: None,
            quota_bytes: None,
            free_reserve_bytes: 1 << 30,
            gc_interval: Duration::from_hours(1),
            gc_grace: Duration::from_hours(24),
            limits: HubLimits::default(),
        }
    }
}

/// How connections to the hub are protected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tls {
    /// A certificate made by the hub and kept in its data directory; clients pin it.
    SelfSigned,
    /// Plain HTTP, for a proxy on the same machine or a private network.
    Off,
    /// A certificate chain and its key in PEM files.
    Files {
        /// The chain, the hub's own certificate first.
        cert: PathBuf,
        /// The private key.
        key: PathBuf,
    },
}

/// Bounds per hub and per request.
#[derive(Debug, Clone)]
pub struct HubLimits {
    /// Connections at once; further ones wait in the system's queue.
    pub connections_max: usize,
    /// Uploads at once: each holds up to some 12 MiB of frames.
    pub uploads_max: usize,
    /// Fetches at once: each holds up to some 24 MiB of frames.
    pub fetches_max: usize,
    /// Time for a TLS handshake.
    pub handshake_time: Duration,
    /// Time for the head of a request, counted from when it could begin.
    pub header_time: Duration,
    /// Longest silence within a body, in either direction.
    pub idle_time: Duration,
    /// Time for a request other than an upload or a publication.
    pub request_time: Duration,
    /// Time for an upload (64 MiB over a 1 Mbit/s link take nine minutes) or a publication.
    pub transfer_time: Duration,
    /// Time for open requests to end when the hub stops.
    pub shutdown_time: Duration,
}

impl Default for HubLimits {
    fn default() -> Self {
        Self {
            connections_max: 1024,
            uploads_max: 32,
            fetches_max: 128,
            handshake_time: Duration::from_secs(10),
            header_time: Duration::from_secs(30),
            idle_time: Duration::from_secs(30),
            request_time: Duration::from_secs(30),
            transfer_time: Duration::from_mins(15),
            shutdown_time: Duration::from_secs(10),
        }
    }
}
