//! Options of the commands about communities.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};
use community::membership::{DESCRIPTION_BYTES_MAX, HOST_BYTES_MAX, is_line};
use package::label::Label;

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  consign community create \"Plant 7\"\n  \
                  consign community peer add press-1 --role target --label site=berlin\n  \
                  consign community list\n\n\
                  docs/communities.md leads from nothing to a package on many machines.")]
pub(crate) struct CommunityArgs {
    #[command(subcommand)]
    pub(crate) what: CommunityCommand,
    /// Which community, by its id or name [default: the only one this node knows]
    #[arg(long, global = true, value_name = "COMMUNITY")]
    pub(crate) community: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CommunityCommand {
    /// Create a community at the hub, managed by this node
    Create(CreateArgs),
    /// Write the seed that machines join with
    Seed(SeedArgs),
    /// Say who manages the community
    Manager(ManagerArgs),
    /// Manage a community that another manager put this node's key into
    Open(OpenArgs),
    /// Define the peers that may join
    Peer(PeerArgs),
    /// List the peers: who has joined, who is expected, who asks
    #[command(after_help = "Example:\n  consign community list")]
    List,
    /// Let a peer that is defined without a secret join with this key
    Approve(ApproveArgs),
    /// Say what a peer does
    Role(RoleArgs),
    /// Set and remove labels of a peer
    Label(LabelArgs),
    /// Say what a peer is, and where, for people
    Describe(DescribeArgs),
    /// Say from which hub or relay a peer gets its packages
    Route(RouteArgs),
    /// Say where a relay is found
    Address(AddressArgs),
    /// Pass the community on through a hub beside this machine
    Relay(RelayArgs),
    /// Show how the relays are: what they pass on, and what waits behind them
    #[command(after_help = "Example:\n  consign community relays\n\n\
                  For managers and publishers. Each relay signs what it tells.")]
    Relays,
    /// Sign a change that another manager proposes
    Sign(SignArgs),
    /// Look at changes that more managers have to sign
    Proposal(ProposalArgs),
    /// Take a peer out of the community
    #[command(after_help = "Example:\n  consign community revoke press-1\n\n\
                  It receives nothing from then on, and opens nothing that is sent later.")]
    Revoke(PeerNameArgs),
    /// End the community, for good
    Delete(DeleteArgs),
    /// Show how the communities of this node stand
    #[command(after_help = "Example:\n  consign community status")]
    Status,
    /// Show the community, its roll-outs and receipts in a browser, until interrupted
    Console(CommunityConsoleArgs),
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  consign community console\n  \
                  consign community console --listen 127.0.0.1:7410\n\n\
                  Receipts are shown on the machine whose publisher they are sealed for. It only shows; \
                  nothing can be changed there.")]
pub(crate) struct CommunityConsoleArgs {
    /// Address to listen at; one that other machines reach is warned of
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub(crate) listen: std::net::SocketAddr,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  consign community create \"Plant 7\" --seed plant-7.seed")]
pub(crate) struct CreateArgs {
    /// What people call it, at most 64 bytes
    pub(crate) name: String,
    /// Write the seed to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) seed: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  consign community seed > plant-7.seed\n\n\
                  It admits nobody by itself: a machine also needs its join secret, or approval.")]
pub(crate) struct SeedArgs {
    /// File to write [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Have machines ask here instead: a relay by its name, or an address (may be given several times)
    #[arg(long = "route", value_name = "RELAY|ADDRESS")]
    pub(crate) routes: Vec<String>,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  consign community manager add 3f0c…")]
pub(crate) struct ManagerArgs {
    #[command(subcommand)]
    pub(crate) what: ManagerCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ManagerCommand {
    /// Let another node manage the community, too
    #[command(after_help = "Example:\n  consign community manager add 3f0c…  \
                      (the key `consign id` prints on that machine)")]
    Add(ManagerKeyArgs),
    /// Take a manager out
    #[command(after_help = "Example:\n  consign community manager remove 3f0c…")]
    Remove(ManagerKeyArgs),
    /// Say how many managers have to sign each change
    #[command(after_help = "Example:\n  consign community manager threshold 2\n\n\
                      Each of them manages the community already.")]
    Threshold(ThresholdArgs),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ManagerKeyArgs {
    /// Public key of the node
    pub(crate) key: String,
    /// How many managers have to sign each change from then on [default: as many as before]
    #[arg(long, value_name = "COUNT")]
    pub(crate) threshold: Option<usize>,
    #[command(flatten)]
    pub(crate) to: ProposalFile,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ThresholdArgs {
    /// How many
    pub(crate) count: usize,
    #[command(flatten)]
    pub(crate) to: ProposalFile,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  consign community delete \"Plant 7\"\n\n\
                  Nothing is sent or received in it any more, and what the hub has of it goes. Machines are \
                  told, in words that managers signed, and keep what was carried out on them. As many \
                  managers sign it as any change takes.")]
pub(crate) struct DeleteArgs {
    /// Its name or its id
    pub(crate) name: String,
    /// Do not ask for its name
    #[arg(short, long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) to: ProposalFile,
}

/// Where a change goes that more managers have to sign.
#[derive(Debug, ClapArgs)]
pub(crate) struct ProposalFile {
    /// File for the proposal, when more managers have to sign [default: roster-NUMBER.proposal]
    #[arg(long, value_name = "FILE")]
    pub(crate) proposal: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  consign community proposal show roster-6.proposal\n  \
                  consign community sign roster-6.proposal\n\n\
                  Whoever signs last also hands it in.")]
pub(crate) struct SignArgs {
    /// File with the proposal; the signature is added to it
    pub(crate) file: PathBuf,
    /// Sign only the proposal that `proposal show` called so
    #[arg(long, value_name = "ID", value_parser = id_prefix)]
    pub(crate) id: Option<String>,
    /// Do not hand it in when enough have signed
    #[arg(long)]
    pub(crate) no_submit: bool,
}

/// Enough of an id that nobody finds another proposal with the same beginning.
fn id_prefix(text: &str) -> Result<String, String> {
    let fits = (16..=64).contains(&text.len()) && text.bytes().all(|it| it.is_ascii_hexdigit());
    if fits { Ok(text.to_ascii_lowercase()) } else { Err("16 to 64 hexadecimal digits".into()) }
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  consign community proposal show roster-6.proposal")]
pub(crate) struct ProposalArgs {
    #[command(subcommand)]
    pub(crate) what: ProposalCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ProposalCommand {
    /// Say what a proposal changes, who has signed it and who has to
    #[command(after_help = "Example:\n  consign community proposal show roster-6.proposal\n  \
                      consign community proposal show --output roster-6.proposal")]
    Show(ProposalShowArgs),
    /// Hand in a proposal that enough managers have signed
    #[command(after_help = "Example:\n  consign community proposal submit roster-6.proposal")]
    Submit(ProposalSubmitArgs),
    /// Take back what was proposed on this node
    #[command(after_help = "Example:\n  consign community proposal drop\n\n\
                      Files of it that others have signed stay valid until another roster comes.")]
    Drop,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ProposalShowArgs {
    /// File with the proposal [default: the one that was made on this node]
    pub(crate) file: Option<PathBuf>,
    /// Write it to this file, to be carried to other managers
    #[arg(long, value_name = "FILE", conflicts_with = "file")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ProposalSubmitArgs {
    /// File with the proposal
    pub(crate) file: PathBuf,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  consign community open plant-7.seed\n\n\
                  This node must be registered with the hub.")]
pub(crate) struct OpenArgs {
    /// File with the seed
    pub(crate) seed: PathBuf,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  consign community peer add press-1 --role target")]
pub(crate) struct PeerArgs {
    #[command(subcommand)]
    pub(crate) what: PeerCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PeerCommand {
    /// Define a peer, and make the secret that it joins with
    Add(PeerAddArgs),
}

#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Example:\n  consign community peer add press-1 --role target --label site=berlin\n  \
                  consign community peer add ci --role publisher --secret-file ci.secret\n  \
                  consign community peer add kiosk --role target --approve"
)]
pub(crate) struct PeerAddArgs {
    /// What it is called: a-z, 0-9 and ._-
    pub(crate) peer: String,
    /// What it does (may be given several times)
    #[arg(long, value_name = "ROLE", required = true)]
    pub(crate) role: Vec<PeerRole>,
    /// A label of it (may be given several times)
    #[arg(long, value_name = "KEY[=VALUE]")]
    pub(crate) label: Vec<Label>,
    /// A hub or relay that it gets its packages from, as `community route` takes them (may be given
    /// several times) [default: the hubs of the seed]
    #[arg(long, value_name = "HUB")]
    pub(crate) route: Vec<String>,
    /// Where a relay is found, as `community address` takes it (may be given several times)
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) address: Vec<String>,
    /// What it is, for people
    #[arg(long, value_name = "TEXT", value_parser = description)]
    pub(crate) description: Option<String>,
    /// Name or address of the machine, for people
    #[arg(long, value_name = "HOST", value_parser = host)]
    pub(crate) host: Option<String>,
    /// Hours until the join secret ends
    #[arg(long, value_name = "HOURS", default_value_t = 168, value_parser = clap::value_parser!(u64).range(1..=8760))]
    pub(crate) hours: u64,
    /// Make no secret: `community approve` lets its key in
    #[arg(long, conflicts_with_all = ["hours", "secret_file"])]
    pub(crate) approve: bool,
    /// Write the join secret to a file instead of printing it
    #[arg(long, value_name = "FILE")]
    pub(crate) secret_file: Option<PathBuf>,
}

/// What a peer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum PeerRole {
    /// Sends packages.
    Publisher,
    /// Passes them on.
    Relay,
    /// Receives them and carries them out.
    Target,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  consign community approve kiosk 3f0c…  \
                  (the key `consign id` prints on that machine)")]
pub(crate) struct ApproveArgs {
    /// Peer
    pub(crate) peer: String,
    /// Public key of the machine
    pub(crate) key: String,
    #[command(flatten)]
    pub(crate) to: ProposalFile,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  consign community role press-1 target relay")]
pub(crate) struct RoleArgs {
    /// Peer
    pub(crate) peer: String,
    /// All that it does from then on
    #[arg(required = true, value_name = "ROLE")]
    pub(crate) roles: Vec<PeerRole>,
    #[command(flatten)]
    pub(crate) to: ProposalFile,
}

#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Example:\n  consign community describe press-1 --description 'Press 1, hall 2'\n  \
                  consign community describe press-1 --host press-1.berlin.example\n  \
                  consign community describe press-1 --forget host"
)]
pub(crate) struct DescribeArgs {
    /// Peer
    pub(crate) peer: String,
    /// What it is
    #[arg(long, value_name = "TEXT", value_parser = description, required_unless_present_any = ["host", "forget"])]
    pub(crate) description: Option<String>,
    /// Name or address of the machine
    #[arg(long, value_name = "HOST", value_parser = host)]
    pub(crate) host: Option<String>,
    /// Say nothing of that any more (may be given several times)
    #[arg(long, value_name = "WHAT")]
    pub(crate) forget: Vec<Described>,
    #[command(flatten)]
    pub(crate) to: ProposalFile,
}

/// What is said of a peer for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Described {
    /// What it is.
    Description,
    /// Name or address of the machine.
    Host,
}

fn description(text: &str) -> Result<String, String> {
    line(text, DESCRIPTION_BYTES_MAX)
}

fn host(text: &str) -> Result<String, String> {
    line(text, HOST_BYTES_MAX)
}

fn line(text: &str, most: usize) -> Result<String, String> {
    if is_line(text, most) {
        Ok(text.to_owned())
    } else {
        Err(format!("it is one line of 1 to {most} bytes"))
    }
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  consign community label press-1 site=berlin ring=0\n  \
                  consign community label press-1 --remove lab")]
pub(crate) struct LabelArgs {
    /// Peer
    pub(crate) peer: String,
    /// Labels to set
    #[arg(value_name = "KEY[=VALUE]", required_unless_present = "remove")]
    pub(crate) labels: Vec<Label>,
    /// Label to remove (may be given several times)
    #[arg(long, value_name = "KEY")]
    pub(crate) remove: Vec<String>,
    #[command(flatten)]
    pub(crate) to: ProposalFile,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  consign community route press-1 relay-a relay-b\n  \
                  consign community route relay-a https://hub.example.org:7400\n\n\
                  Where several are named, the machine speaks with the first that answers and fetches\n\
                  from all of them. A hub is named by its address, as `community address` takes it.")]
pub(crate) struct RouteArgs {
    /// Peer
    pub(crate) peer: String,
    /// Relays by name and hubs by address, in order of preference [default: those of the seed]
    #[arg(value_name = "HUB")]
    pub(crate) hubs: Vec<String>,
    #[command(flatten)]
    pub(crate) to: ProposalFile,
}

#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Example:\n  consign community address relay-a https://10.1.0.5:7400#2b61…\n  \
                  consign community address relay-b https://relay.example.org#trusted\n\n\
                  Behind # stands the fingerprint of the certificate, which `consign community relay`\n\
                  prints on that machine; or `trusted` when a public authority vouches for it; or\n\
                  nothing when this node is registered there."
)]
pub(crate) struct AddressArgs {
    /// Relay
    pub(crate) peer: String,
    /// Addresses, as machines reach it
    #[arg(required = true, value_name = "URL[#FINGERPRINT]")]
    pub(crate) addresses: Vec<String>,
    #[command(flatten)]
    pub(crate) to: ProposalFile,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  consign community relay https://10.1.0.5:7400\n\n\
                  For a peer with the role relay. A hub has to run there, and this node has to be\n\
                  registered with it by an invitation to publish. `consign node` does the rest.\n\
                  Prints the address as `consign community address` takes it.")]
pub(crate) struct RelayArgs {
    /// Address of the hub
    #[arg(value_name = "URL")]
    pub(crate) url: String,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct PeerNameArgs {
    /// Peer
    pub(crate) peer: String,
    #[command(flatten)]
    pub(crate) to: ProposalFile,
}

#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Example:\n  consign join plant-7.seed --as press-1 --secret-file press-1.secret\n  \
                  consign join plant-7.seed --as kiosk --approve\n\n\
                  A manager's node has to run. `consign node` then carries out what is sent here."
)]
pub(crate) struct JoinArgs {
    /// File with the seed, or - for standard input
    pub(crate) seed: PathBuf,
    /// The peer that this machine is to be
    #[arg(long = "as", value_name = "PEER")]
    pub(crate) peer: String,
    /// File with the join secret; asked for on a terminal when left out
    #[arg(long, value_name = "FILE")]
    pub(crate) secret_file: Option<PathBuf>,
    /// Join without a secret: wait until a manager approves this node's key
    #[arg(long, conflicts_with = "secret_file")]
    pub(crate) approve: bool,
}
