//! Errors become exit codes and hints here and nowhere else; [`mod@judge`] has the table.

use std::io::Write as _;
use std::process::ExitCode;

use serde_json::json;

mod judge;

use judge::judge;
pub(crate) use judge::way_around;

use crate::invocation::Misconfigured;
use crate::output::Output;
use crate::remote::FailedThere;
use node::tree::TreeError;
use node_api::Failure;

/// How a command ended; the numbers are documented in `--help` and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Done = 0,
    Failed = 1,
    InPart = 3,
    NotFound = 4,
    NotAllowed = 5,
    Refused = 6,
    Unreachable = 7,
    InUse = 8,
    NoSpace = 9,
    Interrupted = 130,
}

impl Ended {
    /// The way to end with this exit code.
    pub(crate) fn of(code: u8) -> Option<Self> {
        const ALL: [Ended; 10] = [
            Ended::Done,
            Ended::Failed,
            Ended::InPart,
            Ended::NotFound,
            Ended::NotAllowed,
            Ended::Refused,
            Ended::Unreachable,
            Ended::InUse,
            Ended::NoSpace,
            Ended::Interrupted,
        ];
        ALL.into_iter().find(|ended| *ended as u8 == code)
    }
}

impl From<Ended> for ExitCode {
    fn from(ended: Ended) -> Self {
        Self::from(ended as u8)
    }
}

/// The user asked to stop.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
pub(crate) struct Interrupted;

/// A text on the command line that cannot be meant so.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

/// Says what happened, to which thing, and what to do; returns the exit code.
pub(crate) fn report(output: &Output, error: &anyhow::Error) -> ExitCode {
    if is_broken_pipe(error) {
        return ExitCode::SUCCESS;
    }
    let Failure { exit_code: code, causes, hint } = judgement(error);
    if output.is_json() {
        let line = json!({"event": "error", "exit_code": code, "message": causes.join(": "), "hint": hint});
        // Whoever read this is gone, or its disk is full: the exit code still says it.
        let _ = writeln!(std::io::stdout(), "{line}");
    } else {
        let help = hint.map(|hint| format!("\n  help: {hint}")).unwrap_or_default();
        let text = causes.join("\n  because: ");
        let _ = writeln!(std::io::stderr(), "error: {text}{help}");
    }
    ExitCode::from(code)
}

/// What an error comes to: exit code, causes and hint.
pub(crate) fn judgement(error: &anyhow::Error) -> Failure {
    if let Some(there) = error.downcast_ref::<FailedThere>() {
        return there.0.clone();
    }
    let (code, hint) = judge(error);
    let is_usage = error.is::<Usage>() || error.is::<Misconfigured>();
    let exit_code = if is_usage { 2 } else { code as u8 };
    let mut causes: Vec<String> = Vec::new();
    for cause in error.chain() {
        let text = cause.to_string();
        // Wrappers that only pass on their cause's words would say them twice.
        if causes.last() != Some(&text) {
            causes.push(text);
        }
    }
    Failure { exit_code, causes, hint }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    // Only writing to our own output: a broken connection is another matter.
    let closed = |error: &std::io::Error| error.kind() == std::io::ErrorKind::BrokenPipe;
    error.downcast_ref::<std::io::Error>().is_some_and(closed)
        || matches!(error.downcast_ref(), Some(TreeError::Sink(error)) if closed(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers in a table of exit codes.
    fn codes(text: &str) -> Vec<u8> {
        let rows = text.lines().filter_map(|line| line.strip_prefix("| "));
        rows.filter_map(|row| row.split(" |").next()?.parse().ok()).collect()
    }

    #[test]
    fn the_documents_name_every_exit_code() {
        // 2 is clap's, and that of mistakes in a configuration.
        let known: Vec<u8> =
            (0..=255).filter(|code| Ended::of(*code).is_some() || *code == 2).collect();
        let document = include_str!("../../../docs/cli.md");
        let (_, rest) = document.split_once("## Exit codes").expect("a section");
        let (section, _) = rest.split_once("\n## ").expect("a section after it");
        assert_eq!(codes(section), known);
        assert_eq!(codes(include_str!("../../../README.md")), known);
    }
}
