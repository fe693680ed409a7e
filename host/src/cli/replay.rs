//! `belljar replay`: makes a run on record again, and says whether it is the same.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use reqwest::Method;
use serde_json::Value;

use super::client::{Client, ClientArgs};
use super::upload::{array, text};
use super::{Failure, block_on, output};
use crate::runs::Verdict;

/// The exit code where nobody can tell whether two runs are the same.
const CANNOT_TELL: u8 = 3;
/// The exit code where they are not.
const MISMATCH: u8 = 4;

#[derive(Args, Debug)]
#[command(
    after_help = "Exits with 0 where the run is the same, 4 where it is not, 3 where nobody can tell."
)]
pub(super) struct ReplayArgs {
    /// Id of the run, as in the header x-belljar-run of its answer
    #[arg(value_name = "ID")]
    id: String,
    /// Another version to compare with the one that ran
    #[arg(long, value_name = "NAME@VERSION")]
    model: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    client: ClientArgs,
}

pub(super) fn replay(args: &ReplayArgs) -> Result<ExitCode, Failure> {
    let replayed = block_on(async {
        let client = Client::new(&args.client)?;
        let request = client.request(Method::POST, &["runs", &args.id, "replay"]);
        let request = match &args.model {
            Some(model) => request.query(&[("model", model)]),
            None => request,
        };
        Ok(client.send(request).await?)
    })?;
    if args.json {
        output::json(&replayed)?;
    } else {
        output::line(told(&replayed))?;
    }
    Ok(exit_code(text(&replayed, "verdict")))
}

/// The exit code of a comparison, by the name of its verdict.
pub(super) fn exit_code(verdict: &str) -> ExitCode {
    if verdict == Verdict::Match.name() {
        ExitCode::SUCCESS
    } else if verdict == Verdict::Mismatch.name() {
        ExitCode::from(MISMATCH)
    } else {
        ExitCode::from(CANNOT_TELL)
    }
}

/// The comparison for a person.
fn told(replayed: &Value) -> String {
    let word = match text(replayed, "verdict") {
        "match" => "the same",
        "mismatch" => "not the same",
        _ => "not to be compared",
    };
    let mut lines = vec![format!(
        "{} on {}: {word}",
        text(replayed, "id"),
        text(replayed, "model")
    )];
    for field in ["outcome", "fuel", "output_digest"] {
        let of = |side: &str| {
            let value = replayed.pointer(&format!("/{field}/{side}"));
            value.map_or_else(String::new, plain)
        };
        let (before, after) = (of("before"), of("after"));
        let name = field.replace('_', " ");
        lines.push(if before == after {
            format!("  {name:<13} {before}")
        } else {
            format!("  {name:<13} {before}, now {after}")
        });
    }
    for difference in array(replayed, "differences") {
        let of = |side: &str| {
            difference
                .get(side)
                .map_or_else(String::new, Value::to_string)
        };
        let path = text(difference, "path");
        lines.push(format!(
            "  {path}\n    {}\n    {}",
            of("before"),
            of("after")
        ));
    }
    lines.join("\n")
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}
