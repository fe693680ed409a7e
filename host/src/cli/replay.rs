//! `belljar replay`: makes a run on record again, and says whether it is the same, or where it is at
//! a point on the way.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use reqwest::Method;
use serde_json::Value;

use super::answers::{array, text};
use super::client::{Client, ClientArgs};
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
    /// Stop there, and print the functions that the model is in
    #[arg(long, value_name = "FUEL", value_parser = clap::value_parser!(u64).range(1..))]
    until_fuel: Option<u64>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    client: ClientArgs,
}

pub(super) fn replay(args: &ReplayArgs) -> Result<ExitCode, Failure> {
    let what = match args.until_fuel {
        Some(_) => "stack",
        None => "replay",
    };
    let replayed = block_on(async {
        let client = Client::new(&args.client)?;
        let mut request = client.request(Method::POST, &["runs", &args.id, what]);
        if let Some(model) = &args.model {
            request = request.query(&[("model", model)]);
        }
        if let Some(fuel) = args.until_fuel {
            request = request.query(&[("fuel", fuel)]);
        }
        Ok(client.send(request).await?)
    })?;
    if args.json {
        output::json(&replayed)?;
    } else if args.until_fuel.is_some() {
        output::line(stack(&replayed))?;
    } else {
        output::line(told(&replayed))?;
    }
    if args.until_fuel.is_some() {
        return Ok(ExitCode::SUCCESS);
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

/// The stack for a person, the innermost function first.
fn stack(stopped: &Value) -> String {
    let number = |field: &str| stopped.get(field).map_or_else(String::new, plain);
    let (id, model, fuel) = (text(stopped, "id"), text(stopped, "model"), number("fuel"));
    let how = match text(stopped, "outcome") {
        "stopped" => format!("stopped after {fuel} fuel, in call {}", number("call")),
        "done" => format!("was over after {fuel} fuel"),
        code => format!("failed after {fuel} fuel ({code})"),
    };
    let mut lines = vec![format!("{id} on {model} {how}")];
    for frame in array(stopped, "frames") {
        lines.push(format!("  {}", text(frame, "function")));
        let line = text(frame, "line");
        if !line.is_empty() {
            lines.push(format!("    {line}"));
        }
    }
    lines.join("\n")
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}
