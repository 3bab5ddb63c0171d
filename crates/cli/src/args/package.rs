//! Options of the commands about packages.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};
use community::PeerName;
use package::label::Label;

use super::OrderArgs;

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  consign package init --template application ./hello\n  \
                  consign package check ./hello\n\n\
                  docs/packages.md describes every key of a specification.\n\
                  What was sent and answered is kept in STATE/ledger.sqlite, or where --ledger \
                  URL,\nCONSIGN_LEDGER or `ledger` in the configuration's [global] says: \
                  docs/operations.md.")]
pub(crate) struct PackageArgs {
    #[command(subcommand)]
    pub(crate) what: PackageCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PackageCommand {
    /// Write a specification with comments, and the example that it packs
    Init(InitArgs),
    /// Say what is wrong with a specification, or what the package does
    Check(CheckArgs),
    /// Put everything that a package is into one directory, to be looked at, carried elsewhere, or sent from there
    Build(BuildArgs),
    /// Send a package to the targets of a community
    Send(SendArgs),
    /// Hold a roll-out: no further wave is addressed until it is resumed
    Pause(OrderArgs),
    /// Let a roll-out go on that was paused, or that stopped
    Resume(OrderArgs),
    /// End a roll-out: those whose wave has not come will not get it
    Abort(OrderArgs),
    /// Send targets a release again that they had before
    Rollback(RollbackArgs),
    /// Carry a package out on this machine
    Apply(ApplyArgs),
    /// List what was sent from here, and how it went
    List(ListArgs),
    /// Show a package that was sent: which targets answered, which do not, and since when
    Show(ShowArgs),
    /// Print or export what targets answered
    Receipts(ReceiptsArgs),
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  consign package init\n  \
                  consign package init --template application ./hello\n\n\
                  Nothing that is there is overwritten.")]
pub(crate) struct InitArgs {
    /// What the package is to do
    #[arg(long, value_name = "TEMPLATE", default_value = "files")]
    pub(crate) template: Template,
    /// Directory to write into; it is made if it is not there
    #[arg(value_name = "DIR", default_value = ".")]
    pub(crate) directory: PathBuf,
}

/// What a new specification begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Template {
    /// Places files.
    Files,
    /// Exchanges a whole application, starts its service and goes back when that fails.
    Application,
    /// Changes files among others, keeping what was there.
    Patch,
    /// Runs a script.
    Script,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  consign package check\n  \
                  consign package check ./hello/consign-package.toml --json\n\n\
                  Ends with 2 and names every mistake with its line and column.")]
pub(crate) struct CheckArgs {
    /// Specification, or the directory that it is in
    #[arg(value_name = "FILE", default_value = "consign-package.toml")]
    pub(crate) file: PathBuf,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  consign package build ./hello --to ./hello-1.4\n  \
                  consign package apply ./hello-1.4 --dry-run\n  \
                  consign package send ./hello-1.4\n\n\
                  The same specification and files give the same directory, whenever and by whom it is \
                  built.\nIt is signed and sealed when it is sent.")]
pub(crate) struct BuildArgs {
    /// Specification, or the directory that it is in
    #[arg(value_name = "FILE", default_value = "consign-package.toml")]
    pub(crate) file: PathBuf,
    /// The directory to be made
    #[arg(long, value_name = "DIR")]
    pub(crate) to: PathBuf,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  consign package send ./hello\n  \
                  consign package send ./hello --labels 'site=berlin & !lab' --dry-run\n  \
                  consign package send ./hello --to press-1 --to press-2\n  \
                  consign package send ./hello --canary 2 --wave 25% --pause-between 30m --stop-at 10%\n  \
                  consign package send ./site --watch --settle 1m\n\n\
                  It is in their queues, or those of the first wave, when this returns; who is offline \
                  gets it later, in order.")]
pub(crate) struct SendArgs {
    /// Specification, its directory, or the directory of a built package
    pub(crate) path: PathBuf,
    #[command(flatten)]
    pub(crate) whom: WhomArgs,
    /// Send it again whenever its files have changed, until it is interrupted
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) watch: bool,
    /// With --watch: how long nothing may have changed before it is sent
    #[arg(long, value_name = "TIME", default_value = "10s", requires = "watch")]
    pub(crate) settle: super::Span,
    #[command(flatten)]
    pub(crate) staging: super::StagingArgs,
}

/// Whom a release is for, and how long.
#[derive(Debug, ClapArgs)]
pub(crate) struct WhomArgs {
    /// Which community, by its id or name [default: the only one this node knows]
    #[arg(long, value_name = "COMMUNITY")]
    pub(crate) community: Option<String>,
    /// Only this target (may be given several times) [default: all]
    #[arg(long, value_name = "PEER", conflicts_with = "labels")]
    pub(crate) to: Vec<String>,
    /// Only targets whose labels fit, as in 'site=berlin & !lab'
    #[arg(long, value_name = "EXPRESSION")]
    pub(crate) labels: Option<String>,
    /// Show who would get it and how much it is, and send nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Days within which targets take it
    #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3650))]
    pub(crate) valid: u64,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  consign package rollback 6 --dry-run\n  \
                  consign package rollback 6 --labels site=berlin\n\n\
                  It is a new release with the content of the old one, which the hub must still have, \
                  for those who\nwere sent a later one of the same package. Roll-outs of those end.")]
pub(crate) struct RollbackArgs {
    /// Number of the release to go back to
    #[arg(value_name = "SEQUENCE", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) sequence: u64,
    #[command(flatten)]
    pub(crate) whom: WhomArgs,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  consign package apply ./hello --dry-run\n  \
                  consign package apply ./hello --yes --label site=berlin\n\n\
                  Ends with 0 when the package passed or is not for this machine, with 1 when it \
                  failed.\nAfter an interruption the same command goes on where it stopped.")]
pub(crate) struct ApplyArgs {
    /// Specification, its directory, or the directory of a built package
    pub(crate) path: PathBuf,
    /// Show what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask first
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// A label of this machine, for conditions (may be given several times)
    #[arg(long, value_name = "KEY[=VALUE]")]
    pub(crate) label: Vec<Label>,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  consign package list\n  \
                  consign package list --name tools --last 5 --json")]
pub(crate) struct ListArgs {
    /// How many packages, newest first
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) last: u32,
    /// Only packages of this name
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Only packages for this community, by its id or name
    #[arg(long, value_name = "COMMUNITY")]
    pub(crate) community: Option<String>,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  consign package show tools\n  \
                  consign package show 7 --pending")]
pub(crate) struct ShowArgs {
    /// Name of the package, of which the newest is shown, or number of the release
    #[arg(value_name = "NAME|SEQUENCE")]
    pub(crate) package: String,
    /// Only targets that have not answered
    #[arg(long)]
    pub(crate) pending: bool,
    /// Only packages for this community, by its id or name
    #[arg(long, value_name = "COMMUNITY")]
    pub(crate) community: Option<String>,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  consign package receipts 7\n  \
                  consign package receipts --peer web-001\n  \
                  consign package receipts --format csv --output receipts.csv\n  \
                  consign package receipts 7 --steps --format jsonl\n\n\
                  docs/operations.md describes the columns.")]
pub(crate) struct ReceiptsArgs {
    /// Number of the release; all of them without it
    #[arg(value_name = "SEQUENCE", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) sequence: Option<u64>,
    /// Only of packages of this name
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Only of this peer
    #[arg(long, value_name = "NAME")]
    pub(crate) peer: Option<PeerName>,
    /// Only of this community, by its id or name
    #[arg(long, value_name = "COMMUNITY")]
    pub(crate) community: Option<String>,
    /// For people, for spreadsheets, or without any loss
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: ExportFormat,
    /// With csv and jsonl: a row for each step with its outputs, not for each target
    #[arg(long)]
    pub(crate) steps: bool,
    /// With csv and jsonl: write to this file, which is replaced once all is written
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// How receipts are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// For people; with --json facts.
    Text,
    /// For spreadsheets.
    Csv,
    /// One JSON object a line.
    Jsonl,
}
