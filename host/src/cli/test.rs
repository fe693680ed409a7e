//! `belljar test`: the examples of a bundle, without a server.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use serde_json::json;

use super::bundles::size;
use super::ephemeral_server::{self, EphemeralServer};
use super::{Failure, SettingArgs, block_on, output};
use crate::asking::{Manner, Placed, answered, placed};

#[derive(Args, Debug)]
#[command(
    after_help = "Examples are in the files tests/*.toml of a project, and in its bundle. One that \
                  is all there is:\n\n  \
                  [[example]]\n  \
                  name = \"doubles\"\n  \
                  input = { x = [1, 2] }\n  \
                  output = { y = [2, 4] }\n\n\
                  docs/inside.md has the rest."
)]
pub(super) struct TestArgs {
    /// Bundle or project folder
    #[arg(value_name = "FILE|DIR", default_value = ".")]
    bundle: PathBuf,
    /// Run only examples with this in their names or the name of their file
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Print JSON, a line for each example
    #[arg(long)]
    json: bool,
    /// Log what the server would log, the model's own lines included
    #[arg(short, long)]
    verbose: bool,
    #[command(flatten)]
    settings: SettingArgs,
}

/// Runs the examples of a bundle.
pub(super) fn test(args: &TestArgs) -> Result<(), Failure> {
    let _log = ephemeral_server::log(args.verbose, &args.settings)?;
    block_on(async {
        let server = EphemeralServer::open_for(&args.bundle, &args.settings).await?;
        let outcome = run(&server, args).await;
        server.close().await;
        Ok(outcome?)
    })
}

async fn run(server: &EphemeralServer, args: &TestArgs) -> Result<()> {
    let status = server.admit(&args.bundle).await?;
    let store = server.app().registry().store();
    let all = placed(&store.open_bundle(&status.digest)?)?;
    if all.is_empty() {
        bail!(
            "{} has no examples: they are in tests/*.toml (`belljar test --help`)",
            status.id
        );
    }
    let is_chosen = |placed: &Placed| {
        let only = args.only.as_deref();
        only.is_none_or(|text| placed.name.contains(text))
    };
    let chosen: Vec<Placed> = all.into_iter().filter(is_chosen).collect();
    if chosen.is_empty() {
        bail!("no example has that in its name");
    }
    let (count, mut failed) = (chosen.len(), 0);
    let asker = server.app().asker();
    for Placed { name, example } in chosen {
        let model = (
            status.id.to_string(),
            status.capabilities.unwrap_or_default(),
        );
        let answered = answered(&asker, model, Manner::default(), &example).await?;
        let differences = example.differences(&answered);
        failed += usize::from(!differences.is_empty());
        let differences: Vec<String> = differences.iter().map(ToString::to_string).collect();
        if args.json {
            output::json(&json!({
                "name": name,
                "passed": differences.is_empty(),
                "differences": differences,
                "fuel": answered.fuel,
                "memory_bytes": answered.memory_bytes,
            }))?;
        } else if differences.is_empty() {
            let memory = size(answered.memory_bytes);
            output::line(format!(
                "ok    {name}: fuel {}, memory {memory}",
                answered.fuel
            ))?;
        } else {
            output::line(format!("FAIL  {name}"))?;
            for difference in differences {
                output::line(format!("      {difference}"))?;
            }
        }
    }
    if failed > 0 {
        bail!("{failed} of {count} examples failed");
    }
    output::note(&format!("{count} examples passed"));
    Ok(())
}
