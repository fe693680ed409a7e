//! `belljar models pull`: from the name of known weights to a model that serves.

mod catalog;
mod download;
mod index;
mod wheel;

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use belljar_bundle::ModelName;
use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use super::answers::{array, text};
use super::bundles::{self, size};
use super::client::{Client, ClientArgs, Refusal};
use super::upload::push_file;
use super::weights::{Described, Weights};
use super::{Failure, SettingArgs, output, temporary};
use crate::config::{SystemEnvironment, cache_folder};
use catalog::{Catalog, Known};
use download::Place;
use index::Index;

#[derive(Args, Debug)]
pub(super) struct PullArgs {
    /// Which weights; --list shows what there is
    #[arg(value_name = "NAME", required_unless_present = "list")]
    name: Option<ModelName>,
    /// List what there is
    #[arg(long)]
    list: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Index of Python packages to take them from (default: UV_DEFAULT_INDEX, UV_INDEX_URL,
    /// PIP_INDEX_URL, or the one that pip uses)
    #[arg(long, value_name = "URL")]
    index: Option<String>,
    /// Catalogue to look in, in place of the one of this program
    #[arg(long, value_name = "FILE")]
    catalog: Option<PathBuf>,
    /// Bring the weights, say where they are and stop: without a server
    #[arg(long)]
    fetch_only: bool,
    /// Tokens that a request to a language model may have, prompt and answer together
    #[arg(long, value_name = "TOKENS", value_parser = clap::value_parser!(u64).range(1..=1 << 24))]
    context: Option<u64>,
    #[command(flatten)]
    client: ClientArgs,
}

/// Brings weights, packs them and has them served.
pub(super) async fn pull(args: &PullArgs) -> Result<(), Failure> {
    let catalog = Catalog::read(args.catalog.as_deref()).map_err(Failure::usage)?;
    let name = match &args.name {
        Some(name) if !args.list => name,
        _ => return Ok(list(&catalog, args.json)?),
    };
    let known = catalog.find(name).map_err(Failure::usage)?;
    if args.fetch_only {
        let place = fetch(args, known).await?;
        return Ok(output::line(place.weights().display())?);
    }
    // Whoever has no server should not wait for a hundred megabytes to be told.
    let client = Client::new(&args.client)?;
    let version = match served(&client, known).await? {
        Some(version) => version,
        None => make(args, known, &client).await?,
    };
    tell(&client, &version, args.json)?;
    Ok(())
}

/// Brings the weights, where they are not there yet.
async fn fetch(args: &PullArgs, known: &Known) -> Result<Place, Failure> {
    let cache = cache_folder(&SystemEnvironment);
    let cache = cache.context("neither HOME nor XDG_CACHE_HOME is set: weights have no place")?;
    let place = Place::below(cache.join("belljar/models"), known)?;
    if !tokio::task::block_in_place(|| place.is_whole(known)) {
        let index =
            Index::find(args.index.as_deref(), &SystemEnvironment).map_err(Failure::usage)?;
        place.fill(known, &index).await?;
    }
    Ok(place)
}

async fn make(args: &PullArgs, known: &Known, client: &Client) -> Result<Value, Failure> {
    let place = fetch(args, known).await?;
    let weights = Weights::of(known.runtime()?, place.weights())?;
    let described = Described {
        name: Some(known.name.clone()),
        version: Some(known.version.clone()),
        context: args.context,
        license: Some(known.license.clone()),
        description: Some(known.about.clone()),
    };
    let settings = SettingArgs {
        place: args.client.place().clone(),
        set: Vec::new(),
    };
    let parts = bundles::measured(&weights, &described, &settings).await?;
    let packed = temporary::file()?;
    let written =
        tokio::task::block_in_place(|| belljar_bundle::pack::pack_parts(&parts, None, &packed));
    written.context("the weights cannot be packed")?;
    Ok(push_file(client, packed).await?)
}

/// The version, where the server has it.
async fn served(client: &Client, known: &Known) -> Result<Option<Value>> {
    let version = known.version.to_string();
    let request = client.request(Method::GET, &["models", known.name.as_str(), &version]);
    match client.send(request).await {
        Ok(version) if text(&version, "state") == "failed" => Ok(None),
        Ok(version) => Ok(Some(version)),
        Err(error) => match error.downcast_ref::<Refusal>() {
            Some(refusal) if refusal.code == "model_not_found" => Ok(None),
            _ => Err(error),
        },
    }
}

fn list(catalog: &Catalog, as_json: bool) -> Result<()> {
    if as_json {
        let models = catalog.models.iter().map(|known| {
            json!({
                "name": known.name.as_str(),
                "version": known.version.to_string(),
                "about": known.about,
                "license": known.license,
                "weights": known.weights,
                "package": known.package,
                "bytes": known.bytes.as_u64(),
            })
        });
        return output::json(&models.collect::<Vec<_>>());
    }
    let rows = catalog.models.iter().map(|known| {
        [
            known.name.to_string(),
            known.weights.clone(),
            size(known.bytes.as_u64()),
            known.license.clone(),
            known.about.clone(),
        ]
    });
    output::table(["name", "weights", "size", "license", "what it is"], rows)
}

/// Says how the model is asked.
fn tell(client: &Client, version: &Value, as_json: bool) -> Result<()> {
    if as_json {
        return output::json(version);
    }
    let (id, name) = (text(version, "id"), text(version, "name"));
    output::line(format!("{id} is {}", text(version, "state")))?;
    let can = |name: &str| {
        array(version, "capabilities")
            .iter()
            .any(|have| have == name)
    };
    let post = |path: &[&str], body: Value| {
        format!(
            "curl {} -H 'content-type: application/json' -d '{body}'",
            client.url(path)
        )
    };
    if can("text") {
        output::line(format!("  belljar chat {name}"))?;
        let messages = json!([{"role": "user", "content": "Hello!"}]);
        let body = json!({"model": name, "messages": messages});
        output::line(format!("  {}", post(&["v1", "chat", "completions"], body)))?;
    }
    if can("embeddings") {
        let body = json!({"model": name, "input": "Hello!"});
        output::line(format!("  {}", post(&["v1", "embeddings"], body)))?;
    }
    if can("tensors") {
        let url = client.url(&["v2", "models", name]);
        output::line(format!("  curl {url}"))?;
    }
    Ok(())
}
