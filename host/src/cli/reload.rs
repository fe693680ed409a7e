//! `belljar reload`: has a running server read its settings again.

use anyhow::Result;
use clap::Args;
use reqwest::Method;
use serde_json::Value;

use super::answers::{array, text};
use super::client::{Client, ClientArgs, Refusal};
use super::{Failure, block_on, output};

#[derive(Args, Debug)]
pub(super) struct ReloadArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    client: ClientArgs,
}

/// The code of a refusal of the settings that were read.
const REFUSED: &str = "configuration_refused";

pub(super) fn reload(args: &ReloadArgs) -> Result<(), Failure> {
    let outcome = block_on(async {
        let client = Client::new(&args.client)?;
        let request = client.request(Method::POST, &["admin", "reload"]);
        client.send(request).await.map_err(|error| {
            let refused = error.downcast_ref::<Refusal>();
            // As the start has it: a configuration that cannot be used is a code of its own.
            match refused.is_some_and(|refusal| refusal.code == REFUSED) {
                true => Failure::usage(error),
                false => error.into(),
            }
        })
    })?;
    if args.json {
        return Ok(output::json(&outcome)?);
    }
    output::line(told(&outcome))?;
    Ok(())
}

/// The outcome, a line for each setting.
fn told(outcome: &Value) -> String {
    let (changed, waiting) = (array(outcome, "changed"), array(outcome, "waiting"));
    let changed = changed.iter().map(|change| {
        let [key, before, after] = ["key", "before", "after"].map(|field| text(change, field));
        format!("`{key}` is `{after}` now; it was `{before}`")
    });
    let waiting = waiting.iter().map(|change| {
        let [key, before, after] = ["key", "before", "after"].map(|field| text(change, field));
        format!("`{key}` stays `{before}` until the next start, and is `{after}` then")
    });
    let lines: Vec<String> = changed.chain(waiting).collect();
    if lines.is_empty() {
        "read again: no setting is another than before".to_owned()
    } else {
        lines.join("\n")
    }
}
