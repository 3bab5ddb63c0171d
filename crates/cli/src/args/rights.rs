//! Options of the commands that say who may do what, and for how long.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};
use documents::PublicKey;

#[derive(Debug, Clone, ClapArgs)]
#[command(
    after_help = "Example:\n  consign grant team/tools 3f0c…  (the key `consign id` prints)\n  \
                        consign grant team/tools 3f0c… --publisher"
)]
pub(crate) struct GrantArgs {
    /// Name
    pub(crate) name: String,
    /// Public key of the node
    pub(crate) key: String,
    /// Let it publish releases, too: this node signs for it; its account must be a publisher's
    #[arg(long)]
    pub(crate) publisher: bool,
}

#[derive(Debug, Clone, ClapArgs)]
#[command(after_help = "Example:\n  consign revoke team/tools 3f0c…\n  \
                  consign revoke team/tools 3f0c… --disown  (its key was stolen)")]
pub(crate) struct RevokeArgs {
    /// Name
    pub(crate) name: String,
    /// Public key of the node
    pub(crate) key: String,
    /// Make the releases that it signed count no more; else only new ones are refused
    #[arg(long)]
    pub(crate) disown: bool,
}

#[derive(Debug, Clone, ClapArgs)]
#[command(after_help = "Example:\n  consign grants team/tools")]
pub(crate) struct GrantsArgs {
    /// Name
    pub(crate) name: String,
}

#[derive(Debug, Clone, ClapArgs)]
#[command(
    after_help = "Example:\n  consign token create --label \"build machine\" --name team/tools --publish\n  \
                  consign token list\n  consign token revoke 3"
)]
pub(crate) struct TokenArgs {
    #[command(subcommand)]
    pub(crate) what: TokenCommand,
}

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token for a program that holds no key; it is shown once
    Create(TokenCreateArgs),
    /// List this node's tokens
    List,
    /// End a token, at once
    Revoke(TokenRevokeArgs),
}

#[derive(Debug, Clone, ClapArgs)]
#[command(
    after_help = "Example:\n  consign token create --label \"build machine\" --name team/tools --publish\n  \
                  consign token create --label mirror --days 30 --quiet > token.txt"
)]
pub(crate) struct TokenCreateArgs {
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    pub(crate) label: String,
    /// Good for this name only (may be given several times) [default: all this node may use]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Vec<String>,
    /// May upload and post signed releases, too
    #[arg(long)]
    pub(crate) publish: bool,
    /// Days until it ends
    #[arg(long, value_name = "DAYS", default_value_t = 90, value_parser = clap::value_parser!(u64).range(1..=730))]
    pub(crate) days: u64,
}

#[derive(Debug, Clone, ClapArgs)]
#[command(after_help = "Example:\n  consign token revoke 3")]
pub(crate) struct TokenRevokeArgs {
    /// Number of the token, as `consign token list` shows it
    pub(crate) number: u64,
}

#[derive(Debug, Clone, ClapArgs)]
#[command(
    after_help = "Example:\n  consign keep team/site --last 10 --days 30\n  consign keep team/site --all\n  \
                  consign keep team/site   (shows the rules)\n\n\
                  A release is kept if any rule keeps it; the newest and pinned ones always are."
)]
pub(crate) struct KeepArgs {
    /// Name
    pub(crate) name: String,
    /// Keep this many of the newest releases
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) last: Option<u32>,
    /// Keep releases of so many days
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) days: Option<u32>,
    /// Keep all releases
    #[arg(long, conflicts_with_all = ["last", "days"])]
    pub(crate) all: bool,
}

#[derive(Debug, Clone, ClapArgs)]
#[command(after_help = "Example:\n  consign pin team/site@7\n  consign unpin team/site@7")]
pub(crate) struct PinArgs {
    /// NAME@RELEASE
    pub(crate) release: String,
}

#[derive(Debug, Clone, ClapArgs)]
#[command(after_help = "Example:\n  consign invitation create --role publisher --hours 24\n  \
                  consign invitation list\n  consign invitation revoke 3")]
pub(crate) struct InvitationArgs {
    #[command(subcommand)]
    pub(crate) what: InvitationCommand,
}

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum InvitationCommand {
    /// Make an invitation, from anywhere (administrators); it is shown once
    Create(InvitationCreateArgs),
    /// List invitations that can still be used (administrators)
    List,
    /// Take an invitation back (administrators)
    Revoke(InvitationRevokeArgs),
}

#[derive(Debug, Clone, ClapArgs)]
#[command(
    after_help = "Example:\n  consign invitation create --role reader --read team/tools --uses 20\n  \
                  consign invitation create --role reader --uses 5000 --each-network 10 --hours 8760\n\n\
                  The second is for everybody: show it where people look, and take it back when it is\n\
                  abused. Each network (/24 of IPv4, /64 of IPv6) registers ten nodes a day at most."
)]
pub(crate) struct InvitationCreateArgs {
    /// What the new account may do
    #[arg(long, value_name = "ROLE", default_value = "publisher")]
    pub(crate) role: InvitedRole,
    /// Grant reading of this name (may be given several times)
    #[arg(long, value_name = "NAME")]
    pub(crate) read: Vec<String>,
    /// How many nodes may register with it
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) uses: u32,
    /// How many of them from one network within a day [default: any number]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) each_network: Option<u32>,
    /// Hours until it expires
    #[arg(long, value_name = "HOURS", default_value_t = 72, value_parser = clap::value_parser!(u64).range(1..=8760))]
    pub(crate) hours: u64,
}

/// What an invited account may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum InvitedRole {
    /// Read what it is granted.
    Reader,
    /// Also own names and publish.
    Publisher,
    /// Also administer the hub.
    Administrator,
}

#[derive(Debug, Clone, ClapArgs)]
#[command(after_help = "Example:\n  consign invitation revoke 3")]
pub(crate) struct InvitationRevokeArgs {
    /// Number of the invitation, as `consign invitation list` shows it
    pub(crate) number: u64,
}

#[derive(Debug, Clone, ClapArgs)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Example:\n  consign audit\n  consign audit --last 500 --json\n  consign audit export log.jsonl\n  consign audit verify log.jsonl"
)]
pub(crate) struct AuditArgs {
    #[command(subcommand)]
    pub(crate) command: Option<AuditCommand>,
    /// How many entries, newest first
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(crate) last: usize,
}

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum AuditCommand {
    /// Write the whole log into a file, with what the hub signed of it
    Export(AuditExportArgs),
    /// Check an exported log: that nothing in it was changed, left out or cut off
    Verify(AuditVerifyArgs),
}

#[derive(Debug, Clone, ClapArgs)]
#[command(after_help = "Example:\n  consign audit export log.jsonl")]
pub(crate) struct AuditExportArgs {
    /// A new file, of JSON lines
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

#[derive(Debug, Clone, ClapArgs)]
#[command(
    after_help = "Example:\n  consign audit verify log.jsonl\n  consign audit verify log.jsonl --earlier last-month.jsonl --key 5f0c…"
)]
pub(crate) struct AuditVerifyArgs {
    /// What `consign audit export` wrote
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The key that the hub signs its log with, as an earlier check showed it; several hubs on one
    /// database have one each
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Vec<PublicKey>,
    /// An export made before: what was in it must be in this one
    #[arg(long, value_name = "FILE")]
    pub(crate) earlier: Option<PathBuf>,
}
