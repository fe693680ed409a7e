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
use crate::auth::{Scope, Tier};
use crate::ids::KeyId;
use crate::net::Network;

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
    /// Show a key: what it may do and what it has used
    Show(OneArgs),
    /// Give a key another secret and print it; it is shown this once
    Rotate {
        /// How long the old secret works on, such as 10m; at most 7d (default: not at all)
        #[arg(long, value_name = "SPAN")]
        overlap: Option<DurationText>,
        #[command(flatten)]
        one: OneArgs,
    },
    /// Revoke a key: it is refused from the next request on, and its streams are ended
    Revoke(OneArgs),
    /// Forget a key as if it had never been made; `revoke` keeps its record
    Delete(OneArgs),
}

#[derive(Args, Debug)]
pub(super) struct OneArgs {
    /// Id of the key, as `keys list` shows it
    #[arg(value_name = "ID")]
    id: KeyId,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    client: ClientArgs,
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
                secret_once(&created, args.json, "is made")?;
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
            KeysCommand::Show(one) => {
                let key = one.send(Method::GET, None, None).await?;
                if one.json {
                    output::json(&key)?;
                } else {
                    details(&key)?;
                }
            }
            KeysCommand::Rotate { overlap, one } => {
                let body = overlap.map(|span| json!({"overlap": span.to_string()}));
                let rotated = one.send(Method::POST, Some("rotate"), body).await?;
                secret_once(&rotated, one.json, "has another secret")?;
            }
            KeysCommand::Revoke(one) => {
                let revoked = one.send(Method::POST, Some("revoke"), None).await?;
                one.done(&revoked, "is revoked")?;
            }
            KeysCommand::Delete(one) => {
                let deleted = one.send(Method::DELETE, None, None).await?;
                one.done(&deleted, "is deleted")?;
            }
        }
        Ok(())
    })
}

impl OneArgs {
    /// Asks the server for one thing about the key.
    async fn send(
        &self,
        method: Method,
        verb: Option<&str>,
        body: Option<Value>,
    ) -> Result<Value, Failure> {
        let client = Client::new(&self.client)?;
        let mut path = vec!["admin", "keys", self.id.as_str()];
        path.extend(verb);
        let mut request = client.request(method, &path);
        if let Some(body) = body {
            request = request.json(&body);
        }
        Ok(client.send(request).await?)
    }

    fn done(&self, answer: &Value, what: &str) -> Result<()> {
        if self.json {
            output::json(answer)
        } else {
            output::line(format!("{} {what}", self.id))
        }
    }
}

/// Prints the one answer that has a secret: the secret alone on stdout, so that a script can take
/// it as it is.
fn secret_once(key: &Value, as_json: bool, what: &str) -> Result<()> {
    if as_json {
        return output::json(key);
    }
    output::note(&format!(
        "{} {what}. This is the only time that it is shown:",
        text(key, "id")
    ));
    output::line(text(key, "key"))
}

/// The description of one key, a line for each fact.
fn details(key: &Value) -> Result<()> {
    let mut lines = vec![format!("{} is {}", text(key, "id"), state(key))];
    let mut add = |label: &str, value: String| {
        if !value.is_empty() {
            lines.push(format!("  {label:<18} {value}"));
        }
    };
    add("name", text(key, "name").to_owned());
    add("scopes", words(key, "scopes"));
    add("models", all_or(words(key, "models")));
    for field in ["created", "rotated", "expires", "revoked", "tier"] {
        add(field, text(key, field).to_owned());
    }
    for field in [
        "rpm",
        "tpm",
        "max_concurrent",
        "max_uploads",
        "max_stored_bundles",
        "max_stored_bytes",
        "fuel_per_day",
    ] {
        add(field, number(key, field));
    }
    for field in ["allow_networks", "deny_networks", "old_secrets_until"] {
        add(field, words(key, field));
    }
    let usage = key.get("usage").unwrap_or(&Value::Null);
    let last_used = text(usage, "last_used");
    let last_used = if last_used.is_empty() {
        "never"
    } else {
        last_used
    };
    add("last used", last_used.to_owned());
    for field in [
        "requests",
        "prompt_tokens",
        "completion_tokens",
        "fuel",
        "fuel_today",
    ] {
        add(field, number(usage, field));
    }
    output::line(lines.join("\n"))
}

/// A number of an answer; empty where there is none.
fn number(value: &Value, field: &str) -> String {
    let number = value.get(field).filter(|value| value.is_number());
    number.map_or_else(String::new, Value::to_string)
}

/// A list of an answer, with spaces.
fn words(value: &Value, field: &str) -> String {
    let words: Vec<&str> = array(value, field)
        .iter()
        .filter_map(Value::as_str)
        .collect();
    words.join(" ")
}

fn all_or(words: String) -> String {
    if words.is_empty() {
        "all".to_owned()
    } else {
        words
    }
}

/// The state of a key, in a word or two.
fn state(key: &Value) -> String {
    let expires = text(key, "expires");
    let over = expires
        .parse::<Timestamp>()
        .is_ok_and(|end| end <= Timestamp::now());
    match (text(key, "revoked").is_empty(), over) {
        (false, _) => "revoked".to_owned(),
        (true, true) => "expired".to_owned(),
        (true, false) if expires.is_empty() => "valid".to_owned(),
        (true, false) => format!("valid until {}", day(expires)),
    }
}

/// The day of a time.
fn day(time: &str) -> String {
    time.chars().take("2027-01-31".len()).collect()
}

fn table(keys: &[Value]) -> Result<()> {
    let rows = keys.iter().map(|key| {
        let usage = key.get("usage").unwrap_or(&Value::Null);
        [
            text(key, "id").to_owned(),
            text(key, "name").to_owned(),
            words(key, "scopes"),
            all_or(words(key, "models")),
            text(key, "tier").to_owned(),
            state(key),
            day(text(usage, "last_used")),
        ]
    });
    output::table(
        [
            "id",
            "name",
            "scopes",
            "models",
            "tier",
            "state",
            "last used",
        ],
        rows,
    )
}
