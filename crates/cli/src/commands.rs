//! One file per command.

use std::path::PathBuf;

use anyhow::Context as _;
use node::Node;

use crate::args::{Args, Command};
use crate::exit::{Ended, Interrupted, Usage};
use crate::output::Output;

mod cat;
mod demo;
mod diff;
mod get;
mod grant;
mod hub;
mod id;
mod invite;
mod local;
mod log;
mod ls;
mod publish;
mod put;
mod register;

/// What every command is given.
pub(crate) struct Session {
    pub(crate) output: Output,
    /// Where the node's state is; the default when not named.
    pub(crate) state: Option<PathBuf>,
    pub(crate) hub: Option<String>,
}

impl Session {
    pub(crate) fn node(&self) -> anyhow::Result<Node> {
        let state = match &self.state {
            Some(state) => state.clone(),
            None => default_state()?,
        };
        Ok(Node::open(&state)?)
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "every other command ends the same way")]
pub(crate) async fn run(args: Args, output: &Output) -> anyhow::Result<Ended> {
    let session = Session { output: *output, state: args.state, hub: args.hub };
    match args.command {
        // These listen for Ctrl-C themselves.
        Command::Hub(args) => hub::run(&session, args).await,
        Command::Demo(args) => demo::run(&session, args).await,
        other => {
            tokio::select! {
                result = dispatch(&session, other) => result,
                signal = interrupted() => Err(signal.err().unwrap_or_else(|| Interrupted.into())),
            }
        }
    }
}

async fn dispatch(session: &Session, command: Command) -> anyhow::Result<Ended> {
    match command {
        Command::Id => id::run(session),
        Command::Invite(args) => invite::run(session, args).await,
        Command::Register(args) => register::run(session, args).await,
        Command::Publish(args) => publish::run(session, args).await,
        Command::Get(args) => get::run(session, args).await,
        Command::Grant(args) => grant::run(session, args, true).await,
        Command::Revoke(args) => grant::run(session, args, false).await,
        Command::Ls(args) => ls::run(session, args).await,
        Command::Cat(args) => cat::run(session, args).await,
        Command::Diff(args) => diff::run(session, args).await,
        Command::Log(args) => log::run(session, args).await,
        Command::Put(args) => put::run(session, args).await,
        Command::Verify(args) => local::verify(session, args).await,
        Command::Gc(args) => local::gc(session, args).await,
        Command::Stats(_) => local::stats(session).await,
        Command::Hub(_) | Command::Demo(_) => unreachable!("handled by the caller"),
    }
}

/// Resolves when the user or the system asks to stop.
pub(crate) async fn interrupted() -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
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
pub(crate) fn capability(
    file: Option<&PathBuf>,
    ask: bool,
) -> anyhow::Result<Option<documents::Capability>> {
    use std::io::IsTerminal as _;
    let text = match file {
        Some(file) => std::fs::read_to_string(file)
            .with_context(|| format!("cannot read the capability in {}", file.display()))?,
        None if ask && std::io::stdin().is_terminal() => {
            eprint!("Capability of this sealed release: ");
            let mut line = String::new();
            std::io::stdin().read_line(&mut line)?;
            line
        }
        None => return Ok(None),
    };
    parse(text.trim()).map(Some)
}
