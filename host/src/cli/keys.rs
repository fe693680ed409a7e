//! `belljar keys`: the API keys of a server.

mod rights;

use std::process::ExitCode;

use anyhow::{Result, bail};
use belljar_bundle::DurationText;
use clap::{Args, Subcommand};
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Map, Value, json};

use self::rights::{RightsArgs, SetArgs};
use super::answers::{array, text};
use super::client::{Client, ClientArgs};
use super::scan::{ScanArgs, scan};
use super::{Failure, block_on, output};
use crate::auth::{Scope, Signing};
use crate::clock::time_of_day;
use crate::ids::KeyId;

#[derive(Debug, Subcommand)]
pub(super) enum KeysCommand {
    /// Create a key and print it; it is shown this once
    Create(Box<CreateArgs>),
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
    /// Change what a key may do and use; it keeps its secret
    #[command(after_help = "Lists are given whole. What is not named stays as it is.")]
    Set(Box<SetArgs>),
    /// Change whether requests with a key are signed; a new secret is shown this once
    Signing {
        #[command(flatten)]
        one: OneArgs,
        /// none, optional or required (default: as it is)
        #[arg(value_name = "SIGNING", required_unless_present = "rotate")]
        signing: Option<Signing>,
        /// Give it another secret that signs
        #[arg(long)]
        rotate: bool,
        /// How long the secret before works on, such as 10m; at most 7d (default: not at all)
        #[arg(long, value_name = "SPAN", requires = "rotate")]
        overlap: Option<DurationText>,
    },
    /// Revoke a key: it is refused from the next request on, and its streams are ended
    Revoke(OneArgs),
    /// Forget a key as if it had never been made; `revoke` keeps its record
    Delete(OneArgs),
    /// Find leaked keys in files, and say which of them work
    #[command(
        after_help = "Exit codes: 0 no key that works was found, 3 one was, 4 keys were found \
                            and nobody was asked, 1 it failed, 2 the arguments cannot be used."
    )]
    Scan(ScanArgs),
}

#[derive(Args, Debug)]
pub(super) struct OneArgs {
    /// Name of the key, or its id, as `keys list` shows them
    #[arg(value_name = "KEY")]
    key: String,
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
    #[command(flatten)]
    rights: RightsArgs,
    /// Whether its requests are signed: none, optional or required (default: none)
    #[arg(long)]
    signing: Option<Signing>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    client: ClientArgs,
}

impl CreateArgs {
    fn body(&self) -> Value {
        let mut body = Map::new();
        body.insert("name".into(), json!(self.name));
        body.insert("scopes".into(), json!(self.scopes));
        self.rights.add_to(&mut body);
        if let Some(signing) = self.signing {
            body.insert("signing".into(), json!(signing));
        }
        Value::Object(body)
    }
}

pub(super) fn keys(command: &KeysCommand) -> Result<ExitCode, Failure> {
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
                let key = one
                    .find(Among::All)
                    .await?
                    .send(Method::GET, None, None)
                    .await?;
                if one.json {
                    output::json(&key)?;
                } else {
                    details(&key)?;
                }
            }
            KeysCommand::Rotate { overlap, one } => {
                let body = overlap.map(|span| json!({"overlap": span.to_string()}));
                let found = one.find(Among::Working).await?;
                let rotated = found.send(Method::POST, Some("rotate"), body).await?;
                secret_once(&rotated, one.json, "has another secret")?;
            }
            KeysCommand::Set(args) => {
                let body = args.body()?;
                let found = args.one.find(Among::Working).await?;
                let changed = found.send(Method::PATCH, None, Some(body)).await?;
                if args.one.json {
                    output::json(&changed)?;
                } else {
                    details(&changed)?;
                }
            }
            KeysCommand::Signing {
                signing,
                rotate,
                overlap,
                one,
            } => {
                let overlap = overlap.map(|span| span.to_string());
                let body = json!({"signing": signing, "rotate": rotate, "overlap": overlap});
                let found = one.find(Among::Working).await?;
                let changed = found
                    .send(Method::POST, Some("signing"), Some(body))
                    .await?;
                signing_secret_once(&changed, one.json)?;
            }
            KeysCommand::Revoke(one) => {
                let found = one.find(Among::Working).await?;
                let revoked = found.send(Method::POST, Some("revoke"), None).await?;
                found.done(&revoked, one.json, "is revoked")?;
            }
            KeysCommand::Delete(one) => {
                let found = one.find(Among::All).await?;
                let deleted = found.send(Method::DELETE, None, None).await?;
                found.done(&deleted, one.json, "is deleted")?;
            }
            KeysCommand::Scan(args) => return scan(args).await,
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// The keys that a name may mean.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Among {
    /// All of them.
    All,
    /// Those that work, where there are any: what ends a key means one that has not ended.
    Working,
}

/// One key of a server.
struct FoundKey {
    client: Client,
    id: KeyId,
}

impl OneArgs {
    /// The key that is meant: by its id, or else by its name.
    async fn find(&self, among: Among) -> Result<FoundKey, Failure> {
        let client = Client::new(&self.client)?;
        let list = client.request(Method::GET, &["admin", "keys"]);
        let list = client.send(list).await?;
        let id = meant(&self.key, array(&list, "data"), among)?;
        Ok(FoundKey { client, id })
    }
}

/// The id of the key that is meant. An id means its own key, also where another key is called like
/// it.
fn meant(key: &str, keys: &[Value], among: Among) -> Result<KeyId> {
    match key.parse::<KeyId>() {
        Ok(id) if keys.iter().any(|key| text(key, "id") == id.as_str()) => Ok(id),
        _ => of_name(key, keys, among),
    }
}

/// The id of the one key of that name.
pub(super) fn of_name(name: &str, keys: &[Value], among: Among) -> Result<KeyId> {
    let mut named: Vec<&Value> = keys
        .iter()
        .filter(|key| text(key, "name") == name)
        .collect();
    if among == Among::Working && named.iter().any(|key| works(key)) {
        named.retain(|key| works(key));
    }
    match named.as_slice() {
        // Not repeated: people paste secrets where a name is asked for.
        [] => bail!("no key has that name or id: `belljar keys list` shows all"),
        [one] => Ok(text(one, "id").parse()?),
        several => {
            let told = several.iter().map(|key| {
                let created = day(text(key, "created"));
                format!("\n  {}, made {created}, {}", text(key, "id"), state(key))
            });
            bail!(
                "{} keys have that name; say which by its id:{}",
                several.len(),
                told.collect::<String>()
            )
        }
    }
}

impl FoundKey {
    /// Asks the server for one thing about the key.
    async fn send(
        &self,
        method: Method,
        verb: Option<&str>,
        body: Option<Value>,
    ) -> Result<Value, Failure> {
        let mut path = vec!["admin", "keys", self.id.as_str()];
        path.extend(verb);
        let mut request = self.client.request(method, &path);
        if let Some(body) = body {
            request = request.json(&body);
        }
        Ok(self.client.send(request).await?)
    }

    fn done(&self, answer: &Value, as_json: bool, what: &str) -> Result<()> {
        if as_json {
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
    output::line(text(key, "key"))?;
    match text(key, "signing_secret") {
        "" => Ok(()),
        secret => {
            output::note("and the secret that signs its requests, which is shown this once, too:");
            output::line(secret)
        }
    }
}

/// Prints how a key signs from now on: a secret that was just made alone on stdout.
fn signing_secret_once(key: &Value, as_json: bool) -> Result<()> {
    if as_json {
        return output::json(key);
    }
    let (id, signing) = (text(key, "id"), text(key, "signing"));
    match text(key, "signing_secret") {
        "" => output::line(format!("{id}: signing is {signing}")),
        secret => {
            output::note(&format!(
                "{id}: signing is {signing}, with this secret. This is the only time that it is \
                 shown:"
            ));
            output::line(secret)
        }
    }
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
    for field in [
        "created",
        "rotated",
        "expires",
        "revoked",
        "signing",
        "old_signing_secret_until",
        "tier",
    ] {
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
        "fuel_per_month",
        "tokens_per_month",
        "requests_per_month",
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

/// Whether a key is neither revoked nor over.
fn works(key: &Value) -> bool {
    let end = text(key, "expires").parse::<Timestamp>();
    text(key, "revoked").is_empty() && !end.is_ok_and(|end| end <= time_of_day())
}

/// The state of a key, in a word or two.
fn state(key: &Value) -> String {
    let expires = text(key, "expires");
    if !text(key, "revoked").is_empty() {
        "revoked".to_owned()
    } else if !works(key) {
        "expired".to_owned()
    } else if expires.is_empty() {
        "valid".to_owned()
    } else {
        format!("valid until {}", day(expires))
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
            match text(key, "signing") {
                "none" => String::new(),
                signing => signing.to_owned(),
            },
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
            "signing",
            "state",
            "last used",
        ],
        rows,
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_name_means_one_key_or_the_ids_are_told() {
        const PAST: &str = "2000-01-01T00:00:00Z";
        let key = |id: &str, name: &str, revoked: Option<&str>| json!({"id": id, "name": name, "created": PAST, "revoked": revoked});
        let (first, second) = ("key_0000000000000001", "key_0000000000000002");
        let keys = [
            key(first, "ci", Some(PAST)),
            key(second, "ci", None),
            key("key_0000000000000003", "old", Some(PAST)),
        ];
        let found = |name, among| of_name(name, &keys, among).map(|id| id.to_string());
        assert_eq!(found("ci", Among::Working).unwrap(), second);
        assert_eq!(
            found("old", Among::Working).unwrap(),
            "key_0000000000000003"
        );
        let told = found("ci", Among::All).unwrap_err().to_string();
        for part in ["2 keys", first, "made 2000-01-01, revoked", second, "valid"] {
            assert!(told.contains(part), "{told}");
        }
        // What looks like an id is one where there is such a key, and else a name like others.
        let odd = [
            key(first, second, None),
            key(second, "ci", None),
            key("key_0000000000000004", "config-7", None),
        ];
        for (asked, expect) in [
            (second, second),
            (first, first),
            ("config-7", "key_0000000000000004"),
        ] {
            let found = meant(asked, &odd, Among::All).unwrap();
            assert_eq!(found.as_str(), expect, "{asked}");
        }
        assert!(meant("key_00000000000000ff", &odd, Among::All).is_err());
        let told = found("sk-belljar-secret", Among::All).unwrap_err();
        assert!(!told.to_string().contains("secret"), "{told}");
    }
}
