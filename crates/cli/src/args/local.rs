//! Options of the commands about this program itself.

use clap::{Args as ClapArgs, Subcommand};

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  consign config show --origin\n  consign config check")]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    pub(crate) what: ConfigCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Show every option that has a value
    Show(ConfigShowArgs),
    /// Say what is wrong in the configuration files
    #[command(after_help = "Example:\n  consign config check")]
    Check,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  consign config show --origin")]
pub(crate) struct ConfigShowArgs {
    /// Say where each value comes from
    #[arg(long)]
    pub(crate) origin: bool,
}
