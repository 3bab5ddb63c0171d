//! The messages.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::status::Status;
use crate::text::Text;

/// What both sides say first. It has this form in every version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`PROTOCOL`](crate::PROTOCOL) of the side that speaks.
    pub protocol: u32,
    /// Version of its program.
    pub version: String,
    /// Its process id.
    pub process: u32,
}

impl Hello {
    /// Whether two sides understand each other: only programs of one version do, since a node
    /// prints what a command shows.
    #[must_use]
    pub fn fits(&self, other: &Self) -> bool {
        self.protocol == other.protocol && self.version == other.version
    }
}

/// From a command to the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ToNode {
    /// Run a command. Closing the connection cancels it.
    Run(Run),
    /// Tell what you do; answered by [`FromNode::Status`].
    Status,
    /// The answer to [`FromNode::Ask`]; `None` when nobody is there to answer.
    Answer {
        /// What was typed; often a secret.
        text: Option<String>,
    },
}

/// A command that the node is to run as if it had been typed there.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// Its words, without the name of the program and options that every command has. No secret
    /// is among them.
    pub arguments: Vec<Text>,
    /// The directory that relative paths start from: the command's own.
    pub directory: Text,
    /// The hub it chose, from its flags, environment or configuration.
    pub hub: Option<String>,
    /// The configuration file it was told to read.
    pub config: Option<Text>,
    /// One JSON object per line is wanted.
    pub json: bool,
    /// Neither progress nor remarks are wanted.
    pub quiet: bool,
    /// The capability of a sealed name, read by the command with its own rights.
    pub capability: Option<String>,
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Run")
            .field("arguments", &self.arguments)
            .field("directory", &self.directory)
            .field("capability", &self.capability.as_ref().map(|_| "…"))
            .finish_non_exhaustive()
    }
}

/// From the node to a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "kebab-case", deny_unknown_fields)]
pub enum FromNode {
    /// A fact for standard output: `human` for people, `json` for programs.
    Fact {
        /// One or more lines; nothing is printed when empty.
        human: String,
        /// One line.
        json: Value,
    },
    /// Something that must not be missed.
    Warning {
        /// For people.
        human: String,
        /// For programs.
        json: Value,
    },
    /// A remark for people.
    Remark {
        /// What is said.
        text: String,
    },
    /// How far the job is; several a second.
    Look(Look),
    /// Something only the user can tell, for example a capability.
    Ask {
        /// The question, ending where the answer begins.
        question: String,
    },
    /// The answer to [`ToNode::Status`].
    Status(Box<Status>),
    /// The command ended; nothing follows.
    Ended {
        /// Its exit code.
        exit_code: u8,
    },
    /// The command failed; nothing follows.
    Failed(Failure),
}

/// A look at a running job.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Look {
    /// What is being done now: "writing".
    pub phase: String,
    /// Files done, where files are counted.
    pub files_done: Option<u64>,
    /// Files in all, once known.
    pub files_total: Option<u64>,
    /// Bytes done.
    pub done: u64,
    /// Bytes in all, once known.
    pub total: Option<u64>,
    /// What the job waits for; said when it stands still.
    pub waits_for: Option<String>,
}

/// A failure as the node's side judged it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// The exit code.
    pub exit_code: u8,
    /// What happened and why, outermost first.
    pub causes: Vec<String>,
    /// What to do about it.
    pub hint: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_show_in_logs() {
        let run = Run {
            arguments: vec!["get".into()],
            directory: "/".into(),
            hub: None,
            config: None,
            json: false,
            quiet: false,
            capability: Some("consign-capability-1:secret".into()),
        };
        assert!(!format!("{:?}", ToNode::Run(run)).contains("secret"));
    }

    #[test]
    fn hello_stays_readable_when_a_later_version_says_more() {
        let later = r#"{"protocol":9,"version":"9.1","process":4,"more":[1]}"#;
        let hello: Hello = serde_json::from_str(later).expect("unknown fields are ignored");
        let ours = Hello { protocol: crate::PROTOCOL, version: "0.1.0".into(), process: 1 };
        assert!(!hello.fits(&ours) && ours.fits(&Hello { process: 2, ..ours.clone() }));
    }
}
