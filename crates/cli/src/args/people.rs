//! Options of the commands about people.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};

use super::DatabaseArgs;

#[derive(Debug, Clone, ClapArgs)]
#[command(after_help = "Example:\n  consign account create anna --first-name Anna\n  \
                        consign account login anna        (on another device)\n  \
                        consign account approve < line.txt\n  consign account show\n\n\
                        An account has a handle, a password and devices. A device that logs in prints a line,\n\
                        and another device of the same account approves it with that line.")]
pub(crate) struct AccountArgs {
    #[command(subcommand)]
    pub(crate) what: AccountCommand,
}

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum AccountCommand {
    /// Choose a handle and a password at a hub where this device is registered
    Create(AccountCreateArgs),
    /// Make this device one of an account, with its handle and password
    Login(AccountLoginArgs),
    /// Show this account and its devices
    #[command(after_help = "Example:\n  consign account show\n  consign account show --json")]
    Show,
    /// Change what others, and administrators, see of you
    Change(AccountChangeArgs),
    /// Approve a device that logged in, by the line that it printed
    Approve(AccountApproveArgs),
    /// Take a device off the account, and log it out for good
    Remove(AccountRemoveArgs),
    /// Change the password
    #[command(after_help = "Example:\n  consign account password\n  \
                            printf '%s\\n' \"$OLD\" \"$NEW\" | consign account password")]
    Password,
    /// Choose another password with a code by mail, when the old one is lost
    Recover(AccountRecoverArgs),
    /// Give somebody another password, on the hub's own machine; their devices are logged out for good
    Reset(AccountResetArgs),
    /// List all keys that are registered with the hub (administrators)
    #[command(after_help = "Example:\n  consign account list")]
    List,
    /// Revoke a key, at once and for good (administrators)
    Revoke(AccountRevokeArgs),
}

#[derive(Debug, Clone, ClapArgs)]
#[command(
    after_help = "Example:\n  consign account create anna --first-name Anna --last-name Meier\n  \
                        consign account create anna --device laptop < password.txt\n\n\
                        The password is asked for, or read from standard input: at least 8 characters."
)]
pub(crate) struct AccountCreateArgs {
    /// What others call you: 3 to 32 of a-z, 0-9 and ._- , the first a letter
    pub(crate) handle: String,
    /// First name; other people of the hub see it
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(crate) first_name: String,
    /// Last name; other people of the hub see it
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(crate) last_name: String,
    /// Where you work; other people of the hub see it
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(crate) organisation: String,
    /// E-mail address; administrators of the hub see it
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(crate) email: String,
    /// Postal address; administrators of the hub see it
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(crate) address: String,
    /// What this device is called [default: the name of this machine]
    #[arg(long, value_name = "NAME")]
    pub(crate) device: Option<String>,
}

#[derive(Debug, Clone, ClapArgs)]
#[command(
    after_help = "Example:\n  consign account change --last-name Meier --organisation 'The orchestra'\n  \
                        consign account change --email anna@example.org < password.txt\n\n\
                        What is not named stays; '' takes it away. Another e-mail address takes the password, which is\n\
                        asked for or read from standard input: codes for lost passwords go there."
)]
#[group(required = true, multiple = true)]
pub(crate) struct AccountChangeArgs {
    /// First name; other people of the hub see it
    #[arg(long, value_name = "TEXT")]
    pub(crate) first_name: Option<String>,
    /// Last name; other people of the hub see it
    #[arg(long, value_name = "TEXT")]
    pub(crate) last_name: Option<String>,
    /// Where you work; other people of the hub see it
    #[arg(long, value_name = "TEXT")]
    pub(crate) organisation: Option<String>,
    /// E-mail address; administrators of the hub see it
    #[arg(long, value_name = "TEXT")]
    pub(crate) email: Option<String>,
    /// Postal address; administrators of the hub see it
    #[arg(long, value_name = "TEXT")]
    pub(crate) address: Option<String>,
}

#[derive(Debug, Clone, ClapArgs)]
#[command(after_help = "Example:\n  consign account login anna --hub https://hub.example\n  \
                        consign account login anna --hub 'https://hub.example:7333#9f86d081884c7d65…'\n  \
                        consign account login anna --device laptop < password.txt > line.txt\n\n\
                        The second --hub is what `consign account show` tells on a device of the account; a hub whose\n\
                        certificate an authority vouches for needs no more than its URL.\n\
                        It prints a line. `consign account approve` on another device of the account takes it.")]
pub(crate) struct AccountLoginArgs {
    /// Handle of the account
    pub(crate) handle: String,
    /// What this device is called [default: the name of this machine]
    #[arg(long, value_name = "NAME")]
    pub(crate) device: Option<String>,
}

#[derive(Debug, Clone, ClapArgs)]
#[command(after_help = "Example:\n  consign account recover anna\n  \
                        consign account recover anna --code\n  \
                        printf '%s\\n' \"$CODE\" \"$NEW\" | consign account recover anna --code\n\n\
                        The first sends a code to the mail address of the account, if the hub sends mail; the second\n\
                        takes it within the hour. Approved devices stay as they are.")]
pub(crate) struct AccountRecoverArgs {
    /// Handle of the account
    pub(crate) handle: String,
    /// The code has come: ask for it and for the new password
    #[arg(long)]
    pub(crate) code: bool,
}

#[derive(Debug, Clone, ClapArgs)]
#[command(
    after_help = "Example:\n  consign account approve < line.txt\n  consign account approve consign-device-1:…"
)]
pub(crate) struct AccountApproveArgs {
    /// What the new device printed; read from standard input when left out
    pub(crate) line: Option<String>,
}

#[derive(Debug, Clone, ClapArgs)]
#[command(
    after_help = "Example:\n  consign account remove laptop\n  consign account remove 3f0c9d21"
)]
pub(crate) struct AccountRemoveArgs {
    /// Name of the device, or the beginning of its key
    pub(crate) device: String,
}

#[derive(Debug, Clone, ClapArgs)]
#[command(after_help = "Example:\n  consign account reset anna --data /var/lib/consign\n\n\
                        For whoever lost the password or all devices. It prints a new password. Whoever logs in\n\
                        with it first begins a new list of devices: contacts are told that it is somebody else,\n\
                        and decide with `consign book trust`. What waited for them ends.")]
pub(crate) struct AccountResetArgs {
    /// Handle
    pub(crate) handle: String,
    /// The hub's data directory
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
}

#[derive(Debug, Clone, ClapArgs)]
#[command(after_help = "Example:\n  consign account revoke 3f0c…")]
pub(crate) struct AccountRevokeArgs {
    /// Public key of the account
    pub(crate) key: String,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  consign inbox\n  consign inbox --follow\n\n\
                        `consign accept ID` receives one. Those of senders who are no contacts wait until\n\
                        `consign accept HANDLE` lets the sender in.")]
pub(crate) struct InboxArgs {
    /// Those that are over, too
    #[arg(long)]
    pub(crate) all: bool,
    /// Stay, and say what comes and goes on until interrupted; meanwhile you are online
    #[arg(long)]
    pub(crate) follow: bool,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  consign outbox\n  consign outbox --all")]
pub(crate) struct OutboxArgs {
    /// Those that are over, too
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Example:\n  consign accept 6f0c8c3a --to ~/Downloads\n  consign accept ben\n\n\
                        With the id of a delivery it receives it; interrupted, the same command goes on. With a\n\
                        handle it makes a contact of somebody who waits for it."
)]
pub(crate) struct AcceptArgs {
    /// The beginning of a delivery's id, or the handle of a sender
    pub(crate) what: String,
    /// Directory to write into [default: the current directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) to: Option<PathBuf>,
    /// Take everything through the hub: a sender that offers a direct path does not learn the address of this machine
    #[arg(long)]
    pub(crate) relay_only: bool,
}

#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Example:\n  consign refuse 6f0c8c3a --reason 'wrong version'\n  consign refuse ben"
)]
pub(crate) struct RefuseArgs {
    /// The beginning of a delivery's id, or the handle of a sender
    pub(crate) what: String,
    /// Why, for the sender of a delivery
    #[arg(long, value_name = "TEXT", default_value = "the recipient does not want it")]
    pub(crate) reason: String,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  consign block mallory\n\n\
                        What they sent ends; they are not told. `consign book add` lets them in again.")]
pub(crate) struct BlockArgs {
    /// Handle
    pub(crate) handle: String,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  consign terminate 6f0c8c3a --reason 'sent by mistake'\n\n\
                        Also of what went by a link, a ticket or a code: `consign deliveries` lists those.")]
pub(crate) struct TerminateArgs {
    /// The beginnings of the deliveries' ids, as `consign outbox` and `consign deliveries` show them
    #[arg(required = true, value_name = "ID")]
    pub(crate) ids: Vec<String>,
    /// Why, for the recipient
    #[arg(long, value_name = "TEXT", default_value = "the sender took it back")]
    pub(crate) reason: String,
}

#[derive(Debug, Clone, ClapArgs)]
#[command(
    after_help = "Example:\n  consign book\n  consign book add ben --notes 'plays the oboe'\n  \
                        consign book policy block-all\n\n\
                        The hub keeps the book sealed for your devices; it knows whom you let in."
)]
pub(crate) struct BookArgs {
    #[command(subcommand)]
    pub(crate) what: Option<BookCommand>,
}

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum BookCommand {
    /// List the contacts and who is blocked
    #[command(after_help = "Example:\n  consign book list --json")]
    List,
    /// Add or change a contact
    Add(BookAddArgs),
    /// Remove a contact, or somebody who is blocked
    #[command(after_help = "Example:\n  consign book remove ben")]
    Remove(BookHandleArgs),
    /// Take a contact for who has the handle now
    #[command(after_help = "Example:\n  consign book trust ben\n\n\
                            Ask them first, by another way than this hub: somebody else may have the handle.")]
    Trust(BookHandleArgs),
    /// Show words that you and a contact compare, by another way than the hub
    Verify(BookVerifyArgs),
    /// Say what becomes of senders who are no contacts
    #[command(
        after_help = "Example:\n  consign book policy block-all\n  consign book policy address-book"
    )]
    Policy(BookPolicyArgs),
    /// Write the contacts and who is blocked to a file
    #[command(after_help = "Example:\n  consign book export contacts.json\n\n\
                            The file is JSON: per handle `first_name`, `last_name`, `notes` and `identity`, each of\n\
                            which may be left out, and only you can read it.")]
    Export(BookFileArgs),
    /// Add what is in such a file, and say whom nobody at the hub is called
    #[command(after_help = "Example:\n  consign book import contacts.json\n\n\
                            Names and notes in the file replace those in the book. As whom somebody is known\n\
                            stays, whatever the file says, and who is blocked stays so.")]
    Import(BookFileArgs),
    /// Set the text that goes under every message you send; read from standard input
    #[command(after_help = "Example:\n  consign book signature < signature.txt\n\n\
                            It follows a line of two dashes. `consign send --no-signature` leaves it out, and a\n\
                            delivery without a message has none.")]
    Signature,
}

#[derive(Debug, Clone, ClapArgs)]
#[command(
    after_help = "Example:\n  consign book add ben --first-name Ben --notes 'plays the oboe'"
)]
pub(crate) struct BookAddArgs {
    /// Handle
    pub(crate) handle: String,
    /// First name
    #[arg(long, value_name = "TEXT")]
    pub(crate) first_name: Option<String>,
    /// Last name
    #[arg(long, value_name = "TEXT")]
    pub(crate) last_name: Option<String>,
    /// Notes, up to 256 characters
    #[arg(long, value_name = "TEXT")]
    pub(crate) notes: Option<String>,
}

#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct BookFileArgs {
    /// The file
    pub(crate) file: PathBuf,
}

#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct BookHandleArgs {
    /// Handle
    pub(crate) handle: String,
}

#[derive(Debug, Clone, ClapArgs)]
#[command(
    after_help = "Example:\n  consign book verify ben\n  consign book verify ben --agreed\n\n\
                        Both of you see the same nine words when the hub tells both of you the truth. Read them to\n\
                        each other, on the telephone or face to face, and note with --agreed that they agree."
)]
pub(crate) struct BookVerifyArgs {
    /// Handle
    pub(crate) handle: String,
    /// Note that the words agreed
    #[arg(long)]
    pub(crate) agreed: bool,
}

#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct BookPolicyArgs {
    /// What becomes of them
    pub(crate) policy: PolicyWord,
}

/// What becomes of senders who are no contacts.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum PolicyWord {
    /// They wait until you decide
    AddressBook,
    /// They are refused
    BlockAll,
}
