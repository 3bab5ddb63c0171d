//! From words and configuration files to what is to be done.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{ArgMatches, Command as Parser, CommandFactory as _, FromArgMatches as _};

use crate::args::{Args, Command};
use crate::config::{ConfigProblem, Layers};
use crate::database;

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
    let config = if database::is_in_environment() { config.without_database() } else { config };
    let mistake = config.problems.first().cloned().map(Misconfigured);

    let (matches, config) = match understand(&parser, config, &words) {
        Ok(understood) => understood,
        Err(error) => {
            let asked = matches!(
                error.kind(),
                ErrorKind::DisplayHelp
                    | ErrorKind::DisplayVersion
                    | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
            );
            // An option that is missing may be the one with the mistake.
            let mistake = mistake.filter(|_| !asked);
            return Err(mistake.map_or(NotUnderstood::Words(error), NotUnderstood::Config));
        }
    };
    let args = Args::from_arg_matches(&matches).map_err(NotUnderstood::Words)?;
    match mistake {
        Some(mistake) if !works_misconfigured(&args.command) => Err(NotUnderstood::Config(mistake)),
        _ => Ok(Invocation { args, parser, matches, config }),
    }
}

/// Reads the words, with the settings as defaults that the words leave any room for.
pub(crate) fn understand(
    parser: &Parser,
    config: Layers,
    words: &[OsString],
) -> Result<(ArgMatches, Layers), clap::Error> {
    let read =
        |config: &Layers| config.as_defaults(parser.clone()).try_get_matches_from(words.iter());
    let matches = read(&config)?;
    let beside = config.beside(parser, &matches);
    if beside.settings.len() == config.settings.len() {
        return Ok((matches, config));
    }
    Ok((read(&beside)?, beside))
}

/// What helps to find and mend the mistake works in spite of it, and what a running node needs
/// that was started before the mistake was made.
fn works_misconfigured(command: &Command) -> bool {
    matches!(
        command,
        Command::Doctor(_)
            | Command::Config(_)
            | Command::Completions(_)
            | Command::Man(_)
            | Command::RunHook(_)
            | Command::RunScript
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Command, NotUnderstood> {
        let words = ["consign"].iter().chain(words).map(OsString::from).collect();
        parse(words).map(|invocation| invocation.args.command)
    }

    #[test]
    fn a_hook_runs_whatever_its_line_and_the_configuration() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("config.toml");
        std::fs::write(&path, "[hub]\nlissten = 1").expect("written");
        let config = path.to_str().expect("UTF-8");
        let refused = parsed(&["--config", config, "id"]);
        assert!(matches!(refused, Err(NotUnderstood::Config(_))), "{refused:?}");
        for words in [&["--", "true"][..], &["true"], &["--", "-x y"], &["-x y"], &["--", "--json"]]
        {
            let command = parsed(&[&["--config", config, "run-hook"], words].concat());
            let Ok(Command::RunHook(args)) = command else { panic!("{words:?}: {command:?}") };
            assert_eq!(Some(&args.command), words.last().map(OsString::from).as_ref());
        }
    }
}
