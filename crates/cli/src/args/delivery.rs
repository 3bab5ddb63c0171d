//! Options of the commands about deliveries.

use std::path::PathBuf;

use clap::Args as ClapArgs;

#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Example:\n  consign send plans/ notes.txt --subject 'The plans' --to ben\n  \
                        consign send plans/ --ticket-file ticket.txt\n  \
                        consign send --resume 6f0c8c3a5d1e4b7f9a2b3c4d5e6f7081\n\n\
                        It prints a ticket and stays until the recipient, who runs `consign receive`, has\n\
                        everything. Whoever has the ticket can collect the delivery: hand it on as you\n\
                        would a key. The hub passes on what it cannot read and keeps nothing of it."
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
    /// Handle of the recipient at the hub, who needs no ticket then
    #[arg(long, value_name = "HANDLE", conflicts_with_all = ["ticket_file", "resume"])]
    pub(crate) to: Option<String>,
    /// Leave it to the node of this machine, `consign node`, which sends whenever the recipient is there
    #[arg(long, requires = "to")]
    pub(crate) background: bool,
    /// Write the ticket to a file that only you can read, instead of printing it
    #[arg(long, value_name = "FILE")]
    pub(crate) ticket_file: Option<PathBuf>,
    /// Go on with a delivery that was interrupted; `consign deliveries` lists them
    #[arg(long, value_name = "ID", conflicts_with_all = ["paths", "subject", "message"])]
    pub(crate) resume: Option<String>,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  consign receive --to ~/Downloads < ticket.txt\n  \
                        consign receive --yes --to /srv/incoming < ticket.txt\n\n\
                        Needs no account. Interrupted, it goes on where it was with the same ticket. What has\n\
                        a name that is taken gets a number; nothing is overwritten.")]
pub(crate) struct ReceiveArgs {
    /// What `consign send` printed; read from standard input, or asked for, when left out
    pub(crate) ticket: Option<String>,
    /// Directory to write into [default: the current directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) to: Option<PathBuf>,
    /// Do not ask whether to receive it
    #[arg(long, short)]
    pub(crate) yes: bool,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  consign deliveries\n  consign deliveries --json")]
pub(crate) struct DeliveriesArgs {}
