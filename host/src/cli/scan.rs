//! `belljar keys scan`: leaked keys in files, and which of them work.
//!
//! What is found is hashed here, and only hashes are asked about: a server is told nothing that it
//! does not have, and a wrong server nothing that it could use.

mod find;
mod walk;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Args;
use reqwest::Method;
use serde::Serialize;
use serde_json::{Value, json};

use super::answers::{array, text};
use super::client::{Client, ClientArgs};
use super::{Failure, output};
use crate::auth::{KnownSecrets, Standing};
use find::{Finding, Form, Search};
use walk::{LeftAlone, Met, walk};

#[derive(Args, Debug)]
pub(super) struct ScanArgs {
    /// Files or folders to look into; `-` reads stdin
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// Look only, and ask nobody which keys work
    #[arg(long)]
    offline: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    client: ClientArgs,
}

/// Places that are told; what is beyond is counted.
const PLACES_MAX: usize = 10_000;
/// Hashes that are asked about at once.
const ASKED_AT_ONCE: usize = 1_000;
/// Paths that are told of those that were left alone.
const LEFT_TOLD_MAX: usize = 1_000;

/// A key that works was found.
const FOUND_LIVE: u8 = 3;
/// Keys were found, and nobody was asked whether they work.
const FOUND_UNASKED: u8 = 4;

/// A place in a file where a secret stands.
struct Place {
    file: String,
    finding: Finding,
}

#[derive(Default)]
struct Found {
    places: Vec<Place>,
    /// Places that are not told, because there are too many.
    more: u64,
    files: u64,
    left: BTreeMap<LeftAlone, Vec<String>>,
}

/// What is known about a secret.
#[derive(Clone, Debug, Serialize)]
struct Known {
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

pub(super) async fn scan(args: &ScanArgs) -> Result<ExitCode, Failure> {
    let found = look(&args.paths)?;
    let mut hashes: Vec<[u8; 32]> = found.places.iter().map(|p| p.finding.sha256).collect();
    hashes.sort_unstable();
    hashes.dedup();
    let known = match args.offline || hashes.is_empty() {
        true => None,
        false => Some(ask(&args.client, &hashes).await?),
    };
    let of = |finding: &Finding| match &known {
        None => Known::state("not asked"),
        Some(known) => known
            .get(&finding.sha256)
            .cloned()
            .unwrap_or(Known::state("unknown")),
    };
    if args.json {
        output::json(&as_json(&found, of))?;
    } else {
        tell(&found, of)?;
    }
    let is_live = |known: &BTreeMap<[u8; 32], Known>| {
        known
            .values()
            .any(|known| known.state == name(Standing::Live))
    };
    Ok(match &known {
        _ if found.places.is_empty() => ExitCode::SUCCESS,
        None => ExitCode::from(FOUND_UNASKED),
        Some(known) if is_live(known) => ExitCode::from(FOUND_LIVE),
        Some(_) => ExitCode::SUCCESS,
    })
}

/// Looks into everything that was named.
fn look(paths: &[PathBuf]) -> Result<Found> {
    let search = Search::new();
    let mut found = Found::default();
    for root in paths {
        if root.as_os_str() == "-" {
            found.read(&search, "-", io::stdin().lock())?;
            continue;
        }
        walk(root, &mut |met| {
            match met {
                Met::File(path, file) => {
                    let name = shown(&path);
                    // One that breaks off while it is read spoils no other.
                    if found.read(&search, &name, file).is_err() {
                        found.leave(LeftAlone::Unreadable, name);
                    }
                }
                Met::Left(path, why) => found.leave(why, shown(&path)),
            }
            Ok(())
        })
        .with_context(|| format!("{} cannot be read", root.display()))?;
    }
    Ok(found)
}

impl Found {
    fn read(&mut self, search: &Search, file: &str, source: impl io::Read) -> io::Result<()> {
        self.files += 1;
        search.read(source, |finding| {
            if self.places.len() >= PLACES_MAX {
                self.more += 1;
                return;
            }
            let file = file.to_owned();
            self.places.push(Place { file, finding });
        })
    }

    fn leave(&mut self, why: LeftAlone, path: String) {
        let paths = self.left.entry(why).or_default();
        if paths.len() < LEFT_TOLD_MAX {
            paths.push(path);
        }
    }
}

impl Known {
    const fn state(state: &'static str) -> Self {
        Self {
            state,
            key_id: None,
            name: None,
        }
    }
}

/// Asks the server which secrets it knows, or reads its data directory where it does not run.
async fn ask(args: &ClientArgs, hashes: &[[u8; 32]]) -> Result<BTreeMap<[u8; 32], Known>, Failure> {
    let Some(data_dir) = args.stopped_data_dir()? else {
        return ask_server(args, hashes).await;
    };
    let secrets = KnownSecrets::read(&data_dir).await.with_context(|| {
        format!(
            "no server runs on {}, and its keys cannot be read: name a server with --server, or \
             say --offline",
            data_dir.display()
        )
    })?;
    let known = hashes.iter().filter_map(|hash| {
        let secret = secrets.of(hash)?;
        let known = Known {
            state: name(secret.standing),
            key_id: Some(secret.key_id.to_string()),
            name: Some(secret.name),
        };
        Some((*hash, known))
    });
    Ok(known.collect())
}

async fn ask_server(
    args: &ClientArgs,
    hashes: &[[u8; 32]],
) -> Result<BTreeMap<[u8; 32], Known>, Failure> {
    let client = Client::new(args)?;
    let mut known = BTreeMap::new();
    for some in hashes.chunks(ASKED_AT_ONCE) {
        let digests: Vec<String> = some.iter().map(hex::encode).collect();
        let request = client.request(Method::POST, &["admin", "keys", "lookup"]);
        let request = request.json(&json!({"digests": digests}));
        let answer = client.send(request).await?;
        for row in array(&answer, "data") {
            let mut hash = [0; 32];
            let standing = [Standing::Live, Standing::Revoked, Standing::Expired]
                .into_iter()
                .find(|standing| name(*standing) == text(row, "state"));
            let is_read = hex::decode_to_slice(text(row, "digest"), &mut hash).is_ok();
            if let Some(standing) = standing.filter(|_| is_read) {
                let known_as = Known {
                    state: name(standing),
                    key_id: Some(text(row, "key_id").to_owned()),
                    name: Some(text(row, "name").to_owned()),
                };
                known.insert(hash, known_as);
            }
        }
    }
    Ok(known)
}

const fn name(standing: Standing) -> &'static str {
    match standing {
        Standing::Live => "live",
        Standing::Revoked => "revoked",
        Standing::Expired => "expired",
    }
}

/// A path as text. Lines of it stay one line.
fn shown(path: &Path) -> String {
    path.to_string_lossy().replace(['\n', '\r'], "\u{fffd}")
}

/// What stands for a secret that must not be shown.
fn fingerprint(hash: &[u8; 32]) -> String {
    const DIGITS: usize = 12;
    hex::encode(hash).chars().take(DIGITS).collect()
}

fn tell(found: &Found, of: impl Fn(&Finding) -> Known) -> Result<()> {
    for Place { file, finding } in &found.places {
        let known = of(finding);
        let form = match finding.form {
            Form::Plain => "",
            Form::Utf16 => " in UTF-16",
            Form::Base64 => " in base64",
        };
        let whose = match (&known.key_id, &known.name) {
            (Some(id), Some(name)) => format!(", {id} \"{name}\""),
            _ => String::new(),
        };
        output::line(format!(
            "{file}:{}: {}…{form} (sha256 {}) is {}{whose}",
            finding.line,
            finding.prefix,
            fingerprint(&finding.sha256),
            known.state,
        ))?;
    }
    if found.more > 0 {
        output::note(&format!("and in {} more places", found.more));
    }
    for (why, paths) in &found.left {
        let count = paths.len();
        let count = if count < LEFT_TOLD_MAX {
            count.to_string()
        } else {
            format!("{count} or more")
        };
        output::note(&format!("not looked into: {count} {}", why.words()));
    }
    output::note(&format!(
        "{} places in {} files have a key or a signing secret",
        found.places.len() as u64 + found.more,
        found.files
    ));
    Ok(())
}

fn as_json(found: &Found, of: impl Fn(&Finding) -> Known) -> Value {
    let places: Vec<Value> = found
        .places
        .iter()
        .map(|Place { file, finding }| {
            let mut place = json!({
                "file": file,
                "line": finding.line,
                "offset": finding.offset,
                "prefix": finding.prefix,
                "form": finding.form,
                "fingerprint": fingerprint(&finding.sha256),
            });
            let known = json!(of(finding));
            if let (Some(place), Some(known)) = (place.as_object_mut(), known.as_object()) {
                place.extend(known.clone());
            }
            place
        })
        .collect();
    json!({
        "places": places,
        "more_places": found.more,
        "files": found.files,
        "not_looked_into": found.left,
    })
}
