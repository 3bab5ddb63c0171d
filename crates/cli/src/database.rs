//! Where a hub's database is, as the command line and the environment say it.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use crate::exit::Usage;

/// The variable with an address, which unlike an argument nobody else on the machine sees.
const VARIABLE: &str = "CONSIGN_DATABASE";

#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct DatabaseArgs {
    /// PostgreSQL database, as in postgres://USER@HOST/DATABASE [default: a file in --data]; an
    /// address with a password belongs in --database-file or the variable CONSIGN_DATABASE
    #[arg(long, value_name = "URL", conflicts_with = "database_file")]
    database: Option<String>,
    /// File whose first line is the address of the database
    #[arg(long, value_name = "FILE")]
    database_file: Option<PathBuf>,
}

impl DatabaseArgs {
    /// The database that was named, if any: by argument, or by the environment, which a
    /// configuration file yields to (see [`Layers::beside`] and [`Layers::without_database`]).
    ///
    /// [`Layers::beside`]: crate::config::Layers::beside
    /// [`Layers::without_database`]: crate::config::Layers::without_database
    pub(crate) fn named(&self) -> anyhow::Result<Option<hub::Database>> {
        if let Some(address) = &self.database {
            let database = hub::Database::at(address).map_err(|error| Usage(error.to_string()))?;
            if database.has_password() {
                let hint = "anybody on this machine sees the arguments of a command: write the \
                            address with its password to a file for --database-file, or set \
                            CONSIGN_DATABASE";
                return Err(Usage(hint.to_owned()).into());
            }
            return Ok(Some(database));
        }
        if let Some(path) = &self.database_file {
            return Ok(Some(hub::Database::in_file(path)?));
        }
        Ok(in_environment().map(|address| hub::Database::at(&address)).transpose()?)
    }
}

/// Whether the environment names a database.
pub(crate) fn is_in_environment() -> bool {
    in_environment().is_some()
}

fn in_environment() -> Option<String> {
    std::env::var(VARIABLE).ok().filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, FromArgMatches as _};

    use super::*;
    use crate::args::{Args, Command};
    use crate::config::Layers;

    impl DatabaseArgs {
        /// Address and file.
        pub(crate) fn stated(&self) -> (Option<String>, Option<PathBuf>) {
            (self.database.clone(), self.database_file.clone())
        }
    }

    #[test]
    fn flags_win_over_the_environment_and_that_over_files() {
        let parser = Args::command();
        let stated = |text: &str, words: &[&str], environment: bool| {
            let mut layers = Layers::default();
            layers.add("/file.toml".into(), text, &parser);
            assert!(layers.problems.is_empty(), "{:?}", layers.problems);
            let layers = if environment { layers.without_database() } else { layers };
            let words: Vec<_> =
                ["consign", "invite", "--data", "d"].iter().chain(words).map(Into::into).collect();
            let (matches, _) =
                crate::invocation::understand(&parser, layers, &words).expect("well-formed");
            let Ok(Args { command: Command::Invite(invite), .. }) =
                Args::from_arg_matches(&matches)
            else {
                panic!("invite")
            };
            invite.database.stated()
        };
        let (address, file) = ("[invite]\ndatabase = \"a\"", "[invite]\ndatabase_file = \"f\"");
        let of = |text: &str| Some(text.to_owned());
        assert_eq!(stated(address, &[], false), (of("a"), None));
        assert_eq!(stated(address, &["--database-file", "g"], false), (None, Some("g".into())));
        assert_eq!(stated(file, &["--database", "b"], false), (of("b"), None));
        assert_eq!(stated(address, &[], true), (None, None), "the environment is left to say it");
        assert_eq!(stated(file, &[], true), (None, None));
        assert_eq!(stated(file, &["--database", "b"], true), (of("b"), None));
    }
}
