//! The command line, as `--help` shows it.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand};

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
    Hub(HubArgs),
    /// Show publishing and fetching on real content, with a hub and three nodes
    Demo(DemoArgs),
    /// Print this node's public key
    Id,
    /// Make an invitation to a hub on this machine
    Invite(InviteArgs),
    /// Register this node with a hub
    Register(RegisterArgs),
    /// Publish a file or directory as the next release of a name
    Publish(PublishArgs),
    /// Write a release or tree into a directory
    Get(GetArgs),
    /// Let a node read the private releases of a name
    Grant(GrantArgs),
    /// Take back what `grant` gave
    Revoke(GrantArgs),
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
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  consign hub --data /var/lib/consign --listen 0.0.0.0:7400")]
pub(crate) struct HubArgs {
    /// Where the hub keeps its database, chunks and keys
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Address and port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7400")]
    pub(crate) listen: String,
    /// Certificate: `self` makes one, `off` is plain HTTP (behind a proxy), or CERT,KEY files
    #[arg(long, value_name = "self|off|CERT,KEY", default_value = "self")]
    pub(crate) tls: String,
    /// Address that invitations name, when it is not the one listened on
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  consign demo\n  consign demo ./photos --keep")]
pub(crate) struct DemoArgs {
    /// What to publish [default: the Rust toolchain's lib folder, else the current directory]
    pub(crate) path: Option<PathBuf>,
    /// Leave the hub running and the files in place
    #[arg(long)]
    pub(crate) keep: bool,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  consign invite --data /var/lib/consign --read team/tools")]
pub(crate) struct InviteArgs {
    /// The hub's data directory
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
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
    /// Trust this publisher for the name from now on
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
#[command(after_help = "Example:\n  consign grant team/tools 3f0c…  (the key `consign id` prints)")]
pub(crate) struct GrantArgs {
    /// Name
    pub(crate) name: String,
    /// Public key of the reader's node
    pub(crate) reader: String,
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn every_command_is_well_formed_and_has_an_example() {
        let mut command = super::Args::command();
        command.clone().debug_assert();
        command.build();
        for sub in command.get_subcommands().filter(|sub| !matches!(sub.get_name(), "id" | "help"))
        {
            let help = sub.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Example:"), "{} has no example", sub.get_name());
        }
    }
}
