//! The node's side of a command that came over the control socket.
//!
//! A command runs here as it runs in a process of its own, except that what it says goes to
//! whoever typed it. Which command a task works for is a property of the task: everything that
//! is printed passes through [`Output`](crate::output::Output), and that asks here.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use node::control::{Commands, Line, Outcome};
use node::service::Service;
use node_api::{Failure, FromNode, Run};
use serde_json::Value;

use crate::commands;
use crate::exit;
use crate::invocation::{self, Invocation, NotUnderstood};

tokio::task_local! {
    static COMMAND: Arc<Served>;
}

/// A command that this task works for.
struct Served {
    line: Arc<Line>,
    capability: Option<String>,
}

fn served() -> Option<Arc<Served>> {
    COMMAND.try_with(Arc::clone).ok()
}

/// Gives a fact to the command this task works for; `None` when it works for none.
pub(crate) fn fact(human: &str, json: &Value) -> Option<io::Result<()>> {
    let (human, json) = (human.to_owned(), json.clone());
    Some(served()?.line.say(&FromNode::Fact { human, json }))
}

/// The same for a warning.
pub(crate) fn warning(human: &str, json: &Value) -> Option<io::Result<()>> {
    let (human, json) = (human.to_owned(), json.clone());
    Some(served()?.line.say(&FromNode::Warning { human, json }))
}

/// The same for a remark.
pub(crate) fn remark(text: &str) -> Option<io::Result<()>> {
    Some(served()?.line.say(&FromNode::Remark { text: text.to_owned() }))
}

/// The same for contents.
pub(crate) fn contents(bytes: &[u8]) -> Option<io::Result<()>> {
    Some(served()?.line.write(bytes))
}

/// Shows how far a job is to the command this task works for; false when it works for none.
pub(crate) fn look(look: impl FnOnce() -> node_api::Look) -> bool {
    served().is_some_and(|served| {
        served.line.look(look());
        true
    })
}

/// The capability that the command sent or its user types; the outer `None` when this task
/// works for no command.
pub(crate) async fn capability(ask: bool) -> Option<Option<String>> {
    let served = served()?;
    if ask {
        return Some(served.line.ask("Capability of this sealed release: ").await);
    }
    Some(served.capability.clone())
}

/// Runs commands for others.
pub(crate) struct Serving {
    pub(crate) service: Arc<Service>,
}

#[async_trait]
impl Commands for Serving {
    async fn run(&self, run: Run, line: Arc<Line>) -> Outcome {
        let Run { arguments, directory, hub, config, json, quiet, capability } = run;
        let mut words = vec![OsString::from("consign")];
        if let Some(config) = config {
            words.extend(["--config".into(), config.as_os_str().to_owned()]);
        }
        words.extend(arguments.iter().map(|word| word.as_os_str().to_owned()));
        let Invocation { mut args, config, .. } = match invocation::parse(words) {
            Ok(invocation) => invocation,
            Err(NotUnderstood::Words(error)) => return refused(error.to_string()),
            Err(NotUnderstood::Config(error)) => return refused(error.to_string()),
        };
        if !commands::is_for_the_node(&args.command) {
            return refused("this command is not one that a node runs".into());
        }
        (args.hub, args.json, args.quiet) = (hub, json, quiet);
        let directory: PathBuf = directory.as_path().to_owned();
        let served = Arc::new(Served { line, capability });
        let service = Arc::clone(&self.service);
        let ended = COMMAND.scope(served, commands::serve(args, config, service, directory)).await;
        match ended {
            Ok(ended) => Outcome::Ended(ended as u8),
            Err(error) => Outcome::Failed(exit::judgement(&error)),
        }
    }
}

fn refused(why: String) -> Outcome {
    Outcome::Failed(Failure { exit_code: 2, causes: vec![why], hint: None })
}
