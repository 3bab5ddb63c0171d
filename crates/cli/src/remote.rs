//! A command that lets the running node do its work, and shows what that says.

use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;
use node::control::{Connection, Reply};
use node_api::{Failure, FromNode, Run, Text, ToNode};

use crate::commands::Session;
use crate::exit::Ended;
use crate::progress::{Look, watch, watch_silence};
use crate::prompt;

/// What the node says about a command that failed there; judged already.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.causes.join(": "))]
pub(crate) struct FailedThere(pub(crate) Failure);

/// What of a command its process does itself.
pub(crate) struct Asked {
    /// The file with a capability, read here with the rights of whoever typed the command.
    pub(crate) capability: Option<PathBuf>,
    /// The configuration file that was named.
    pub(crate) config: Option<PathBuf>,
    /// Progress is shown while the command moves.
    pub(crate) shows_progress: bool,
}

/// Has the node run the command of this process.
pub(crate) async fn run(
    session: &Session,
    asked: &Asked,
    mut connection: Connection,
) -> anyhow::Result<Ended> {
    let capability = match &asked.capability {
        Some(file) => Some(
            std::fs::read_to_string(file)
                .with_context(|| format!("cannot read the capability in {}", file.display()))?
                .trim()
                .to_owned(),
        ),
        None => None,
    };
    let directory = std::env::current_dir().context("the current directory is gone")?;
    let run = Run {
        arguments: own_words(std::env::args_os().skip(1)).into_iter().map(Text::from).collect(),
        config: asked.config.as_ref().map(|config| directory.join(config).into()),
        directory: directory.into(),
        hub: session.hub.clone(),
        json: session.output.is_json(),
        quiet: session.output.is_quiet(),
        capability,
    };
    connection.send(&ToNode::Run(run)).await?;
    let seen = Mutex::new(Look::default());
    let look = || seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let job = follow(session, connection, &seen);
    if asked.shows_progress {
        watch(session.output, job, look).await
    } else {
        watch_silence(session.output, job, look).await
    }
}

async fn follow(
    session: &Session,
    mut connection: Connection,
    seen: &Mutex<Look>,
) -> anyhow::Result<Ended> {
    let output = session.output;
    loop {
        let message = match connection.next().await? {
            Reply::Bytes(bytes) => {
                let mut out = std::io::stdout().lock();
                out.write_all(&bytes).and_then(|()| out.flush())?;
                continue;
            }
            Reply::Message(message) => message,
        };
        match message {
            FromNode::Fact { human, json } => output.fact(human, &json)?,
            FromNode::Warning { human, json } => output.warn(human, &json)?,
            FromNode::Remark { text } => output.remark(text),
            FromNode::Look(look) => {
                *seen.lock().unwrap_or_else(PoisonError::into_inner) = look.into();
            }
            FromNode::Ask { question } => {
                let text = prompt::secret(question).await?.filter(|text| !text.is_empty());
                connection.send(&ToNode::Answer { text }).await?;
            }
            FromNode::Ended { exit_code } => {
                return Ended::of(exit_code).context("the node ended in an unknown way");
            }
            FromNode::Failed(failure) => return Err(FailedThere(failure).into()),
            FromNode::Status(_) => {}
        }
    }
}

/// The words without the options that every command has: those are sent as what they came to.
fn own_words(words: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let with_value =
        ["--state", "--hub", "--config", "--proxy", "--proxy-credentials"].map(OsStr::new);
    let without = ["--json", "--quiet", "-q"].map(OsStr::new);
    let (mut own, mut words) = (Vec::new(), words);
    while let Some(word) = words.next() {
        if word == "--" {
            own.push(word);
            own.extend(words);
            break;
        }
        if with_value.contains(&&*word) {
            words.next();
        } else if !without.contains(&&*word)
            && !["--state=", "--hub=", "--config=", "--proxy=", "--proxy-credentials="]
                .iter()
                .any(|prefix| word.to_string_lossy().starts_with(prefix))
        {
            own.push(word);
        }
    }
    own
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_every_command_has_is_not_among_its_own_words() {
        let words = "--json --proxy-credentials=/p --state /s --proxy http://p get team/x --hub=http://h --to d -q -- --json";
        let own = own_words(words.split(' ').map(OsString::from));
        assert_eq!(own, ["get", "team/x", "--to", "d", "--", "--json"]);
    }
}
