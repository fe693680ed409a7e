//! `belljar push` and `belljar models`: the models of a server.

mod logs;

use std::path::PathBuf;

use anyhow::{Result, anyhow};
use belljar_bundle::{ModelId, ModelName};
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::Value;

use super::answers::{array, text};
use super::bundles::size;
use super::client::{Client, ClientArgs};
use super::determinism::determinism_words;
use super::upload::{failed, settle, upload};
use super::{Failure, block_on, output, pull};

#[derive(Args, Debug)]
pub(super) struct PushArgs {
    /// Bundle or project folder to upload
    #[arg(value_name = "FILE|DIR")]
    bundle: PathBuf,
    /// Return when the version serves (the default)
    #[arg(long, overrides_with = "no_wait")]
    wait: bool,
    /// Return as soon as the server has the bundle
    #[arg(long)]
    no_wait: bool,
    /// Keep the version that is active now
    #[arg(long)]
    no_activate: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Debug, Subcommand)]
pub(super) enum ModelsCommand {
    /// Bring weights that are known to run, pack them and have them served
    Pull(pull::PullArgs),
    /// List all versions of all models
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Show a model or one version of it
    Show {
        /// NAME or NAME@VERSION
        #[arg(value_name = "MODEL")]
        model: Reference,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Show what a model has written of late: its log, stdout, stderr, why runs failed
    Logs(logs::LogsArgs),
    /// Let a version answer for its name
    Activate {
        /// The version
        #[arg(value_name = "NAME@VERSION")]
        model: Reference,
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Let no version answer for the name
    Deactivate {
        /// The model
        #[arg(value_name = "NAME")]
        model: ModelName,
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Remove a model with all its versions, or one version
    Remove {
        /// NAME or NAME@VERSION
        #[arg(value_name = "MODEL")]
        model: Reference,
        #[command(flatten)]
        client: ClientArgs,
    },
}

/// A model or one version of it.
#[derive(Clone, Debug)]
pub(super) struct Reference {
    name: String,
    version: Option<String>,
}

impl std::str::FromStr for Reference {
    type Err = belljar_bundle::NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains('@') {
            let id: ModelId = text.parse()?;
            Ok(Self {
                name: id.name.to_string(),
                version: Some(id.version.to_string()),
            })
        } else {
            let name: ModelName = text.parse()?;
            Ok(Self {
                name: name.to_string(),
                version: None,
            })
        }
    }
}

impl Reference {
    fn path(&self) -> Vec<&str> {
        ["models", &self.name]
            .into_iter()
            .chain(self.version.as_deref())
            .collect()
    }
}

/// Uploads a bundle and waits until it serves.
pub(super) fn push(args: &PushArgs) -> Result<(), Failure> {
    block_on(async {
        let client = Client::new(&args.client)?;
        let mut version = upload(&client, &args.bundle, !args.no_activate).await?;
        let notes = version.get("notes").and_then(Value::as_array);
        for note in notes.into_iter().flatten().filter_map(Value::as_str) {
            output::note(note);
        }
        if !args.no_wait || args.wait {
            version = settle(&client, version).await?;
        }
        if args.json {
            output::json(&version)?;
        }
        let id = text(&version, "id");
        match text(&version, "state") {
            "failed" => return Err(failed(&version).into()),
            _ if args.json => {}
            "active" => output::line(format!("{id} is active"))?,
            "ready" => output::line(format!(
                "{id} is ready; `belljar models activate {id}` lets it answer for its name"
            ))?,
            state => output::line(format!(
                "{id} is {state}; `belljar models show {id}` tells how it goes on"
            ))?,
        }
        Ok(())
    })
}

pub(super) fn models(command: &ModelsCommand) -> Result<(), Failure> {
    block_on(async {
        match command {
            ModelsCommand::List { json, client } => {
                let client = Client::new(client)?;
                let list = client
                    .send(client.request(Method::GET, &["models"]))
                    .await?;
                if *json {
                    output::json(&list)?
                } else {
                    table(array(&list, "data"))?
                }
            }
            ModelsCommand::Show {
                model,
                json,
                client,
            } => {
                let client = Client::new(client)?;
                let found = client
                    .send(client.request(Method::GET, &model.path()))
                    .await?;
                match (*json, &model.version) {
                    (true, _) => output::json(&found)?,
                    (false, None) => table(std::slice::from_ref(&found))?,
                    (false, Some(_)) => details(&found)?,
                }
            }
            ModelsCommand::Pull(args) => pull::pull(args).await?,
            ModelsCommand::Logs(args) => logs::logs(args).await?,
            ModelsCommand::Activate { model, client } => {
                let client = Client::new(client)?;
                let Some(version) = &model.version else {
                    return Err(unnamed_version(&client, model).await?);
                };
                let path = ["models", &model.name, version, "activate"];
                client.send(client.request(Method::POST, &path)).await?;
                output::line(format!("{}@{version} is active", model.name))?;
            }
            ModelsCommand::Deactivate { model, client } => {
                let client = Client::new(client)?;
                let path = ["models", model.as_str(), "deactivate"];
                client.send(client.request(Method::POST, &path)).await?;
                output::line(format!("{model} has no active version"))?;
            }
            ModelsCommand::Remove { model, client } => {
                remove(&Client::new(client)?, model).await?;
            }
        }
        Ok(())
    })
}

/// What is said to somebody who wants to activate a model and names no version.
async fn unnamed_version(client: &Client, model: &Reference) -> Result<Failure> {
    let found = client.request(Method::GET, &model.path());
    let found = client.send(found).await?;
    let versions: Vec<String> = array(&found, "versions")
        .iter()
        .map(|version| format!("{} ({})", text(version, "id"), text(version, "state")))
        .collect();
    Ok(Failure::usage(anyhow!(
        "name a version: {}",
        versions.join(", ")
    )))
}

/// Removes a model or a version. Nobody may have noticed that it was the one that answers.
async fn remove(client: &Client, model: &Reference) -> Result<()> {
    let name = model.name.as_str();
    let before = client.request(Method::GET, &["models", name]);
    // A key that may write and not read removes all the same.
    let before = client.send(before).await.unwrap_or_default();
    client
        .send(client.request(Method::DELETE, &model.path()))
        .await?;
    let Some(version) = &model.version else {
        return output::line(format!("{name} is removed"));
    };
    output::line(format!("{name}@{version} is removed"))?;
    if text(&before, "active") == version {
        let others = array(&before, "versions").iter();
        let ready: Vec<&str> = others
            .filter(|other| text(other, "state") == "ready")
            .map(|other| text(other, "id"))
            .collect();
        let next = if ready.is_empty() {
            String::new()
        } else {
            format!("; `belljar models activate` takes {}", ready.join(", "))
        };
        output::note(&format!(
            "it was the active version: nothing answers for `{name}` now{next}"
        ));
    }
    Ok(())
}

fn table(models: &[Value]) -> Result<()> {
    let versions = models.iter().flat_map(|model| array(model, "versions"));
    let rows = versions.map(|version| {
        [
            text(version, "id").to_owned(),
            text(version, "state").to_owned(),
            names(version),
            version
                .get("bytes")
                .and_then(Value::as_u64)
                .map_or_else(String::new, size),
            text(version, "created")
                .chars()
                .take("2026-01-31".len())
                .collect(),
        ]
    });
    output::table(["model", "state", "capabilities", "size", "created"], rows)
}

fn details(version: &Value) -> Result<()> {
    let mut lines = vec![format!(
        "{} is {}",
        text(version, "id"),
        text(version, "state")
    )];
    let mut add = |label: &str, value: String| {
        if !value.is_empty() {
            // The lines of a longer text stand below one another, and none at the margin.
            let value = value.replace('\n', "\n                ");
            lines.push(format!("  {label:<13} {value}"));
        }
    };
    let failure = version.get("error").unwrap_or(&Value::Null);
    if !failure.is_null() {
        add(
            "reason",
            output::with_code(text(failure, "message"), text(failure, "code")),
        );
    }
    for field in ["description", "license", "digest", "created"] {
        add(field, text(version, field).to_owned());
    }
    add("uploaded by", text(version, "uploaded_by").to_owned());
    add(
        "size",
        version
            .get("bytes")
            .and_then(Value::as_u64)
            .map_or_else(String::new, size),
    );
    if version.get("private").and_then(Value::as_bool) == Some(true) {
        add("private", "kept apart from other versions".to_owned());
    }
    add("built on", text(version, "base").to_owned());
    if !text(version, "base_component").is_empty() {
        add("is a base", "others can be built on it".to_owned());
    }
    if version.get("resident").and_then(Value::as_bool) == Some(false) {
        add("in memory", "no, until somebody asks for it".to_owned());
    }
    add("capabilities", names(version));
    add("repeats", repeats(version));
    let limits = version.get("limits").unwrap_or(&Value::Null);
    let limit = |name: &str| limits.get(name).and_then(Value::as_u64);
    add(
        "memory",
        limit("memory_bytes").map_or_else(String::new, size),
    );
    add(
        "output",
        limit("output_bytes").map_or_else(String::new, size),
    );
    add(
        "deadline",
        limit("deadline_ms").map_or_else(String::new, |ms| format!("{ms} ms")),
    );
    add(
        "fuel",
        limit("fuel").map_or_else(String::new, |fuel| fuel.to_string()),
    );
    output::line(lines.join("\n"))
}

/// On which machines the runs of a version give the same again, and why not on all.
fn repeats(version: &Value) -> String {
    let determinism = version.get("determinism").unwrap_or(&Value::Null);
    let reasons = array(determinism, "reasons").iter();
    let reasons = reasons.map(|reason| (text(reason, "instruction"), text(reason, "leaves_open")));
    determinism_words(text(determinism, "class"), reasons)
}

fn names(version: &Value) -> String {
    let names: Vec<&str> = array(version, "capabilities")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    names.join(", ")
}
