//! `belljar models logs`: what a model has written of late, and what it writes.

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use reqwest::Method;
use serde_json::Value;

use super::{Reference, array, text};
use crate::cli::client::{Client, ClientArgs};
use crate::cli::output;

#[derive(Args, Debug)]
pub(in crate::cli) struct LogsArgs {
    /// NAME or NAME@VERSION
    #[arg(value_name = "MODEL")]
    model: Reference,
    /// Go on with what it writes from now on
    #[arg(short, long)]
    follow: bool,
    /// Lines to begin with, the last there are
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    limit: u32,
    /// Print JSON, an object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    client: ClientArgs,
}

/// How long the server is asked to wait for a line, in seconds.
const WAIT_S: u64 = 20;
/// Lines of one answer while following: the most that the server gives.
const LINES_MAX: u32 = 1_000;
/// The time between two answers: each is a request of the key's minute.
const PAUSE: Duration = Duration::from_millis(500);

pub(super) async fn logs(args: &LogsArgs) -> Result<(), crate::cli::Failure> {
    let client = Client::new(&args.client)?;
    let mut list = ask(&client, args, args.limit, None).await?;
    loop {
        if list.get("truncated").and_then(Value::as_bool) == Some(true) {
            output::note("(lines before these are left out, or gone)");
        }
        for line in array(&list, "data") {
            let written = match args.json {
                true => line.to_string(),
                false => told(line),
            };
            if !output::line_for_reader(written)? {
                return Ok(());
            }
        }
        if !args.follow {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
        let last = list.get("last").and_then(Value::as_u64).unwrap_or(0);
        list = ask(&client, args, LINES_MAX, Some(last)).await?;
    }
}

/// The last lines, or those after a number, for which the server waits a while.
async fn ask(client: &Client, args: &LogsArgs, limit: u32, after: Option<u64>) -> Result<Value> {
    let request = client.request(Method::GET, &["models", &args.model.name, "logs"]);
    let mut request = request.query(&[("limit", limit)]);
    if let Some(version) = &args.model.version {
        request = request.query(&[("version", version)]);
    }
    if let Some(after) = after {
        request = request.query(&[("after", after), ("wait", WAIT_S)]);
    }
    client.send(request).await
}

fn told(line: &Value) -> String {
    let field = |name| text(line, name);
    format!(
        "{} {:<5} {} {} {}: {}",
        field("time"),
        field("level").to_uppercase(),
        field("version"),
        field("source"),
        field("request_id"),
        field("message")
    )
}
