//! `belljar config`: what is in force, and what there is.

use std::path::PathBuf;

use anyhow::Result;
use clap::Subcommand;
use reqwest::Method;
use serde_json::Value;

use super::answers::text;
use super::client::{Client, ClientArgs};
use super::{Failure, SettingArgs, block_on, output};
use crate::app::DiscoveryFile;
use crate::config::{self, Environment as _, SystemEnvironment};

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Print each value that is in force and where it comes from
    Show {
        /// Ask the server that runs there what holds for it (default: the one of the data directory)
        #[arg(
            long,
            value_name = "URL",
            num_args = 0..=1,
            default_missing_value = "",
            conflicts_with = "set"
        )]
        server: Option<String>,
        /// File with the key to ask it with (default: admin.key of the data directory)
        #[arg(
            long,
            value_name = "FILE",
            env = "BELLJAR_ADMIN_KEY_FILE",
            hide_env_values = true
        )]
        admin_key_file: Option<PathBuf>,
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
        ConfigCommand::Show {
            server: Some(server),
            admin_key_file,
            json,
            settings,
        } => {
            // Named without an address, it is the one that other commands would ask.
            let named = (!server.is_empty()).then(|| server.clone());
            let server = named.or_else(|| SystemEnvironment.variable("BELLJAR_SERVER"));
            let client = ClientArgs::new(server, admin_key_file.clone(), settings.place.clone());
            let effective = block_on(async {
                let client = Client::new(&client)?;
                let request = client.request(Method::GET, &["admin", "config"]);
                Ok(client.send(request).await?)
            })?;
            if *json {
                return Ok(output::json(&effective)?);
            }
            let rows = effective.as_array().map(Vec::as_slice).unwrap_or_default();
            let rows = rows.iter().map(|row| {
                let reloads = row.get("reloads").and_then(Value::as_bool);
                [
                    text(row, "key").to_owned(),
                    text(row, "value").to_owned(),
                    text(row, "source").to_owned(),
                    yes_or_nothing(reloads.unwrap_or_default()),
                ]
            });
            output::table(HEAD, rows)?;
        }
        ConfigCommand::Show { json, settings, .. } => {
            let resolved = settings.resolve()?;
            let effective = resolved.effective();
            if *json {
                output::json(&effective)?;
            } else {
                if DiscoveryFile::read(&resolved.settings.data_dir).is_some() {
                    output::note(
                        "this is what a start would take; `belljar config show --server` asks the \
                         server that runs here",
                    );
                }
                let rows = effective.into_iter().map(|row| {
                    let reloads = yes_or_nothing(row.reloads);
                    [row.key.to_owned(), row.value, row.source, reloads]
                });
                output::table(HEAD, rows)?;
            }
        }
        ConfigCommand::Reference => output::text(&config::reference())?,
    }
    Ok(())
}

/// The columns of the settings in force, as the API names them too. The last says what
/// `belljar reload` takes up.
const HEAD: [&str; 4] = ["key", "value", "source", "reloads"];

fn yes_or_nothing(is_so: bool) -> String {
    if is_so { "yes" } else { "" }.to_owned()
}
