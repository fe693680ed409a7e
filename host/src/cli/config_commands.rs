//! `belljar config`: what is in force, and what there is.

use clap::Subcommand;

use super::{Failure, SettingArgs, output};
use crate::config;

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Print each value that is in force and where it comes from
    Show {
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        settings: SettingArgs,
    },
    /// Print the reference of all settings, in Markdown
    Reference,
}

pub(super) fn config(command: &ConfigCommand) -> Result<(), Failure> {
    match command {
        ConfigCommand::Show { json, settings } => {
            let effective = settings.resolve()?.effective();
            if *json {
                output::json(&effective)?;
            } else {
                let rows = effective
                    .into_iter()
                    .map(|row| [row.key.to_owned(), row.value, row.source]);
                output::table(["key", "value", "source"], rows)?;
            }
        }
        ConfigCommand::Reference => output::text(&config::reference())?,
    }
    Ok(())
}
