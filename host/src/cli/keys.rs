//! `belljar keys`: the API keys of a server.

use anyhow::Result;
use belljar_bundle::{ByteSize, DurationText, Fuel, ModelName};
use clap::{Args, Subcommand};
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::client::{Client, ClientArgs};
use super::models::{array, text};
use super::{Failure, block_on, output};
use crate::auth::{Network, Scope, Tier};
use crate::ids::KeyId;

#[derive(Debug, Subcommand)]
pub(super) enum KeysCommand {
    /// Create a key and print it; it is shown this once
    Create(CreateArgs),
    /// List all keys
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Revoke a key: it is refused from the next request on
    Revoke {
        /// Id of the key, as `keys list` shows it
        #[arg(value_name = "ID")]
        id: KeyId,
        #[command(flatten)]
        client: ClientArgs,
    },
}

#[derive(Args, Debug)]
pub(super) struct CreateArgs {
    /// What the key is for
    #[arg(long)]
    name: String,
    /// What it may do: infer, models:read, models:write, admin, metrics
    #[arg(long, value_delimiter = ',', required = true)]
    scopes: Vec<Scope>,
    /// Models it may use (default: all)
    #[arg(long, value_delimiter = ',')]
    models: Vec<ModelName>,
    /// Allowance: free, tier-1 to tier-5
    #[arg(long)]
    tier: Option<Tier>,
    /// Requests a minute
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rpm: Option<u32>,
    /// Tokens a minute
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    tpm: Option<u32>,
    /// Requests at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_concurrent: Option<u32>,
    /// Uploads at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_uploads: Option<u32>,
    /// Uploaded versions that are still there
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_stored_bundles: Option<u32>,
    /// Bytes of those versions, unpacked, such as "10 GiB"
    #[arg(long, value_name = "SIZE")]
    max_stored_bytes: Option<ByteSize>,
    /// Fuel in one UTC day, such as 50_000_000_000
    #[arg(long, value_name = "FUEL")]
    fuel_per_day: Option<Fuel>,
    /// Networks it may be used from, such as 10.0.0.0/8 (default: everywhere)
    #[arg(long, value_name = "NET", value_delimiter = ',')]
    allow_networks: Vec<Network>,
    /// Networks it may not be used from
    #[arg(long, value_name = "NET", value_delimiter = ',')]
    deny_networks: Vec<Network>,
    /// When it stops working: a span such as "30 d", or 2027-01-31T00:00:00Z
    #[arg(long, value_name = "WHEN", value_parser = expiry)]
    expires: Option<Timestamp>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    client: ClientArgs,
}

fn expiry(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let accepted = "expected a span such as \"30 d\" or a time such as 2027-01-31T00:00:00Z";
    let span: DurationText = text.parse().map_err(|_| accepted.to_owned())?;
    let end = Timestamp::now().checked_add(span.as_duration());
    end.map_err(|_| "this is too far in the future".to_owned())
}

impl CreateArgs {
    fn body(&self) -> Value {
        let mut body = Map::new();
        let scopes: Vec<&str> = self.scopes.iter().map(|scope| scope.name()).collect();
        body.insert("name".into(), json!(self.name));
        body.insert("scopes".into(), json!(scopes));
        if !self.models.is_empty() {
            body.insert("models".into(), json!(self.models));
        }
        if !self.allow_networks.is_empty() {
            body.insert("allow_networks".into(), json!(self.allow_networks));
        }
        if !self.deny_networks.is_empty() {
            body.insert("deny_networks".into(), json!(self.deny_networks));
        }
        let mut add = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                body.insert(name.to_owned(), value);
            }
        };
        add("tier", self.tier.map(|tier| json!(tier)));
        add("rpm", self.rpm.map(|rpm| json!(rpm)));
        add("tpm", self.tpm.map(|tpm| json!(tpm)));
        add("max_concurrent", self.max_concurrent.map(|n| json!(n)));
        add("max_uploads", self.max_uploads.map(|n| json!(n)));
        let bundles = self.max_stored_bundles;
        add("max_stored_bundles", bundles.map(|n| json!(n)));
        let bytes = self.max_stored_bytes;
        add("max_stored_bytes", bytes.map(|n| json!(n.as_u64())));
        add("fuel_per_day", self.fuel_per_day.map(|n| json!(n.as_u64())));
        add("expires", self.expires.map(|time| json!(time)));
        Value::Object(body)
    }
}

pub(super) fn keys(command: &KeysCommand) -> Result<(), Failure> {
    block_on(async {
        match command {
            KeysCommand::Create(args) => {
                let client = Client::new(&args.client)?;
                let request = client
                    .request(Method::POST, &["admin", "keys"])
                    .json(&args.body());
                let created = client.send(request).await?;
                if args.json {
                    output::json(&created)?;
                } else {
                    // The secret alone on stdout, so that a script can take it as it is.
                    output::note(&format!(
                        "{} is made. This is the only time that its secret is shown:",
                        text(&created, "id")
                    ));
                    output::line(text(&created, "key"))?;
                }
            }
            KeysCommand::List { json, client } => {
                let client = Client::new(client)?;
                let list = client
                    .send(client.request(Method::GET, &["admin", "keys"]))
                    .await?;
                if *json {
                    output::json(&list)?
                } else {
                    table(array(&list, "data"))?
                }
            }
            KeysCommand::Revoke { id, client } => {
                let client = Client::new(client)?;
                let path = ["admin", "keys", id.as_str(), "revoke"];
                client.send(client.request(Method::POST, &path)).await?;
                output::line(format!("{id} is revoked"))?;
            }
        }
        Ok(())
    })
}

fn table(keys: &[Value]) -> Result<()> {
    let now = Timestamp::now();
    let rows = keys.iter().map(|key| {
        let words = |field: &str| {
            let words: Vec<&str> = array(key, field).iter().filter_map(Value::as_str).collect();
            words.join(" ")
        };
        let expires = text(key, "expires");
        let over = expires.parse::<Timestamp>().is_ok_and(|end| end <= now);
        let state = match (text(key, "revoked").is_empty(), over) {
            (false, _) => "revoked".to_owned(),
            (true, true) => "expired".to_owned(),
            (true, false) if expires.is_empty() => "valid".to_owned(),
            (true, false) => format!("until {}", expires.chars().take(10).collect::<String>()),
        };
        let models = words("models");
        let models = if models.is_empty() {
            "all".to_owned()
        } else {
            models
        };
        [
            text(key, "id").to_owned(),
            text(key, "name").to_owned(),
            words("scopes"),
            models,
            text(key, "tier").to_owned(),
            state,
        ]
    });
    output::table(["id", "name", "scopes", "models", "tier", "state"], rows)
}
