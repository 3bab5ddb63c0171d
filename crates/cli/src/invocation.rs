//! From words and configuration files to what is to be done.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{ArgMatches, Command as Parser, CommandFactory as _, FromArgMatches as _};

use crate::args::{Args, Command};
use crate::config::{ConfigProblem, Layers};

/// A command line, understood.
pub(crate) struct Invocation {
    pub(crate) args: Args,
    /// The parser as it is built in.
    pub(crate) parser: Parser,
    pub(crate) matches: ArgMatches,
    pub(crate) config: Layers,
}

/// Why a command line was not understood.
#[derive(Debug)]
pub(crate) enum NotUnderstood {
    /// Help, a version, or wrong words: clap says it.
    Words(clap::Error),
    /// A configuration file has a mistake.
    Config(Misconfigured),
}

/// A mistake in a configuration file. Commands that do not mend it refuse to guess.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Misconfigured(pub(crate) ConfigProblem);

/// Reads the configuration, then the words with it.
pub(crate) fn parse(words: Vec<OsString>) -> Result<Invocation, NotUnderstood> {
    let parser = Args::command();
    let first = parser.clone().ignore_errors(true).try_get_matches_from(words.clone());
    let named = first.ok().and_then(|found| found.get_one::<PathBuf>("config").cloned());
    let config = Layers::read(named.as_deref(), &parser);
    let mistake = || config.problems.first().cloned().map(Misconfigured);

    let matches = match config.as_defaults(parser.clone()).try_get_matches_from(words) {
        Ok(matches) => matches,
        Err(error) => {
            let asked = matches!(
                error.kind(),
                ErrorKind::DisplayHelp
                    | ErrorKind::DisplayVersion
                    | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
            );
            // An option that is missing may be the one with the mistake.
            let mistake = mistake().filter(|_| !asked);
            return Err(mistake.map_or(NotUnderstood::Words(error), NotUnderstood::Config));
        }
    };
    let args = Args::from_arg_matches(&matches).map_err(NotUnderstood::Words)?;
    match mistake() {
        Some(mistake) if !works_misconfigured(&args.command) => Err(NotUnderstood::Config(mistake)),
        _ => Ok(Invocation { args, parser, matches, config }),
    }
}

/// What helps to find and mend the mistake works in spite of it.
fn works_misconfigured(command: &Command) -> bool {
    matches!(
        command,
        Command::Doctor(_) | Command::Config(_) | Command::Completions(_) | Command::Man(_)
    )
}
