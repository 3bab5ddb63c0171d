//! The command line, as `--help` shows it.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand};

use crate::database::DatabaseArgs;
use crate::size::Size;

mod community;
mod delivery;
mod hub;
mod local;
mod package;
mod people;
mod rights;
mod rollout;

pub(crate) use self::community::{
    AddressArgs, ApproveArgs, CommunityArgs, CommunityCommand, CommunityConsoleArgs, CreateArgs,
    DeleteArgs, DescribeArgs, Described, JoinArgs, LabelArgs, ManagerCommand, OpenArgs,
    PeerAddArgs, PeerCommand, PeerNameArgs, PeerRole, ProposalCommand, ProposalFile, RelayArgs,
    RoleArgs, RouteArgs, SeedArgs, SignArgs,
};
pub(crate) use self::delivery::{
    DeliveriesArgs, DeliveryReceiptsArgs, ReceiveArgs, SendDeliveryArgs,
};
pub(crate) use self::hub::{
    HubArgs, HubBackupArgs, HubClientsArgs, HubCommand, HubCommunityArgs, HubCommunityCommand,
    HubDeliveriesArgs, HubDownArgs, HubRemoveCommunityArgs, HubRestoreArgs, HubUpArgs, PerAddress,
    Recognised,
};
pub(crate) use self::local::{ConfigArgs, ConfigCommand};
pub(crate) use self::package::{
    ApplyArgs, BuildArgs, CheckArgs, ExportFormat, InitArgs, ListArgs, PackageArgs, PackageCommand,
    ReceiptsArgs, RollbackArgs, SendArgs, ShowArgs, Template,
};
pub(crate) use self::people::{
    AcceptArgs, AccountArgs, AccountChangeArgs, AccountCommand, AccountCreateArgs,
    AccountLoginArgs, AccountRecoverArgs, AccountResetArgs, BlockArgs, BookAddArgs, BookArgs,
    BookCommand, InboxArgs, OutboxArgs, PolicyWord, RefuseArgs, TerminateArgs,
};
pub(crate) use self::rights::{
    AuditArgs, AuditCommand, AuditExportArgs, AuditVerifyArgs, GrantArgs, GrantsArgs,
    InvitationArgs, InvitationCommand, InvitationCreateArgs, InvitedRole, KeepArgs, PinArgs,
    RevokeArgs, TokenArgs, TokenCommand, TokenCreateArgs,
};
pub(crate) use self::rollout::{OrderArgs, Span, StagingArgs};

/// Carry content to people and machines: verified, resumable, only what changed.
#[derive(Debug, Parser)]
#[command(
    name = "consign",
    version,
    after_help = "Example:\n  consign demo                    see the whole thing work\n  \
                  consign publish ./site team/site --public\n  consign get team/site --to ./copy\n\n\
                  Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done in part (something was left \
                  out),\n4 not found, 5 not allowed, 6 content or signature refused, 7 unreachable, \
                  8 in use, 9 no space,\n130 interrupted (running the command again goes on)."
)]
pub(crate) struct Args {
    /// Directory with this node's key and memory [default: $XDG_STATE_HOME/consign]
    #[arg(long, global = true, env = "CONSIGN_STATE", value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// Hub to speak to [default: the first one registered with]
    #[arg(long, global = true, env = "CONSIGN_HUB", value_name = "URL")]
    pub(crate) hub: Option<String>,
    /// Database of what was sent, as in postgres://USER@HOST/DATABASE or sqlite:PATH [default:
    /// ledger.sqlite in --state]
    #[arg(
        long,
        global = true,
        env = crate::ledger::VARIABLE,
        hide_env_values = true,
        hide = true,
        value_name = "URL"
    )]
    pub(crate) ledger: Option<String>,
    /// Proxy to reach hubs through, as in http://HOST:PORT, or `none` [default: what HTTPS_PROXY,
    /// HTTP_PROXY, ALL_PROXY and NO_PROXY say]
    #[arg(
        long,
        global = true,
        env = crate::proxy::VARIABLE,
        hide_env_values = true,
        hide = true,
        value_name = "URL"
    )]
    pub(crate) proxy: Option<String>,
    /// File whose first line is NAME:PASSWORD for --proxy
    #[arg(
        long,
        global = true,
        env = "CONSIGN_PROXY_CREDENTIALS",
        hide = true,
        value_name = "FILE"
    )]
    pub(crate) proxy_credentials: Option<PathBuf>,
    /// Read this configuration file instead of $XDG_CONFIG_HOME/consign/config.toml and
    /// /etc/consign/config.toml
    #[arg(long, global = true, env = "CONSIGN_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// One JSON object per line on standard output
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// No progress and no remarks
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a hub
    Hub(Box<HubArgs>),
    /// Show publishing and fetching on real content, with a hub and three nodes
    Demo(DemoArgs),
    /// Print this node's public key
    #[command(after_help = "Example:\n  consign id")]
    Id,
    /// Make an invitation to a hub on this machine
    Invite(InviteArgs),
    /// Make a link that signs in to the console of a hub on this machine
    Console(ConsoleArgs),
    /// Register this node with a hub
    Register(RegisterArgs),
    /// Publish a file or directory as the next release of a name
    Publish(PublishArgs),
    /// Write a release or tree into a directory
    Get(GetArgs),
    /// Send files and directories to a person
    Send(SendDeliveryArgs),
    /// Collect a delivery that somebody sends
    Receive(ReceiveArgs),
    /// List what was sent from here
    Deliveries(DeliveriesArgs),
    /// List the signed receipts of what was sent and received here, and verify them
    Receipts(DeliveryReceiptsArgs),
    /// List what people sent to this account
    Inbox(InboxArgs),
    /// List what this account sent to people
    Outbox(OutboxArgs),
    /// Receive a delivery from the inbox, or let a sender in
    Accept(AcceptArgs),
    /// Refuse a delivery, or a sender who waits to be let in
    Refuse(RefuseArgs),
    /// Let somebody in no more
    Block(BlockArgs),
    /// End a delivery that this account sends
    Terminate(TerminateArgs),
    /// Keep contacts, and say who is let in
    Book(BookArgs),
    /// Let a node read the private releases of a name, or publish under it
    Grant(GrantArgs),
    /// Take back what `grant` gave
    Revoke(RevokeArgs),
    /// List who may do what with a name
    Grants(GrantsArgs),
    /// Make, list and revoke tokens for programs that hold no key
    Token(TokenArgs),
    /// Say which releases of a name the hub keeps
    Keep(KeepArgs),
    /// Keep a release whatever `keep` says
    Pin(PinArgs),
    /// Take back what `pin` did
    Unpin(PinArgs),
    /// Have a handle at a hub, and devices of one's own
    Account(AccountArgs),
    /// Make, list and take back invitations (administrators)
    Invitation(InvitationArgs),
    /// Show who changed what at the hub (administrators)
    Audit(AuditArgs),
    /// List a tree, or the names at a hub
    Ls(LsArgs),
    /// Print a file of a tree
    Cat(CatArgs),
    /// Show what changed between two trees
    Diff(DiffArgs),
    /// List the releases of a name
    Log(LogArgs),
    /// Keep a file or directory in this machine's store
    Put(PutArgs),
    /// Check everything this machine's store holds against its hashes
    Verify(VerifyArgs),
    /// Remove chunks nothing here needs
    Gc(GcArgs),
    /// Show what this machine's store holds
    Stats(StatsArgs),
    /// Be the node of this machine: own its store, serve commands, follow names
    Node(NodeArgs),
    /// Follow the releases of a name into a directory, each made current in one step
    Watch(WatchArgs),
    /// Show what runs, what waits and for what, and how to go on
    Status(StatusArgs),
    /// Create a community and say who belongs to it
    Community(CommunityArgs),
    /// Make this machine a peer of a community
    Join(JoinArgs),
    /// Specify packages, send them to machines, and carry them out
    Package(PackageArgs),
    /// Find what is wrong around this node, and say what to do
    Doctor(DoctorArgs),
    /// Show or check the configuration
    Config(ConfigArgs),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
    /// Write the manual pages
    #[command(hide = true)]
    Man(ManArgs),
    /// Become the hook of a watch
    #[command(hide = true)]
    RunHook(RunHookArgs),
    /// Run the script of a package, as `package apply` asks for on standard input
    #[command(hide = true, after_help = "Example:\n  consign run-script")]
    RunScript,
}

impl Command {
    /// The file with a capability that was named.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others take none")]
    pub(crate) fn capability_file(&self) -> Option<&PathBuf> {
        let sealed = match self {
            Self::Get(args) => &args.sealed,
            Self::Ls(args) => &args.sealed,
            Self::Cat(args) => &args.sealed,
            Self::Diff(args) => &args.sealed,
            Self::Watch(args) => &args.sealed,
            Self::Publish(args) => return args.capability.as_ref(),
            _ => return None,
        };
        sealed.capability.as_ref()
    }

    /// Whether it shows progress while it moves, not only why it stands still.
    pub(crate) fn shows_progress(&self) -> bool {
        matches!(self, Self::Publish(_) | Self::Get(_) | Self::Put(_))
    }
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  consign node\n  consign node --cache 20G\n\n\
                        Commands find it by its state directory and let it do their work.")]
pub(crate) struct NodeArgs {
    /// Keep the store below this, as 20G; the longest not used goes, never what `put` keeps
    /// [default: no bound]
    #[arg(long, value_name = "SIZE")]
    pub(crate) cache: Option<Size>,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  consign watch team/site --to /srv/site --keep 3\n  \
                        consign watch team/site --to /srv/site --hook 'systemctl reload nginx'\n  \
                        consign watch team/site --to /srv/site --to-release 4\n  \
                        consign watch --list\n\n\
                        DIR/current is the newest release, DIR/releases/N those that are kept.")]
pub(crate) struct WatchArgs {
    /// Name, as in team/site
    #[arg(required_unless_present_any = ["list", "remove"])]
    pub(crate) name: Option<String>,
    /// Directory to follow into
    #[arg(long, value_name = "DIR", required_unless_present_any = ["list", "remove"])]
    pub(crate) to: Option<PathBuf>,
    /// How many releases stay on disk
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) keep: u32,
    /// Run this with /bin/sh after a release has become current
    #[arg(long, value_name = "CMD")]
    pub(crate) hook: Option<String>,
    /// Seconds the hook may take
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    pub(crate) hook_timeout: u64,
    /// When the hook fails, make the release before current again
    #[arg(long, requires = "hook")]
    pub(crate) rollback: bool,
    /// Make DIR/current a plain directory that is exchanged, not a link
    #[arg(long)]
    pub(crate) exchange: bool,
    /// Make the newest release current and end
    #[arg(long)]
    pub(crate) once: bool,
    /// Make this release current and stay there until --follow
    #[arg(long, value_name = "N", conflicts_with = "follow", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) to_release: Option<u64>,
    /// Follow again after --to-release
    #[arg(long)]
    pub(crate) follow: bool,
    /// Show what the running node follows
    #[arg(long, conflicts_with_all = ["name", "remove"])]
    pub(crate) list: bool,
    /// Follow into this directory no more
    #[arg(long, value_name = "DIR", conflicts_with = "name")]
    pub(crate) remove: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) sealed: SealedArgs,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  consign run-hook 'systemctl reload nginx'")]
pub(crate) struct RunHookArgs {
    /// The line for the shell
    #[arg(allow_hyphen_values = true)]
    pub(crate) command: std::ffi::OsString,
}

#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Example:\n  consign demo\n  consign demo ./photos --keep\n  consign demo community\n  \
                        consign demo delivery",
    args_conflicts_with_subcommands = true
)]
pub(crate) struct DemoArgs {
    #[command(subcommand)]
    pub(crate) what: Option<DemoCommand>,
    /// What to publish [default: the Rust toolchain's lib folder, else the current directory]
    pub(crate) path: Option<PathBuf>,
    /// Leave the hub running and the files in place
    #[arg(long)]
    pub(crate) keep: bool,
}

/// What else can be shown.
#[derive(Debug, Clone, Copy, Subcommand)]
pub(crate) enum DemoCommand {
    /// Show packages on five machines: one off, one killed, one whose script fails
    #[command(
        after_help = "Example:\n  consign demo community\n  consign demo community --console"
    )]
    Community {
        /// Show it in a browser afterwards, until interrupted; at a terminal it does so in any case
        #[arg(long)]
        console: bool,
    },
    /// Show a folder on its way to a person: the recipient killed twice, the hub once
    #[command(after_help = "Example:\n  consign demo delivery")]
    Delivery,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  consign invite --data /var/lib/consign --read team/tools")]
pub(crate) struct InviteArgs {
    /// The hub's data directory
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    /// May only read
    #[arg(long)]
    pub(crate) reader: bool,
    /// Grant reading of this name (may be given several times)
    #[arg(long, value_name = "NAME")]
    pub(crate) read: Vec<String>,
    /// Hours until the invitation expires
    #[arg(long, value_name = "HOURS", default_value_t = 72)]
    pub(crate) valid: u64,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  consign console --data /var/lib/consign\n\n\
                        The link works once, within ten minutes, while the hub runs. Whoever opens it\n\
                        first administers the hub for eight hours: hand it to nobody else.")]
pub(crate) struct ConsoleArgs {
    /// The hub's data directory
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  consign register consign-invite-1:pGN1cmw…\n  \
                        consign register < invitation.txt")]
pub(crate) struct RegisterArgs {
    /// What `consign invite` printed; read from standard input when left out
    pub(crate) invitation: Option<String>,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  consign publish ./site team/site --public\n  \
                        consign publish --sealed ./papers me/papers")]
pub(crate) struct PublishArgs {
    /// File or directory
    pub(crate) path: PathBuf,
    /// Name, as in team/tools
    pub(crate) name: String,
    /// Anybody who reaches the hub may read
    #[arg(long)]
    pub(crate) public: bool,
    /// Encrypt names and contents; the hub sees only sizes
    #[arg(long)]
    pub(crate) sealed: bool,
    /// Write the capability that opens sealed releases to a file instead of printing it
    #[arg(long, value_name = "FILE", requires = "sealed")]
    pub(crate) capability_file: Option<PathBuf>,
    /// File with the capability of a name that belongs to somebody else; asked for on a terminal
    /// when left out
    #[arg(long, value_name = "FILE", requires = "sealed")]
    pub(crate) capability: Option<PathBuf>,
    /// Read every file again, changed or not
    #[arg(long)]
    pub(crate) reread: bool,
    /// Record numeric owners
    #[arg(long)]
    pub(crate) owners: bool,
    /// Days the release counts as current
    #[arg(long, value_name = "DAYS", default_value_t = 365)]
    pub(crate) valid: u64,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct SealedArgs {
    /// File with the capability of a sealed release; asked for on a terminal when left out
    #[arg(long, value_name = "FILE")]
    pub(crate) capability: Option<PathBuf>,
    /// Trust this key as the owner of the name from now on
    #[arg(long, value_name = "KEY")]
    pub(crate) publisher: Option<String>,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  consign get team/site --to ./site\n  \
                        consign get team/site@3 --to ./old --only 'docs/**'")]
pub(crate) struct GetArgs {
    /// NAME, NAME@RELEASE or a tree id
    pub(crate) tree: String,
    /// Directory to write into [default: the last part of the name]
    #[arg(long, value_name = "DIR")]
    pub(crate) to: Option<PathBuf>,
    /// Only paths that match (may be given several times)
    #[arg(long, value_name = "GLOB")]
    pub(crate) only: Vec<String>,
    /// Fetch from here too: another hub, a store, or any folder with some of the files (may be
    /// given several times); whatever a source says is checked
    #[arg(long, value_name = "URL|DIR")]
    pub(crate) source: Vec<String>,
    /// Restore recorded owners (needs root)
    #[arg(long)]
    pub(crate) owners: bool,
    #[command(flatten)]
    pub(crate) sealed: SealedArgs,
}

#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Example:\n  consign ls\n  consign ls team/site docs\n  consign ls team/site -R"
)]
pub(crate) struct LsArgs {
    /// NAME, NAME@RELEASE or a tree id; without it the names at the hub
    pub(crate) tree: Option<String>,
    /// Path in the tree
    pub(crate) path: Option<PathBuf>,
    /// All levels
    #[arg(long, short = 'R')]
    pub(crate) recursive: bool,
    #[command(flatten)]
    pub(crate) sealed: SealedArgs,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  consign cat team/site index.html\n  \
                        consign cat team/disk image.raw --range 1048576-2097151")]
pub(crate) struct CatArgs {
    /// NAME, NAME@RELEASE or a tree id
    pub(crate) tree: String,
    /// Path of the file in the tree
    pub(crate) path: PathBuf,
    /// Bytes FIRST-LAST, both included; LAST may be left out
    #[arg(long, value_name = "FIRST-LAST")]
    pub(crate) range: Option<String>,
    #[command(flatten)]
    pub(crate) sealed: SealedArgs,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  consign diff team/site@1 team/site@2")]
pub(crate) struct DiffArgs {
    /// The earlier tree
    pub(crate) before: String,
    /// The later tree
    pub(crate) after: String,
    #[command(flatten)]
    pub(crate) sealed: SealedArgs,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  consign log team/site")]
pub(crate) struct LogArgs {
    /// Name
    pub(crate) name: String,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  consign put ./photos")]
pub(crate) struct PutArgs {
    /// File or directory
    pub(crate) path: PathBuf,
    /// Read every file again, changed or not
    #[arg(long)]
    pub(crate) reread: bool,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  consign verify\n  consign verify --sample 10")]
pub(crate) struct VerifyArgs {
    /// Check only this many of a thousand frames
    #[arg(long, value_name = "PER_THOUSAND", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) sample: Option<u32>,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  consign gc --grace 0")]
pub(crate) struct GcArgs {
    /// Keep chunks younger than this many hours
    #[arg(long, value_name = "HOURS", default_value_t = 24)]
    pub(crate) grace: u64,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  consign stats --json")]
pub(crate) struct StatsArgs {}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  consign status\n  consign status --json")]
pub(crate) struct StatusArgs {}

#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Example:\n  consign doctor\n  consign doctor --only hub-port-closed --json\n\n\
                        Ends with 1 when something fails. docs/doctor.md explains every code."
)]
pub(crate) struct DoctorArgs {
    /// Only this check (may be given several times)
    #[arg(long, value_name = "CODE")]
    pub(crate) only: Vec<String>,
    /// Repair what can be repaired without losing anything
    #[arg(long)]
    pub(crate) fix: bool,
    /// Show what is well, too
    #[arg(long)]
    pub(crate) all: bool,
    /// Look at this destination [default: the current directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) to: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  consign completions bash > /etc/bash_completion.d/consign\n  \
                  consign completions fish > ~/.config/fish/completions/consign.fish")]
pub(crate) struct CompletionsArgs {
    /// Which shell
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  consign man --to /usr/share/man/man1")]
pub(crate) struct ManArgs {
    /// Directory to write them into
    #[arg(long, value_name = "DIR")]
    pub(crate) to: PathBuf,
}

#[cfg(test)]
mod tests;
