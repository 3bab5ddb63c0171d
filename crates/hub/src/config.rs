//! What a hub is started with.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::database::Database;
use crate::mail::MailConfig;

/// Settings of a hub.
#[derive(Debug, Clone)]
pub struct HubConfig {
    /// Directory that holds everything the hub keeps; created when missing.
    pub data: PathBuf,
    /// The server with the database, when it is not the file in the data directory.
    pub database: Option<Database>,
    /// Where to listen; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// How connections are protected.
    pub tls: Tls,
    /// The URL clients shall use, when it is not the listening address: behind a proxy, or when
    /// listening on all addresses.
    pub url: Option<String>,
    /// Where collectors of metrics are answered, in plain HTTP; nowhere when `None`.
    pub metrics_listen: Option<SocketAddr>,
    /// The server that mail to people goes through; without one none is sent.
    pub mail: Option<MailConfig>,
    /// Addresses of proxies whose word on where a request came from is taken.
    pub trusted_proxies: Vec<IpAddr>,
    /// Most bytes the chunk store may take on disk.
    pub quota_bytes: Option<u64>,
    /// Bytes of the file system the store leaves free.
    pub free_reserve_bytes: u64,
    /// How often the files of a certificate ([`Tls::Files`]) are looked at.
    pub certificate_interval: Duration,
    /// How often unreferenced chunks are collected.
    pub gc_interval: Duration,
    /// How long an uploaded chunk is kept without a release: the longest a publish may take.
    pub gc_grace: Duration,
    /// How often deliveries are looked for to which nothing happened for
    /// [`HubLimits::delivery_window`].
    pub sweep_interval: Duration,
    /// How long entries of the audit log are kept; for ever when `None`.
    pub audit_retention: Option<Duration>,
    /// How this hub is one of several front-ends on one database; alone when `None`.
    pub front_end: Option<FrontEndConfig>,
    /// Whether deliveries may have lockers, and how large they may be; none when `None`.
    pub lockers: Option<LockerConfig>,
    /// What may be sent without an account; nothing when `None`.
    pub guests: Option<GuestConfig>,
    /// All contents of deliveries go through this hub: it tells no recipient where it reaches the sender itself.
    pub is_relay_only: bool,
    /// Bounds on what clients may take of memory, connections and time.
    pub limits: HubLimits,
}

/// What lockers may take: sealed deliveries that wait on the hub's disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockerConfig {
    /// Most bytes of all of them.
    pub quota_bytes: u64,
    /// Most bytes of those of one account.
    pub account_quota_bytes: u64,
    /// The longest that one is kept. No longer than [`HubLimits::delivery_window`].
    pub time_max: Duration,
}

/// What guests may: people without an account, who send by a code, a ticket or a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuestConfig {
    /// Most bytes in a day of all guests at one IPv4 address or in one IPv6 network of 64 bits.
    pub bytes_per_day: u64,
}

/// How a hub is one of several front-ends on one database. All of them have the same `hub.key`.
#[derive(Debug, Clone)]
pub struct FrontEndConfig {
    /// Where this one listens for the others, on a network of theirs; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Where the others reach it, as HOST:PORT, when it is not where it listens.
    pub address: Option<String>,
    /// Whether it keeps the chunks; one does, and the others pass requests for chunks on to it.
    pub keeps_chunks: bool,
}

impl HubConfig {
    /// The defaults for a data directory: self-signed TLS, no quota, 1 GiB left free, collection
    /// every hour of what was uploaded over a day ago.
    #[must_use]
    pub fn new(data: impl Into<PathBuf>, listen: SocketAddr) -> Self {
        Self {
            data: data.into(),
            database: None,
            listen,
            tls: Tls::SelfSigned,
            url: None,
            metrics_listen: None,
            mail: None,
            trusted_proxies: Vec::new(),
            quota_bytes: None,
            free_reserve_bytes: 1 << 30,
            certificate_interval: Duration::from_mins(1),
            gc_interval: Duration::from_hours(1),
            gc_grace: Duration::from_hours(24),
            // An hour is the shortest window, and nobody counts the minutes of it.
            sweep_interval: Duration::from_mins(10),
            audit_retention: None,
            front_end: None,
            lockers: None,
            guests: None,
            is_relay_only: false,
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
    /// A certificate chain and its key in PEM files, which are read again when they change.
    Files {
        /// The chain, the hub's own certificate first.
        cert: PathBuf,
        /// The private key.
        key: PathBuf,
        /// How clients shall recognise it.
        trust: CertificateTrust,
    },
    /// A certificate obtained and renewed while the hub runs; clients check it as browsers do.
    Acme(Acme),
}

/// How clients recognise a hub by a certificate of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CertificateTrust {
    /// By its fingerprint, which invitations carry: a new certificate needs new invitations, and
    /// a restart, for clients refuse it.
    #[default]
    Fingerprint,
    /// By the authorities their systems trust, as browsers do.
    WebPki,
}

/// Where certificates come from that an authority issues by ACME (RFC 8555).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acme {
    /// What the certificate is for; each leads to this hub, on port 443.
    pub domains: Vec<String>,
    /// URL of the authority's directory.
    pub directory: String,
    /// The authority that vouches for the directory's own certificate, in a PEM file; without
    /// it, those the system trusts.
    pub ca: Option<PathBuf>,
    /// Whom the authority may write to.
    pub contact: Option<String>,
}

/// The directory of Let's Encrypt.
pub const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// The shortest [`HubLimits::delivery_window`].
pub const DELIVERY_WINDOW_MIN: Duration = Duration::from_hours(1);
/// The longest, and what it is when nobody says.
pub const DELIVERY_WINDOW_MAX: Duration = Duration::from_hours(14 * 24);

/// Bounds per hub and per request.
#[derive(Debug, Clone)]
pub struct HubLimits {
    /// Connections at once; further ones wait in the system's queue. The system's limit on open
    /// files lowers it: [`Hub::start`](crate::Hub::start) warns then.
    pub connections_max: usize,
    /// Connections at once from one IPv4 address or one IPv6 network of 64 bits; a further one is
    /// closed at once. The machine's own addresses are no exception. `None` behind a proxy that
    /// is trusted: all connections come from its address, and the proxy has to limit clients.
    pub connections_per_address_max: Option<usize>,
    /// Event streams at once, never more than three quarters of the connections, so that
    /// streams, which live long, leave room for requests. A further one is told to come again.
    pub event_streams_max: usize,
    /// Uploads at once: each holds up to some 12 MiB of frames.
    pub uploads_max: usize,
    /// Fetches at once: each holds up to some 24 MiB of frames. One account, or one address
    /// without an account, has at most a quarter of them.
    pub fetches_max: usize,
    /// Bytes of answers of more than 64 KiB that are in memory at once, fetches not counted. One
    /// account, or one address without an account, has at most a quarter of them.
    pub answers_bytes_max: usize,
    /// Deliveries that run at once, each with up to two segments of 1 MiB in memory.
    pub deliveries_max: usize,
    /// Deliveries of one account, or of all guests in one network, that run at once.
    pub deliveries_per_account_max: usize,
    /// How long a delivery is remembered that neither side asks for.
    pub delivery_idle_time: Duration,
    /// Codes of words at once, of 9,000 numbers: each waits with a message or two of 4 KiB at most.
    pub codes_max: usize,
    /// Codes of one account, or of all guests in one network, at once, those that were tried in the last two minutes included.
    pub codes_per_account_max: usize,
    /// Codes that one IPv4 address or one IPv6 network of 64 bits may try in a minute.
    pub code_claims_per_minute_max: u32,
    /// How long a delivery that is addressed to a person is kept while nothing happens to it: an hour to two
    /// weeks, [`DELIVERY_WINDOW_MIN`] to [`DELIVERY_WINDOW_MAX`].
    pub delivery_window: Duration,
    /// How long a person counts as online after the last of their devices was heard: time for it to come again over
    /// another line, or after it slept.
    pub presence_grace: Duration,
    /// How long an upload, a fetch or a publication waits for another one to end before the
    /// client is told to come again; less than `request_time`.
    pub turn_time: Duration,
    /// Time for a TLS handshake.
    pub handshake_time: Duration,
    /// Time for the head of a request, counted from when it could begin.
    pub header_time: Duration,
    /// Longest silence within a body, in either direction.
    pub idle_time: Duration,
    /// Time for a request other than an upload or a publication.
    pub request_time: Duration,
    /// Time for an upload (64 MiB over a 1 Mbit/s link take nine minutes) or a publication, for
    /// the answer to a fetch, and for a client to take what is at hand for it.
    pub transfer_time: Duration,
    /// How long what a client still sends is thrown away after its connection was ended, so that
    /// it can read the answer: a system resets a connection that is closed with bytes unread.
    pub linger_time: Duration,
    /// Time for open requests to end when the hub stops.
    pub shutdown_time: Duration,
}

impl Default for HubLimits {
    fn default() -> Self {
        Self {
            // An idle one takes some 16 KiB without TLS and some 24 KiB with it, 40 at most (measured
            // by the tests `limits_streams` of this crate and `streams` of `cli`), so all of them take
            // 640 MiB at most.
            connections_max: 16_384,
            // A thousand machines behind one address, each with a stream and a transfer or two;
            // three quarters of all connections are left for others.
            connections_per_address_max: Some(4096),
            event_streams_max: 12_288,
            uploads_max: 32,
            fetches_max: 128,
            // A hundred of the largest chunks.
            answers_bytes_max: 256 << 20,
            // 1 GiB of segments when every recipient is slow.
            deliveries_max: 512,
            deliveries_per_account_max: 16,
            delivery_idle_time: Duration::from_mins(10),
            // So that most numbers that a stranger tries are nobody's.
            codes_max: 1000,
            // As many as deliveries, with what is tried in vain in the two minutes for which it is kept.
            codes_per_account_max: 32,
            // Enough for a household that mistypes, and 15 hours for all numbers.
            code_claims_per_minute_max: 10,
            delivery_window: DELIVERY_WINDOW_MAX,
            // A network that changes takes some seconds, and a client's second try comes after two.
            presence_grace: Duration::from_secs(15),
            turn_time: Duration::from_secs(20),
            handshake_time: Duration::from_secs(10),
            header_time: Duration::from_secs(30),
            idle_time: Duration::from_secs(30),
            request_time: Duration::from_secs(30),
            transfer_time: Duration::from_mins(15),
            linger_time: Duration::from_secs(5),
            shutdown_time: Duration::from_secs(10),
        }
    }
}
