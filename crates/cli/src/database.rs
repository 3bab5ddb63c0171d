//! Where a hub's database is, as the command line and the environment say it.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use crate::exit::Usage;

/// The variable with an address, which unlike an argument nobody else on the machine sees.
const VARIABLE: &str = "CONSIGN_DATABASE";

#[derive(Debug, ClapArgs)]
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
    /// The database that was named, if any: by argument, by file, or by the environment.
    pub(crate) fn named(&self) -> anyhow::Result<Option<hub::Database>> {
        let variable = std::env::var(VARIABLE).ok().filter(|text| !text.is_empty());
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
        Ok(variable.map(|address| hub::Database::at(&address)).transpose()?)
    }
}
