//! What a key may do and use, as `keys create` and `keys set` take it.

use anyhow::anyhow;
use belljar_bundle::{ByteSize, DurationText, Fuel, ModelName};
use clap::Args;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::OneArgs;
use crate::auth::{Scope, Tier};
use crate::cli::Failure;
use crate::clock::time_of_day;
use crate::net::Network;

#[derive(Args, Debug)]
pub(super) struct RightsArgs {
    /// Models it may use (a new key: all)
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
    /// Fuel in one calendar month, UTC
    #[arg(long, value_name = "FUEL", alias = "budget-fuel-month")]
    fuel_per_month: Option<Fuel>,
    /// Tokens in one calendar month, prompts and answers together
    #[arg(long, value_name = "N", alias = "budget-tokens-month", value_parser = clap::value_parser!(u64).range(1..))]
    tokens_per_month: Option<u64>,
    /// Requests in one calendar month
    #[arg(long, value_name = "N", alias = "budget-requests-month", value_parser = clap::value_parser!(u64).range(1..))]
    requests_per_month: Option<u64>,
    /// Networks it may be used from, such as 10.0.0.0/8 (a new key: everywhere)
    #[arg(long, value_name = "NET", value_delimiter = ',')]
    allow_networks: Vec<Network>,
    /// Networks it may not be used from
    #[arg(long, value_name = "NET", value_delimiter = ',')]
    deny_networks: Vec<Network>,
    /// When it stops working: a span such as "30 d", or 2027-01-31T00:00:00Z
    #[arg(long, value_name = "WHEN", value_parser = expiry)]
    expires: Option<Timestamp>,
}

fn expiry(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let accepted = "expected a span such as \"30 d\" or a time such as 2027-01-31T00:00:00Z";
    let span: DurationText = text.parse().map_err(|_| accepted.to_owned())?;
    let end = time_of_day().checked_add(span.as_duration());
    end.map_err(|_| "this is too far in the future".to_owned())
}

impl RightsArgs {
    /// Adds what is named, by its name in the API.
    pub(super) fn add_to(&self, body: &mut Map<String, Value>) {
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
        let fuel = self.fuel_per_month;
        add("fuel_per_month", fuel.map(|n| json!(n.as_u64())));
        add("tokens_per_month", self.tokens_per_month.map(|n| json!(n)));
        let requests = self.requests_per_month;
        add("requests_per_month", requests.map(|n| json!(n)));
        add("expires", self.expires.map(|time| json!(time)));
    }
}

#[derive(Args, Debug)]
pub(in crate::cli) struct SetArgs {
    #[command(flatten)]
    pub(super) one: OneArgs,
    /// What the key is for
    #[arg(long)]
    name: Option<String>,
    /// What it may do: infer, models:read, models:write, admin, metrics
    #[arg(long, value_delimiter = ',')]
    scopes: Vec<Scope>,
    #[command(flatten)]
    rights: RightsArgs,
    /// What is not to hold for it any more: the server's setting does, or nothing
    #[arg(
        long,
        value_name = "OPTION",
        value_delimiter = ',',
        value_parser = clap::builder::PossibleValuesParser::new(CLEARABLE)
    )]
    unset: Vec<String>,
}

/// What a key may be without, by its option.
const CLEARABLE: [&str; 15] = [
    "models",
    "tier",
    "rpm",
    "tpm",
    "max-concurrent",
    "max-uploads",
    "max-stored-bundles",
    "max-stored-bytes",
    "fuel-per-day",
    "fuel-per-month",
    "tokens-per-month",
    "requests-per-month",
    "allow-networks",
    "deny-networks",
    "expires",
];

impl SetArgs {
    /// What is to be changed, as the API takes it.
    pub(super) fn body(&self) -> Result<Value, Failure> {
        let mut body = Map::new();
        if let Some(name) = &self.name {
            body.insert("name".to_owned(), json!(name));
        }
        if !self.scopes.is_empty() {
            body.insert("scopes".to_owned(), json!(self.scopes));
        }
        self.rights.add_to(&mut body);
        for option in &self.unset {
            let both = body.insert(option.replace('-', "_"), Value::Null);
            if both.is_some_and(|value| !value.is_null()) {
                let told = anyhow!("`--{option}` and `--unset {option}` contradict each other");
                return Err(Failure::usage(told));
            }
        }
        if body.is_empty() {
            let told = anyhow!("say what is to be changed, for example `--rpm 60`");
            return Err(Failure::usage(told));
        }
        Ok(Value::Object(body))
    }
}
