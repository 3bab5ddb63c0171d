//! Options of the commands about deliveries.

use std::path::PathBuf;

use clap::Args as ClapArgs;

#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Example:\n  consign send plans/ notes.txt --subject 'The plans' --to ben\n  \
                        consign send plans/ --to ben --to clara\n  \
                        consign send plans/ --ticket-file ticket.txt\n  \
                        consign send plans/ --link\n  \
                        consign send plans/ --link --locker --days 7 --downloads 3\n  \
                        consign send --resume 6f0c8c3a5d1e4b7f9a2b3c4d5e6f7081\n\n\
                        It prints a code of a number and words, and stays until the recipient, who runs\n\
                        `consign receive CODE`, has everything. A code works once; when somebody tries a\n\
                        wrong one of its number it is void, and another is shown. With --ticket it prints a\n\
                        ticket instead: whoever has that can collect the delivery, so hand it on as you\n\
                        would a key. The hub passes on what it cannot read and keeps nothing of it, unless\n\
                        --locker asks it to keep the sealed delivery until the recipient comes: then nobody\n\
                        has to stay. The hub's operator has to allow that."
)]
pub(crate) struct SendDeliveryArgs {
    /// Files and directories
    #[arg(required_unless_present = "resume")]
    pub(crate) paths: Vec<PathBuf>,
    /// A line that the recipient sees first
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(crate) subject: String,
    /// A text for the recipient; `-` reads it from standard input
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(crate) message: String,
    /// Send the message without your signature, which `consign book signature` sets
    #[arg(long, requires = "message")]
    pub(crate) no_signature: bool,
    /// Handle of the recipient at the hub, who needs no code then; several are named by several of these
    #[arg(long, value_name = "HANDLE", conflicts_with_all = ["code_file", "link", "ticket", "ticket_file", "resume"])]
    pub(crate) to: Vec<String>,
    /// Send it although the devices of the recipient said that they have no room for it
    #[arg(long, requires = "to")]
    pub(crate) anyway: bool,
    /// Leave it to the node of this machine, `consign node`, which sends whenever the recipient is there
    #[arg(long, requires = "to")]
    pub(crate) background: bool,
    /// Write the code to a file that only you can read, instead of printing it; another one replaces it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["ticket", "ticket_file"])]
    pub(crate) code_file: Option<PathBuf>,
    /// Print a ticket instead of a code
    #[arg(long)]
    pub(crate) ticket: bool,
    /// Write a ticket, or the link, to a file that only you can read, instead of printing it
    #[arg(long, value_name = "FILE")]
    pub(crate) ticket_file: Option<PathBuf>,
    /// Hand over a link that a browser opens, instead of a code
    #[arg(long, conflicts_with_all = ["code_file", "ticket"])]
    pub(crate) link: bool,
    /// Lock the link with a passphrase, which is asked for
    #[arg(long, requires = "link")]
    pub(crate) passphrase: bool,
    /// Lock the link with the passphrase in a file
    #[arg(long, value_name = "FILE", requires = "link", conflicts_with = "passphrase")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Have the hub keep the delivery, sealed, until it is collected, so that nobody has to stay
    #[arg(long, conflicts_with_all = ["code_file", "resume"])]
    pub(crate) locker: bool,
    /// Let the recipient take it from this machine itself, when they reach it: they learn its address, and everything
    /// else goes through the hub all the same
    #[arg(long, conflicts_with_all = ["locker", "resume"])]
    pub(crate) direct: bool,
    /// With --locker: days after which the hub throws away what was not collected [default: 7]; with --link alone: days
    /// after which the link opens no more [default: while you send]
    #[arg(long, value_name = "N", conflicts_with = "resume", value_parser = clap::value_parser!(u16).range(1..=366))]
    pub(crate) days: Option<u16>,
    /// With --link and --locker: how often it may be downloaded [default: until the first has all of it]
    #[arg(long, value_name = "N", requires = "locker", requires = "link", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) downloads: Option<u32>,
    /// Go on with a delivery that was interrupted; `consign deliveries` lists them
    #[arg(long, value_name = "ID", conflicts_with_all = ["paths", "subject", "message"])]
    pub(crate) resume: Option<String>,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  consign receive 4821-acid-lemon-orbit --to ~/Downloads\n  \
                        consign receive 4821-acid-lemon-orbit --hub https://hub.example:7333\n  \
                        consign receive --yes --to /srv/incoming < ticket.txt\n\n\
                        Needs no account. A code needs the hub that `consign send` named, unless it is the\n\
                        one of this machine; a ticket names its hub itself. Interrupted, it goes on where it\n\
                        was with the same code or ticket. What has a name that is taken gets a number;\n\
                        nothing is overwritten.")]
pub(crate) struct ReceiveArgs {
    /// The code, ticket or link that `consign send` printed; read from standard input, or asked for, when left
    /// out
    #[arg(value_name = "CODE|TICKET|LINK")]
    pub(crate) handed: Option<String>,
    /// Read the passphrase of a locked link from a file, instead of asking for it
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Directory to write into [default: the current directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) to: Option<PathBuf>,
    /// Take everything through the hub: a sender that offers a direct path does not learn the address of this machine
    #[arg(long)]
    pub(crate) relay_only: bool,
    /// Do not ask whether to receive it
    #[arg(long, short)]
    pub(crate) yes: bool,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  consign deliveries\n  consign deliveries --json")]
pub(crate) struct DeliveriesArgs {}

#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Example:\n  consign receipts\n  consign receipts 6f0c8c3a --export plans.receipt\n  \
                        consign receipts --check plans.receipt\n\n\
                        A receipt says which device received what and when, signed by that device. The file of\n\
                        one proves it to anybody, without a hub: compare the identity with the one you know."
)]
pub(crate) struct DeliveryReceiptsArgs {
    /// The one delivery whose id begins so
    #[arg(value_name = "ID")]
    pub(crate) id: Option<String>,
    /// Write its receipt to a file that can be handed on
    #[arg(long, value_name = "FILE", requires = "id")]
    pub(crate) export: Option<PathBuf>,
    /// Verify the file of a receipt, of whomever
    #[arg(long, value_name = "FILE", conflicts_with = "id")]
    pub(crate) check: Option<PathBuf>,
}
