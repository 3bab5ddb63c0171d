//! One file per command.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use ::node::service::Service;
use ::node::{HubLink, Node, Turn, TurnError, Waits};
use anyhow::Context as _;
use hub_client::Activity;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::args::{Args, Command, CommunityCommand};
use crate::config::Layers;
use crate::exit::{Ended, Interrupted, Usage};
use crate::output::Output;
use crate::progress::{Look, watch_silence};
use crate::proxy::ProxyChoice;
use crate::{prompt, remote, serving};

mod account;
mod audit;
mod book;
mod cat;
mod community;
pub(crate) mod completions;
pub(crate) mod config;
mod confirm;
mod console;
mod deliveries;
mod delivery_link;
mod demo;
mod diff;
mod doctor;
mod get;
mod grant;
mod grants;
mod hub;
mod id;
mod invitation;
mod invite;
mod join;
mod keep;
mod local;
mod log;
mod ls;
mod mailbox;
mod node;
pub(crate) mod package;
mod pages;
mod pin;
mod publish;
mod put;
mod receipts;
mod receive;
mod register;
mod revoke;
pub(crate) mod run_hook;
mod send;
mod status;
mod token;
mod watch;

/// What every command is given.
pub(crate) struct Session {
    pub(crate) output: Output,
    /// Where the node's state is; the default when not named.
    pub(crate) state: Option<PathBuf>,
    pub(crate) hub: Option<String>,
    /// Where the publisher's database is; a file of the state directory when not named.
    pub(crate) ledger: Option<String>,
    /// Through which proxy hubs are reached, if one is named.
    pub(crate) proxy: ProxyChoice,
    pub(crate) config: Layers,
    /// What calls to hubs wait for.
    pub(crate) activity: Arc<Activity>,
    /// Opened once: what uses the store shares it.
    pub(crate) opened: OnceLock<Node>,
    /// The node this process is, when it runs the command for another.
    pub(crate) service: Option<Arc<Service>>,
    /// Where relative paths start; this process's own directory when it runs its own command.
    pub(crate) directory: Option<PathBuf>,
}

impl Session {
    /// Where the node's state is, or would be.
    pub(crate) fn state_directory(&self) -> anyhow::Result<PathBuf> {
        match &self.state {
            Some(state) => Ok(state.clone()),
            None => default_state(),
        }
    }

    pub(crate) fn node(&self) -> anyhow::Result<Node> {
        if let Some(node) = self.opened.get() {
            return Ok(node.clone());
        }
        let node = Node::open(&self.state_directory()?)?;
        let sources = Arc::new(package::Restaging::new(node.directory()));
        let node = node
            .with_activity(Arc::clone(&self.activity))
            .with_sources(sources)
            .with_proxies(crate::proxy::proxies(self)?);
        Ok(self.opened.get_or_init(|| node).clone())
    }

    /// The hub that the command line means, and how it is talked to.
    fn link(&self) -> anyhow::Result<HubLink> {
        Ok(self.node()?.hub(self.hub.as_deref())?)
    }

    /// A path as the user meant it.
    pub(crate) fn path(&self, path: &Path) -> PathBuf {
        self.directory.as_ref().map_or_else(|| path.to_owned(), |from| from.join(path))
    }

    /// Waits until the store is free for this command, saying who has it.
    async fn turn(&self) -> anyhow::Result<Turn> {
        let (node, waits) = (self.node()?, Waits::default());
        let look = || Look { waits_for: waits.reason(), ..Look::default() };
        Ok(watch_silence(self.output, node.turn(&waits), look).await?)
    }

    /// Runs a job that shows no progress; when it stands still, says what it waits for.
    async fn patiently<T>(&self, job: impl Future<Output = T>) -> T {
        let look = || Look::default().with_calls(&self.activity, Instant::now());
        watch_silence(self.output, job, look).await
    }

    /// Runs a job that works on this machine alone and takes its time for `reason`.
    pub(super) async fn busily<T>(&self, reason: &str, job: impl Future<Output = T>) -> T {
        let look = || Look { waits_for: Some(reason.to_owned()), ..Look::default() };
        watch_silence(self.output, job, look).await
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "every other command ends the same way")]
pub(crate) async fn run(args: Args, output: &Output, config: Layers) -> anyhow::Result<Ended> {
    let (state, hub, ledger) = (args.state, args.hub, args.ledger);
    let proxy = ProxyChoice { address: args.proxy, credentials: args.proxy_credentials };
    let session = Session {
        output: *output,
        state,
        hub,
        ledger,
        proxy,
        config,
        activity: Arc::default(),
        opened: OnceLock::new(),
        service: None,
        directory: None,
    };
    match args.command {
        Command::Node(args) => node::run(&session, &args).await,
        // These listen for Ctrl-C themselves.
        Command::Hub(args) => hub::run(&session, *args).await,
        Command::Demo(args) => demo::run(&session, args).await,
        Command::Community(args) if matches!(args.what, CommunityCommand::Console(_)) => {
            community::run(&session, args).await
        }
        other => {
            let mut stop = StopSignal::listen()?;
            tokio::select! {
                result = here_or_there(&session, other, args.config.as_deref()) => result,
                () = stop.asked() => Err(Interrupted.into()),
            }
        }
    }
}

/// Runs a command for somebody else, in the node.
pub(crate) async fn serve(
    args: Args,
    config: Layers,
    service: Arc<Service>,
    directory: PathBuf,
) -> anyhow::Result<Ended> {
    let activity: Arc<Activity> = Arc::default();
    let node = Node::clone(service.node()).with_activity(Arc::clone(&activity));
    let session = Session {
        output: Output::new(args.json, args.quiet),
        state: Some(node.directory().to_owned()),
        hub: args.hub,
        ledger: args.ledger,
        // The node goes its own way, which it was started with.
        proxy: ProxyChoice::default(),
        config,
        activity,
        opened: OnceLock::from(node),
        service: Some(service),
        directory: Some(directory),
    };
    dispatch(&session, args.command).await
}

/// Whether a running node does this command's work.
pub(crate) fn is_for_the_node(command: &Command) -> bool {
    matches!(
        command,
        Command::Publish(_)
            | Command::Get(_)
            | Command::Ls(_)
            | Command::Cat(_)
            | Command::Diff(_)
            | Command::Log(_)
            | Command::Put(_)
            | Command::Verify(_)
            | Command::Gc(_)
            | Command::Stats(_)
            | Command::Watch(_)
    )
}

/// Lets the node of the machine do the work if one runs, else does it here.
async fn here_or_there(
    session: &Session,
    command: Command,
    config: Option<&Path>,
) -> anyhow::Result<Ended> {
    if !is_for_the_node(&command) {
        return dispatch(session, command).await;
    }
    let asked = remote::Asked {
        capability: command.capability_file().cloned(),
        config: config.map(Path::to_owned),
        shows_progress: command.shows_progress(),
    };
    let state = session.state_directory()?;
    if let Some(connection) = ::node::control::connect(&state).await? {
        return remote::run(session, &asked, connection).await;
    }
    match dispatch(session, command).await {
        Err(error) if matches!(error.downcast_ref(), Some(TurnError::NodeRuns)) => {
            // A node was started while this command waited for the store.
            match ::node::control::connect(&state).await? {
                Some(connection) => remote::run(session, &asked, connection).await,
                None => Err(error),
            }
        }
        ended => ended,
    }
}

async fn dispatch(session: &Session, command: Command) -> anyhow::Result<Ended> {
    match command {
        Command::Id => id::run(session),
        Command::Invite(args) => invite::run(session, args).await,
        Command::Console(args) => console::run(session, args).await,
        Command::Register(args) => register::run(session, args).await,
        Command::Publish(args) => publish::run(session, args).await,
        Command::Get(args) => get::run(session, args).await,
        Command::Send(args) => send::run(session, args).await,
        Command::Receive(args) => receive::run(session, args).await,
        Command::Deliveries(_) => deliveries::run(session),
        Command::Receipts(args) => receipts::run(session, &args),
        Command::Inbox(args) => session.patiently(mailbox::inbox(session, &args)).await,
        Command::Outbox(args) => session.patiently(mailbox::outbox(session, &args)).await,
        Command::Accept(args) => mailbox::accept(session, args).await,
        Command::Refuse(args) => session.patiently(mailbox::refuse(session, args)).await,
        Command::Block(args) => session.patiently(book::block(session, &args.handle)).await,
        Command::Terminate(args) => session.patiently(mailbox::terminate(session, args)).await,
        Command::Book(args) => session.patiently(book::run(session, args)).await,
        Command::Grant(args) => session.patiently(grant::run(session, args)).await,
        Command::Revoke(args) => session.patiently(revoke::run(session, args)).await,
        Command::Grants(args) => session.patiently(grants::run(session, args)).await,
        Command::Token(args) => session.patiently(token::run(session, args)).await,
        Command::Keep(args) => session.patiently(keep::run(session, args)).await,
        Command::Pin(args) => session.patiently(pin::run(session, args, true)).await,
        Command::Unpin(args) => session.patiently(pin::run(session, args, false)).await,
        Command::Account(args) => account::run(session, args).await,
        Command::Invitation(args) => session.patiently(invitation::run(session, args)).await,
        Command::Audit(args) => session.patiently(audit::run(session, args)).await,
        Command::Ls(args) => session.patiently(ls::run(session, args)).await,
        Command::Cat(args) => session.patiently(cat::run(session, args)).await,
        Command::Diff(args) => session.patiently(diff::run(session, args)).await,
        Command::Log(args) => session.patiently(log::run(session, args)).await,
        Command::Put(args) => {
            let _turn = session.turn().await?;
            put::run(session, args).await
        }
        Command::Watch(args) => watch::run(session, args).await,
        Command::Verify(args) => {
            let _turn = session.turn().await?;
            let job = local::verify(session, args);
            session.busily("every chunk of the store to be read", job).await
        }
        Command::Gc(args) => {
            let _turn = session.turn().await?;
            let job = local::gc(session, args);
            session.busily("unused chunks to be found and packs to be rewritten", job).await
        }
        Command::Stats(_) => {
            let _turn = session.turn().await?;
            session.busily("the store's index", local::stats(session)).await
        }
        Command::Community(args) => community::run(session, args).await,
        Command::Join(args) => join::run(session, args).await,
        Command::Package(args) => package::run(session, args).await,
        Command::Status(_) => session.busily("the node to answer", status::run(session)).await,
        Command::Doctor(args) => {
            session.busily("the hub's address to be looked at", doctor::run(session, args)).await
        }
        Command::Hub(_)
        | Command::Demo(_)
        | Command::Config(_)
        | Command::Completions(_)
        | Command::Man(_)
        | Command::Node(_)
        | Command::RunHook(_)
        | Command::RunScript => unreachable!("handled by the caller"),
    }
}

/// The wish of the user or of the system that this process stops. From [`StopSignal::listen`] on it
/// is kept until somebody waits for it; before, it ends the process at once.
pub(crate) struct StopSignal {
    interrupt: Signal,
    terminate: Signal,
}

impl StopSignal {
    pub(crate) fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Resolves when it came.
    pub(crate) async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// The XDG state directory.
fn default_state() -> anyhow::Result<PathBuf> {
    let set = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    set("XDG_STATE_HOME")
        .or_else(|| set("HOME").map(|home| home.join(".local/state")))
        .map(|base| base.join("consign"))
        .context("neither XDG_STATE_HOME nor HOME is set; name a directory with --state")
}

/// Parses a word of the command line, naming it when it is wrong.
pub(crate) fn parse<T>(text: &str) -> anyhow::Result<T>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error: T::Err| Usage(error.to_string()).into())
}

/// Reads a capability from a file, or asks for it when a person is there to answer.
pub(crate) async fn capability(
    file: Option<&PathBuf>,
    ask: bool,
) -> anyhow::Result<Option<documents::Capability>> {
    if let Some(sent) = serving::capability(ask).await {
        return sent.map(|text| parse(text.trim())).transpose();
    }
    let text = match file {
        Some(file) => std::fs::read_to_string(file)
            .with_context(|| format!("cannot read the capability in {}", file.display()))?,
        None if ask => {
            let typed = prompt::secret("Capability of this sealed release: ".into()).await?;
            let Some(typed) = typed else { return Ok(None) };
            typed
        }
        None => return Ok(None),
    };
    parse(text.trim()).map(Some)
}
