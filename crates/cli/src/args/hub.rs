//! Options of the commands that run a hub.

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args as ClapArgs, Subcommand};
use hub_api::{ClientVersion, Place};

use crate::database::DatabaseArgs;
use crate::size::Size;

#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Example:\n  consign hub --data /var/lib/consign --listen 0.0.0.0:7400 \\\n      \
                  --url https://hub.example.org:7400\n  \
                  consign hub --data /var/lib/consign --listen 0.0.0.0:443 \\\n      \
                  --tls acme --domain hub.example.org\n  \
                  consign hub backup --data /var/lib/consign --to /backup/hub\n\n\
                  docs/operations.md describes running a hub.",
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
pub(crate) struct HubArgs {
    #[command(subcommand)]
    pub(crate) command: Option<HubCommand>,
    /// Where the hub keeps its database, chunks and keys
    #[arg(long, value_name = "DIR", required = true)]
    pub(crate) data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    /// Address and port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7400")]
    pub(crate) listen: String,
    /// Certificate: `self` makes one, `off` is plain HTTP (behind a proxy), `acme` obtains one
    /// for --domain, or CERT,KEY files
    #[arg(long, value_name = "self|off|acme|CERT,KEY", default_value = "self")]
    pub(crate) tls: String,
    /// With --database on a server: be one of several front-ends, and listen for the others here
    #[arg(long, value_name = "ADDR")]
    pub(crate) front_end_listen: Option<String>,
    /// Where the other front-ends reach this one, when it is not where it listens
    #[arg(long, value_name = "HOST:PORT", requires = "front_end_listen")]
    pub(crate) front_end_address: Option<String>,
    /// Keep no chunks: pass requests for them on to the front-end that does
    #[arg(long, requires = "front_end_listen")]
    pub(crate) without_chunks: bool,
    /// Address that invitations name, when it is not the one listened on
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// How clients recognise the certificate in CERT,KEY: `pin` its fingerprint, or `web`, by the
    /// authorities their systems trust
    #[arg(long, value_name = "pin|web", default_value = "pin")]
    pub(crate) certificate: Recognised,
    /// With --tls acme: what the certificate is for (may be given several times)
    #[arg(long, value_name = "DOMAIN")]
    pub(crate) domain: Vec<String>,
    /// With --tls acme: directory of the authority [default: Let's Encrypt]
    #[arg(long, value_name = "URL")]
    pub(crate) acme_directory: Option<String>,
    /// With --tls acme: PEM file of who vouches for the directory itself, when systems do not
    #[arg(long, value_name = "FILE")]
    pub(crate) acme_ca: Option<PathBuf>,
    /// With --tls acme: mail address the authority may write to
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) acme_contact: Option<String>,
    /// Most bytes the chunks may take on the disk, as 500GB [default: no bound]
    #[arg(long, value_name = "SIZE")]
    pub(crate) quota: Option<Size>,
    /// Let people without an account send by code, ticket and link: so much in a day from each network, as 20GB
    /// [default: nothing]
    #[arg(long, value_name = "SIZE")]
    pub(crate) guests: Option<Size>,
    /// Pass all contents of deliveries on itself: senders and recipients never reach each other directly
    #[arg(long)]
    pub(crate) relay_only: bool,
    /// Keep deliveries whose senders ask for it, sealed, until they are collected, and so many bytes of them at most
    /// [default: none is kept]
    #[arg(long, value_name = "SIZE")]
    pub(crate) locker_quota: Option<Size>,
    /// With --locker-quota: most bytes of one account [default: a tenth of all]
    #[arg(long, value_name = "SIZE", requires = "locker_quota")]
    pub(crate) locker_account_quota: Option<Size>,
    /// With --locker-quota: the longest that one is kept, and no longer than --delivery-window
    #[arg(long, value_name = "DAYS", default_value_t = 14, requires = "locker_quota",
          value_parser = clap::value_parser!(u16).range(1..=366))]
    pub(crate) locker_days: u16,
    /// Hours after which a delivery to a person is removed to which nothing happened
    #[arg(long, value_name = "1-336", default_value_t = 336,
          value_parser = clap::value_parser!(u16).range(1..=336))]
    pub(crate) delivery_window: u16,
    /// Days after which entries of the audit log are removed; one that stays tells of it [default: none is removed]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub(crate) audit_retention: Option<u32>,
    /// Bytes of the disk that stay free
    #[arg(long, value_name = "SIZE", default_value = "1GiB")]
    pub(crate) keep_free: Size,
    /// Answer collectors of metrics here, in plain HTTP: /metrics, /healthz, /readyz
    #[arg(long, value_name = "ADDR")]
    pub(crate) metrics_listen: Option<String>,
    /// Send mail through this server, as smtps://USER@HOST or smtp://USER@HOST:587 (STARTTLS), so that
    /// people recover lost passwords by themselves [default: no mail is sent]
    #[arg(long, value_name = "URL", requires = "mail_from")]
    pub(crate) mail_server: Option<String>,
    /// With --mail-server: file with the password of its user
    #[arg(long, value_name = "FILE", requires = "mail_server")]
    pub(crate) mail_password_file: Option<PathBuf>,
    /// With --mail-server: whom mail is from, as 'Consign <hub@example.org>'
    #[arg(long, value_name = "ADDRESS", requires = "mail_server")]
    pub(crate) mail_from: Option<String>,
    /// Milliseconds between two collections of garbage; for tests, which cannot wait an hour
    #[arg(long, value_name = "MS", default_value_t = 3_600_000, hide = true)]
    pub(crate) collect_every: u64,
    /// Believe this proxy about where requests come from (may be given several times)
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) trusted_proxy: Vec<IpAddr>,
    /// Most connections at once from one IPv4 address or one IPv6 network of 64 bits [default:
    /// 4096; off behind a proxy, which is --trusted-proxy, or --tls off on a loopback address]
    #[arg(long, value_name = "N|off")]
    pub(crate) connections_per_address: Option<PerAddress>,
}

/// How many there may be from one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PerAddress {
    /// They are not counted.
    Unlimited,
    /// This many.
    AtMost(NonZeroUsize),
}

impl FromStr for PerAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "off" {
            return Ok(Self::Unlimited);
        }
        text.parse().map(Self::AtMost).map_err(|_| "a number from 1, or off")
    }
}

/// How clients recognise a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Recognised {
    /// By its fingerprint.
    Pin,
    /// By the authorities their systems trust.
    Web,
}

#[derive(Debug, Subcommand)]
pub(crate) enum HubCommand {
    /// Copy a hub's data while it runs; only what is new when repeated
    Backup(HubBackupArgs),
    /// Make a hub's data of a backup, and check that it is whole
    Restore(HubRestoreArgs),
    /// Take a hub down for everyone but administrators, while it runs
    Down(HubDownArgs),
    /// Take a hub up again before the time is over
    Up(HubUpArgs),
    /// Say which version of consign is the newest, and the oldest that the hub answers
    Clients(HubClientsArgs),
    /// List the communities at a hub, and remove one whose managers are gone
    Community(HubCommunityArgs),
    /// List what is addressed to people, and end one, as an administrator of the hub
    Deliveries(HubDeliveriesArgs),
}

#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Example:\n  consign hub deliveries\n  consign hub deliveries --end 6f0c8c3a --reason 'by request'\n\n\
                        Who sends to whom, how much, and how it stands. What goes by a code, a ticket or a link\n\
                        is in the hub's memory alone, and is not listed."
)]
pub(crate) struct HubDeliveriesArgs {
    /// Those that are over, too
    #[arg(long)]
    pub(crate) all: bool,
    /// End the one whose id begins so
    #[arg(long, value_name = "ID", conflicts_with = "all")]
    pub(crate) end: Option<String>,
    /// With --end: told to both sides
    #[arg(
        long,
        value_name = "TEXT",
        requires = "end",
        default_value = "ended by an administrator of the hub"
    )]
    pub(crate) reason: String,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  consign hub community list --data /var/lib/consign")]
pub(crate) struct HubCommunityArgs {
    #[command(subcommand)]
    pub(crate) what: HubCommunityCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum HubCommunityCommand {
    /// List them: how many peers, and when a manager was heard of last
    List(HubCommunitiesArgs),
    /// Forget a community at this hub, with its releases, queues and receipts
    Remove(HubRemoveCommunityArgs),
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  consign hub community list --data /var/lib/consign")]
pub(crate) struct HubCommunitiesArgs {
    /// The data directory of the hub, or of any of its front-ends
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
}

#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Example:\n  consign hub community remove \"Plant 7\" --data /var/lib/consign\n\n\
                  For a community whose managers are gone; those who are there end it with \
                  `consign community delete`. Its peers are told that the hub no longer has it."
)]
pub(crate) struct HubRemoveCommunityArgs {
    /// Its name or its id
    pub(crate) community: String,
    #[command(flatten)]
    pub(crate) at: HubCommunitiesArgs,
    /// Do not ask for its name
    #[arg(short, long)]
    pub(crate) yes: bool,
}

#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Example:\n  consign hub down --data /var/lib/consign --minutes 30 --why 'a new disk'\n\n\
                  Clients are told when to come again, one after the other. The hub is up by itself \
                  when the time is over."
)]
pub(crate) struct HubDownArgs {
    /// The data directory of the hub, or of any of its front-ends
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    /// Minutes until it is up again, a week at most
    #[arg(long, value_name = "N", default_value_t = 15)]
    pub(crate) minutes: u64,
    /// Why, for everybody to read
    #[arg(long, value_name = "TEXT")]
    pub(crate) why: String,
}

#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Example:\n  consign hub clients --data /var/lib/consign --newest 0.2.0 \\\n      \
                  --place https://example.org/consign\n\n\
                  Clients are told, and doctor and status tell of it. Without any option it shows what is set; \
                  what is not given stays."
)]
pub(crate) struct HubClientsArgs {
    /// The data directory of the hub, or of any of its front-ends
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    /// The newest version
    #[arg(long, value_name = "VERSION")]
    pub(crate) newest: Option<ClientVersion>,
    /// Where it is to be had
    #[arg(long, value_name = "URL")]
    pub(crate) place: Option<Place>,
    /// The oldest version that the hub answers
    #[arg(long, value_name = "VERSION")]
    pub(crate) minimum: Option<ClientVersion>,
    /// Want nothing of clients any more
    #[arg(long, conflicts_with_all = ["newest", "place", "minimum"])]
    pub(crate) any: bool,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  consign hub up --data /var/lib/consign")]
pub(crate) struct HubUpArgs {
    /// The data directory of the hub, or of any of its front-ends
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  consign hub backup --data /var/lib/consign --to /backup/hub")]
pub(crate) struct HubBackupArgs {
    /// The hub's data directory
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Directory for the backup; one that an earlier run filled is brought up to date
    #[arg(long, value_name = "DIR")]
    pub(crate) to: PathBuf,
}

#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Example:\n  consign hub restore --from /backup/hub --data /var/lib/consign"
)]
pub(crate) struct HubRestoreArgs {
    /// Directory of the backup
    #[arg(long, value_name = "DIR")]
    pub(crate) from: PathBuf,
    /// Directory to make; it must not exist, or be empty
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
}
